"""What a decision is: the answer and the rows, and the few words that every part of the ledger uses.

Not here: any decision.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from toolgate.domain.approval import Requirement

if TYPE_CHECKING:
    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.commands import Answer
    from toolgate.domain.rows import ApprovalRow, Row


class Decision(NamedTuple):
    """What to answer and what to write; an empty ``rows`` writes nothing."""

    answer: Answer
    rows: tuple[Row, ...] = ()


def said(actor: str, reason: str, through: str | None = None) -> dict[str, JsonValue]:
    """Who says so and why, as the trail names it, and through which program where they did not come in person."""
    words: dict[str, JsonValue] = {"toolgate.actor": actor, "toolgate.reason": reason}
    return words if through is None else {**words, "toolgate.through": through}


def stored_requirement(approval: ApprovalRow) -> Requirement:
    """What the approval demands, as it was last written."""
    return Requirement.from_json(json.loads(approval.requirement))
