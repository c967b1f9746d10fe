"""What the ledger's answer to a person's command means for that person. Not here: the words for each command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.commands import Done, NotAllowed
from toolgate.domain.principal import Declined

if TYPE_CHECKING:
    from toolgate.domain.commands import Answer


def declined(answer: Answer, otherwise: str) -> Declined | None:
    """Why nothing was written, or None where it was. ``otherwise``: what to say where somebody was faster."""
    if isinstance(answer, Done):
        return None
    if isinstance(answer, NotAllowed):
        return Declined(answer.why, answer.reason)
    return Declined("conflict", otherwise)
