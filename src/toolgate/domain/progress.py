"""How far a run says it has come, made fit for whoever listens. Nothing of it is kept.

Not here: who listens, and when nobody does any more (``gateway.flight``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from toolgate.domain.names import label

Progress = Callable[[float, float | None, str | None], object]
"""``(done, total, note)``: called in any thread. What it answers is not looked at."""

MAX_NOTE: Final = 500
_MOST_READ: Final = 4 * MAX_NOTE


def said(done: object, total: object, note: object) -> tuple[float, float | None, str | None] | None:
    """What a tool reported, checked: finite numbers, one line of words without known secrets. None: it says nothing.

    ``done`` has to be a finite number and not negative; a ``total`` that is none is left out, and so is a note that
    is no text. A note has at most ``MAX_NOTE`` characters.
    """
    so_far = _finite(done)
    if so_far is None:
        return None
    return so_far, _finite(total), _line(note)


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _line(note: object) -> str | None:
    if not isinstance(note, str):
        return None
    # Redacted before it is cut to its bound, so that no half of a secret is left at the end.
    return label(" ".join(note[:_MOST_READ].split()), limit=MAX_NOTE)[:MAX_NOTE] or None
