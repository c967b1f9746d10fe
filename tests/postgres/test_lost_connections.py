"""A connection that is cut at any moment, and a server that goes away: what was answered is true, and once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import pytest

from tests.ledger import rows as make
from tests.postgres.ledgers import PATIENT, all_at_once, opened, verified
from tests.postgres.proxy import Cut, Proxy
from toolgate.domain.commands import Done, Renew
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.rows import ByCall

if TYPE_CHECKING:
    from tests.postgres.server import PostgresServer

HASTY = PATIENT._replace(outage=0.5)


# --- a commit's answer ----------------------------------------------------------------------------------------


@pytest.mark.req("X1.14", "X1.40")
@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.IN, Cut.AFTER])
async def test_a_commit_whose_answer_is_lost_is_looked_up_and_the_group_written_once(
    postgres_dsn: str, cut: Cut
) -> None:
    with Proxy(postgres_dsn) as proxy:
        async with opened(proxy.dsn) as store:
            await store.execute(make.record("call_0"))
            happened = proxy.fail(cut, "COMMIT")

            answers = await all_at_once(
                store, *(make.intend(f"call_{n}", key=b"%d" % n) for n in range(1, 9))
            )

            assert happened.is_set()
            assert [type(answer) for answer in answers] == [Done] * 8
            # opened, call_0, held and eight: nothing twice, no gap.
            assert await verified(store) == 11


@pytest.mark.req("X1.14", "X1.40")
@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
async def test_a_lost_commit_that_left_no_event_is_looked_up_by_the_number_of_its_transaction(
    postgres_dsn: str, cut: Cut
) -> None:
    with Proxy(postgres_dsn) as proxy:
        async with opened(proxy.dsn) as store:
            await store.execute(make.intend())
            happened = proxy.fail(cut, "COMMIT")

            answer = await store.execute(Renew("call_1", make.OWNER, make.LEASE + 99))

            assert happened.is_set()
            assert isinstance(answer, Done)
            found = await store.find(ByCall("call_1"))
            assert found.call is not None
            assert found.call.lease_until == make.LEASE + 99


@pytest.mark.req("X1.14", "X1.40", "X5.7")
@pytest.mark.parametrize(("cut", "written"), [(Cut.BEFORE, False), (Cut.AFTER, True)])
async def test_a_commit_that_cannot_be_looked_up_is_in_doubt_and_the_chain_goes_on_from_the_database(
    postgres_dsn: str, cut: Cut, *, written: bool
) -> None:
    with Proxy(postgres_dsn) as proxy:
        async with opened(proxy.dsn, patience=HASTY) as store:
            await store.execute(make.record("call_0"))
            proxy.fail(cut, "COMMIT", stay_closed=True)

            with pytest.raises(StoreInDoubt):
                await store.execute(make.intend())
            with pytest.raises(StoreUnavailable):
                await store.execute(make.record("call_2"))
            proxy.closed = False

            assert isinstance(await store.execute(make.record("call_3")), Done)
            assert ((await store.find(ByCall("call_1"))).call is not None) is written
            assert await verified(store) == (4 if written else 3)


@pytest.mark.req("X1.40")
async def test_a_network_that_falls_silent_in_a_commit_is_given_up_and_the_commit_looked_up(
    postgres_dsn: str,
) -> None:
    with Proxy(postgres_dsn) as proxy:
        async with opened(proxy.dsn) as store:
            await store.execute(make.record("call_0"))
            db = await store.link.run(store._writer._session._connection.made(0))
            db._config = db._config._replace(command_timeout=1.0)  # type: ignore[attr-defined]
            happened = proxy.fail(Cut.FREEZE, "COMMIT")

            # The session that is left behind holds the locks and will never commit: it is ended by the store.
            assert isinstance(await store.execute(make.intend()), Done)

            assert happened.is_set()
            assert await verified(store) == 3


# --- at any statement -----------------------------------------------------------------------------------------


@pytest.mark.req("X1.41")
@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.IN, Cut.AFTER])
async def test_a_connection_may_be_cut_at_any_statement_of_a_group(postgres_dsn: str, cut: Cut) -> None:
    with Proxy(postgres_dsn) as proxy:
        async with opened(proxy.dsn) as store:
            await store.execute(make.record("call_0"))
            rounds = 0
            happened = proxy.fail(cut)
            while True:
                rounds += 1
                name, key = f"call_{rounds}", b"key %d" % rounds
                answers = [
                    await store.execute(make.draft(name, key)),
                    await store.execute(make.approve(name)),
                    await store.execute(make.dispatch(name)),
                    await store.execute(make.settle(name, key_mac=key, approval_id=f"appr_{name}")),
                ]

                assert [type(answer) for answer in answers] == [Done] * 4
                if not happened.is_set():
                    break
                happened = proxy.fail(cut, at=rounds + 1)
            # The opening of the chain, one read, and four events a round: nothing was written twice or left out.
            assert await verified(store) == 2 + 4 * rounds
            assert rounds > 20


@pytest.mark.req("X1.41", "X5.7")
@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
async def test_a_connection_may_be_cut_at_any_statement_with_which_a_chain_begins(
    postgres_dsn: str, cut: Cut
) -> None:
    boots = 0
    with Proxy(postgres_dsn) as proxy:
        while True:
            boots += 1
            async with opened(proxy.dsn, f"boot_{boots:02}") as store:
                happened = proxy.fail(cut, at=boots)
                assert isinstance(await store.execute(make.record(f"call_{boots}")), Done)
                if not happened.is_set():
                    break
        async with opened(postgres_dsn, "boot_z") as store:
            assert await verified(store) == 2 * boots
    assert boots > 15


# --- a server that goes away ----------------------------------------------------------------------------------


@pytest.mark.req("X1.43")
async def test_a_longer_outage_refuses_everybody_until_it_is_over(postgres_dsn: str) -> None:
    with Proxy(postgres_dsn) as proxy:
        async with opened(proxy.dsn, patience=HASTY) as store:
            await store.execute(make.record("call_0"))
            proxy.closed = True

            refused = await asyncio.gather(
                *(store.execute(make.record(f"call_x{n}")) for n in range(600)), return_exceptions=True
            )

            assert {type(answer) for answer in refused} == {StoreUnavailable}
            assert len({id(answer) for answer in refused}) == 600
            proxy.closed = False
            assert isinstance(await store.execute(make.record("call_1")), Done)
            assert await verified(store) == 3


@pytest.mark.req("X1.43", "X5.7")
async def test_a_restart_of_the_server_is_waited_for_and_nothing_is_lost(
    private_postgres: PostgresServer,
) -> None:
    dsn = private_postgres.create("ledger")
    done = 0

    async def keep_writing(worker: int) -> None:
        nonlocal done
        number = 0
        while not stop.is_set():
            name, key = f"call_{worker}_{number}", b"%d %d" % (worker, number)
            assert isinstance(await store.execute(make.intend(name, key=key)), Done)
            assert isinstance(await store.execute(make.settle(name, key_mac=key)), Done)
            done += 1
            number += 1
            progress.set()

    async def until_more_are_done(count: int) -> None:
        goal = done + count
        while done < goal:
            progress.clear()
            await progress.wait()

    stop, progress = asyncio.Event(), asyncio.Event()
    async with opened(dsn, now=None, patience=PATIENT) as store:
        working = [asyncio.ensure_future(keep_writing(n)) for n in range(8)]
        ways: tuple[Literal["fast", "immediate"], ...] = ("immediate", "fast", "immediate")
        for how in ways:
            await until_more_are_done(50)
            await asyncio.to_thread(private_postgres.stop, how)
            await asyncio.to_thread(private_postgres.start)
        await until_more_are_done(50)
        stop.set()
        await asyncio.gather(*working)

        assert await verified(store) == 1 + 2 * done
