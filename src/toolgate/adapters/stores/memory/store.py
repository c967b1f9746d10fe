"""The memory store: the same decisions as every store, over dictionaries, with a real audit chain.

Its "crash" is to discard the gateway and keep the store: what was committed is there, what was not is
gone. It outlives no process, and a tool with effects on it warns.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from toolgate.adapters.stores.chain import ChainHead
from toolgate.domain.approval import Vote
from toolgate.domain.audit import StoredRecord
from toolgate.domain.errors import StoreUnavailable
from toolgate.domain.ledger import chain_opened_event, decide
from toolgate.domain.lifecycle import ApprovalState, EffectState, is_open
from toolgate.domain.rows import (
    ApprovalRow,
    ByApproval,
    ByCall,
    ByKey,
    CallChanged,
    CallRow,
    ClaimRow,
    Event,
    Found,
    NewCall,
    Row,
    SealedRow,
    Subject,
    TokenRow,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from toolgate.domain.commands import Answer, Command
    from toolgate.ports import CallFilter


class MemoryStore:
    """A ledger in dictionaries, under one lock. ``reopen`` gives a new boot over the same rows."""

    def __init__(self, *, boot_id: str, now: Callable[[], int]) -> None:
        self._lock = threading.Lock()
        self._now = now
        self._head = ChainHead(boot_id)
        self._chained = False
        self._opened = False
        self._calls: dict[str, CallRow] = {}
        self._claims: dict[bytes, ClaimRow] = {}
        self._approvals: dict[str, ApprovalRow] = {}
        self._votes: dict[str, list[Vote]] = {}
        self._sealed: dict[tuple[str, str], SealedRow] = {}
        self._tokens: dict[str, TokenRow] = {}
        self._trail: list[tuple[str | None, StoredRecord]] = []
        self._heads: dict[str, tuple[int, bytes]] = {}
        self._latest = 0

    def reopen(self, *, boot_id: str) -> MemoryStore:
        """The store that the next gateway would open after a crash of this one: same rows, a new chain."""
        again = MemoryStore(boot_id=boot_id, now=self._now)
        for name in ("_calls", "_claims", "_approvals", "_votes", "_sealed", "_tokens", "_trail", "_heads", "_lock"):
            setattr(again, name, getattr(self, name))
        again._latest = self._latest
        return again

    async def open(self) -> None:
        """Ready."""
        self._opened = True

    async def close(self) -> None:
        """Refuse what comes after."""
        self._opened = False

    async def execute(self, command: Command) -> Answer:
        """Decide and keep one command."""
        if not self._opened:
            raise StoreUnavailable("the store is closed")
        with self._lock:
            now = self._time()
            self._open_chain(now)
            decision = decide(command, self._load(command.subject), now)
            for row in decision.rows:
                self._apply(row)
            return decision.answer

    def _time(self) -> int:
        self._latest = max(self._now(), self._latest)
        return self._latest

    def _open_chain(self, now: int) -> None:
        if not self._chained:
            self._chained = True
            heads = {chain: (seq, link.hex()) for chain, (seq, link) in self._heads.items()}
            self._apply(chain_opened_event(at=now, known_heads=heads, boot={"toolgate.boot": self._head.chain_id}))

    def _load(self, subject: Subject | None) -> Found:
        match subject:
            case None:
                return Found()
            case ByKey(key_mac):
                claim = self._claims.get(key_mac)
                return Found() if claim is None else self._around(self._calls.get(claim.call_id), claim)
            case ByCall(call_id):
                return self._around(self._calls.get(call_id), None)
            case ByApproval(approval_id):
                approval = self._approvals.get(approval_id)
                call = self._calls.get(approval.call_id) if approval else None
                return Found(call=call, approval=approval, votes=tuple(self._votes.get(approval_id, ())))

    def _around(self, call: CallRow | None, claim: ClaimRow | None) -> Found:
        if call is None or call.approval_id is None:
            return Found(claim=claim, call=call)
        return Found(
            claim=claim,
            call=call,
            approval=self._approvals.get(call.approval_id),
            votes=tuple(self._votes.get(call.approval_id, ())),
        )

    def _apply(self, row: Row) -> None:
        match row:
            case Event(call_id, _, record):
                place = self._head.extend(record)
                chain = self._head.chain_id
                self._heads[chain] = (place.seq, place.link)
                stored = StoredRecord(
                    chain_id=chain, seq=place.seq, record=record, leaf_hash=place.leaf, link_hash=place.link
                )
                self._trail.append((call_id, stored))
            case NewCall(call) | CallChanged(call):
                self._calls[call.call_id] = call
            case ClaimRow():
                self._claims[row.key_mac] = row
            case SealedRow():
                self._sealed[row.call_id, row.kind] = row
            case ApprovalRow():
                self._approvals[row.approval_id] = row
            case Vote():
                self._votes.setdefault(row.approval_id, []).append(row)
            case TokenRow():
                self._tokens[row.token_id] = row

    async def find(self, subject: Subject) -> Found:
        """The rows around a key, call or approval."""
        with self._lock:
            return self._load(subject)

    async def sealed(self, call_id: str, kind: str) -> SealedRow | None:
        """Encrypted bytes of a call."""
        return self._sealed.get((call_id, kind))

    async def calls(self, wanted: CallFilter) -> Sequence[CallRow]:
        """Calls, newest first."""
        with self._lock:
            rows = sorted(self._calls.values(), key=lambda row: row.call_id, reverse=True)
        return [row for row in rows if _fits(row, wanted)][: wanted.limit]

    async def approvals(self, *, open_only: bool, tenant: str | None = None, limit: int = 100) -> Sequence[ApprovalRow]:
        """Approvals, oldest first where only open ones are asked for, else newest first."""
        with self._lock:
            rows = sorted(self._approvals.values(), key=lambda row: row.approval_id, reverse=not open_only)
        wanted = [row for row in rows if not open_only or is_open(row.state)]
        return [row for row in wanted if tenant in {None, row.tenant}][:limit]

    async def lapsed(self, limit: int = 100) -> Sequence[CallRow]:
        """Intents whose lease ran out."""
        now = await self.now()
        with self._lock:
            return [
                row
                for row in self._calls.values()
                if row.effect_state is EffectState.INTENDED and row.lease_until <= now
            ][:limit]

    async def unknown(self, limit: int = 100) -> Sequence[CallRow]:
        """Effects in doubt."""
        with self._lock:
            return [row for row in self._calls.values() if row.effect_state is EffectState.UNKNOWN][:limit]

    async def dispatchable(self, limit: int = 100) -> Sequence[ApprovalRow]:
        """Approvals that are approved and not consumed."""
        with self._lock:
            return [row for row in self._approvals.values() if row.state is ApprovalState.APPROVED][:limit]

    async def token(self, token_hash: str) -> TokenRow | None:
        """The token of this hash."""
        with self._lock:
            return next((row for row in self._tokens.values() if row.token_hash == token_hash), None)

    async def tokens(self) -> Sequence[TokenRow]:
        """All tokens, newest first."""
        with self._lock:
            return sorted(self._tokens.values(), key=lambda row: row.token_id, reverse=True)

    async def records(self, *, call_id: str | None = None, newest: int | None = None) -> AsyncIterator[StoredRecord]:
        """The trail in the order it was written."""
        with self._lock:
            trail = list(self._trail[-newest:] if newest is not None else self._trail)
        for about, record in trail:
            if call_id is None or about == call_id:
                yield record

    async def heads(self) -> dict[str, tuple[int, bytes]]:
        """Where each chain ends."""
        with self._lock:
            return dict(self._heads)

    async def now(self) -> int:
        """The clock, but never before what was recorded."""
        return max(self._now(), self._latest)


def _fits(row: CallRow, wanted: CallFilter) -> bool:
    exact = (
        (wanted.tenant, row.tenant),
        (wanted.tool, row.tool),
        (wanted.caller_id, row.caller_id),
        (wanted.status, row.status),
        (wanted.workflow_id, row.workflow_id),
    )
    if any(value is not None and value != there for value, there in exact):
        return False
    if wanted.unresolved and row.effect_state is not EffectState.UNKNOWN and row.incident is None:
        return False
    if wanted.since is not None and row.received_at < wanted.since:
        return False
    return wanted.before is None or row.call_id < wanted.before
