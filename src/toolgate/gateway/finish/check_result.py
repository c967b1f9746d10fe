"""Does what the tool returned keep its contract? And its JSON, bounded for the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from toolgate.domain.bounding import bounded
from toolgate.domain.canonical import encoder

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall

encode = encoder(sort_keys=False)

HARD_FACTOR = 16
"""A result beyond so many times the shown bound is not kept at all: it is no result but an accident."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A good result: typed, as JSON, and as JSON that the model may see."""

    result: Any
    raw: bytes
    shown: bytes
    truncated: bool


@dataclass(frozen=True, slots=True)
class BadResult:
    """The true reason why the result is withheld."""

    reason: str


def check_result(sealed: SealedCall, value: Any, *, limit: int) -> Checked | BadResult:
    """Validate ``value`` against the output type, strictly, by way of its JSON."""
    shape = sealed.tool.output
    try:
        raw = shape.to_json(value)
        result = shape.load_result(raw)
    except ValidationError as error:
        return BadResult(f"the result breaks its type in {error.error_count()} places")
    except Exception as error:  # noqa: BLE001 - serialisers and validators of a result are the author's, and may raise anything
        return BadResult(f"the result has no JSON form of its type ({type(error).__name__})")
    if len(raw) > limit * HARD_FACTOR:
        return BadResult(f"the result has {len(raw)} bytes, more than {HARD_FACTOR} times what may be shown")
    if len(raw) <= limit:
        return Checked(result, raw, raw, truncated=False)
    shown, truncated = bounded(json.loads(raw), limit=limit, measured=len(raw))
    return Checked(result, raw, encode(shown).encode(), truncated)
