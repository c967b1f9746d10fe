"""The memory store: the same decisions as every store, over dictionaries, with a real audit chain.

Its "crash" is to discard the gateway and keep the store: what was committed is there, what was not is
gone. It outlives no process, and a tool with effects on it warns.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolgate.adapters.stores.chain import ChainHead
from toolgate.adapters.stores.memory import pruning
from toolgate.adapters.stores.watchers import Watchers
from toolgate.domain.approval import Vote
from toolgate.domain.audit import StoredRecord
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import StoreUnavailable
from toolgate.domain.jobs import job_id_of, told_state
from toolgate.domain.ledger import chain_opened_event, decide
from toolgate.domain.ledger.grants import ended
from toolgate.domain.lifecycle import ApprovalState, EffectState, is_open
from toolgate.domain.rows import (
    GIVEN_OUT,
    ApprovalRow,
    ByApproval,
    ByApprovalAndKey,
    ByCall,
    ByGrant,
    ByJob,
    ByKey,
    ByNotice,
    ByToken,
    CallChanged,
    CallRow,
    ClaimRow,
    DeliveryRow,
    Event,
    Found,
    GrantRow,
    JobMoved,
    JobRow,
    NewCall,
    NewJob,
    NoticeRow,
    Resealed,
    Reveal,
    RevisionRow,
    Row,
    SealedRow,
    Subject,
    TokenRow,
    moved,
    resealed,
)
from toolgate.ports import CallPage, Change, JobPage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from toolgate.domain.audit import Head
    from toolgate.domain.commands import Answer, Command
    from toolgate.domain.retention import Prune, Pruned, TrailCut
    from toolgate.ports import ApprovalFilter, CallFilter, JobFilter


class _Rows:
    """What outlives a gateway: shared by every boot over the same ledger."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: dict[str, CallRow] = {}
        self.jobs: dict[str, JobRow] = {}
        self.claims: dict[bytes, ClaimRow] = {}
        self.approvals: dict[str, ApprovalRow] = {}
        self.votes: dict[str, list[Vote]] = {}
        self.sealed: dict[tuple[str, str], SealedRow] = {}
        self.tokens: dict[str, TokenRow] = {}
        self.revisions: dict[str, list[RevisionRow]] = {}
        self.reveals: dict[str, list[Reveal]] = {}
        self.grants: dict[str, GrantRow] = {}
        self.notices: dict[str, NoticeRow] = {}
        self.deliveries: dict[tuple[str, str], DeliveryRow] = {}
        self.trail: list[tuple[str | None, StoredRecord]] = []
        self.written: list[int] = []
        """When each record of the trail was written."""
        self.gone = 0
        """Records that retention removed from the front of the trail."""
        self.tombstones: dict[bytes, int] = {}
        """Keys whose call is gone, and when it had ended."""
        self.cuts: dict[str, tuple[Head, int]] = {}
        self.turns: dict[str, int] = {}
        self.heads: dict[str, tuple[int, bytes]] = {}
        self.latest = 0
        self.watchers = Watchers()


class MemoryStore:
    """A ledger in dictionaries, under one lock. ``reopen`` gives a new boot over the same rows.

    Args:
        boot_id: unique per opening; names the audit chain.
        now: microseconds since the epoch.
    """

    def __init__(self, *, boot_id: str, now: Callable[[], int]) -> None:
        self._now = now
        self._head = ChainHead(boot_id)
        self._chained = False
        self._opened = False
        self._rows = _Rows()

    def reopen(self, *, boot_id: str) -> MemoryStore:
        """The store that the next gateway would open after a crash of this one: same rows, a new chain."""
        again = MemoryStore(boot_id=boot_id, now=self._now)
        again._rows = self._rows
        return again

    async def open(self) -> None:
        """Ready."""
        self._opened = True

    async def close(self) -> None:
        """Refuse what comes after."""
        self._opened = False

    async def execute(self, command: Command) -> Answer:
        """Decide and keep one command."""
        self._refuse_closed()
        with self._rows.lock:
            now = self._time()
            self._open_chain(now)
            decision = decide(command, self._load(command.subject), now)
            self._refuse_known(decision.rows)
            for row in decision.rows:
                self._apply(row)
        self._rows.watchers.tell()
        return decision.answer

    def _refuse_known(self, rows: tuple[Row, ...]) -> None:
        """What a database refuses by its keys, before anything of the command is kept."""
        for row in rows:
            if isinstance(row, NewCall) and row.row.call_id in self._rows.calls:
                raise StoreUnavailable("the store refused to write: there is a call of this id")
            if isinstance(row, TokenRow) and self._has_other(row):
                raise StoreUnavailable("the store refused to write: there is another token of this hash")

    def _has_other(self, token: TokenRow) -> bool:
        known = self._rows.tokens.values()
        return any(row.token_hash == token.token_hash and row.token_id != token.token_id for row in known)

    def _time(self) -> int:
        self._rows.latest = max(self._now(), self._rows.latest)
        return self._rows.latest

    def _open_chain(self, now: int) -> None:
        if not self._chained:
            self._chained = True
            heads = {chain: (seq, link.hex()) for chain, (seq, link) in self._rows.heads.items()}
            self._apply(
                chain_opened_event(at=now, known_heads=heads, boot={"toolgate.boot": self._head.chain_id})
            )

    def _load(self, subject: Subject | None) -> Found:
        match subject:
            case None:
                return Found()
            case ByKey(key_mac):
                claim = self._rows.claims.get(key_mac)
                return Found() if claim is None else self._around(self._rows.calls.get(claim.call_id), claim)
            case ByCall(call_id):
                return self._around(self._rows.calls.get(call_id), None)
            case ByJob(call_id):
                return replace(self._load(ByCall(call_id)), job=self._rows.jobs.get(job_id_of(call_id)))
            case ByApproval(approval_id):
                approval = self._rows.approvals.get(approval_id)
                call = self._rows.calls.get(approval.call_id) if approval else None
                return Found(call=call, approval=approval, **self._said(approval_id))
            case ByApprovalAndKey(approval_id, key_mac):
                holder = self._load(ByKey(key_mac))
                held = self._load(ByApproval(approval_id))
                return held if holder.claim is None else replace(held, holder=holder)
            case ByGrant(grant_id, key_mac):
                found = Found() if key_mac is None else self._load(ByKey(key_mac))
                return replace(found, grant=self._rows.grants.get(grant_id))
            case ByToken(token_id):
                return Found(token=self._rows.tokens.get(token_id))
            case ByNotice(notice_id, sink):
                way = None if sink is None else self._rows.deliveries.get((notice_id, sink))
                return Found(notice=self._rows.notices.get(notice_id), delivery=way)

    def _said(self, approval_id: str) -> dict[str, Any]:
        reveals = sorted(self._rows.reveals.get(approval_id, []), key=lambda seen: (seen.at, seen.viewer))
        return {"votes": self._votes_of(approval_id), "reveals": tuple(reveals)}

    def _votes_of(self, approval_id: str) -> tuple[Vote, ...]:
        votes = self._rows.votes.get(approval_id, [])
        return tuple(sorted(votes, key=lambda vote: (vote.at, vote.revision, vote.voter)))

    def _around(self, call: CallRow | None, claim: ClaimRow | None) -> Found:
        if call is None or call.approval_id is None:
            return Found(claim=claim, call=call)
        return Found(
            claim=claim,
            call=call,
            approval=self._rows.approvals.get(call.approval_id),
            **self._said(call.approval_id),
        )

    def _apply(self, row: Row) -> None:  # noqa: C901, PLR0912 - one line a kind of row is the point
        match row:
            case Event(call_id, _, record):
                place = self._head.extend(record)
                chain = self._head.chain_id
                self._rows.heads[chain] = (place.seq, place.link)
                stored = StoredRecord(
                    chain_id=chain, seq=place.seq, record=record, leaf_hash=place.leaf, link_hash=place.link
                )
                self._rows.trail.append((call_id, stored))
                self._rows.written.append(self._rows.latest)
            case NewCall(call):
                self._rows.calls[call.call_id] = call
            case CallChanged(call):
                self._rows.calls[call.call_id] = moved(self._rows.calls[call.call_id], call)
            case NewJob(job) | JobMoved(job):
                self._rows.jobs[job.job_id] = job
            case ClaimRow():
                self._rows.claims[row.key_mac] = row
                self._rows.tombstones.pop(row.key_mac, None)
            case SealedRow():
                self._rows.sealed[row.call_id, row.kind] = row
            case ApprovalRow():
                self._rows.approvals[row.approval_id] = row
            case Vote():
                self._rows.votes.setdefault(row.approval_id, []).append(row)
            case TokenRow():
                self._rows.tokens[row.token_id] = row
            case Resealed(call_id):
                self._rows.calls[call_id] = resealed(self._rows.calls[call_id], row)
            case RevisionRow():
                self._rows.revisions.setdefault(row.approval_id, []).append(row)
            case Reveal():
                self._reveal(row)
            case GrantRow():
                self._rows.grants[row.grant_id] = row
            case NoticeRow():
                self._rows.notices[row.notice_id] = row
            case DeliveryRow():
                self._rows.deliveries[row.notice_id, row.sink] = row

    def _reveal(self, row: Reveal) -> None:
        """One a revision and viewer, as a database's key has it."""
        kept = [seen for seen in self._rows.reveals.get(row.approval_id, []) if seen[:3] != row[:3]]
        self._rows.reveals[row.approval_id] = [*kept, row]

    async def find(self, subject: Subject) -> Found:
        """The rows around a key, call or approval."""
        with self._rows.lock:
            return self._load(subject)

    async def sealed(self, call_id: str, kind: str) -> SealedRow | None:
        """Encrypted bytes of a call."""
        return self._rows.sealed.get((call_id, kind))

    async def calls(self, wanted: CallFilter) -> CallPage:
        """Calls, newest first."""
        with self._rows.lock:
            rows = sorted(self._rows.calls.values(), key=_age, reverse=True)
            last = None if wanted.before is None else self._rows.calls.get(wanted.before)
        if wanted.before is not None:
            rows = [row for row in rows if last is not None and _age(row) < _age(last)]
        found = [row for row in rows if _fits(row, wanted)]
        page = found[: wanted.limit]
        return CallPage(page, page[-1].call_id if len(page) == wanted.limit else None)

    async def job(self, job_id: str) -> JobRow | None:
        """The job of this id."""
        with self._rows.lock:
            return self._rows.jobs.get(job_id)

    async def jobs(self, wanted: JobFilter) -> JobPage:
        """Jobs, newest first."""
        with self._rows.lock:
            rows = sorted(self._rows.jobs.values(), key=lambda row: row.job_id, reverse=True)
            pairs = [(row, self._rows.calls[row.call_id]) for row in rows]
        found = [pair for pair in pairs if _is_wanted_job(*pair, wanted)]
        page = found[: wanted.limit]
        return JobPage(page, page[-1][0].job_id if len(page) == wanted.limit else None)

    async def approvals(self, wanted: ApprovalFilter) -> Sequence[ApprovalRow]:
        """Approvals, oldest first where only open ones are asked for, else newest first."""
        with self._rows.lock:
            rows = sorted(
                self._rows.approvals.values(),
                key=lambda row: row.approval_id,
                reverse=not wanted.open_only,
            )
        return [row for row in rows if _is_wanted(row, wanted)][: wanted.limit]

    async def revisions(self, approval_id: str) -> Sequence[RevisionRow]:
        """What edits of an approval replaced, oldest first."""
        with self._rows.lock:
            return list(self._rows.revisions.get(approval_id, []))

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
        with self._rows.lock:
            rows = sorted(self._rows.grants.values(), key=lambda row: row.grant_id, reverse=True)
        mine = [row for row in rows if row.tenant == tenant and tool in {None, row.tool}]
        if active_at is not None:
            mine = [row for row in mine if ended(row, active_at) is None]
        return [row for row in mine if before is None or row.grant_id < before][:limit]

    async def lapsed(self, limit: int = 100) -> Sequence[CallRow]:
        """Intents whose lease ran out."""
        now = await self.now()
        with self._rows.lock:
            intended = [row for row in self._rows.calls.values() if row.effect_state is EffectState.INTENDED]
        return sorted((row for row in intended if row.lease_until <= now), key=_by_lease)[:limit]

    async def unknown(self, limit: int = 100) -> Sequence[CallRow]:
        """Effects in doubt."""
        with self._rows.lock:
            unknown = [row for row in self._rows.calls.values() if row.effect_state is EffectState.UNKNOWN]
        return sorted(unknown, key=_by_lease)[:limit]

    async def dispatchable(self, limit: int = 100, after: str | None = None) -> Sequence[ApprovalRow]:
        """Approvals that are approved and not consumed, in the order of their ids, those behind ``after``."""
        with self._rows.lock:
            approved = [row for row in self._rows.approvals.values() if row.state is ApprovalState.APPROVED]
        behind = [row for row in approved if after is None or row.approval_id > after]
        return sorted(behind, key=lambda row: row.approval_id)[:limit]

    async def lapsed_grants(self, limit: int = 100) -> Sequence[GrantRow]:
        """Grants whose time ran out and that nobody has ended, the first to run out first."""
        now = await self.now()
        with self._rows.lock:
            over = [row for row in self._rows.grants.values() if row.revoked_at is None and row.until <= now]
        return sorted(over, key=lambda row: (row.until, row.grant_id))[:limit]

    async def unplanned(self, limit: int = 100) -> Sequence[NoticeRow]:
        """Notices that nobody has planned deliveries of, oldest first."""
        with self._rows.lock:
            waiting = [row for row in self._rows.notices.values() if not row.planned]
        return sorted(waiting, key=lambda row: (row.at, row.notice_id))[:limit]

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
        with self._rows.lock:
            ways = [(way, self._rows.notices[way.notice_id]) for way in self._rows.deliveries.values()]
        mine = [
            (way, notice)
            for way, notice in ways
            if way.state == state
            and (due is None or way.next_at <= due)
            and tenant in {None, notice.tenant}
            and sink in {None, way.sink}
        ]
        ended = state != "pending"
        return sorted(
            mine, key=lambda pair: (pair[0].next_at, pair[0].notice_id, pair[0].sink), reverse=ended
        )[:limit]

    async def changes(self, after: int | None, limit: int = 500) -> Sequence[Change]:
        """What the trail says behind ``after``, in order; None: only the newest one, to begin from."""
        with self._rows.lock:
            gone, trail = self._rows.gone, self._rows.trail
            start = max(len(trail) - 1, 0) if after is None else max(after - gone, 0)
            told = trail[start : start + limit]
        places = enumerate(told, gone + start + 1)
        return [Change(place, call_id, row.record) for place, (call_id, row) in places]

    async def newest_changes(self, *, before: int | None = None, limit: int = 50) -> Sequence[Change]:
        """The trail backwards, from before ``before`` (a ``seq``) on."""
        with self._rows.lock:
            gone, trail = self._rows.gone, self._rows.trail
            end = len(trail) if before is None else max(before - 1 - gone, 0)
            start = max(end - limit, 0)
            told = trail[start:end]
        places = enumerate(told, gone + start + 1)
        return [Change(seq, call_id, row.record) for seq, (call_id, row) in places][::-1]

    async def token(self, token_hash: str) -> TokenRow | None:
        """The token of this hash."""
        with self._rows.lock:
            return next((row for row in self._rows.tokens.values() if row.token_hash == token_hash), None)

    async def tokens(
        self, *, tenant: str | None = None, live_at: int | None = None, limit: int = 1000
    ) -> Sequence[TokenRow]:
        """Tokens, newest first; with ``live_at`` (µs) what came by itself only where it had not ended by then."""
        with self._rows.lock:
            rows = sorted(self._rows.tokens.values(), key=lambda row: row.token_id, reverse=True)
        mine = [row for row in rows if tenant in {None, row.tenant}]
        if live_at is not None:
            mine = [
                row
                for row in mine
                if row.kind == GIVEN_OUT or (row.revoked_at is None and row.expires_at > live_at)
            ]
        return mine[:limit]

    async def records(
        self, *, call_id: str | None = None, newest: int | None = None
    ) -> AsyncIterator[StoredRecord]:
        """The trail in the order it was written."""
        with self._rows.lock:
            start = 0 if newest is None else max(len(self._rows.trail) - newest, 0)
            trail = self._rows.trail[start:]
        for about, record in trail:
            if call_id is None or about == call_id:
                yield record

    async def heads(self) -> dict[str, tuple[int, bytes]]:
        """Where each chain ends."""
        with self._rows.lock:
            return dict(self._rows.heads)

    async def now(self) -> int:
        """The clock, but never before what was recorded or told."""
        with self._rows.lock:
            return self._time()

    def watch(self, wake: Callable[[], object], *, elsewhere: bool = False) -> Callable[[], None]:
        """Call ``wake`` after each commit; nobody else writes here."""
        return self._rows.watchers.add(wake, elsewhere=elsewhere)

    async def prune(self, batch: Prune, *, dry: bool = False) -> Pruned:
        """Remove one bounded batch; ``dry`` only says what would go."""
        self._refuse_closed()
        with self._rows.lock:
            return pruning.prune(self._rows, batch, self._time(), dry=dry)

    async def oldest(self, before: int, *, limit: int = 10_000) -> TrailCut | None:
        """The oldest records of the trail, in one bounded step."""
        with self._rows.lock:
            return pruning.oldest(self._rows, before, limit)

    async def turn(self, name: str, *, every: float) -> bool:
        """Whether the work of this name is the caller's to do now."""
        self._refuse_closed()
        with self._rows.lock:
            now, last = self._time(), self._rows.turns.get(name)
            if last is not None and now - last < every * MICRO:
                return False
            self._rows.turns[name] = now
            return True

    async def turn_taken(self, name: str) -> int | None:
        """When the last turn of this name was taken."""
        with self._rows.lock:
            return self._rows.turns.get(name)

    def _refuse_closed(self) -> None:
        if not self._opened:
            raise StoreUnavailable("the store is closed")


def _by_lease(row: CallRow) -> tuple[int, str]:
    return row.lease_until, row.call_id


def _age(row: CallRow) -> tuple[int, str]:
    return row.received_at, row.call_id


def _fits(row: CallRow, wanted: CallFilter) -> bool:
    exact = (
        (wanted.tenant, row.tenant),
        (wanted.tool, row.tool),
        (wanted.caller_id, row.caller_id),
        (wanted.agent, row.agent),
        (wanted.status, row.status),
        (wanted.error_type, row.error_type),
        (wanted.workflow_id, row.workflow_id),
    )
    if any(value is not None and value != there for value, there in exact):
        return False
    if wanted.unresolved and row.effect_state is not EffectState.UNKNOWN and row.incident is None:
        return False
    if wanted.since is not None and row.received_at < wanted.since:
        return False
    return wanted.until is None or row.received_at < wanted.until


def _is_wanted_job(row: JobRow, call: CallRow, wanted: JobFilter) -> bool:
    exact = (
        (wanted.tenant, row.tenant),
        (wanted.tool, row.tool),
        (wanted.caller_id, row.caller_id),
        (wanted.agent, call.agent),
        (wanted.state, told_state(call)),
    )
    if any(value is not None and value != there for value, there in exact):
        return False
    if wanted.before is not None and row.job_id >= wanted.before:
        return False
    if wanted.since is not None and row.created_at < wanted.since:
        return False
    return wanted.until is None or row.created_at < wanted.until


def _is_wanted(row: ApprovalRow, wanted: ApprovalFilter) -> bool:
    exact = (
        (wanted.tenant, row.tenant),
        (wanted.tool, row.tool),
        (wanted.caller_id, row.caller_id),
        (wanted.state, row.state.value),
    )
    if any(value is not None and value != there for value, there in exact):
        return False
    if wanted.open_only and not is_open(row.state):
        return False
    if wanted.lapsed_at is not None and row.expires_at > wanted.lapsed_at:
        return False
    if wanted.after is None:
        return True
    return row.approval_id > wanted.after if wanted.open_only else row.approval_id < wanted.after
