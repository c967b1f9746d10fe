"""How a fault of ours is logged: its type and its place, never its text, which may hold anything."""

from __future__ import annotations

import traceback
from pathlib import PurePath


def place_of(error: BaseException) -> str:
    """``"KeyError at spine.py:120 in handle"``: enough to find the line, nothing of the data."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    return f"{type(error).__name__} at {PurePath(last.filename).name}:{last.lineno} in {last.name}"
