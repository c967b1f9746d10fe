"""What a reading tool asks of whoever calls, and what one call was given for it: matched, never believed.

An answer meets its question here, in the very call in which the tool asks it. Only one that fits reaches the tool,
which then runs again from its beginning. No answer decides anything in the gate, and of none the content is kept.
Not here: what fits (``domain.answers``), and how anybody is asked (surfaces).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from toolgate.domain.answers import Action, Answer, Misfit, fitting
from toolgate.domain.questions import Kind, NeedsInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.canonical import JsonValue

Stands = Action | Literal["open", "misfit"]


class Asking:
    """The questions and answers of one call. ``offered`` are the client's; ``can_ask`` what it can show."""

    __slots__ = ("_offered", "_stands", "answers", "can_ask", "misfits")

    def __init__(self, offered: Mapping[str, Answer], can_ask: frozenset[Kind]) -> None:
        self._offered = offered
        self._stands: dict[str, Stands] = {}
        self.can_ask = can_ask
        self.answers: dict[str, Answer] = {}
        self.misfits: dict[str, str] = {}

    def meets(self, asked: NeedsInput) -> bool:
        """Whether one of its questions has an answer that the tool did not know when it asked."""
        new = False
        for key, question in asked.requests.items():
            if key in self.answers or key not in self._offered:
                self._stands[key] = "open"
                continue
            answer = fitting(question, self._offered[key])
            if isinstance(answer, Misfit):
                self._stands[key], self.misfits[key] = "misfit", answer.why
                continue
            # A new mapping: an earlier run may have kept its own.
            self.answers = {**self.answers, key: answer}
            self._stands[key] = answer.action
            new = True
        return new

    def told(self) -> dict[str, JsonValue] | None:
        """For the trail: what was asked, by its key, and how that stands. None where nothing was."""
        return {"toolgate.input": dict(self._stands)} if self._stands else None
