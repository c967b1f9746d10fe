"""Does what the tool returned keep its contract? And its JSON, bounded for the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from toolgate.domain.bounding import bounded
from toolgate.domain.canonical import canonical_json

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall
    from toolgate.domain.canonical import JsonValue

HARD_FACTOR = 16
"""A result beyond so many times the shown bound is not kept at all: it is no result but an accident."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A good result: typed, as JSON, and as the model may see it."""

    result: Any
    canonical: bytes
    shown: JsonValue
    truncated: bool


@dataclass(frozen=True, slots=True)
class BadResult:
    """The true reason why the result is withheld."""

    reason: str


def check_result(sealed: SealedCall, value: Any, *, limit: int) -> Checked | BadResult:
    """Validate ``value`` against the output type, strictly, by way of its JSON."""
    shape = sealed.tool.output
    try:
        tree = shape.dump(value)
        canonical = canonical_json(tree)
        result = shape.load_result(canonical)
    except ValidationError as error:
        return BadResult(f"the result breaks its type in {error.error_count()} places")
    except (PydanticSerializationError, ValueError, TypeError) as error:
        return BadResult(f"the result has no JSON form of its type ({type(error).__name__})")
    if len(canonical) > limit * HARD_FACTOR:
        return BadResult(f"the result has {len(canonical)} bytes, more than {HARD_FACTOR} times what may be shown")
    shown, truncated = bounded(tree, limit=limit, measured=len(canonical))
    return Checked(result, canonical, shown, truncated)
