"""Word of what was committed, from process to process, and what is woken by it."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger import rows as make
from tests.people import decide_approval
from tests.postgres.replicas import PATIENCE, replicas, until
from toolgate import Approval, Caller, Outcome, PendingApproval, Succeeded, Tool, tool
from toolgate.adapters.stores.postgres.store import PostgresStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres.server import PostgresServer

ANN, LEA = Caller("ann", {"clerk"}, "acme"), Caller("lea", {"lead"}, "acme")
PARTS = 20.0
"""Of a round of housekeeping: within one, nobody is woken by it."""


class Ear:
    """Counts the word that came, in whichever thread."""

    def __init__(self) -> None:
        self.times = 0
        self.heard = threading.Event()

    def __call__(self) -> None:
        self.times += 1
        self.heard.set()


@pytest.mark.req("X1.53")
async def test_what_one_process_commits_another_hears_and_its_own_watchers_too(postgres_dsn: str) -> None:
    one, two = (PostgresStore(postgres_dsn, boot_id=f"boot_{name}") for name in "ab")
    await one.open()
    await two.open()
    far, own, deaf = Ear(), Ear(), Ear()
    two.watch(far, elsewhere=True)
    one.watch(own)
    one.watch(deaf, elsewhere=True)
    await two.announce()  # it listens once this is answered
    await one.announce()
    own.times = deaf.times = 0
    await one.execute(make.intend("call_1", b"key"))
    assert own.times >= 1
    assert await asyncio.to_thread(far.heard.wait, PATIENCE)
    assert deaf.times == 0
    await one.close()
    await two.close()


@pytest.mark.req("X1.53")
async def test_whoever_stopped_watching_hears_nothing(postgres_dsn: str) -> None:
    store = PostgresStore(postgres_dsn, boot_id="boot_a")
    await store.open()
    ear = Ear()
    stop = store.watch(ear)
    stop()
    await store.execute(make.intend("call_1", b"key"))
    assert ear.times == 0
    await store.close()


@pytest.mark.req("X1.53")
async def test_a_listener_comes_back_with_the_server(private_postgres: PostgresServer) -> None:
    dsn = private_postgres.create("ledger")
    one, two = (PostgresStore(dsn, boot_id=f"boot_{name}") for name in "ab")
    await one.open()
    await two.open()
    await two.announce()
    await asyncio.to_thread(private_postgres.kill)
    await asyncio.to_thread(private_postgres.start)
    ear = Ear()
    two.watch(ear, elsewhere=True)
    # Whoever comes back looks, for it may have missed something.
    assert await asyncio.to_thread(ear.heard.wait, PATIENCE)
    assert await one.is_served()
    await one.close()
    await two.close()


@pytest.mark.req("X1.53")
async def test_the_sign_of_a_gateway_is_seen_from_anywhere_and_goes_with_it(postgres_dsn: str) -> None:
    one, two = (PostgresStore(postgres_dsn, boot_id=f"boot_{name}") for name in "ab")
    await one.open()
    await two.open()
    assert not await two.is_served()
    await one.announce()
    assert await two.is_served()
    await one.withdraw()
    assert not await two.is_served()
    await one.announce()
    await one.close()
    async with asyncio.timeout(PATIENCE):
        while await two.is_served():  # noqa: ASYNC110 - the server notices by itself that somebody left
            await asyncio.sleep(0.01)
    await two.close()


def refunds() -> list[Tool[Any, Any]]:
    @tool(
        effect="write", roles={"clerk"}, idempotency="refund:{order}", approval=Approval(approvers={"lead"})
    )
    async def refund(order: int) -> int:
        """Pay an order back."""
        return order

    return [refund]


@pytest.mark.req("X1.54")
async def test_an_approval_decided_on_one_replica_wakes_the_waiter_on_another_within_a_second(
    postgres_dsn: str, tmp_path: Path
) -> None:
    # Nobody's own round comes in time: whatever happens is because of word.
    async with replicas(3, postgres_dsn, tmp_path, refunds, housekeeping=3600.0) as (asked, decided, other):
        held = await asked.call("refund", {"order": 1}, caller=ANN, workflow="w")
        assert isinstance(held, PendingApproval)
        waiting: list[asyncio.Task[Outcome[Any]]] = [
            asyncio.create_task(gateway.wait_for(held, caller=ANN, timeout=PATIENCE))
            for gateway in (asked, other)
        ]
        await until(lambda: all(gateway._news is not None for gateway in (asked, other)))
        await decide_approval(decided, held.approval_id, "approve", voter=LEA, reason="checked")
        began = time.monotonic()
        outcomes = await asyncio.gather(*waiting)
        took = time.monotonic() - began

    assert all(isinstance(outcome, Succeeded) for outcome in outcomes)
    # The claim is one second; a machine that does nine things at once is given more.
    assert took < PARTS
