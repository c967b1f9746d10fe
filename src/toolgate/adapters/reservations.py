"""Rates, slots and breakers of one process, in memory. Thread-safe: loops and threads share them.

Rates are GCRA (generic cell rate algorithm): one timestamp a key, no timers. Keys whose allowance is
whole again are forgotten, so memory follows the callers of the last minute and not of the last year.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolgate.domain.contract import Contract
    from toolgate.domain.limits import Limits, Rate

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
                self._breakers.pop(contract.name, None)
            return
        with self._lock:
            state = self._breakers.setdefault(contract.name, _BreakerState())
            state.failures += 1
            state.trial = None
            if state.failures >= contract.breaker.failures:
                state.open_until = self._monotonic() + contract.breaker.cooldown
