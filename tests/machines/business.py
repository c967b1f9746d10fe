"""A business that knows what really happened, and tools that can end in every way an attempt can end.

Here: the truth that a ledger is held to. Not here: what the gate makes of it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from pydantic import BaseModel, Field

from toolgate import (
    Applied,
    Approval,
    NeedsApproval,
    NotApplied,
    Tool,
    ToolContext,
    ToolError,
    TransientError,
    tool,
)

TIMEOUT = 5.0
EXPIRY = 60.0
HORIZON = 20.0


class End(Enum):
    """How an attempt ends."""

    OK = auto()
    DECLINED = auto()
    TRANSIENT = auto()
    LOST_REQUEST = auto()
    LOST_REPLY = auto()
    BUG_BEFORE = auto()
    BUG_AFTER = auto()
    BAD_RESULT = auto()
    HALF_DONE = auto()
    HANGS_BEFORE = auto()
    HANGS_AFTER = auto()
    STUBBORN = auto()
    STUBBORN_DECLINED = auto()
    WISHES = auto()


class Declined(ToolError):
    """The card was declined."""

    code = "declined"
    effect = "none"


class HalfDone(ToolError):
    """Paid, but no receipt."""

    code = "no_receipt"
    effect = "applied"


class Killed(Exception):
    """The process of this attempt is gone."""


class Payment(BaseModel):
    """What is paid."""

    order: int = Field(ge=1)
    cents: int = Field(ge=1)


@dataclass(slots=True, kw_only=True)
class Hang:
    """An attempt that waits for the test to let it go."""

    call_id: str
    loop: asyncio.AbstractEventLoop
    let_go: asyncio.Event
    stubborn: bool

    def release(self) -> None:
        """Let it go on, from any thread."""
        self.loop.call_soon_threadsafe(self.let_go.set)


@dataclass(slots=True)
class Process:
    """One life of the program: its attempts die with it."""

    alive: bool = True
    hanging: dict[str, Hang] = field(default_factory=dict)


class Business:
    """Effects by key and by call, attempts in their order, and how the next ones shall end."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.by_key: Counter[str] = Counter()
        self.by_call: Counter[str] = Counter()
        self.attempts: dict[str, list[str]] = {}
        self.ends: dict[int, End] = {}
        self.can_tell = True
        self.process = Process()
        self.changed: Any = lambda: None

    def restart(self) -> None:
        """The program dies, with every attempt in it."""
        old, self.process = self.process, Process()
        old.alive = False
        for hang in list(old.hanging.values()):
            hang.release()

    def tools(self) -> tuple[Tool[Any, int], Tool[Any, int]]:
        """Two tools: one whose doubts only people resolve, one that can look for itself."""
        process = self.process

        async def pay(context: ToolContext[Any], args: Payment) -> int:
            """Take a payment for an order."""
            return await _Attempt(self, process, context, args).run()

        async def post(context: ToolContext[Any], args: Payment) -> int:
            """Post a payment that can be looked up."""
            return await _Attempt(self, process, context, args).run()

        def look(context: ToolContext[Any], args: Payment) -> Applied[int] | NotApplied | None:
            if not self.can_tell:
                return None
            return Applied(args.cents) if self.by_call[context.call_id] else NotApplied("not in the books")

        contract: dict[str, Any] = {
            "effect": "write",
            "roles": {"clerk"},
            "timeout": TIMEOUT,
            "breaker": None,
            "approval": Approval(approvers={"lead"}, when={"cents": {"gt": 1000}}, expires_in=EXPIRY),
        }
        return (
            tool(idempotency="pay:{order}:{workflow_id}", **contract)(pay),
            tool(idempotency="post:{order}:{workflow_id}", reconcile=look, horizon=HORIZON, **contract)(post),
        )


class _Attempt:
    def __init__(
        self, business: Business, process: Process, context: ToolContext[Any], args: Payment
    ) -> None:
        self.business = business
        self.process = process
        self.context = context
        self.args = args
        assert context.idempotency_key is not None
        self.key: str = context.idempotency_key

    async def run(self) -> int:  # noqa: C901, PLR0912 - one line an end is the point
        with self.business.lock:
            self.business.attempts.setdefault(self.key, []).append(self.context.call_id)
            end = self.business.ends.pop(self.args.order, End.OK)
        match end:
            case End.OK:
                self.happens()
            case End.DECLINED:
                raise Declined
            case End.TRANSIENT:
                raise TransientError("busy")
            case End.LOST_REQUEST:
                raise ConnectionResetError
            case End.LOST_REPLY:
                self.happens()
                raise ConnectionResetError
            case End.BUG_BEFORE:
                raise ValueError("a bug")
            case End.BUG_AFTER:
                self.happens()
                raise ValueError("a bug")
            case End.BAD_RESULT:
                self.happens()
                return "nonsense"  # type: ignore[return-value]
            case End.HALF_DONE:
                self.happens()
                raise HalfDone
            case End.HANGS_BEFORE:
                await self.hang(stubborn=False)
                self.happens()
            case End.HANGS_AFTER:
                self.happens()
                await self.hang(stubborn=False)
            case End.STUBBORN:
                await self.hang(stubborn=True)
                self.happens()
            case End.STUBBORN_DECLINED:
                await self.hang(stubborn=True)
                raise Declined
            case End.WISHES:
                if self.context.approval is None:
                    raise NeedsApproval("somebody should look at it", approvers={"lead"})
                self.happens()
        return self.args.cents

    def happens(self) -> None:
        """The one thing that must not happen twice."""
        with self.business.lock:
            if not self.process.alive:
                raise Killed
            self.business.by_key[self.key] += 1
            self.business.by_call[self.context.call_id] += 1

    async def hang(self, *, stubborn: bool) -> None:
        hang = Hang(
            call_id=self.context.call_id,
            loop=asyncio.get_running_loop(),
            let_go=asyncio.Event(),
            stubborn=stubborn,
        )
        self.process.hanging[hang.call_id] = hang
        self.business.changed()
        try:
            while not hang.let_go.is_set():
                try:
                    await hang.let_go.wait()
                except asyncio.CancelledError:
                    if not stubborn:
                        raise
        finally:
            del self.process.hanging[hang.call_id]
        if not self.process.alive:
            raise Killed
