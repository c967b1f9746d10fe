"""What a group of commands works on: the rows that were locked for it, as its own commands have changed them so far.

A command sees what those before it in the group came to, though nothing is written yet. A command that cannot be
applied leaves nothing behind. Not here: SQL (``loading``, ``writing``), and what a command comes to (``ledger``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, TypeVar

from toolgate.adapters.stores.chain import ChainHead
from toolgate.adapters.stores.postgres import rows as sql
from toolgate.adapters.stores.postgres.rows import Table, refuse_unkeepable
from toolgate.domain.approval import Vote
from toolgate.domain.jobs import job_id_of
from toolgate.domain.rows import (
    NOTHING,
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

MOST_EVENTS = sql.SEQ_STEP
"""Events of one group: so many places there are between the numbers of two transactions."""
K = TypeVar("K")
R = TypeVar("R")


class Refused(Exception):
    """A command whose rows contradict what is there; the others of its group go on."""


class GroupFull(Exception):
    """More events than one transaction can number."""


class Turn(NamedTuple):
    """When a group is written: its time (µs), the number of its chain, and the ``seq`` of its first event."""

    at: int
    chain_no: int
    first_seq: int


@dataclass(slots=True)
class Kept(Generic[K, R]):
    """The rows of one table by key: all that are known, and the keys of those that were put since they were loaded."""

    rows: dict[K, R] = field(default_factory=dict)
    changed: dict[K, None] = field(default_factory=dict)

    def put(self, key: K, row: R) -> None:
        """A row in place of what has its key."""
        self.rows[key] = row
        self.changed[key] = None

    def in_order(self) -> list[R]:
        """What was put, in the order of the keys: two writers that write the same rows then meet and do not cross."""
        return [self.rows[key] for key in sorted(self.changed)]  # type: ignore[type-var] # ids, MACs and pairs of them


@dataclass(slots=True)
class Overlay:
    """The rows around the subjects of a group.

    ``absent``: keys that were looked for and that nobody had claimed. ``new``: calls that the group itself inserts.
    """

    calls: Kept[str, CallRow] = field(default_factory=Kept)
    claims: Kept[bytes, ClaimRow] = field(default_factory=Kept)
    approvals: Kept[str, ApprovalRow] = field(default_factory=Kept)
    grants: Kept[str, GrantRow] = field(default_factory=Kept)
    tokens: Kept[str, TokenRow] = field(default_factory=Kept)
    notices: Kept[str, NoticeRow] = field(default_factory=Kept)
    deliveries: Kept[tuple[str, str], DeliveryRow] = field(default_factory=Kept)
    jobs: Kept[str, JobRow] = field(default_factory=Kept)
    sealed: Kept[tuple[str, str], SealedRow] = field(default_factory=Kept)
    revisions: Kept[tuple[str, int], RevisionRow] = field(default_factory=Kept)
    votes: Kept[tuple[str, int, str], Vote] = field(default_factory=Kept)
    reveals: Kept[tuple[str, int, str], Reveal] = field(default_factory=Kept)
    said: dict[str, list[Vote]] = field(default_factory=dict)
    seen: dict[str, dict[tuple[int, str], Reveal]] = field(default_factory=dict)
    absent: set[bytes] = field(default_factory=set)
    new: dict[str, None] = field(default_factory=dict)
    resealed: dict[str, None] = field(default_factory=dict)
    trail: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.trail or self.new) or any(kept.changed for kept in self._all())

    def _all(self) -> tuple[Kept[Any, Any], ...]:
        return (
            self.calls,
            self.claims,
            self.approvals,
            self.grants,
            self.tokens,
            self.notices,
            self.deliveries,
            self.jobs,
            self.sealed,
            self.revisions,
            self.votes,
            self.reveals,
        )

    def found(self, subject: Subject | None) -> Found:
        """The rows around one subject, as they are now."""
        match subject:
            case None:
                return NOTHING
            case ByKey(key_mac):
                claim = self.claims.rows.get(key_mac)
                return Found() if claim is None else self._around(self.calls.rows.get(claim.call_id), claim)
            case ByCall(call_id):
                return self._around(self.calls.rows.get(call_id), None)
            case ByJob(call_id):
                around = self._around(self.calls.rows.get(call_id), None)
                return replace(around, job=self.jobs.rows.get(job_id_of(call_id)))
            case ByApproval(approval_id):
                return self._held(approval_id)
            case ByApprovalAndKey(approval_id, key_mac):
                holder, held = self.found(ByKey(key_mac)), self._held(approval_id)
                return held if holder.claim is None else replace(held, holder=holder)
            case ByGrant(grant_id, key_mac):
                around = Found() if key_mac is None else self.found(ByKey(key_mac))
                return replace(around, grant=self.grants.rows.get(grant_id))
            case ByToken(token_id):
                return Found(token=self.tokens.rows.get(token_id))
            case ByNotice(notice_id, sink):
                way = None if sink is None else self.deliveries.rows.get((notice_id, sink))
                return Found(notice=self.notices.rows.get(notice_id), delivery=way)

    def _held(self, approval_id: str) -> Found:
        approval = self.approvals.rows.get(approval_id)
        call = self.calls.rows.get(approval.call_id) if approval else None
        return Found(call=call, approval=approval, **self._said(approval_id))

    def _around(self, call: CallRow | None, claim: ClaimRow | None) -> Found:
        if call is None or call.approval_id is None:
            return Found(claim=claim, call=call)
        approval = self.approvals.rows.get(call.approval_id)
        return Found(claim=claim, call=call, approval=approval, **self._said(call.approval_id))

    def _said(self, approval_id: str) -> dict[str, Any]:
        votes = sorted(self.said.get(approval_id, ()), key=lambda vote: (vote.at, vote.revision, vote.voter))
        reveals = self.seen.get(approval_id, {}).values()
        return {
            "votes": tuple(votes),
            "reveals": tuple(sorted(reveals, key=lambda seen: (seen.at, seen.viewer))),
        }

    def apply(self, rows: Sequence[Row], head: ChainHead, turn: Turn) -> None:
        """Take what one command came to, all of it or nothing.

        Raises:
            Refused: if it contradicts what is there.
            Unkeepable: if Postgres has no place for a value.
            GroupFull: if its events do not fit behind those of the group.
        """
        fresh: set[str] = set()
        events = 0
        for row in rows:
            self._check(row, fresh)
            events += isinstance(row, Event)
        if len(self.trail) + events > MOST_EVENTS:
            raise GroupFull
        for row in rows:
            self._take(row, head, turn)

    def _check(self, row: Row, fresh: set[str]) -> None:  # noqa: C901 - one line a kind of row
        match row:
            case Event(call_id, _, _):
                if not sql.can_be_asked(call_id):
                    raise sql.Unkeepable("audit.call_id holds a character that Postgres cannot keep")
            case NewCall(call):
                if call.call_id in self.calls.rows or call.call_id in fresh:
                    raise Refused("there is a call of this id")
                fresh.add(call.call_id)
                refuse_unkeepable(sql.CALLS, call)
            case CallChanged(call):
                if call.call_id not in self.calls.rows:
                    raise Refused("there is no call of this id")
                refuse_unkeepable(sql.CALLS, call)
            case Resealed(call_id):
                if call_id not in self.calls.rows:
                    raise Refused("there is no call of this id")
            case Vote():
                if (row.approval_id, row.revision, row.voter) in self.votes.rows:
                    raise Refused("there is a vote of this person")
                refuse_unkeepable(sql.VOTES, sql.vote_values(row))
            case NewJob(job) | JobMoved(job):
                refuse_unkeepable(sql.JOBS, job)
            case _:
                refuse_unkeepable(_TABLES[type(row)], row)

    def _take(self, row: Row, head: ChainHead, turn: Turn) -> None:  # noqa: C901, PLR0912 - one line a kind of row
        match row:
            case Event(call_id, _, record):
                place = head.extend(record)
                # The store's time, which never goes back, and not the record's own, which is its gateway's.
                seq = turn.first_seq + len(self.trail)
                self.trail.append(
                    (seq, turn.chain_no, place.seq, call_id, turn.at, record, place.leaf, place.link)
                )
            case NewCall(call):
                self.calls.rows[call.call_id] = call
                self.new[call.call_id] = None
            case CallChanged(call):
                self._put_call(call.call_id, lambda known: moved(known, call))
            case Resealed(call_id):
                self._put_call(call_id, lambda known: resealed(known, row))
                self.resealed[call_id] = None
            case ClaimRow():
                self.claims.put(row.key_mac, row)
            case SealedRow():
                self.sealed.put((row.call_id, row.kind), row)
            case ApprovalRow():
                self.approvals.put(row.approval_id, row)
            case RevisionRow():
                self.revisions.put((row.approval_id, row.revision), row)
            case Reveal():
                self.reveals.put((row.approval_id, row.revision, row.viewer), row)
                self.seen.setdefault(row.approval_id, {})[row.revision, row.viewer] = row
            case Vote():
                self.votes.put((row.approval_id, row.revision, row.voter), row)
                self.said.setdefault(row.approval_id, []).append(row)
            case GrantRow():
                self.grants.put(row.grant_id, row)
            case TokenRow():
                self.tokens.put(row.token_id, row)
            case NoticeRow():
                self.notices.put(row.notice_id, row)
            case DeliveryRow():
                self.deliveries.put((row.notice_id, row.sink), row)
            case NewJob(job) | JobMoved(job):
                self.jobs.put(job.job_id, job)

    def _put_call(self, call_id: str, change: Callable[[CallRow], CallRow]) -> None:
        self.calls.rows[call_id] = change(self.calls.rows[call_id])
        if call_id not in self.new:
            self.calls.changed[call_id] = None


_TABLES: dict[type[Any], Table] = {
    ClaimRow: sql.CLAIMS,
    SealedRow: sql.SEALED,
    ApprovalRow: sql.APPROVALS,
    RevisionRow: sql.REVISIONS,
    Reveal: sql.REVEALS,
    GrantRow: sql.GRANTS,
    TokenRow: sql.TOKENS,
    NoticeRow: sql.NOTICES,
    DeliveryRow: sql.DELIVERIES,
}
