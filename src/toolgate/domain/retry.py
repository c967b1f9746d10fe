"""May a failed attempt be tried again, and when? A pure rule of effect × failure × what the contract promises."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING

from toolgate.domain.contract import Effect

if TYPE_CHECKING:
    from toolgate.domain.contract import Contract


class FailureClass(StrEnum):
    """What kind of failure an attempt ended with."""

    DECLARED_NONE = "declared: nothing happened, transient"
    CONNECTION = "connection lost or refused, or its reply never came"
    DECLARED = "declared by the tool, final"
    UNDECLARED = "an exception the tool did not declare"


def may_retry(contract: Contract, failure: FailureClass, *, attempt: int) -> bool:
    """Whether attempt number ``attempt`` (from 1), having failed so, may be followed by another.

    A dispatched effect is repeated only where the attempt itself declared that nothing happened, or
    where the contract promises that downstream removes duplicates by the key.
    """
    if contract.retries is None or attempt >= contract.retries.attempts:
        return False
    match failure:
        case FailureClass.DECLARED_NONE:
            return True
        case FailureClass.CONNECTION:
            return contract.effect is Effect.READ or contract.honours_key
        case FailureClass.DECLARED | FailureClass.UNDECLARED:
            return False


def backoff(contract: Contract, call_id: str, *, attempt: int) -> float:
    """Seconds to wait after attempt ``attempt``: exponential, with up to 50 % taken off.

    The jitter comes from the call's id, so that waits of different calls spread and a test can tell them.
    """
    if contract.retries is None:
        return 0.0
    whole = min(contract.retries.delay * 2.0 ** (attempt - 1), contract.retries.max_delay)
    spread = hashlib.sha256(f"{call_id}:{attempt}".encode()).digest()[0] / 255
    return whole * (1 - spread / 2)
