"""What the server counts, in a registry of its own and in Prometheus' text form.

Calls are counted from the trail when somebody asks for the numbers: from the moment the server began, of every process
on its store. Labels come from closed sets alone: tools that exist, statuses, route templates, methods; never from what
a caller wrote. Not here: who may read them (``health``).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from toolgate.domain.outcome import Status
from toolgate.operations.observe import observe
from toolgate.operations.read_changes import MOST, read_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolgate.ports import Change
    from toolgate.surfaces.http.gate import Gate

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds."""
MOST_LOOKS: Final = 100
"""Looks at the trail for one answer; what is left is counted with the next."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OVER: Final = frozenset(
    {
        *("settled", "refused", "replayed", "held", "lapsed"),
        *("approval_denied", "approval_expired", "approval_cancelled"),
    }
)
"""The transitions with which somebody who asked has an answer."""
_STATUSES: Final = frozenset(status.value for status in Status)


class Metrics:
    """The counters of one server. Inside the server's loop."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        on = self.registry
        self._requests = Counter(
            "toolgate_http_requests", "HTTP requests", ("method", "route", "status"), registry=on
        )
        self._calls = Counter(
            "toolgate_calls",
            "Answers to calls: a held call counts again when it ends",
            ("tool", "status"),
            registry=on,
        )
        self._seconds = Histogram(
            "toolgate_call_seconds", "How long calls that ran took", ("tool",), buckets=BUCKETS, registry=on
        )
        self._approvals = Gauge(
            "toolgate_approvals_open", "Approvals that wait for a person, at most 1000", registry=on
        )
        self._unknown = Gauge("toolgate_effects_unknown", "Effects in doubt, at most 1000", registry=on)
        self._streams = Gauge("toolgate_streams_open", "Streams of events that are open", registry=on)
        self._store_errors = Counter(
            "toolgate_store_errors", "Times that the store could not be read or written", registry=on
        )
        self._counting = asyncio.Lock()
        self._cursor: int | None = None

    def request(self, method: str, route: str, status: int) -> None:
        """A request was answered. ``route`` is a template, not a path."""
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()

    def store_failed(self) -> None:
        """The store could not be read or written."""
        self._store_errors.inc()

    async def begin(self, gate: Gate) -> None:
        """Count from the end of the trail on."""
        newest = (await gate.operate(observe, None)).changes
        self._cursor = newest[-1].seq if newest else 0

    async def text(self, gate: Gate, *, streams: int) -> bytes:
        """The numbers of now.

        Raises:
            StoreUnavailable: if the ledger cannot be read.
        """
        async with self._counting:
            await self._count(gate)
        self._streams.set(streams)
        return generate_latest(self.registry)

    async def _count(self, gate: Gate) -> None:
        if self._cursor is None:
            await self.begin(gate)
        seen = await gate.operate(observe, self._cursor)
        self._approvals.set(seen.open_approvals)
        self._unknown.set(seen.unknown_effects)
        changes = seen.changes
        self._note(changes, seen.tools)
        for _ in range(MOST_LOOKS):
            if len(changes) < MOST:
                return
            changes = await gate.operate(read_changes, self._cursor)
            self._note(changes, seen.tools)

    def _note(self, changes: Sequence[Change], tools: frozenset[str]) -> None:
        for change in changes:
            self._note_event(_parsed(change.record), tools)
            self._cursor = change.seq

    def _note_event(self, record: dict[str, Any], tools: frozenset[str]) -> None:
        status = record.get("toolgate.status")
        transition = record.get("toolgate.transition")
        if transition not in _OVER or status not in _STATUSES:
            return
        tool = record.get("gen_ai.tool.name")
        label = tool if tool in tools else "unknown"
        self._calls.labels(label, status).inc()
        if transition == "settled":
            self._seconds.labels(label).observe(record.get("toolgate.duration_ms", 0) / 1000)


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        record = json.loads(raw)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
