"""Ids that a test can foretell."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Iterator


class CountedIds:
    """``call_000001``, ``call_000002``, …: one count for each prefix, so that what a test prints is the same each time.

    Fills the ``Ids`` port. Safe to share between threads; two gateways on one store need one between them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: defaultdict[str, Iterator[int]] = defaultdict(lambda: itertools.count(1))

    def new(self, prefix: str) -> str:
        """The next id of ``prefix``."""
        with self._lock:
            return f"{prefix}_{next(self._counts[prefix]):06d}"
