"""Every step that the gate takes through its ports, named and countable, so that a test can stop a program there.

``PortTap`` wraps ports and calls a hook before and after each of their methods. A test lets a program run once to
list the points, then once for each point with a hook that ends the process there, and looks at what is left.

Not here: how a process is ended, restarted and examined; that is the test's.
"""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from toolgate.ports import Clock, Ids, Keys, Runner, Store

When = Literal["before", "after", "at"]

_TOLD_APART: dict[str, Callable[[Any], str]] = {
    "store.execute": lambda command: type(command).__name__,
    "store.find": lambda subject: type(subject).__name__,
    "ids.new": str,
}
"""Methods whose first argument says which step it is."""

_UNTAPPED = frozenset({"clock.monotonic", "clock.advance", "store.records"})
"""Reads of the monotonic clock (a watchdog makes them at its own pace), a fake clock's hand, and a generator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashPoint:
    """One moment of a run. ``str()`` names it alike in every run of the same program.

    Attributes:
        number: the how manyth moment of this run it is, from 1. Runs with several threads may differ in it.
        when: before a port's method, after it (whether it returned or raised), or at a mark of the test's own.
        step: the port and method, such as ``"store.execute(Intend)"``, or the mark.
        occurrence: the how manyth time this step comes in this run, from 1.
    """

    number: int
    when: When
    step: str
    occurrence: int

    def __str__(self) -> str:
        return f"{self.when} {self.step} #{self.occurrence}"


class PortTap:
    """Calls ``hook`` with a ``CrashPoint`` around every call of the ports that it wraps. Safe from any thread.

    ``hook`` runs in the thread of the call and may end the process, stop it, wait, or raise.
    """

    def __init__(self, hook: Callable[[CrashPoint], object]) -> None:
        self._hook = hook
        self._lock = threading.Lock()
        self._number = 0
        self._seen: Counter[tuple[When, str]] = Counter()

    def mark(self, step: str) -> None:
        """A point of the test's own, between two steps of a tool for instance."""
        self._meet("at", step)

    def store(self, store: Store) -> Store:
        """``store`` with a point before and after each method."""
        return cast("Store", _Tapped(store, "store", self._meet))

    def runner(self, runner: Runner) -> Runner:
        """``runner`` with a point before and after each attempt."""
        return cast("Runner", _Tapped(runner, "runner", self._meet))

    def keys(self, keys: Keys) -> Keys:
        """``keys`` with a point before and after each method."""
        return cast("Keys", _Tapped(keys, "keys", self._meet))

    def ids(self, ids: Ids) -> Ids:
        """``ids`` with a point before and after each id."""
        return cast("Ids", _Tapped(ids, "ids", self._meet))

    def clock(self, clock: Clock) -> Clock:
        """``clock`` with a point before and after each method but ``monotonic``, which a watchdog reads too."""
        return cast("Clock", _Tapped(clock, "clock", self._meet))

    def _meet(self, when: When, step: str) -> None:
        with self._lock:
            self._number += 1
            self._seen[when, step] += 1
            point = CrashPoint(number=self._number, when=when, step=step, occurrence=self._seen[when, step])
        self._hook(point)


class _Tapped:
    """Stands in for one port; whatever is no public method goes through untouched."""

    def __init__(self, port: object, name: str, meet: Callable[[When, str], None]) -> None:
        self._port = port
        self._name = name
        self._meet = meet

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        step = f"{self._name}.{name}"
        if name.startswith("_") or step in _UNTAPPED or not inspect.isroutine(found):
            return found
        return self._awaited(found, step) if inspect.iscoroutinefunction(found) else self._called(found, step)

    def _called(self, method: Callable[..., Any], step: str) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            named = _named(step, args)
            self._meet("before", named)
            try:
                return method(*args, **keywords)
            finally:
                self._meet("after", named)

        return call

    def _awaited(self, method: Callable[..., Any], step: str) -> Callable[..., Any]:
        async def call(*args: Any, **keywords: Any) -> Any:
            named = _named(step, args)
            self._meet("before", named)
            try:
                return await method(*args, **keywords)
            finally:
                self._meet("after", named)

        return call


def _named(step: str, args: tuple[Any, ...]) -> str:
    tell_apart = _TOLD_APART.get(step)
    return step if tell_apart is None or not args else f"{step}({tell_apart(args[0])})"
