"""One transaction for many callers on Postgres: who is refused alone, and what is on the disk when an answer comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.ledger import rows as make
from tests.postgres.ledgers import PATIENT, Held, all_at_once, opened, settled, until, verified
from toolgate.adapters.stores.postgres import session as session_module
from toolgate.adapters.stores.postgres import writer as writer_module
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.adapters.stores.postgres.writer import Job
from toolgate.domain.commands import Append, Done, Lapse, PlanNotice, Renew, Taken
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.ledger import Decision, decide
from toolgate.domain.rows import ByCall, Found

if TYPE_CHECKING:
    from tests.postgres.server import SharedServer
    from toolgate.domain.commands import Command


async def plant(dsn: str, sql: str) -> None:
    """Something that nobody but the owner of the database can do."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "toolgate"})
    await connection.execute(sql)
    await connection.close()


def refusing(table: str, what: str) -> str:
    return (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no: %', NEW.call_id; END $$; "
        f"CREATE TRIGGER refusing BEFORE {what} ON {table} FOR EACH ROW "
        "WHEN (NEW.call_id LIKE 'call_bad%') EXECUTE FUNCTION refuse()"
    )


# --- one group ------------------------------------------------------------------------------------------------


@pytest.mark.req("X1.18", "X5.7")
async def test_one_bad_command_of_a_group_fails_alone(postgres_dsn: str) -> None:
    async with opened(postgres_dsn) as store:
        await store.execute(make.record("call_0"))
        good = [make.record(f"call_{number}") for number in range(1, 40)]

        answers = await all_at_once(store, *good[:20], make.record("call_0"), *good[20:])

        assert [type(answer) for answer in answers] == [Done] * 20 + [StoreUnavailable] + [Done] * 19
        # opened, call_0, held, and 39 good ones: the refused one left no gap and nothing twice.
        assert await verified(store) == 42


@pytest.mark.req("X1.18", "X5.7", "X1.2")
@pytest.mark.parametrize(("table", "what"), [("calls", "INSERT"), ("audit", "INSERT"), ("sealed", "INSERT")])
async def test_what_the_database_refuses_fails_alone_and_whole(
    postgres_dsn: str, table: str, what: str
) -> None:
    async with opened(postgres_dsn) as store:
        await store.execute(make.record("call_0"))
        await plant(postgres_dsn, refusing(table, what))
        good = [make.intend(f"call_{number}", key=b"%d" % number) for number in range(1, 30)]
        bad = make.intend("call_bad", key=b"bad")

        answers = await all_at_once(store, *good[:11], bad, *good[11:])

        assert [type(answer) for answer in answers] == [Done] * 11 + [StoreUnavailable] + [Done] * 18
        assert "call_bad" not in str(answers[11])
        assert await store.find(ByCall("call_bad")) == Found()
        assert await verified(store) == 32


@pytest.mark.req("X1.18")
async def test_two_new_calls_of_one_id_in_one_group_are_not_one(postgres_dsn: str) -> None:
    async with opened(postgres_dsn) as store:
        answers = await all_at_once(store, make.record("call_1"), make.record("call_1", status="failed"))

        assert [type(answer) for answer in answers] == [Done, StoreUnavailable]
        found = await store.find(ByCall("call_1"))
        assert found.call is not None
        assert found.call.status == "succeeded"


@pytest.mark.req("X1.18")
async def test_a_decision_that_raises_harms_only_its_own_caller(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide_badly(command: Command, found: Any, now: int) -> Decision:
        if isinstance(command, Renew):
            raise KeyError("secret")
        return decide(command, found, now)

    monkeypatch.setattr(session_module, "decide", decide_badly)
    async with opened(postgres_dsn) as store:
        answers = await all_at_once(
            store, make.record("call_1"), Renew("call_1", "x", 1), make.record("call_2")
        )

        assert [type(answer) for answer in answers] == [Done, StoreUnavailable, Done]
        assert "secret" not in str(answers[1])
        assert await verified(store) == 4


@pytest.mark.req("X1.18")
async def test_a_group_sees_what_its_earlier_commands_wrote(postgres_dsn: str) -> None:
    async with opened(postgres_dsn) as store:
        answers = await all_at_once(
            store,
            make.intend(key=b"k"),
            make.settle(key_mac=b"k"),
            make.intend("call_2", key=b"k"),
            make.draft("call_3", b"another"),
            make.approve("call_3"),
            make.dispatch("call_3"),
        )

        kinds = [type(answer).__name__ for answer in answers]
        assert kinds == ["Done", "Done", "Taken", "Done", "Done", "Done"]
        assert await store.find(ByCall("call_1")) == Found(call=make.settle(key_mac=b"k").call)


@pytest.mark.req("X1.18")
async def test_more_commands_than_a_group_takes_are_all_answered(postgres_dsn: str) -> None:
    async with opened(postgres_dsn) as store:
        commands = [make.record(f"call_{number:04}") for number in range(writer_module.MAX_GROUP * 2 + 7)]

        answers = await all_at_once(store, *commands)

        assert answers == [Done()] * len(commands)
        assert await verified(store) == len(commands) + 2


@pytest.mark.req("X1.18")
async def test_more_events_than_a_transaction_can_number_are_refused_alone(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolgate.adapters.stores.postgres.overlay.MOST_EVENTS", 10)
    async with opened(postgres_dsn) as store:
        crowd = Append(tuple(make.note(str(number)) for number in range(11)))
        good = [make.record(f"call_{number}") for number in range(16)]

        answers = await all_at_once(store, *good[:8], crowd, *good[8:])

        assert [type(answer) for answer in answers] == [Done] * 8 + [StoreUnavailable] + [Done] * 8
        assert await verified(store) == 18


# --- what Postgres cannot keep --------------------------------------------------------------------------------


@pytest.mark.req("X1.45")
@pytest.mark.parametrize(
    "bad",
    [
        make.record("call_b", workflow_id="nul\0here"),
        make.put_token(label="half\ud800here"),
        make.record("call_b", agent="é\0"),
        make.record("nul\0here"),
        make.intend("call_b", key=b"k", lease_until=2**63),
        make.draft("call_b", b"k", tool="nul\0here"),
        make.put_token(label="nul\0here"),
    ],
)
async def test_a_value_without_a_place_in_postgres_refuses_its_command_alone(
    postgres_dsn: str, bad: Command
) -> None:
    async with opened(postgres_dsn) as store:
        answers = await all_at_once(store, make.record("call_1"), bad, make.record("call_2"))

        assert [type(answer) for answer in answers] == [Done, StoreUnavailable, Done]
        assert "here" not in str(answers[1])
        assert "Postgres cannot keep" in str(answers[1]) or "more than 64 bits" in str(answers[1])
        assert await verified(store) == 4


@pytest.mark.req("X1.45")
async def test_looking_for_what_cannot_be_there_finds_nothing_and_harms_nobody(postgres_dsn: str) -> None:
    async with opened(postgres_dsn) as store:
        answers = await all_at_once(
            store,
            make.record("call_1"),
            Renew("nul\0here", "x", 1),
            Lapse("half\udfffhere", "x"),
            make.approve("nul\0here"),
            PlanNotice("nul\0here", ()),
        )

        assert [type(answer).__name__ for answer in answers] == [
            "Done",
            "Superseded",
            "Superseded",
            "NotAllowed",
            "Superseded",
        ]


@pytest.mark.req("X1.45")
async def test_every_other_character_and_the_greatest_numbers_are_kept_as_they_are(postgres_dsn: str) -> None:
    text = "".join(map(chr, range(1, 0x300))) + "\u2028\ufffe\uffff😀\U0010ffff" + "'\"\\{},()"
    async with opened(postgres_dsn) as store:
        command = make.intend("call_1", key=bytes(range(256)), workflow_id=text, lease_until=2**63 - 1)

        assert isinstance(await store.execute(command), Done)

        found = await store.find(ByCall("call_1"))
        assert found.call == command.call


# --- other replicas' locks ------------------------------------------------------------------------------------


@pytest.mark.req("X1.18", "X1.42")
async def test_a_row_that_somebody_holds_for_long_refuses_only_who_needs_it(postgres_dsn: str) -> None:
    hasty = PATIENT._replace(lock=0.2)
    async with opened(postgres_dsn, patience=hasty) as store:
        await store.execute(make.intend("call_1"))
        connection = await asyncpg.connect(postgres_dsn)
        await connection.execute("BEGIN; SELECT * FROM toolgate.calls WHERE call_id = 'call_1' FOR UPDATE")

        answers = await all_at_once(
            store, *(make.record(f"call_{n}") for n in "23456"), make.settle("call_1"), make.record("call_7")
        )

        assert [type(answer) for answer in answers] == [Done] * 5 + [StoreUnavailable, Done]
        await connection.close()
        assert isinstance(await store.execute(make.settle("call_1")), Done)


@pytest.mark.req("X1.20")
async def test_the_writer_waits_for_the_disk(postgres_dsn: str) -> None:
    async with opened(postgres_dsn) as store:
        db = await store.link.run(store._writer._session._connection.made(0))

        assert await store.link.run(db.fetchval("SHOW synchronous_commit")) == "on"
        assert await store.link.run(db.fetchval("SHOW TimeZone")) == "UTC"


# --- the order of the trail -----------------------------------------------------------------------------------


@pytest.mark.req("X1.44")
async def test_who_waited_for_a_call_stands_behind_whom_it_waited_for(
    postgres_dsn: str, shared_postgres: SharedServer
) -> None:
    async with opened(postgres_dsn, "boot_a") as first, opened(postgres_dsn, "boot_b") as second:
        for name in ("call_a", "call_b", "call_1"):
            await first.execute(make.intend(name, key=name.encode()))
        await settled(first)
        # The first replica has got the number of its transaction when it begins to wait for this key …
        holder = await asyncpg.connect(postgres_dsn)
        await holder.execute("BEGIN; SELECT * FROM toolgate.claims WHERE key_mac = 'call_b' FOR UPDATE")
        [last] = await first.changes(None)
        async with Held(first):
            waiting = [
                asyncio.ensure_future(first.execute(command))
                for command in (
                    make.intend("call_2", key=b"call_a"),
                    make.intend("call_3", key=b"call_b"),
                    make.evidence("call_1"),
                )
            ]
            await asyncio.sleep(0)
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = $1"
        name = await holder.fetchval("SELECT current_database()")
        await until(lambda: shared_postgres.query(waits, name)[0][0])
        # … and only then the second one gets its own, settles the call and is done before.
        assert isinstance(await second.execute(make.settle("call_1", key_mac=b"call_1")), Done)
        # Nobody is shown the later one while the earlier one may still come.
        shown = [change.call_id for change in await second.changes(last.seq)]
        assert "call_1" not in shown

        await holder.close()
        answers = await asyncio.gather(*waiting)

        assert [type(answer) for answer in answers] == [Taken, Taken, Done]
        told = [(record.chain_id, record.seq) async for record in first.records(call_id="call_1")]
        assert [chain for chain, _ in told] == ["boot_a", "boot_b", "boot_a"]
        await verified(second)


# --- the end --------------------------------------------------------------------------------------------------


@pytest.mark.req("M6.8")
async def test_a_reply_that_raises_does_not_leave_the_others_unanswered(postgres_dsn: str) -> None:
    async with opened(postgres_dsn) as store:

        def gone(_: object) -> None:
            raise RuntimeError("the loop is closed")

        store._writer.submit(Job(make.record("call_1"), gone))

        assert isinstance(await store.execute(make.record("call_2")), Done)


@pytest.mark.req("M6.8")
async def test_what_waits_when_the_store_closes_is_written_and_what_comes_after_refused(
    postgres_dsn: str,
) -> None:
    store = PostgresStore(postgres_dsn, boot_id="boot_a", now=lambda: make.NOW)
    await store.open()
    waiting = [asyncio.ensure_future(store.execute(make.record(f"call_{n:03}"))) for n in range(300)]
    await asyncio.sleep(0)

    await store.close()

    assert await asyncio.gather(*waiting) == [Done()] * 300
    answers: list[object] = []
    store._writer.submit(Job(make.record("call_z"), answers.append))
    assert [type(answer) for answer in answers] == [StoreUnavailable]


@pytest.mark.req("M6.8")
def test_a_store_serves_several_loops_and_survives_them(postgres_dsn: str) -> None:
    store = PostgresStore(postgres_dsn, boot_id="boot_a", now=lambda: make.NOW)
    abandoned: list[object] = []

    async def walk_away() -> None:
        await store.open()
        async with Held(store):
            abandoned.append(asyncio.ensure_future(store.execute(make.record("call_1"))))
            await asyncio.sleep(0)

    async def go_on() -> object:
        try:
            return await store.execute(make.record("call_2"))
        finally:
            await store.close()

    asyncio.run(walk_away())

    assert isinstance(asyncio.run(go_on()), Done)


@pytest.mark.req("M6.8")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_writer_that_is_ended_from_outside_answers_everybody(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(command: Command, found: Any, now: int) -> Decision:
        if isinstance(command, Lapse):
            raise SystemExit
        return decide(command, found, now)

    async with opened(postgres_dsn) as store:
        await store.execute(make.record("call_0"))
        monkeypatch.setattr(session_module, "decide", end)

        answers = await all_at_once(store, make.record("call_1"), Lapse("call_0", "x"), make.record("call_2"))
        after = await asyncio.gather(store.execute(make.record("call_9")), return_exceptions=True)

        assert {type(answer) for answer in answers} <= {StoreInDoubt, StoreUnavailable}
        assert isinstance(after[0], StoreUnavailable)


@pytest.mark.req("X5.10")
async def test_a_boot_id_that_another_process_uses_is_refused(postgres_dsn: str) -> None:
    async with opened(postgres_dsn, "boot_a") as first, opened(postgres_dsn, "boot_a") as second:
        await first.execute(make.record("call_1"))

        with pytest.raises(StoreUnavailable, match="boot id"):
            await second.execute(make.record("call_2"))

        assert isinstance(await first.execute(make.record("call_3")), Done)
        assert await verified(first) == 3
