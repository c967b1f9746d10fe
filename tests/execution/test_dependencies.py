"""``deps``: entered once a call, after the role check, and left however the call ends, knowing how."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tests.execution.stage import ANN, Halt, drive, flights_over, row, stage
from toolgate import (
    Approval,
    BusinessRule,
    Caller,
    Denied,
    Failed,
    NeedsApproval,
    PendingApproval,
    Refused,
    Succeeded,
    ToolContext,
    TransientError,
    Unknown,
    tool,
)
from toolgate.ports import ApprovalFilter
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M4.11")
STRANGER = Caller("zoe", roles={"sales"}, tenant="acme")


class Session:
    """Something that is open or not, and remembers how it was left."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.open = 0

    @asynccontextmanager
    async def deps(self, caller: Caller) -> AsyncIterator[Session]:
        self.log.append(f"entered for {caller.id}")
        self.open += 1
        try:
            yield self
        except BaseException as error:
            self.log.append(f"rolled back for {type(error).__name__}")
            raise
        else:
            self.log.append("committed")
        finally:
            self.open -= 1


def working(act: Any, **more: Any) -> Any:
    @tool(effect="write", roles={"support"}, timeout=5, idempotency="w:{number}", **more)
    async def work(context: ToolContext[Session], number: int) -> str:
        """Work."""
        assert context.deps.open == 1
        return str(await act(context))

    return work


async def test_they_are_entered_once_for_predicates_retries_and_run_together(clock: FakeClock) -> None:
    session = Session()

    async def act(context: ToolContext[Session]) -> str:
        if context.attempt == 1:
            raise TransientError("Busy.")
        return "done"

    async def authorize(context: ToolContext[Session], args: Any) -> bool:
        return context.deps is session

    work = working(act, retries=2, authorize=authorize)
    async with stage(work, clock=clock, deps=session.deps) as gateway:
        outcome = await drive(asyncio.create_task(gateway.call(work, {"number": 1}, caller=ANN)), clock)

    assert outcome.unwrap() == "done"
    assert session.log == ["entered for ann", "committed"]


async def test_they_are_not_entered_for_one_who_has_none_of_the_roles(clock: FakeClock) -> None:
    session = Session()
    work = working(None)
    async with stage(work, clock=clock, deps=session.deps) as gateway:
        refused = await gateway.call(work, {"number": 1}, caller=STRANGER)
        unfit = await gateway.call(work, {"number": "one"}, caller=ANN)

    assert isinstance(refused, Refused)
    assert isinstance(unfit, Refused)
    assert session.log == []


async def test_a_denial_by_a_predicate_leaves_them(clock: FakeClock) -> None:
    session = Session()
    work = working(None, authorize=lambda context, args: Denied("not theirs") if context.deps.open else args)
    async with stage(work, clock=clock, deps=session.deps) as gateway:
        refused = await gateway.call(work, {"number": 1}, caller=ANN)

    assert isinstance(refused, Refused)
    assert session.log == ["entered for ann", "committed"]


async def test_a_hold_leaves_them_and_the_run_after_the_approval_enters_them_anew(clock: FakeClock) -> None:
    session = Session()
    work = working(
        None,
        approval=Approval(reason="always", approvers={"boss"}),
        preview=lambda context, args: f"{args.number}, open: {context.deps.open}",
    )
    async with stage(work, clock=clock, deps=session.deps) as gateway:
        held = await gateway.call(work, {"number": 1}, caller=ANN)

    assert isinstance(held, PendingApproval)
    assert session.log == ["entered for ann", "committed"]


@pytest.mark.parametrize(
    "error", [BusinessRule("No."), ValueError("x"), SystemExit(), TransientError("Busy.")]
)
async def test_a_tool_that_raises_shows_it_to_them_so_that_they_roll_back(
    error: BaseException, clock: FakeClock
) -> None:
    session = Session()

    async def act(context: ToolContext[Session]) -> str:
        raise error

    work = working(act)
    async with stage(work, clock=clock, deps=session.deps) as gateway:
        await gateway.call(work, {"number": 1}, caller=ANN)

    assert session.log[0] == "entered for ann"
    assert session.log[1].startswith("rolled back for ")
    assert session.open == 0


async def test_deps_that_swallow_the_failure_do_not_turn_it_into_a_success(clock: FakeClock) -> None:
    @asynccontextmanager
    async def swallowing(caller: Caller) -> AsyncIterator[None]:
        with suppress(ValueError):
            yield

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="w:{number}")
    async def work(number: int) -> str:
        """Work."""
        raise ValueError

    async with stage(work, clock=clock, deps=swallowing) as gateway:
        outcome = await gateway.call(work, {"number": 1}, caller=ANN)

    assert isinstance(outcome, Unknown)


async def test_at_the_deadline_they_are_left_by_the_cancellation_and_roll_back(clock: FakeClock) -> None:
    session, halt = Session(), Halt()

    async def act(context: ToolContext[Session]) -> str:
        await halt.here()
        return "done"

    work = working(act)
    async with stage(work, clock=clock, deps=session.deps) as gateway:
        call = asyncio.create_task(gateway.call(work, {"number": 1}, caller=ANN))
        await halt.reached()
        clock.advance(5.1)
        assert isinstance(await call, Unknown)
        await flights_over(gateway)

    assert session.log == ["entered for ann", "rolled back for CancelledError"]


@pytest.mark.req("M10.10")
@pytest.mark.parametrize("effect", ["read", "write"])
async def test_an_error_on_leaving_leaves_a_write_in_doubt_and_fails_a_read(
    effect: Any, clock: FakeClock
) -> None:
    @asynccontextmanager
    async def sticky(caller: Caller) -> AsyncIterator[None]:
        yield
        raise RuntimeError("the commit failed: sk_live_4242424242424242")

    key = {} if effect == "read" else {"idempotency": "w:{number}"}

    @tool(effect=effect, roles={"support"}, timeout=5, **key)  # type: ignore[arg-type]
    async def work(number: int) -> str:
        """Work."""
        return "done"

    async with stage(work, clock=clock, deps=sticky) as gateway:
        outcome = await gateway.call("work", {"number": 1}, caller=ANN)

    assert (outcome.status, outcome.effect) == {"read": ("failed", "none"), "write": ("unknown", "unknown")}[
        effect
    ]
    assert outcome.advice == "ask_human"
    assert "4242" not in str(outcome)


@pytest.mark.parametrize("error", [RuntimeError("x"), SystemExit(3), asyncio.CancelledError()])
async def test_deps_that_cannot_be_entered_fail_the_call_without_an_effect_and_without_ending_the_loop(
    error: BaseException, clock: FakeClock
) -> None:
    ran = []

    @asynccontextmanager
    async def broken(caller: Caller) -> AsyncIterator[None]:
        if caller == ANN:
            raise error
        yield

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="w:{number}")
    async def work(number: int) -> str:
        """Work."""
        ran.append(number)
        return "done"

    async with stage(work, clock=clock, deps=broken) as gateway:
        outcome = await gateway.call(work, {"number": 1}, caller=ANN)
        kept = await row(gateway, outcome.call_id)
        other = await gateway.call(
            work, {"number": 2}, caller=Caller("bob", roles={"support"}, tenant="acme")
        )

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect) == ("internal_error", "none")
    assert kept.effect_state == "not_applied"
    assert isinstance(other, Succeeded)
    assert ran == [2]


async def test_a_preview_after_the_business_asked_for_a_person_finds_them_open(clock: FakeClock) -> None:
    session = Session()

    async def act(context: ToolContext[Session]) -> str:
        raise NeedsApproval("Too much for one.", approvers={"boss"})

    def preview(context: ToolContext[Session], args: Any) -> str:
        return f"sessions open: {context.deps.open}"

    work = working(act, preview=preview)
    async with stage(work, clock=clock, deps=session.deps) as gateway:
        held = await gateway.call(work, {"number": 1}, caller=ANN)
        (approval,) = await gateway.store.approvals(ApprovalFilter(open_only=True))

    assert isinstance(held, PendingApproval)
    assert b"sessions open: 1" in approval.shown
    assert session.open == 0
