"""How many sessions of the handshake era one principal has open: whoever opens another one loses the oldest.

The SDK bounds all of them together, which one client could use up for everybody, with a credential for each hundred as
well as with one. Not here: what a session is, and when an idle one ends, which the SDK knows.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

KeyT = TypeVar("KeyT")

MOST_OF_ONE: Final = 100
"""Sessions of one principal."""
MOST_OWNERS: Final = 10_000


class Sessions(Generic[KeyT]):
    """Who opened which sessions, and with which key each is ended. Inside the server's loop."""

    def __init__(self, *, most_of_one: int = MOST_OF_ONE, most_owners: int = MOST_OWNERS) -> None:
        self._most_of_one = most_of_one
        self._most_owners = most_owners
        self._of: OrderedDict[str, OrderedDict[str, KeyT]] = OrderedDict()

    def opened(self, owner: str, session: str, key: KeyT) -> tuple[str, KeyT] | None:
        """``owner`` has opened one. The session that has to end for it, and its key, where there is one too many."""
        own = self._of.setdefault(owner, OrderedDict())
        self._of.move_to_end(owner)
        own[session] = key
        if len(self._of) > self._most_owners:
            self._of.popitem(last=False)
        return own.popitem(last=False) if len(own) > self._most_of_one else None

    def used(self, owner: str, session: str) -> None:
        """It is in use: another one is older now."""
        own = self._of.get(owner)
        if own is not None and session in own:
            own.move_to_end(session)
