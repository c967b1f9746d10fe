"""Two releases on one database while they change places: each does its own, and nothing is lost between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.releases.desk import ANA, LEO
from tests.releases.street import Street
from toolgate import Approval, Gateway, PendingApproval, Succeeded, Tool, tool
from toolgate.operations.dispatch_approved import OTHER_RELEASE
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import ApprovalFilter, CallFilter
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("X1.28")

SETTINGS: dict[str, Any] = {
    "effect": "write",
    "roles": {"support"},
    "timeout": 5.0,
    "idempotency": "refund:{order_id}:{workflow_id}",
    "approval": Approval(approvers={"lead"}, expires_in="30d"),
}


def old_refund(ran: list[str]) -> Tool[Any, Any]:
    @tool(name="refund", version="1", **SETTINGS)
    async def refund(order_id: Annotated[int, Field(gt=0)]) -> str:
        """Refund one order."""
        ran.append(f"old {order_id}")
        return f"refunded {order_id}"

    return refund


def new_refund(ran: list[str]) -> Tool[Any, Any]:
    @tool(name="refund", version="2", **SETTINGS)
    async def refund(
        order_id: Annotated[int, Field(gt=0)], reason: Annotated[str, Field(max_length=40)] = "none"
    ) -> str:
        """Refund one order, and say why."""
        ran.append(f"new {order_id}")
        return f"refunded {order_id}"

    return refund


def added(ran: list[str]) -> Tool[Any, Any]:
    @tool(
        effect="write",
        roles={"support"},
        timeout=5.0,
        approval=Approval(approvers={"lead"}),
        idempotency="a:{workflow_id}",
    )
    async def added() -> str:
        """Something that only the new release can do."""
        ran.append("added")
        return "done"

    return added


@pytest.fixture
def street(postgres_dsn: str) -> Street:
    return Street(postgres_dsn, FakeClock())


async def swept(*gateways: Gateway) -> None:
    for _ in range(3):
        for gateway in gateways:
            await gateway.sweep()


async def state_of(gateway: Gateway, held: PendingApproval) -> str:
    (row,) = [
        row
        for row in await gateway.store.approvals(ApprovalFilter(open_only=False))
        if row.approval_id == held.approval_id
    ]
    return row.state.value


async def ended(gateway: Gateway, held: PendingApproval) -> Any:
    return await gateway.wait_for(held, caller=ANA, timeout="20s")


async def test_the_old_release_leaves_a_call_of_the_new_one_to_it(street: Street) -> None:
    async with street.release(old_refund) as old, street.release(new_refund) as new:
        held = await street.held(new, 1)
        await old.approve(held.approval_id, by=LEO, reason="it is due")
        await swept(old)
        assert (street.ran, await state_of(old, held)) == ([], "approved")
        await swept(new, old)

        assert isinstance(await ended(old, held), Succeeded)
        assert street.ran == ["new 1"]


async def test_the_new_release_leaves_what_the_old_one_takes_beside_it_to_it(street: Street) -> None:
    async with street.release(old_refund) as old, street.release(new_refund) as new:
        held = await street.held(old, 1)
        await new.approve(held.approval_id, by=LEO, reason="it is due")
        await swept(new)
        assert (street.ran, await state_of(new, held)) == ([], "approved")
        await swept(old, new)

        assert isinstance(await ended(new, held), Succeeded)
        assert street.ran == ["old 1"]


async def test_what_nobody_of_the_other_release_runs_is_cancelled_in_the_end(street: Street) -> None:
    async with street.release(old_refund) as old, street.release(new_refund) as new:
        held = await street.held(old, 1)
        await new.approve(held.approval_id, by=LEO, reason="it is due")
        street.clock.advance(OTHER_RELEASE + 1)
        await swept(new)

        assert (street.ran, await state_of(new, held)) == ([], "cancelled")
        outcome = await ended(new, held)
        assert outcome.error_type == "contract_changed"


async def test_a_changed_contract_ends_what_was_approved_before_the_new_release_began(street: Street) -> None:
    async with street.release(old_refund) as old:
        held = await street.held(old, 1)
        await old.approve(held.approval_id, by=LEO, reason="it is due")
        async with street.release(new_refund) as new:
            await swept(new)

            assert (street.ran, await state_of(new, held)) == ([], "cancelled")


async def test_a_release_leaves_a_tool_that_it_does_not_know(street: Street) -> None:
    async with street.release(old_refund) as old, street.release(new_refund, added) as new:
        held = await street.held(new, 9, name="added")
        await old.approve(held.approval_id, by=LEO, reason="it is due")
        await swept(old)
        assert (street.ran, await state_of(old, held)) == ([], "approved")
        await swept(new)

        assert isinstance(await ended(new, held), Succeeded)


async def test_a_rolling_restart_under_load_loses_no_call_and_doubles_none(street: Street) -> None:
    """Two replicas of the old release are replaced one by one, while calls go to whoever is there."""
    notes: list[str] = []

    def noting(release: str) -> Callable[[list[str]], Tool[Any, Any]]:
        def make(ran: list[str]) -> Tool[Any, Any]:
            @tool(
                name="note",
                version=release,
                effect="write",
                roles={"support"},
                timeout=5.0,
                idempotency="n:{workflow_id}",
            )
            async def note() -> str:
                """Write a note."""
                notes.append(release)
                return release

            return note

        return make

    there: list[Gateway] = []
    answers: dict[int, Any] = {}
    numbers = iter(range(10_000))
    over, answered = asyncio.Event(), asyncio.Event()

    async def caller() -> None:
        while not over.is_set():
            number = next(numbers)
            gateway = there[number % len(there)]
            answers[number] = await gateway.call("note", {}, caller=ANA, workflow=f"n{number}")
            answered.set()

    async def until(count: int) -> None:
        target = len(answers) + count
        while len(answers) < target:
            answered.clear()
            await answered.wait()

    async with street.release(noting("1")) as first, street.release(noting("1")) as second:
        there[:] = [first, second]
        callers = [asyncio.ensure_future(caller()) for _ in range(8)]
        await until(20)
        async with street.release(noting("2")) as third, street.release(noting("2")) as fourth:
            there[:] = [second, third]
            await until(20)
            there[:] = [third, fourth]
            await until(20)
            over.set()
            await asyncio.gather(*callers)

            rows = await _all_calls(third)
            assert [outcome.reasons for outcome in answers.values() if not outcome.ok] == []
            assert len(notes) == len(answers) == len(rows)
            assert {row.status for row in rows} == {"succeeded"}
            again = [await fourth.call("note", {}, caller=ANA, workflow=f"n{number}") for number in (0, 1)]
            assert all(outcome.replayed for outcome in again)
            assert (await verify_audit(third.store)).intact


async def _all_calls(gateway: Gateway) -> Sequence[Any]:
    rows: list[Any] = []
    before = None
    while True:
        page = await gateway.store.calls(CallFilter(before=before, limit=500))
        rows += page.rows
        if page.next is None:
            return rows
        before = page.next
