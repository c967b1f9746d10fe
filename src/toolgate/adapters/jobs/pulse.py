"""The thread by which others know that this process lives. Nothing else."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from toolgate.adapters.jobs.database import thread_named
from toolgate.domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("toolgate.jobs")


class Pulse:
    """Calls ``beat`` every ``every`` seconds until it is closed, whatever the loops of the process do meanwhile."""

    def __init__(self, beat: Callable[[], object], *, every: float) -> None:
        self._beat = beat
        self._every = every
        self._ended = threading.Event()
        self._thread = thread_named("pulse", self._keep_on)
        self._thread.start()

    def stop(self) -> None:
        """No beat after this one. Does not wait."""
        self._ended.set()

    def close(self) -> None:
        """Blocks until the last beat is over."""
        self._ended.set()
        self._thread.join()

    def _keep_on(self) -> None:
        missed = False
        while not self._ended.wait(self._every):
            try:
                self._beat()
            except StoreUnavailable as broken:
                if not missed:
                    _log.warning("this process cannot say that it lives; trying again: %s", broken)
                missed = True
            else:
                missed = False
