"""Loads the rows around the subjects of a group, and locks them until it is written.

Locks are taken in one order by everybody: claims by key, calls by id, grants, tokens, notices, deliveries. What
belongs to a call (its approval, votes, reveals, job) is guarded by the lock on the call, and read after it is held.
Not here: what is decided (``ledger``) and written (``writing``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg

from toolgate.adapters.stores.postgres import rows as sql
from toolgate.adapters.stores.postgres.overlay import Overlay
from toolgate.domain.commands import Command, DraftHold, Rehold, Resolve
from toolgate.domain.jobs import job_id_of
from toolgate.domain.rows import (
    ByApproval,
    ByApprovalAndKey,
    ByCall,
    ByGrant,
    ByJob,
    ByKey,
    ByNotice,
    ByToken,
    DeliveryRow,
    NoticeRow,
    Reveal,
    Subject,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolgate.adapters.stores.postgres.rows import Table


@dataclass(slots=True)
class Wanted:
    """The keys of what a group is about."""

    keys: set[bytes] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    approvals: set[str] = field(default_factory=set)
    grants: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    notices: set[str] = field(default_factory=set)
    deliveries: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def by(cls, commands: Iterable[Command]) -> Wanted:
        """What ``commands`` look at, and the keys that they may claim besides: those are locked in order too."""
        wanted = cls()
        for command in commands:
            if (subject := command.subject) is not None:
                wanted.add(subject)
            match command:
                case DraftHold(also=also):
                    wanted.keys.update(claim.key_mac for claim in also)
                case Rehold(claim=claim) if claim is not None:
                    wanted.keys.add(claim.key_mac)
                case Resolve(reopen=again) if again is not None:
                    wanted.keys.update(claim.key_mac for claim in (again.claim, *again.also))
                case _:
                    pass
        return wanted

    def add(self, subject: Subject) -> None:  # noqa: C901 - one line a kind of subject
        """Look for ``subject``. What no row can hold is not looked for."""
        if not all(map(sql.can_be_asked, subject)):
            return
        match subject:
            case ByKey(key_mac):
                self.keys.add(key_mac)
            case ByCall(call_id):
                self.calls.add(call_id)
            case ByJob(call_id):
                self.calls.add(call_id)
                self.jobs.add(job_id_of(call_id))
            case ByApproval(approval_id):
                self.approvals.add(approval_id)
            case ByApprovalAndKey(approval_id, key_mac):
                self.approvals.add(approval_id)
                self.keys.add(key_mac)
            case ByGrant(grant_id, key_mac):
                self.grants.add(grant_id)
                if key_mac is not None:
                    self.keys.add(key_mac)
            case ByToken(token_id):
                self.tokens.add(token_id)
            case ByNotice(notice_id, sink):
                self.notices.add(notice_id)
                if sink is not None:
                    self.deliveries.add((notice_id, sink))


def _by_key(table: Table, key: str, kind: str = "text", *, lock: bool) -> str:
    tail = f"ORDER BY {key} FOR UPDATE" if lock else ""
    return f"SELECT {table.listed}, xmin FROM {table.name} WHERE {key} = ANY($1::{kind}[]) {tail}"


_DELIVERY = (
    f"SELECT {sql.DELIVERIES.listed}, xmin FROM deliveries WHERE (notice_id, sink) IN "
    "(SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY notice_id, sink"
)
_CALLS_OF = "SELECT call_id FROM approvals WHERE approval_id = ANY($1::text[])"


class Loading:
    """Statements over one connection, and the newest writer of what they found.

    ``lock``: for a writer. A reader that wants all rows of one moment reads them in one REPEATABLE READ transaction.
    """

    def __init__(
        self, connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy, *, lock: bool
    ) -> None:
        self._connection = connection
        self._lock = lock
        self._overlay = Overlay()
        self.writers: set[int] = set()

    async def load(self, wanted: Wanted) -> Overlay:
        """Everything around ``wanted``."""
        here = self._overlay
        calls = set(wanted.calls)
        if wanted.keys:
            for claim in await self._rows(sql.CLAIMS, "key_mac", wanted.keys, sql.claim_row, kind="bytea"):
                here.claims.rows[claim.key_mac] = claim
                calls.add(claim.call_id)
            here.absent = wanted.keys - here.claims.rows.keys()
        if wanted.approvals:
            # Which call an approval belongs to never changes; what it says may, until the call is locked.
            found = await self._connection.fetch(_CALLS_OF, list(wanted.approvals))
            calls.update(row[0] for row in found)
        if calls:
            for call in await self._rows(sql.CALLS, "call_id", calls, sql.call_row):
                here.calls.rows[call.call_id] = call
        await self._around_calls(wanted)
        await self._others(wanted)
        return here

    async def _around_calls(self, wanted: Wanted) -> None:
        here = self._overlay
        held = {call.approval_id for call in here.calls.rows.values() if call.approval_id is not None}
        held |= wanted.approvals
        if held:
            for approval in await self._guarded(sql.APPROVALS, "approval_id", held, sql.approval_row):
                here.approvals.rows[approval.approval_id] = approval
            for vote in await self._guarded(sql.VOTES, "approval_id", held, sql.vote):
                here.votes.rows[vote.approval_id, vote.revision, vote.voter] = vote
                here.said.setdefault(vote.approval_id, []).append(vote)
            for seen in await self._guarded(sql.REVEALS, "approval_id", held, Reveal._make):
                here.seen.setdefault(seen.approval_id, {})[seen.revision, seen.viewer] = seen
        if wanted.jobs:
            for job in await self._guarded(sql.JOBS, "job_id", wanted.jobs, sql.job_row):
                here.jobs.rows[job.job_id] = job

    async def _others(self, wanted: Wanted) -> None:
        here = self._overlay
        if wanted.grants:
            for grant in await self._rows(sql.GRANTS, "grant_id", wanted.grants, sql.grant_row):
                here.grants.rows[grant.grant_id] = grant
        if wanted.tokens:
            for token in await self._rows(sql.TOKENS, "token_id", wanted.tokens, sql.token_row):
                here.tokens.rows[token.token_id] = token
        if wanted.notices:
            for notice in await self._rows(sql.NOTICES, "notice_id", wanted.notices, NoticeRow._make):
                here.notices.rows[notice.notice_id] = notice
        if wanted.deliveries:
            query = f"{_DELIVERY} FOR UPDATE" if self._lock else _DELIVERY
            notices, sinks = zip(*sorted(wanted.deliveries), strict=True)
            for row in self._noted(await self._connection.fetch(query, notices, sinks)):
                way = DeliveryRow._make(row)
                here.deliveries.rows[way.notice_id, way.sink] = way

    async def _rows(
        self,
        table: Table,
        key: str,
        keys: Iterable[Any],
        build: Callable[[Sequence[Any]], Any],
        kind: str = "text",
    ) -> list[Any]:
        query = _by_key(table, key, kind, lock=self._lock)
        return [build(row) for row in self._noted(await self._connection.fetch(query, list(keys)))]

    async def _guarded(
        self, table: Table, key: str, keys: Iterable[Any], build: Callable[[Sequence[Any]], Any]
    ) -> list[Any]:
        """Rows that somebody else's lock guards: that of the call that they belong to."""
        query = _by_key(table, key, lock=False)
        return [build(row) for row in self._noted(await self._connection.fetch(query, list(keys)))]

    def _noted(self, rows: Sequence[Any]) -> list[Sequence[Any]]:
        """The columns of the rows without their last one, the transaction that wrote them."""
        self.writers.update(row[-1] for row in rows)
        return [row[:-1] for row in rows]
