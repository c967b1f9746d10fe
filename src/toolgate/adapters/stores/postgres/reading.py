"""What is read of a Postgres ledger: rows by their keys, in batches, and lists in pages. Nothing here decides.

Lists that workers pick from leave out what another replica is deciding about at this moment; it is there the next
time, if it still is what was looked for. Not here: statements of the larger listings (``search``), and writing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from toolgate.adapters.stores.postgres import rows as sql
from toolgate.adapters.stores.postgres import search
from toolgate.adapters.stores.postgres.loading import Loading, Wanted
from toolgate.adapters.stores.postgres.rows import SEQ_BASE, SEQ_STEP, SETTLED_BELOW
from toolgate.adapters.stores.postgres.search import PASSED_OVER, Query
from toolgate.adapters.stores.postgres.together import Together
from toolgate.domain.audit import StoredRecord
from toolgate.domain.rows import (
    ApprovalRow,
    ByCall,
    ByKey,
    CallRow,
    DeliveryRow,
    Found,
    GrantRow,
    JobRow,
    NoticeRow,
    RevisionRow,
    SealedRow,
    Subject,
    TokenRow,
)
from toolgate.ports import Change

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from toolgate.adapters.stores.postgres.link import Link
    from toolgate.adapters.stores.postgres.search import Connection
    from toolgate.ports import ApprovalFilter, CallFilter, CallPage, JobFilter, JobPage

T = TypeVar("T")
_PAGE = 2000
_SEEN = f"""
(seq < {SEQ_BASE} OR pg_visible_in_snapshot((((seq - {SEQ_BASE}) / {SEQ_STEP})::text)::xid8, $1::text::pg_snapshot))
"""
"""Events that were committed when the snapshot was taken. Those below the base are of another server's numbers."""
_RECORDS = (
    "SELECT a.seq, c.chain_id, a.chain_seq, a.record, a.leaf, a.link FROM audit a "
    f"LEFT JOIN chains c USING (chain_no) WHERE {_SEEN} AND a.seq > $2"
)
_CLAIMED = "SELECT key_mac FROM claims WHERE key_mac = ANY($1::bytea[])"
_CALLS = f"SELECT {sql.CALLS.listed} FROM calls WHERE call_id = ANY($1::text[])"
_SEALED = (
    f"SELECT {sql.SEALED.listed} FROM sealed WHERE (call_id, kind) IN "
    "(SELECT * FROM unnest($1::text[], $2::text[]))"
)
_TOKENS = f"SELECT {sql.TOKENS.listed} FROM tokens WHERE token_hash = ANY($1::text[])"
_JOBS = f"SELECT {sql.JOBS.listed} FROM jobs WHERE job_id = ANY($1::text[])"


class Reading:
    """The reading half of the port, over a link. ``now`` is the whole store's."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._found: Together[Subject, Found] = Together(link, self._load_found)
        self._sealed: Together[tuple[str, str], SealedRow | None] = Together(link, self._load_sealed)
        self._tokens: Together[str, TokenRow | None] = Together(link, self._load_tokens)
        self._jobs: Together[str, JobRow | None] = Together(link, self._load_jobs)

    async def now(self) -> int:
        """The store's time (µs)."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------- rows by their keys

    async def find(self, subject: Subject) -> Found:
        """The rows around ``subject``, all of one moment; together with what others look for."""
        return await self._found(subject)

    async def sealed(self, call_id: str, kind: str) -> SealedRow | None:
        """Encrypted bytes of a call."""
        return await self._sealed((call_id, kind))

    async def token(self, token_hash: str) -> TokenRow | None:
        """The token of this hash."""
        return await self._tokens(token_hash)

    async def job(self, job_id: str) -> JobRow | None:
        """The job of this id."""
        return await self._jobs(job_id)

    async def _load_found(self, subjects: Sequence[Subject]) -> Mapping[Subject, Found]:
        return await self._link.read(lambda db: _around(db, subjects))

    async def _load_sealed(
        self, wanted: Sequence[tuple[str, str]]
    ) -> Mapping[tuple[str, str], SealedRow | None]:
        found: dict[tuple[str, str], SealedRow | None] = dict.fromkeys(wanted)
        asked = [key for key in wanted if all(map(sql.can_be_asked, key))]
        calls, kinds = [call for call, _ in asked], [kind for _, kind in asked]
        rows = await self._link.read(lambda db: db.fetch(_SEALED, calls, kinds))
        return found | {(row[0], row[1]): SealedRow._make(row) for row in rows}

    async def _load_tokens(self, hashes: Sequence[str]) -> Mapping[str, TokenRow | None]:
        rows = await self._by_key(_TOKENS, hashes)
        return dict.fromkeys(hashes) | {row.token_hash: row for row in map(sql.token_row, rows)}

    async def _load_jobs(self, job_ids: Sequence[str]) -> Mapping[str, JobRow | None]:
        rows = await self._by_key(_JOBS, job_ids)
        return dict.fromkeys(job_ids) | {row.job_id: row for row in map(sql.job_row, rows)}

    async def _by_key(self, query: str, keys: Sequence[str]) -> list[Any]:
        asked = list(filter(sql.can_be_asked, keys))
        return await self._link.read(lambda db: db.fetch(query, asked))

    # -------------------------------------------------------------------------------------------- what people look at

    async def calls(self, wanted: CallFilter) -> CallPage:
        """Calls, newest first."""
        return await self._link.read(lambda db: search.calls(db, wanted))

    async def jobs(self, wanted: JobFilter) -> JobPage:
        """Jobs, newest first."""
        return await self._link.read(lambda db: search.jobs(db, wanted))

    async def approvals(self, wanted: ApprovalFilter) -> Sequence[ApprovalRow]:
        """Approvals, oldest first where only open ones are asked for, else newest first."""
        return await self._list(search.approvals(wanted), sql.approval_row)

    async def revisions(self, approval_id: str) -> Sequence[RevisionRow]:
        """What edits of an approval replaced, oldest first."""
        query = f"SELECT {sql.REVISIONS.listed} FROM revisions WHERE approval_id = $1 ORDER BY revision"
        return await self._list(Query(query, (approval_id,)), RevisionRow._make)

    async def grants(
        self,
        *,
        tenant: str,
        tool: str | None = None,
        active_at: int | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> Sequence[GrantRow]:
        """Grants, newest first; ``active_at`` (µs) only those that could be used then."""
        query = search.grants(tenant=tenant, tool=tool, active_at=active_at, before=before, limit=limit)
        return await self._list(query, sql.grant_row)

    async def tokens(
        self, *, tenant: str | None = None, live_at: int | None = None, limit: int = 1000
    ) -> Sequence[TokenRow]:
        """Tokens, newest first; with ``live_at`` (µs) what came by itself only where it had not ended by then."""
        return await self._list(search.tokens(tenant=tenant, live_at=live_at, limit=limit), sql.token_row)

    # ------------------------------------------------------------------------------------------- what workers pick from

    async def lapsed(self, limit: int = 100) -> Sequence[CallRow]:
        """Intents whose lease ran out and that nobody is settling."""
        query = (
            f"SELECT {sql.CALLS.listed} FROM calls WHERE {search.IN_DOUBT} AND effect_state = 'intended' "
            f"AND lease_until <= $1 ORDER BY lease_until, call_id LIMIT {limit:d} {PASSED_OVER}"
        )
        return await self._list(Query(query, (await self.now(),)), sql.call_row)

    async def unknown(self, limit: int = 100) -> Sequence[CallRow]:
        """Effects in doubt."""
        query = (
            f"SELECT {sql.CALLS.listed} FROM calls WHERE {search.IN_DOUBT} AND effect_state = 'unknown' "
            f"ORDER BY lease_until, call_id LIMIT {limit:d}"
        )
        return await self._list(Query(query), sql.call_row)

    async def dispatchable(self, limit: int = 100, after: str | None = None) -> Sequence[ApprovalRow]:
        """Approvals that are approved and not consumed, in the order of their ids, those behind ``after``."""
        # The call's lock guards its approval: whoever is consuming one holds the call.
        columns = ", ".join(f"a.{name}" for name in sql.APPROVALS.columns)
        query = (
            f"SELECT {columns} FROM approvals a JOIN calls c USING (call_id) WHERE {search.OPEN} "
            f"AND state = 'approved' AND a.approval_id > $1 ORDER BY a.approval_id LIMIT {limit:d} "
            f"{PASSED_OVER.replace('SHARE', 'SHARE OF c')}"
        )
        return await self._list(Query(query, (after or "",)), sql.approval_row)

    async def lapsed_grants(self, limit: int = 100) -> Sequence[GrantRow]:
        """Grants whose time ran out and that nobody has ended, the first to run out first."""
        query = (
            f"SELECT {sql.GRANTS.listed} FROM grants WHERE revoked_at IS NULL AND until <= $1 "
            f"ORDER BY until, grant_id LIMIT {limit:d} {PASSED_OVER}"
        )
        return await self._list(Query(query, (await self.now(),)), sql.grant_row)

    async def unplanned(self, limit: int = 100) -> Sequence[NoticeRow]:
        """Notices that nobody has planned deliveries of, oldest first."""
        query = (
            f"SELECT {sql.NOTICES.listed} FROM notices WHERE NOT planned ORDER BY at, notice_id "
            f"LIMIT {limit:d} {PASSED_OVER}"
        )
        return await self._list(Query(query), NoticeRow._make)

    async def deliveries(
        self,
        *,
        state: str,
        due: int | None = None,
        tenant: str | None = None,
        sink: str | None = None,
        limit: int = 100,
    ) -> Sequence[tuple[DeliveryRow, NoticeRow]]:
        """Deliveries in ``state`` with what they carry: those due first, or what ended, newest first."""
        query = search.deliveries(state=state, due=due, tenant=tenant, sink=sink, limit=limit)
        return await self._list(query, search.delivery)

    # ------------------------------------------------------------------------------------------------------- the trail

    async def changes(self, after: int | None, limit: int = 500) -> Sequence[Change]:
        """What the trail says behind ``after``, in order; None: only the newest one, to begin from.

        It ends where the oldest transaction that is still going on began to write, so that nothing is passed over.
        """
        columns = f"SELECT seq, call_id, record FROM audit WHERE seq < {SETTLED_BELOW}"
        if after is None:
            return await self._list(Query(f"{columns} ORDER BY seq DESC LIMIT 1"), _change)
        query = f"{columns} AND seq > $1 ORDER BY seq LIMIT {limit:d}"
        return await self._list(Query(query, (after,)), _change)

    async def newest_changes(self, *, before: int | None = None, limit: int = 50) -> Sequence[Change]:
        """The trail backwards, from before ``before`` (a ``seq``) on."""
        where = search.Where().bounded("seq < ?", before)
        query = f"SELECT seq, call_id, record FROM audit {where} ORDER BY seq DESC LIMIT {limit:d}"
        return await self._list(Query.of(query, *where.values), _change)

    async def records(
        self, *, call_id: str | None = None, newest: int | None = None
    ) -> AsyncIterator[StoredRecord]:
        """The trail in the order it was written, as it was at the first page; read in pages, in little memory."""
        if call_id is not None and not sql.can_be_asked(call_id):
            return
        snapshot = await self._link.read(lambda db: db.fetchval("SELECT pg_current_snapshot()::text"))
        after = -1 if newest is None else await self._start_of(newest, snapshot)
        mine, values = ("AND a.call_id = $3", [call_id]) if call_id is not None else ("", [])
        query = f"{_RECORDS} {mine} ORDER BY a.seq LIMIT {_PAGE}"
        while True:
            page = await self._list(Query(query, (snapshot, after, *values)), tuple)
            for _, chain_id, seq, record, leaf, link in page:
                yield StoredRecord(
                    chain_id=chain_id or "", seq=seq, record=record, leaf_hash=leaf, link_hash=link
                )
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    async def heads(self) -> dict[str, tuple[int, bytes]]:
        """Where each chain ends, as the writers last committed it."""
        query = "SELECT chain_id, head_seq, head_link FROM chains WHERE head_seq > 0"
        return {chain: (seq, link) for chain, seq, link in await self._list(Query(query), tuple)}

    async def _start_of(self, newest: int, snapshot: str) -> int:
        query = f"SELECT seq FROM audit WHERE {_SEEN} ORDER BY seq DESC OFFSET {newest:d} LIMIT 1"
        found = await self._link.read(lambda db: db.fetchval(query, snapshot))
        return -1 if found is None else found

    async def _list(self, query: Query, build: Callable[[Any], T]) -> list[T]:
        if not query.can_be_asked:
            return []
        rows = await self._link.read(lambda db: db.fetch(query.text, *query.values))
        return [build(tuple(row)) for row in rows]


async def _around(db: Connection, subjects: Sequence[Subject]) -> dict[Subject, Found]:
    """The rows around each subject, all of those around one of one moment.

    A call as it was before a commit and its approval as it is after would together say what never was true. New keys
    are one statement, and so are calls that nobody has to agree to; what has more around it is read in one snapshot.
    """
    found: dict[Subject, Found] = {}
    keys = [subject.key_mac for subject in subjects if isinstance(subject, ByKey)]
    if keys:
        claimed = {row[0] for row in await db.fetch(_CLAIMED, keys)}
        found.update((ByKey(key), Found()) for key in keys if key not in claimed)
    ids = [subject.call_id for subject in subjects if isinstance(subject, ByCall)]
    if ids:
        rows = await db.fetch(_CALLS, list(filter(sql.can_be_asked, ids)))
        calls = {row.call_id: row for row in map(sql.call_row, map(tuple, rows))}
        alone = [(id_, calls.get(id_)) for id_ in ids]
        found.update(
            (ByCall(id_), Found(call=row)) for id_, row in alone if row is None or row.approval_id is None
        )
    rest = [subject for subject in subjects if subject not in found]
    if rest:
        async with db.transaction(isolation="repeatable_read", readonly=True):
            overlay = await Loading(db, lock=False).load(_wanted(rest))
        found.update((subject, overlay.found(subject)) for subject in rest)
    return found


def _wanted(subjects: Sequence[Subject]) -> Wanted:
    wanted = Wanted()
    for subject in subjects:
        wanted.add(subject)
    return wanted


def _change(row: Sequence[Any]) -> Change:
    return Change(row[0], row[1], row[2])
