"""Futures that a store's thread completes: each answer goes back to the loop that waits for it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from toolgate.adapters.mailbox import Mailbox


class Answers:
    """One mailbox a loop. Loops come and go (a blocked one is retired), so mailboxes are made when needed."""

    def __init__(self) -> None:
        self._local = threading.local()

    def future(self) -> tuple[asyncio.Future[Any], Mailbox]:
        """A future of the running loop and the mailbox that completes it: ``post((future, answer))``."""
        loop = asyncio.get_running_loop()
        known = getattr(self._local, "known", None)
        if known is None or known[0] is not loop:
            known = (loop, Mailbox(loop, _complete))
            self._local.known = known
        return loop.create_future(), known[1]


def _complete(item: tuple[asyncio.Future[Any], Any]) -> None:
    future, answer = item
    if future.done():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
