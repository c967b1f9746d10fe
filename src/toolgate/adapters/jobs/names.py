"""How the steps of one run are told apart. Nothing else."""

from __future__ import annotations

import threading
from collections import Counter


class StepNames:
    """Numbers the steps of one run that have a name in common, in the order they are asked for. Thread-safe."""

    __slots__ = ("_lock", "_seen")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()

    def label(self, name: str) -> str:
        """``fetch`` the first time, then ``fetch#2``."""
        with self._lock:
            self._seen[name] += 1
            count = self._seen[name]
        return name if count == 1 else f"{name}#{count}"

    def give_back(self, name: str) -> None:
        """Its work failed and nothing is recorded: the next attempt of this run asks for the same step again."""
        with self._lock:
            self._seen[name] -= 1
