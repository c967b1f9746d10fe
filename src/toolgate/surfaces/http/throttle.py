"""How often somebody may guess at credentials: a few failures are free, then each one costs a longer wait.

Bounded in memory: of more addresses than it can remember, those that failed longest ago are forgotten. Not here: what a
failure is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple

FREE_FAILURES: Final = 5
"""Failures of one address before it has to wait."""
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 300.0
"""Seconds; the wait doubles from the first to the longest."""
FORGOTTEN_AFTER: Final = 900.0
"""Seconds without a failure after which an address starts anew."""
MOST_ADDRESSES: Final = 10_000
_DOUBLINGS: Final = 12


class _Failures(NamedTuple):
    times: int
    last: float


class Throttle:
    """Failures by address. ``monotonic`` is a clock in seconds that never goes back."""

    def __init__(self, monotonic: Callable[[], float], *, most: int = MOST_ADDRESSES) -> None:
        self._monotonic = monotonic
        self._most = most
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until ``address`` may try again; 0 if it may now."""
        key = _key(address)
        found = self._failures.get(key)
        if found is None:
            return 0.0
        now = self._monotonic()
        if now - found.last > FORGOTTEN_AFTER:
            del self._failures[key]
            return 0.0
        return max(0.0, found.last + _pause(found.times) - now)

    def failed(self, address: str) -> None:
        """``address`` showed a credential that opens nothing."""
        key = _key(address)
        found = self._failures.pop(key, None)
        now = self._monotonic()
        before = 0 if found is None or now - found.last > FORGOTTEN_AFTER else found.times
        self._failures[key] = _Failures(before + 1, now)
        while len(self._failures) > self._most:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """A person at ``address`` signed in: what they mistyped before is forgotten."""
        self._failures.pop(_key(address), None)

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._failures)


def _pause(times: int) -> float:
    if times < FREE_FAILURES:
        return 0.0
    return min(LONGEST_WAIT, FIRST_WAIT * float(2 ** min(times - FREE_FAILURES, _DOUBLINGS)))


def _key(address: str) -> str:
    """The address; of IPv6 the network of 64 bits, all of which one customer has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)
