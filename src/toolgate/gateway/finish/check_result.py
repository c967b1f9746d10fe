"""Does what the tool returned keep its contract? And its JSON, bounded for the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from toolgate.domain.bounding import bounded
from toolgate.domain.canonical import encoder
from toolgate.domain.content import Content, bounded_content

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall
    from toolgate.domain.schema import Form

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
    try:
        return _checked(sealed.tool.output, value, limit)
    except ValidationError as error:
        return BadResult(f"the result breaks its type in {error.error_count()} places")
    except Exception as error:  # noqa: BLE001 - serialisers and validators of a result are the author's, and may raise anything
        return BadResult(f"the result has no JSON form of its type ({type(error).__name__})")


def _checked(shape: Form[Any], value: Any, limit: int) -> Checked | BadResult:
    raw = shape.to_json(value)
    result = shape.load_result(raw)
    if len(raw) > limit * HARD_FACTOR:
        return BadResult(f"the result has {len(raw)} bytes, more than {HARD_FACTOR} times what may be shown")
    if len(raw) <= limit:
        return Checked(result, raw, raw, truncated=False)
    shown, truncated = shown_of(result, json.loads(raw), limit=limit, measured=len(raw))
    return Checked(result, raw, encode(shown).encode(), truncated)


def shown_of(result: Any, tree: Any, *, limit: int, measured: int) -> tuple[Any, bool]:
    """What a model may see of ``result``, whose JSON is ``tree`` and has ``measured`` bytes; and whether it was cut."""
    cut = bounded_content if type(result) is Content else bounded
    return cut(tree, limit=limit, measured=measured)
