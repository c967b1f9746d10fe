"""The eleven questions and the shape of an answer.

Here: the words that every report uses. Not here: how a question is answered (`review` and the modules it asks), and
how a report is printed (the command line).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Question(Enum):
    """One question for every tool; a no is a defect. The number and the code are stable."""

    PURPOSE = (1, "one_clear_purpose", "one clear purpose")
    SCHEMA = (2, "strict_schema", "strict schema")
    VALIDATED = (3, "arguments_validated", "all arguments validated")
    PERMISSION = (4, "permissions_checked", "permissions checked")
    TIMEOUT = (5, "timeout", "timeout")
    RETRIES = (6, "retries_safe", "retries safe")
    IDEMPOTENT = (7, "idempotent", "idempotent if it has effects")
    AUDIT = (8, "audit_sanitised", "sanitised audit")
    FAILURE = (9, "fails_safely", "fails safely")
    APPROVAL = (10, "approval_where_risky", "approval where risky")
    TESTABLE = (11, "testable_without_a_model", "testable without a model")

    def __init__(self, number: int, code: str, title: str) -> None:
        self.number = number
        self.code = code
        self.title = title


class Standing(StrEnum):
    """How a question is answered. Absent is a no."""

    DECLARED = "declared"
    """The contract says so."""
    VERIFIED = "verified"
    """It was tried."""
    ABSENT = "absent"
    """Neither: a defect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One reason for a no: why, and how to mend it. ``place`` is the field it is about, where there is one."""

    why: str
    how: str
    place: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question answered. ``why`` says what the answer rests on; an absent answer names its defects too."""

    question: Question
    standing: Standing
    why: str
    defects: tuple[Defect, ...] = ()

    @property
    def is_no(self) -> bool:
        """Whether this is a defect."""
        return self.standing is Standing.ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a tool is written: a file, relative to the directory the check ran in, and a line from 1."""

    file: str
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReport:
    """The eleven answers about one tool, in order. ``waiver`` is the reason why no person is asked."""

    name: str
    answers: tuple[Answer, ...]
    waiver: str | None = None
    source: Source | None = None

    @property
    def clean(self) -> bool:
        """Whether no answer is a no."""
        return not any(answer.is_no for answer in self.answers)

    def answer(self, question: Question) -> Answer:
        """The answer to one question."""
        return self.answers[question.number - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found about every tool of a target."""

    tools: tuple[ToolReport, ...]

    @property
    def clean(self) -> bool:
        """Whether every tool is clean."""
        return all(tool.clean for tool in self.tools)

    def count(self, standing: Standing) -> int:
        """How many answers have this standing."""
        return sum(answer.standing is standing for tool in self.tools for answer in tool.answers)


def affirmed(question: Question, why: str, *, verified: bool = False) -> Answer:
    """A yes: because the contract says so or, if ``verified``, because it was tried."""
    return Answer(question=question, standing=Standing.VERIFIED if verified else Standing.DECLARED, why=why)


def denied(question: Question, *defects: Defect) -> Answer:
    """A no, for these reasons."""
    told = (f"{each.place}: {each.why}" if each.place else each.why for each in defects)
    return Answer(question=question, standing=Standing.ABSENT, why="; ".join(told), defects=defects)
