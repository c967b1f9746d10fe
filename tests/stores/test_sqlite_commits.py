"""One transaction for many callers: what is on the disk when an answer comes, and what happens when a commit fails."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger import rows as make
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.adapters.stores.sqlite import writer as writer_module
from toolgate.adapters.stores.sqlite.writer import Job
from toolgate.domain.audit import verify_chains
from toolgate.domain.commands import Append, Done, Lapse, Renew
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.ledger import Decision, decide
from toolgate.domain.rows import ByCall, Found

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.stores.conftest import Hands
    from toolgate.domain.commands import Answer, Command
    from toolgate.ports import Store

    Open = Callable[..., AbstractAsyncContextManager[SqliteStore]]


READER = """
import sqlite3, sys
query = "SELECT effect_state, (SELECT count(*) FROM audit) FROM calls"
print(*sqlite3.connect(sys.argv[1]).execute(query).fetchone())
"""


class Commits:
    """A connection whose COMMIT goes wrong: everything else it passes on to the real one."""

    def __init__(self, real: sqlite3.Connection, *, written: bool, times: int = 1) -> None:
        self._real = real
        self._written = written
        self.left = times

    def execute(self, statement: str, *values: Any) -> Any:
        if statement == "COMMIT" and self.left:
            self.left -= 1
            if self._written:
                self._real.execute(statement)
            raise sqlite3.OperationalError("disk I/O error")
        return self._real.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def break_commit(store: SqliteStore, *, written: bool) -> None:
    writer = store._writer
    writer._db = Commits(writer._db, written=written)  # type: ignore[assignment]


async def all_at_once(store: SqliteStore, *commands: Command) -> list[Answer | BaseException]:
    """Execute ``commands`` in one group: the writer is held until all of them wait."""
    gate = threading.Event()
    entered = threading.Event()

    def hold(_: object) -> None:
        entered.set()
        gate.wait(10)

    store._writer.submit(Job(Append((make.note("held"),)), hold))
    await asyncio.to_thread(entered.wait, 10)
    waiting = [asyncio.ensure_future(store.execute(command)) for command in commands]
    await asyncio.sleep(0)
    gate.set()
    return await asyncio.gather(*waiting, return_exceptions=True)


async def verified(store: Store) -> int:
    """The number of records, all of which verify against the heads that the store keeps."""
    records = [record async for record in store.records()]
    report = verify_chains(records, known_heads=await store.heads())
    assert report.problems == ()
    return report.records


# --- atomic and durable ---------------------------------------------------------------------------------------


@pytest.mark.req("X1.2")
async def test_an_outcome_whose_event_cannot_be_written_is_not_written_either(opened: Open) -> None:
    async with opened() as store:
        await store.execute(make.intend())
        store._writer._db.execute(
            "CREATE TEMP TRIGGER no_trail BEFORE INSERT ON main.audit BEGIN SELECT raise(ABORT, 'no'); END"
        )

        with pytest.raises(StoreUnavailable):
            await store.execute(make.settle())

        assert await store.find(ByCall("call_1")) == Found(call=make.intend().call)
        assert await store.sealed("call_1", "result") is None


@pytest.mark.req("X1.2")
async def test_an_event_whose_outcome_cannot_be_written_is_not_written_either(opened: Open) -> None:
    async with opened() as store:
        await store.execute(make.intend())
        before = await verified(store)
        store._writer._db.execute(
            "CREATE TEMP TRIGGER no_calls BEFORE UPDATE ON main.calls BEGIN SELECT raise(ABORT, 'no'); END"
        )

        with pytest.raises(StoreUnavailable):
            await store.execute(make.settle())

        assert await verified(store) == before


@pytest.mark.req("X1.20")
async def test_what_was_answered_is_there_for_another_process(opened: Open, tmp_path: Path) -> None:
    async with opened() as store:
        await store.execute(make.intend(key=b"k"))
        await store.execute(make.settle(key_mac=b"k"))

        # Another process, while this one has neither closed nor checkpointed anything.
        seen = await asyncio.create_subprocess_exec(
            sys.executable, "-c", READER, str(tmp_path / "toolgate.db"), stdout=asyncio.subprocess.PIPE
        )
        said, _ = await seen.communicate()

    assert said.split() == [b"applied", b"3"]


@pytest.mark.req("X1.20")
async def test_the_writer_waits_for_the_disk(opened: Open) -> None:
    async with opened() as store:
        writing = store._writer._db

        assert writing.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert writing.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert writing.execute("PRAGMA fullfsync").fetchone() == (1,)


@pytest.mark.req("X1.20")
async def test_a_reader_cannot_write(opened: Open) -> None:
    async with opened() as store:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store._reader().execute("DELETE FROM audit")


# --- one group, many callers ----------------------------------------------------------------------------------


@pytest.mark.req("X1.18", "X5.7")
async def test_one_bad_command_of_a_group_fails_alone(opened: Open) -> None:
    async with opened() as store:
        await store.execute(make.record("call_0"))
        good = [make.record(f"call_{number}") for number in range(1, 40)]

        answers = await all_at_once(store, *good[:20], make.record("call_0"), *good[20:])

        assert [type(answer) for answer in answers] == [Done] * 20 + [StoreUnavailable] + [Done] * 19
        # opened, call_0, held, and 39 good ones: the rolled-back group left no gap and nothing twice.
        assert await verified(store) == 42


@pytest.mark.req("X1.18")
async def test_two_new_calls_of_one_id_in_one_group_are_not_one(opened: Open) -> None:
    async with opened() as store:
        answers = await all_at_once(store, make.record("call_1"), make.record("call_1", status="failed"))

        assert [type(answer) for answer in answers] == [Done, StoreUnavailable]
        found = await store.find(ByCall("call_1"))
        assert found.call is not None
        assert found.call.status == "succeeded"


@pytest.mark.req("X1.18")
async def test_a_decision_that_raises_harms_only_its_own_caller(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide_badly(command: Command, found: Any, now: int) -> Decision:
        if isinstance(command, Renew):
            raise KeyError("secret")
        return decide(command, found, now)

    monkeypatch.setattr(writer_module, "decide", decide_badly)
    async with opened() as store:
        answers = await all_at_once(
            store, make.record("call_1"), Renew("call_1", "x", 1), make.record("call_2")
        )

        assert [type(answer) for answer in answers] == [Done, StoreUnavailable, Done]
        assert "secret" not in str(answers[1])
        assert await verified(store) == 4


@pytest.mark.req("X1.18")
async def test_a_group_sees_what_its_earlier_commands_wrote(opened: Open) -> None:
    async with opened() as store:
        answers = await all_at_once(
            store, make.intend(key=b"k"), make.settle(key_mac=b"k"), make.intend("call_2", key=b"k")
        )

        assert [type(answer).__name__ for answer in answers] == ["Done", "Done", "Taken"]
        assert await store.find(ByCall("call_1")) == Found(call=make.settle(key_mac=b"k").call)


@pytest.mark.req("X1.18")
async def test_more_commands_than_a_group_takes_are_all_answered(opened: Open) -> None:
    async with opened() as store:
        commands = [make.record(f"call_{number:04}") for number in range(writer_module.MAX_GROUP * 2 + 7)]

        answers = await all_at_once(store, *commands)

        assert answers == [Done()] * len(commands)
        assert await verified(store) == len(commands) + 2


@pytest.mark.req("X5.4")
async def test_a_locked_database_refuses_a_whole_group_after_one_wait(opened: Open, tmp_path: Path) -> None:
    async with opened(busy_seconds=0.1) as store:
        await store.execute(make.record("call_0"))
        lock = sqlite3.connect(tmp_path / "toolgate.db", isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        tried: list[str] = []
        store._writer._db.set_trace_callback(tried.append)

        answers = await all_refused(store, 20)

        lock.execute("ROLLBACK")
        lock.close()
        assert [type(answer) for answer in answers] == [StoreUnavailable] * 20
        assert len({id(answer) for answer in answers}) == 20
        # The first may have gone alone; the others waited for the lock together.
        assert len(tried) <= 2
        assert await store.execute(make.record("call_y")) == Done()


async def all_refused(store: SqliteStore, count: int) -> list[Answer | BaseException]:
    return await asyncio.gather(
        *(store.execute(make.record(f"call_x{number}")) for number in range(count)), return_exceptions=True
    )


@pytest.mark.req("X5.4")
async def test_a_log_that_cannot_be_folded_back_holds_nobody_up(opened: Open, tmp_path: Path) -> None:
    async with opened() as store:
        await store.execute(make.record("call_0"))
        store._writer._db.execute("PRAGMA wal_autocheckpoint = 1")
        with closing(sqlite3.connect(tmp_path / "toolgate.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM audit").fetchall()

            for number in range(1, 20):
                assert await store.execute(make.record(f"call_{number}")) == Done()

        assert await verified(store) == 21


# --- commits in doubt -----------------------------------------------------------------------------------------


@pytest.mark.req("X1.14", "X5.7")
async def test_a_commit_that_failed_before_it_was_written_is_a_refusal_without_a_gap(opened: Open) -> None:
    async with opened() as store:
        await store.execute(make.record("call_0"))
        break_commit(store, written=False)

        with pytest.raises(StoreUnavailable):
            await store.execute(make.intend())

        assert (await store.find(ByCall("call_1"))).call is None
        assert isinstance(await store.execute(make.intend()), Done)
        assert await verified(store) == 3


@pytest.mark.req("X1.14")
async def test_a_commit_that_answered_an_error_and_was_written_is_a_success(opened: Open) -> None:
    async with opened() as store:
        await store.execute(make.record("call_0"))
        break_commit(store, written=True)

        assert isinstance(await store.execute(make.intend()), Done)

        assert isinstance(await store.execute(make.settle()), Done)
        assert await verified(store) == 4


@pytest.mark.req("X1.14", "X5.7")
async def test_the_very_first_commit_may_be_in_doubt_too(opened: Open) -> None:
    for boot, written in (("boot_a", True), ("boot_b", False)):
        async with opened(boot) as store:
            break_commit(store, written=written)
            answer = await asyncio.gather(store.execute(make.record(f"call_{boot}")), return_exceptions=True)
            await store.execute(make.record(f"call_{boot}_2"))

            assert isinstance(answer[0], Done if written else StoreUnavailable)
            await verified(store)


@pytest.mark.req("X1.14", "X5.7")
@pytest.mark.parametrize("written", [True, False])
async def test_a_commit_that_cannot_be_read_again_is_in_doubt_and_the_chain_goes_on_from_the_disk(
    opened: Open, monkeypatch: pytest.MonkeyPatch, *, written: bool
) -> None:
    async with opened() as store:
        await store.execute(make.record("call_0"))
        break_commit(store, written=written)

        def unreachable(*_: object, **__: object) -> sqlite3.Connection:
            raise StoreUnavailable("the database cannot be opened: disk I/O error")

        with monkeypatch.context() as patched:
            patched.setattr(writer_module, "connect", unreachable)
            with pytest.raises(StoreInDoubt):
                await store.execute(make.intend())
            with pytest.raises(StoreUnavailable):
                await store.execute(make.record("call_2"))

        assert ((await store.find(ByCall("call_1"))).call is not None) is written
        assert isinstance(await store.execute(make.record("call_3")), Done)
        assert await verified(store) == (4 if written else 3)


@pytest.mark.req("X1.14")
async def test_a_lost_commit_that_left_no_event_is_never_called_written(opened: Open) -> None:
    async with opened() as store:
        await store.execute(make.intend())
        break_commit(store, written=False)

        with pytest.raises(StoreInDoubt):
            await store.execute(Renew("call_1", make.OWNER, make.LEASE + 99))

        call = (await store.find(ByCall("call_1"))).call
        assert call is not None
        assert call.lease_until == make.LEASE


@pytest.mark.req("X1.14")
async def test_each_caller_of_a_group_in_doubt_gets_an_exception_of_its_own(opened: Open) -> None:
    async with opened() as store:
        await store.execute(make.record("call_0"))
        gate, entered = threading.Event(), threading.Event()

        def hold(_: object) -> None:
            entered.set()
            gate.wait(10)
            break_commit(store, written=False)

        store._writer.submit(Job(Append((make.note("held"),)), hold))
        await asyncio.to_thread(entered.wait, 10)
        waiting = [asyncio.ensure_future(store.execute(make.record(f"call_{n}"))) for n in "12"]
        await asyncio.sleep(0)
        gate.set()
        first, second = await asyncio.gather(*waiting, return_exceptions=True)

        assert isinstance(first, StoreUnavailable)
        assert isinstance(second, StoreUnavailable)
        assert first is not second


# --- the thread -----------------------------------------------------------------------------------------------


@pytest.mark.req("M6.8")
async def test_a_reply_that_raises_does_not_leave_the_others_unanswered(opened: Open) -> None:
    async with opened() as store:

        def gone(_: object) -> None:
            raise RuntimeError("the loop is closed")

        store._writer.submit(Job(make.record("call_1"), gone))

        assert isinstance(await store.execute(make.record("call_2")), Done)


@pytest.mark.req("M6.8")
def test_a_caller_whose_loop_is_closed_does_not_stop_the_writer(tmp_path: Path, hands: Hands) -> None:
    store = SqliteStore(tmp_path / "toolgate.db", boot_id="boot_a", now=hands)
    gate, entered = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        entered.set()
        gate.wait(10)

    abandoned = []

    async def walk_away() -> None:
        await store.open()
        store._writer.submit(Job(Append((make.note("held"),)), hold))
        await asyncio.to_thread(entered.wait, 10)
        abandoned.append(asyncio.ensure_future(store.execute(make.record("call_1"))))
        await asyncio.sleep(0)

    async def go_on() -> object:
        try:
            return await store.execute(make.record("call_2"))
        finally:
            await store.close()

    asyncio.run(walk_away())
    gate.set()

    assert isinstance(asyncio.run(go_on()), Done)


@pytest.mark.req("M6.8")
async def test_what_waits_when_the_store_closes_is_written_and_what_comes_after_refused(
    tmp_path: Path, hands: Hands
) -> None:
    store = SqliteStore(tmp_path / "toolgate.db", boot_id="boot_a", now=hands)
    await store.open()
    waiting = [asyncio.ensure_future(store.execute(make.record(f"call_{n:03}"))) for n in range(300)]
    await asyncio.sleep(0)

    await store.close()

    assert await asyncio.gather(*waiting) == [Done()] * 300
    answers: list[object] = []
    store._writer.submit(Job(make.record("call_z"), answers.append))
    assert [type(answer) for answer in answers] == [StoreUnavailable]


@pytest.mark.req("M6.8")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_writer_that_is_ended_from_outside_answers_everybody(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(command: Command, found: Any, now: int) -> Decision:
        # First the group fails; then, one by one, the first is refused and the second ends the thread.
        if isinstance(command, Renew):
            raise KeyError("a bad command")
        if isinstance(command, Lapse):
            raise SystemExit
        return decide(command, found, now)

    async with opened() as store:
        await store.execute(make.record("call_0"))
        monkeypatch.setattr(writer_module, "decide", end)

        answers = await all_at_once(
            store, Renew("call_0", "x", 1), Lapse("call_0", "x"), make.record("call_1"), make.record("call_2")
        )
        after = await asyncio.gather(store.execute(make.record("call_9")), return_exceptions=True)

        assert {type(answer) for answer in answers} <= {StoreInDoubt, StoreUnavailable}
        assert isinstance(after[0], StoreUnavailable)


@pytest.mark.req("X5.4")
async def test_a_file_that_was_replaced_while_open_is_written_no_more(opened: Open, tmp_path: Path) -> None:
    database, kept = tmp_path / "toolgate.db", tmp_path / "kept.db"
    async with opened() as store:
        await store.execute(make.record("call_0"))

        database.rename(kept)
        with pytest.raises(StoreUnavailable, match="moved or replaced"):
            await store.execute(make.record("call_1"))
        database.write_bytes(b"")
        with pytest.raises(StoreUnavailable, match="moved or replaced"):
            await store.execute(make.record("call_2"))
        database.unlink()
        kept.rename(database)

        assert isinstance(await store.execute(make.record("call_3")), Done)
        assert await verified(store) == 3
