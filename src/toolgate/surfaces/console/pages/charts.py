"""Figures as shapes: where each bar of a chart stands, in the units of its ``viewBox``.

The template draws them as SVG with classes alone, so that no style of ours stands in a page. Not here: counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import TYPE_CHECKING, Final, NamedTuple

from toolgate.operations.statistics import OUTCOMES

if TYPE_CHECKING:
    from toolgate.operations.statistics import Bucket

WIDTH: Final = 720
HEIGHT: Final = 200
_LEFT: Final = 40
_TOP: Final = 8
_BOTTOM: Final = 24
_GAP: Final = 3
CLASSES: Final = {
    "succeeded": "good",
    "waiting": "info",
    "refused": "rest",
    "failed": "warn",
    "unknown": "bad",
}
"""An outcome → the class that colours it."""


class Box(NamedTuple):
    """A rectangle of a chart, and what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


class Mark(NamedTuple):
    """A text beside an axis."""

    x: float
    y: float
    text: str


class Columns(NamedTuple):
    """A chart of stacked columns."""

    boxes: tuple[Box, ...]
    lines: tuple[Mark, ...]
    times: tuple[Mark, ...]


def stacked(buckets: Sequence[Bucket], labels: Sequence[str]) -> Columns:
    """Columns of outcomes, one a bucket; ``labels`` are the buckets' times in words."""
    top = ceiling(max((bucket.calls for bucket in buckets), default=0))
    inner, high = WIDTH - _LEFT, HEIGHT - _TOP - _BOTTOM
    pitch = inner / max(1, len(buckets))
    boxes: list[Box] = []
    for number, (bucket, label) in enumerate(zip(buckets, labels, strict=True)):
        base = float(HEIGHT - _BOTTOM)
        for outcome in OUTCOMES:
            count = bucket.counts.get(outcome, 0)
            if count:
                tall = max(1.0, high * count / top)
                base -= tall
                title = f"{label}: {count} {outcome}"
                x = _LEFT + number * pitch + _GAP / 2
                boxes.append(Box(_r(x), _r(base), _r(pitch - _GAP), _r(tall), CLASSES[outcome], title))
    return Columns(
        boxes=tuple(boxes),
        lines=tuple(
            Mark(_LEFT, _r(HEIGHT - _BOTTOM - high * part / 2), f"{top * part // 2:,}")
            for part in ((0, 1, 2) if top > 1 else (0, 2))
        ),
        times=tuple(
            Mark(_r(_LEFT + number * pitch + pitch / 2), HEIGHT - 6, label)
            for number, label in enumerate(labels)
            if number % 6 == 0
        ),
    )


def ceiling(value: int) -> int:
    """The next round number, at which an axis may end: one of 1, 2, 4, 10, 20, 40, 100 and so on."""
    if value <= 1:
        return 1
    size = int(10 ** floor(log10(value)))
    return next(step * size for step in (1, 2, 4, 10) if step * size >= value)


def share(value: int, most: int) -> float:
    """The length of a bar in a row of a hundred: at least visible, where there is anything."""
    return _r(max(0.5, 100 * value / most)) if value and most else 0.0


def _r(value: float) -> float:
    return round(value, 2)
