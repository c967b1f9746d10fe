"""The seams: what the gate needs of the world, as Protocols. Adapters fill them; ``bootstrap`` ties them.

Each port is as small as its use. Not here: any implementation, not even a default.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from toolgate.domain.audit import StoredRecord
    from toolgate.domain.call import ClearedCall
    from toolgate.domain.caller import Caller
    from toolgate.domain.commands import Answer, Command
    from toolgate.domain.context import Context
    from toolgate.domain.contract import Contract
    from toolgate.domain.limits import Rate
    from toolgate.domain.rows import ApprovalRow, CallRow, Found, SealedRow, Subject, TokenRow


class Timer(Protocol):
    """A scheduled callback."""

    def cancel(self) -> None:
        """Forget it, if it has not run."""


class Clock(Protocol):
    """Time. ``now`` is for people and rows, ``monotonic`` for deadlines; they are never compared."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds, never going back."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Run ``callback`` in the running event loop after ``delay`` seconds."""

    async def sleep(self, delay: float) -> None:
        """Wait ``delay`` seconds."""


class Ids(Protocol):
    """Names for new things."""

    def new(self, prefix: str) -> str:
        """A fresh id such as ``call_01J…``; later ones sort after earlier ones of this process."""


class Keys(Protocol):
    """Secrets at rest. No method ever returns a key."""

    def encrypt(self, plaintext: bytes, *, tenant: str, call_id: str, kind: str) -> bytes:
        """Sealed bytes that open only with the same tenant, call and kind."""

    def decrypt(self, sealed: bytes, *, tenant: str, call_id: str, kind: str) -> bytes:
        """What was sealed. Raises a ``GateFault`` if anything differs."""

    def claim_mac(self, data: bytes) -> bytes:
        """32 bytes that stand for an idempotency key; never rotated."""

    def redaction_mac(self, data: bytes) -> str:
        """A short text that stands for a sensitive value, equal for equal values."""

    def token_hash(self, token: str) -> str:
        """What is kept of a credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls to list; ``None`` means any. ``before`` is a call id: the cursor of the next page."""

    tenant: str | None = None
    tool: str | None = None
    caller_id: str | None = None
    status: str | None = None
    workflow_id: str | None = None
    unresolved: bool = False
    since: int | None = None
    before: str | None = None
    limit: int = 50


class Store(Protocol):
    """The ledger. Every command is atomic with its audit events, and durable when its answer arrives.

    Each method raises ``StoreUnavailable`` if nothing was written or can be read, and ``execute`` raises
    ``StoreInDoubt`` if a commit was sent and cannot be confirmed.
    """

    async def open(self) -> None:
        """Create or migrate the schema, open this boot's chain."""

    async def close(self) -> None:
        """Write what waits, then let go of the files."""

    async def execute(self, command: Command) -> Answer:
        """Decide and write one command; see ``domain.ledger.decide``."""

    async def find(self, subject: Subject) -> Found:
        """The rows around a key, call or approval, as last committed: a hint, never a decision."""

    async def sealed(self, call_id: str, kind: str) -> SealedRow | None:
        """Encrypted bytes of a call."""

    async def calls(self, wanted: CallFilter) -> Sequence[CallRow]:
        """Calls, newest first."""

    async def approvals(
        self, *, open_only: bool, tenant: str | None = None, limit: int = 100
    ) -> Sequence[ApprovalRow]:
        """Approvals, oldest first where only open ones are asked for, else newest first."""

    async def lapsed(self, limit: int = 100) -> Sequence[CallRow]:
        """Intents whose lease ran out."""

    async def unknown(self, limit: int = 100) -> Sequence[CallRow]:
        """Effects in doubt."""

    async def dispatchable(self, limit: int = 100) -> Sequence[ApprovalRow]:
        """Approvals that are approved and not consumed."""

    async def token(self, token_hash: str) -> TokenRow | None:
        """The token of this hash."""

    async def tokens(self) -> Sequence[TokenRow]:
        """All tokens, newest first."""

    def records(
        self, *, call_id: str | None = None, newest: int | None = None
    ) -> AsyncIterator[StoredRecord]:
        """The trail in the order it was written; ``newest`` only the last so many."""

    async def heads(self) -> dict[str, tuple[int, bytes]]:
        """Where each chain ends, as its writer last committed it: chain → (sequence number, link hash)."""

    async def now(self) -> int:
        """The store's time (µs): never before anything it has recorded."""


class NotBegun(Exception):
    """A runner could not begin an attempt: for certain nothing of the tool ran."""


class Runner(Protocol):
    """Runs one attempt of a cleared call, and nothing else. A one-method seam."""

    async def run(self, call: ClearedCall, context: Context) -> Any:
        """The tool's own return value. Raises whatever the tool raised, or ``NotBegun``."""


class Reservations(Protocol):
    """Rates, slots and breakers. On SQLite they are per process."""

    def spend(self, key: tuple[str, ...], rate: Rate) -> float:
        """Take one from ``rate`` for ``key``: 0 if there was one, else the seconds until there is."""

    def take_slot(self, contract: Contract) -> Callable[[], None] | None:
        """A running slot of the tool and of the gateway, or None when full. Call the result to give it back."""

    def pass_breaker(self, contract: Contract) -> Callable[[], None] | float:
        """Passage through the tool's breaker, or the seconds until a call may try.

        Call the passage when the call is over: a trial that never reached the tool is then free for the next one.
        """

    def note(self, contract: Contract, *, healthy: bool) -> None:
        """Tell the tool's breaker how a run ended."""


Deps = Callable[["Caller"], "AbstractAsyncContextManager[Any]"]
"""Entered once a call, after the role check; built anew when a held call runs."""

Callers = Callable[[str, str], Awaitable["Caller | None"]]
"""``(id, tenant)`` → the caller's current rights, or None for somebody who may do nothing any more."""
