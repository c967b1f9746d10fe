"""A way to Postgres that fails by chance, again and again: COMMITs are cut, and everything takes its time.

``tests.postgres.proxy`` fails once, where it is told to; here is only when. Not here: what must be true afterwards.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Final

from tests.postgres.proxy import Cut, Proxy, _Plan

COMMIT: Final = b"COMMIT"
_CUTS: Final = (Cut.BEFORE, Cut.IN, Cut.AFTER)


class Wire(Proxy):
    """Use as a context manager.

    Attributes:
        chance: of a writer's COMMIT to be cut: before it reaches the server, while it works, or after its answer.
        delay: seconds that each message to the server takes.
        counts: COMMITs seen, and the cuts among them by their kind.
    """

    def __init__(self, dsn: str, *, seed: int) -> None:
        super().__init__(dsn)
        self._random = random.Random(seed)
        self._chance_lock = threading.Lock()
        self._pause = threading.Event()
        self.chance = 0.0
        self.delay = 0.0
        self.counts: Counter[str] = Counter()

    def judge(self, name: bytes, message: bytes) -> _Plan | None:
        """As it was told; else by chance."""
        if self.delay:
            self._pause.wait(self.delay)
        plan = super().judge(name, message)
        if plan is not None or COMMIT not in message or b"writer" not in name:
            return plan
        with self._chance_lock:
            self.counts["commits on the wire"] += 1
            if self._random.random() >= self.chance:
                return None
            cut = self._random.choice(_CUTS)
            self.counts[f"cut {cut.value}"] += 1
        return _Plan(cut, COMMIT, 0, b"writer", stay_closed=False, done=threading.Event())

    def sever(self) -> None:
        """Cut every connection; new ones get through."""
        self.closed = True
        self.closed = False
