"""The eleven questions for every tool, each answered declared, verified or absent; absent is a defect.

`review.review` answers them, `wrong_inputs` makes what a strict tool has to refuse, `definitions` reads what others
publish. Here: rules and conclusions, pure. Not here: trying things (`operations.check_tools`), files, printing.
"""

from __future__ import annotations

from toolgate.domain.checklist.answers import Answer, Defect, Question, Report, Source, Standing, ToolReport
from toolgate.domain.checklist.definitions import read_definitions
from toolgate.domain.checklist.evidence import ErrorTried, Evidence, Rehearsal
from toolgate.domain.checklist.exhibit import Exhibit, exhibit_of
from toolgate.domain.checklist.review import review
from toolgate.domain.checklist.wrong_inputs import Concern, Tried, Verdict, WrongInput, judge, wrong_inputs

__all__ = [
    "Answer",
    "Concern",
    "Defect",
    "ErrorTried",
    "Evidence",
    "Exhibit",
    "Question",
    "Rehearsal",
    "Report",
    "Source",
    "Standing",
    "ToolReport",
    "Tried",
    "Verdict",
    "WrongInput",
    "exhibit_of",
    "judge",
    "read_definitions",
    "review",
    "wrong_inputs",
]
