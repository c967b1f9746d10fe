"""Rates, slots and breakers, in memory, or shared where replicas count together. Loops and threads may use them.

Rates are GCRA (generic cell rate algorithm): one timestamp a key, no timers. Keys whose allowance is
whole again are forgotten, so memory follows the callers of the last minute and not of the last year.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolgate.domain.contract import Contract
    from toolgate.domain.limits import Breaker, Limits, Rate
    from toolgate.ports import SharedLimits

_SWEEP_AT = 10_000
_ROUNDING = 1e-9
"""Seconds; less must not cost a caller the last call of a full burst."""


@dataclass(slots=True)
class _BreakerState:
    failures: int = 0
    open_until: float = 0.0
    trial: object | None = None


def _nothing_to_return() -> None:
    """The passage of a closed breaker."""


def _nobody_to_tell(tool: str, wait: float | None) -> None:
    """Where a process counts for itself."""


class ProcessReservations:
    """What this process has handed out.

    Args:
        monotonic: seconds.
        sync_tools: the names of tools that need a thread.
        isolated_tools: the names of tools that need a child process.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        monotonic: Callable[[], float],
        sync_tools: frozenset[str],
        isolated_tools: frozenset[str] = frozenset(),
    ) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._sync = sync_tools
        self._isolated = isolated_tools
        self._lock = threading.Lock()
        self._arrivals: dict[tuple[str, ...], float] = {}
        self._sweep_at = _SWEEP_AT
        self._running = 0
        self._threads = 0
        self._processes = 0
        self._by_tool: dict[str, int] = {}
        self._breakers: dict[str, _BreakerState] = {}
        self.turned: Callable[[str, float | None], object] = _nobody_to_tell
        """Called when a breaker opened for so many seconds, or closed (None)."""

    def spend(self, key: tuple[str, ...], rate: Rate) -> float:
        """Take one from ``rate``: 0 if there was one, else the seconds until there is."""
        now = self._monotonic()
        interval = rate.per / rate.count
        with self._lock:
            arrival = max(self._arrivals.get(key, now), now)
            wait = arrival - now - (rate.per - interval)
            if wait > _ROUNDING:
                return wait
            self._arrivals[key] = arrival + interval
            if len(self._arrivals) > self._sweep_at:
                self._sweep(now)
        return 0.0

    def _sweep(self, now: float) -> None:
        self._arrivals = {key: arrival for key, arrival in self._arrivals.items() if arrival > now}
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._arrivals))

    def take_slot(self, contract: Contract) -> Callable[[], None] | None:
        """A slot of the gateway, of the tool and of the threads or processes it needs; None when any is full."""
        name, needs_thread, needs_process = (
            contract.name,
            contract.name in self._sync,
            contract.name in self._isolated,
        )
        with self._lock:
            mine = self._by_tool.get(name, 0)
            if self._running >= self._limits.concurrency:
                return None
            if contract.concurrency is not None and mine >= contract.concurrency:
                return None
            if needs_thread and self._threads >= self._limits.sync_threads:
                return None
            if needs_process and self._processes >= self._limits.processes:
                return None
            self._running += 1
            self._by_tool[name] = mine + 1
            self._threads += needs_thread
            self._processes += needs_process
        return lambda: self._give_back(name, needs_thread=needs_thread, needs_process=needs_process)

    def _give_back(self, name: str, *, needs_thread: bool, needs_process: bool) -> None:
        with self._lock:
            self._running -= 1
            self._by_tool[name] -= 1
            self._threads -= needs_thread
            self._processes -= needs_process

    def pass_breaker(self, contract: Contract) -> Callable[[], None] | float:
        """Passage, or the seconds to wait. Once the cooldown is over one call may try; the others wait for its end."""
        if contract.breaker is None:
            return _nothing_to_return
        state = self._breakers.get(contract.name)
        if state is None or state.failures < contract.breaker.failures:
            return _nothing_to_return
        with self._lock:
            wait = state.open_until - self._monotonic()
            if wait > 0:
                return wait
            # This call is the try. The others wait for its end, or for another cooldown if it never reports.
            state.open_until = self._monotonic() + contract.breaker.cooldown
            state.trial = trial = object()
        return lambda: self._forgo(state, trial)

    def _forgo(self, state: _BreakerState, trial: object) -> None:
        """The call that was to try is over. If it told nothing of the tool, the next one may try at once."""
        with self._lock:
            if state.trial is trial:
                state.trial = None
                state.open_until = self._monotonic()

    def note(self, contract: Contract, *, healthy: bool) -> None:
        """Tell the tool's breaker how a run ended."""
        if contract.breaker is None:
            return
        if healthy:
            if contract.name in self._breakers:
                closed = self._breakers.pop(contract.name, None)
                if closed is not None and closed.failures >= contract.breaker.failures:
                    self.turned(contract.name, None)
            return
        with self._lock:
            state = self._breakers.setdefault(contract.name, _BreakerState())
            state.failures += 1
            state.trial = None
            opens = state.failures >= contract.breaker.failures
            if opens:
                state.open_until = self._monotonic() + contract.breaker.cooldown
        if opens:
            self.turned(contract.name, contract.breaker.cooldown)

    def follow(self, tool: str, wait: float | None, *, breaker: Breaker) -> None:
        """The breaker of ``tool`` opened elsewhere, ``wait`` seconds of it are left; or it closed (None)."""
        with self._lock:
            state = self._breakers.get(tool)
            if wait is None:
                if state is not None and state.failures >= breaker.failures:
                    del self._breakers[tool]
                return
            state = state or self._breakers.setdefault(tool, _BreakerState())
            state.failures = max(state.failures, breaker.failures)
            state.open_until = self._monotonic() + min(wait, breaker.cooldown)
            state.trial = None


class SharedReservations:
    """The same, where replicas count rates together and tell each other which breakers opened.

    A breaker counts what happens in its own process, so it opens after that many failures in a row of one replica; the
    others follow within a second. Once the cooldown is over, each replica lets one call try. Slots are each process's.

    Args:
        own: what this process counts by itself; its ``turned`` is set.
        known: the contracts of this gateway by name; what others say of other tools is not kept.
    """

    def __init__(self, own: ProcessReservations, shared: SharedLimits, known: Mapping[str, Contract]) -> None:
        self._own = own
        self._shared = shared
        self._known = known
        own.turned = shared.tell
        shared.follow(self._heard)

    def spend(self, key: tuple[str, ...], rate: Rate) -> Awaitable[float]:
        """Take one from ``rate``, over all replicas."""
        return self._shared.spend(key, rate)

    def take_slot(self, contract: Contract) -> Callable[[], None] | None:
        """A slot of this process; None when any that it needs is full."""
        return self._own.take_slot(contract)

    def pass_breaker(self, contract: Contract) -> Callable[[], None] | float:
        """Passage, or the seconds to wait."""
        return self._own.pass_breaker(contract)

    def note(self, contract: Contract, *, healthy: bool) -> None:
        """Tell the tool's breaker how a run ended."""
        self._own.note(contract, healthy=healthy)

    def _heard(self, tool: str, wait: float | None) -> None:
        contract = self._known.get(tool)
        if contract is not None and contract.breaker is not None:
            self._own.follow(tool, wait, breaker=contract.breaker)
