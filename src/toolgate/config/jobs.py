"""``[jobs]``: whether this process runs jobs, how many at once, how long it waits for them; and ``job`` of a tool.

Not here: how jobs run (``operations.run_job``), and which engine carries them (``bootstrap.jobs``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from toolgate.config.problems import Where
from toolgate.config.sections import Given, duration, parsed, rate, table, whole
from toolgate.domain.jobs import Job
from toolgate.domain.limits import Rate

SHORTEST: Final = 3.0
"""Seconds. Leases are renewed each second: a shorter one would be lost to a moment of a busy machine."""
_PULSE: Final = 2.0
_SIGNS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """How a process takes part in running jobs.

    Attributes:
        run: whether it runs any; one that does not still starts them, for others to run.
        concurrency: how many it runs at once, whatever the tools.
        poll: seconds between two looks for what other processes started.
        drain: seconds that a process which ends waits for its jobs. What still runs then is cut off: one that may run
            again goes to another process, any other effect is in doubt.
        lease: seconds for which a running job is believed to be alive without a word of its worker; at least 3.
        dead_after: seconds without a sign of life after which others take what a process had of the queues; at least 3.
            A job of a worker that died runs again once both are over.
    """

    run: bool = True
    concurrency: int = 16
    poll: float = 1.0
    drain: float = 10.0
    lease: float = 30.0
    dead_after: float = 15.0

    @property
    def pulse(self) -> float:
        """Seconds between two signs of life: a few may be lost before anybody takes the process for dead."""
        return min(_PULSE, self.dead_after / _SIGNS)


def read_jobs(tables: list[Given[Any]]) -> JobSettings:
    """What the files' ``[jobs]`` tables come to, a later one winning key by key.

    Raises:
        ConfigurationError: at the first key that is unknown or has a value that cannot be used.
    """
    found: dict[str, Any] = {}
    for given in tables:
        for key, item in table(given.value, given.where, example="[jobs]").items():
            where = given.where.below(key)
            if key not in KEYS:
                raise where.unknown(KEYS)
            found[key] = KEYS[key](item, where)
    return JobSettings(**found)


def _yes_or_no(value: Any, where: Where) -> bool:
    if not isinstance(value, bool):
        raise where.wrong("write true or false")
    return value


def _alive(value: Any, where: Where) -> float:
    """How long somebody who says nothing is believed to be alive."""
    found = duration(value, where)
    if found < SHORTEST:
        raise where.wrong(
            f"write {SHORTEST:g} seconds or more: a worker that is only slow must not be taken for dead"
        )
    return found


KEYS: Final[Mapping[str, Callable[[Any, Where], Any]]] = MappingProxyType(
    {
        "run": _yes_or_no,
        "concurrency": whole,
        "poll": duration,
        "drain": duration,
        "lease": _alive,
        "dead_after": _alive,
    }
)

_OF_A_QUEUE: Final = frozenset({"concurrency", "rate", "priority"})


def read_job(value: Any, where: Where, own: Job | None) -> Job | None:
    """``job`` of one tool: true, false, or the limits of its queue; what a table leaves out is as ``own`` says.

    Raises:
        ConfigurationError: for a value that cannot be used.
    """
    if isinstance(value, bool):
        return (own or Job()) if value else None
    given = table(value, where, example="true, or { concurrency = 4, rate = '100/minute' }")
    for key in given:
        if key not in _OF_A_QUEUE:
            raise where.below(key).unknown(_OF_A_QUEUE)
    before = own or Job()
    at_once: int | None = before.concurrency
    if "concurrency" in given:
        at_once = whole(given["concurrency"], where.below("concurrency"))
    often: Rate | None = before.rate
    if "rate" in given:
        often = rate(given["rate"], where.below("rate"))
    priority = given.get("priority", before.priority)
    return parsed(lambda _: Job(concurrency=at_once, rate=often, priority=priority), value, where)
