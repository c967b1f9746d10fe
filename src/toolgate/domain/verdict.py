"""What a gate may say: Pass, Deny, Hold or Replay. Gates judge; the spine acts on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolgate.domain.approval import Requirement
    from toolgate.domain.outcome import Advice, ErrorType
    from toolgate.domain.rows import Found


@dataclass(frozen=True, slots=True)
class Pass:
    """Nothing against it. ``release`` gives back what was reserved, if a later gate refuses or the call ends."""

    release: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """No. ``reason`` is the true why, for the trail; ``message`` is for the model."""

    error_type: ErrorType
    reason: str
    message: str | None = None
    retry_after: float | None = None
    advice: Advice | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Not without a person."""

    requirement: Requirement


@dataclass(frozen=True, slots=True)
class Replay:
    """The key was used: answer from what the ledger found under it."""

    found: Found


Verdict = Pass | Deny | Hold | Replay

PASS = Pass()
