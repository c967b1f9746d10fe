"""What an outcome may tell when the ledger fails: the documented words, and nothing of the machine."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from toolgate import ErrorType, Failed, Refused, Unknown, WorldEffect

if TYPE_CHECKING:
    from toolgate import Outcome

_INTERNAL = re.compile(
    r"sqlite|database|disk|locked|malformed|readonly|read-only|I/O|/tmp|\.db|\.py|Traceback|Error:|Store[A-Z]",
    re.IGNORECASE,
)


def told(outcome: Outcome[Any]) -> dict[str, Any]:
    """What the model gets, after making sure that nothing internal is in it."""
    body = outcome.to_model()
    text = json.dumps(body, ensure_ascii=False)
    assert _INTERNAL.search(text) is None, text
    return body


def assert_unavailable(outcome: Outcome[Any]) -> None:
    """Nothing may run, or be told: refused, or failed where a read had run already."""
    assert isinstance(outcome, Refused | Failed)
    assert outcome.error_type is ErrorType.AUDIT_UNAVAILABLE
    body = told(outcome)
    assert (body["ok"], body["effect"], body["advice"]) == (False, "none", "retry_later")
    assert "secret of" not in json.dumps(outcome.to_mcp())


def assert_in_doubt(outcome: Outcome[Any]) -> None:
    """It may have happened, and nobody claims that it did."""
    assert isinstance(outcome, Unknown)
    assert (outcome.error_type, outcome.effect) == (ErrorType.OUTCOME_UNKNOWN, WorldEffect.UNKNOWN)
    assert told(outcome)["ok"] is False
