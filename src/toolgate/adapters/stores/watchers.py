"""Who wants to know when a store's ledger grew: each store tells them after a commit, and tells nothing but that.

Not here: how word comes from other processes (``postgres.wake``), and what is looked at then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger("toolgate")

Wake = Callable[[], object]


class Watchers:
    """Callbacks, each called in whichever thread tells. Any thread."""

    __slots__ = ("_all", "_lock")

    def __init__(self) -> None:
        self._all: tuple[tuple[Wake, bool], ...] = ()
        self._lock = threading.Lock()

    def add(self, wake: Wake, *, elsewhere: bool = False) -> Callable[[], None]:
        """Call ``wake`` from now on, ``elsewhere`` only for what others committed; the result ends that."""
        mine = (wake, elsewhere)
        with self._lock:
            self._all = (*self._all, mine)

        def remove() -> None:
            with self._lock:
                self._all = tuple(one for one in self._all if one is not mine)

        return remove

    def tell(self, *, elsewhere: bool = False) -> None:
        """Something was committed: by this process, or ``elsewhere``."""
        for wake, only_elsewhere in self._all:
            if only_elsewhere and not elsewhere:
                continue
            try:
                wake()
            except Exception as fault:  # noqa: BLE001 - one watcher's fault must keep word from no other
                _log.error("a watcher of the store failed: %s", type(fault).__name__)
