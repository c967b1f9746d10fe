"""The audit trail for people who read it in pages: backwards, filtered, never more than a bounded look.

A reader sees the events of their own tenant, and those that belong to none (a chain opened, a probe written). A page
looks at a bounded number of records, so it may be short and still have a ``next``. Not here: searching for a value
that was never written down (``search_audit``), verifying (``verify_audit``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.principal import Action, Declined, forbids
from toolgate.domain.trail import CHAIN_OPENED
from toolgate.operations.call_story import flat_event
from toolgate.operations.verify_audit import verify_audit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toolgate.domain.audit import ChainReport, Head
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World
    from toolgate.ports import Change, Store

MOST: Final = 200
"""Events of one page."""
MOST_LOOKED_AT: Final = 10_000
"""Records that one page looks at."""
_CHUNK: Final = 500
_SLACK: Final = 60_000_000
"""Microseconds by which a record may stand behind one that is younger: writers take their time before they queue."""

_OF_NO_TENANT: Final = frozenset({CHAIN_OPENED, "trail_probed", "unreadable"})
"""Events of the gateway itself, which say nothing of anybody's calls."""

_NAMES: Final[Mapping[str, str]] = {
    "call_id": "toolgate.call.id",
    "tool": "gen_ai.tool.name",
    "caller": "user.id",
    "agent": "gen_ai.agent.name",
    "actor": "toolgate.actor",
    "transition": "toolgate.transition",
    "status": "toolgate.status",
    "event": "event",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailFilter:
    """Which events to read; ``None`` means any. ``since`` and ``until`` are microseconds since the epoch, UTC."""

    call_id: str | None = None
    tool: str | None = None
    caller: str | None = None
    agent: str | None = None
    actor: str | None = None
    transition: str | None = None
    status: str | None = None
    event: str | None = None
    since: int | None = None
    until: int | None = None

    def exact(self) -> dict[str, str]:
        """Record field → the value that it must have."""
        return {field: value for name, field in _NAMES.items() if (value := getattr(self, name)) is not None}


ANY_EVENT: Final = TrailFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailPage:
    """Events as flat lines with their number, newest first; ``next`` is the cursor to go on from.

    The number counts all events of the store, or those of one call where one call was asked for.
    """

    rows: tuple[tuple[int, dict[str, Any]], ...]
    next: int | None


async def read_trail(
    world: World,
    *,
    by: Principal,
    before: int | None = None,
    limit: int = 50,
    wanted: TrailFilter = ANY_EVENT,
) -> TrailPage | Declined:
    """A page of what ``by`` may read of the trail, from before the event numbered ``before`` on."""
    if (why := forbids(by, Action.READ_AUDIT)) is not None:
        return Declined("forbidden", why)
    limit = min(max(limit, 1), MOST)
    fits = _Fits(wanted, by.tenant)
    if wanted.call_id is not None:
        return await _of_one_call(world.store, wanted.call_id, fits, before=before, limit=limit)
    if before is None and wanted.until is not None:
        before = await _place_of(world.store, wanted.until + _SLACK)
    rows: list[tuple[int, dict[str, Any]]] = []
    looked_at = 0
    while looked_at < MOST_LOOKED_AT:
        changes = await world.store.newest_changes(before=before, limit=_CHUNK)
        for change in changes:
            before = change.seq
            line = fits.line(change.record)
            if line is not None:
                rows.append((change.seq, line))
                if len(rows) == limit:
                    return TrailPage(rows=tuple(rows), next=before)
        if len(changes) < _CHUNK or fits.is_before(changes[-1].record):
            return TrailPage(rows=tuple(rows), next=None)
        looked_at += len(changes)
    return TrailPage(rows=tuple(rows), next=before)


async def _of_one_call(
    store: Store, call_id: str, fits: _Fits, *, before: int | None, limit: int
) -> TrailPage:
    """The events of one call, which an index finds wherever they stand."""
    found: list[tuple[int, dict[str, Any]]] = []
    number = 0
    async for stored in store.records(call_id=call_id):
        number += 1
        line = fits.line(stored.record)
        if line is not None and (before is None or number < before):
            found.append((number, line))
        if number == MOST_LOOKED_AT:
            break
    rows = found[::-1][:limit]
    return TrailPage(rows=tuple(rows), next=rows[-1][0] if len(found) > limit else None)


class _Fits:
    """Whether a record is wanted, decided on its bytes as far as those go: most of them are never parsed."""

    def __init__(self, wanted: TrailFilter, tenant: str) -> None:
        self._wanted = wanted
        self._exact = wanted.exact()
        self._tenant = tenant
        # Records are canonical JSON, so a field that has the value stands in the bytes exactly like this.
        self._needles = [_needle(name, value) for name, value in self._exact.items()]
        self._ours = _needle("toolgate.tenant", tenant)

    def line(self, record: bytes) -> dict[str, Any] | None:
        if any(needle not in record for needle in self._needles):
            return None
        if self._ours not in record and b'"toolgate.tenant"' in record:
            return None
        try:
            value = json.loads(record)
        except ValueError:
            value = {"event": "unreadable"}
        if not isinstance(value, dict) or not may_read(value, self._tenant):
            return None
        if any(value.get(name) != wanted for name, wanted in self._exact.items()):
            return None
        return flat_event(record) if self._in_time(value.get("time")) else None

    def _in_time(self, at: object) -> bool:
        since, until = self._wanted.since, self._wanted.until
        if since is None and until is None:
            return True
        return isinstance(at, int) and (since is None or at >= since) and (until is None or at < until)

    def is_before(self, record: bytes) -> bool:
        """Whether everything that is older lies before the time asked for."""
        if self._wanted.since is None:
            return False
        at = _time_of(record)
        return at is not None and at < self._wanted.since - _SLACK


def may_read(record: Mapping[str, Any], tenant: str) -> bool:
    """Whether somebody of ``tenant`` may read this record. What names no tenant has to be known to need none."""
    of = record.get("toolgate.tenant")
    return of == tenant if of is not None else record.get("event") in _OF_NO_TENANT


def _needle(name: str, value: str) -> bytes:
    return f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}".encode("utf-8", "replace")


def _time_of(record: bytes) -> int | None:
    at = flat_event(record).get("time")
    return at if isinstance(at, int) else None


async def _place_of(store: Store, until: int) -> int | None:
    """A number before which all records up to ``until`` (µs) stand, found by halving; None for the newest."""
    newest = await _last(store, None)
    if newest is None or _is_by(newest, until):
        return None
    low, high = 1, newest.seq
    while low < high:
        middle = (low + high) // 2
        found = await _last(store, middle + 1)
        if found is None or _is_by(found, until):
            low = middle + 1
        else:
            high = middle
    return low


async def _last(store: Store, before: int | None) -> Change | None:
    found: Sequence[Change] = await store.newest_changes(before=before, limit=1)
    return found[0] if found else None


def _is_by(change: Change, until: int) -> bool:
    at = _time_of(change.record)
    return at is None or at <= until


# --- the whole trail ------------------------------------------------------------------------------------------


async def trail_heads(world: World, *, by: Principal) -> dict[str, Head] | Declined:
    """Where each chain ends."""
    if (why := forbids(by, Action.READ_AUDIT)) is not None:
        return Declined("forbidden", why)
    return await world.store.heads()


async def verify_trail(
    world: World, *, by: Principal, progress: Callable[[int], None] | None = None
) -> ChainReport | Declined:
    """Check every record, link and head of the store; ``progress`` is called from another thread."""
    if (why := forbids(by, Action.READ_AUDIT)) is not None:
        return Declined("forbidden", why)
    return await verify_audit(world.store, progress=progress)
