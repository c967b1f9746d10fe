"""What only an engine on a database does: its rows, its files, its neighbours, and a database that goes away."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import pickle
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dbos
import pytest
import sqlalchemy as sa
from dbos import DBOS
from dbos._sys_db import SystemDatabase

from tests.jobs.engine.site import QUICK, Runs, Site, queued, until
from tests.postgres.server import PostgresServer
from toolgate.adapters.jobs.database import WRITTEN_FOR, file_engine, server_engine, system_database
from toolgate.adapters.jobs.durable import DurableJobs
from toolgate.domain.errors import ConfigurationError, StoreUnavailable
from toolgate.domain.limits import Rate
from toolgate.ports import Steps

TABLES = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")


@contextmanager
def connected(site: Site) -> Iterator[sa.Connection]:
    """Beside the engine."""
    engine = (
        file_engine(site.where)
        if isinstance(site.where, Path)
        else server_engine(str(site.where), name="a test")
    )
    try:
        with system_database(engine, "toolgate_jobs").engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def rows(site: Site, table: str) -> list[dict[str, Any]]:
    schema = "" if isinstance(site.where, Path) else "toolgate_jobs."
    with connected(site) as connection:
        return [dict(row) for row in connection.execute(sa.text(f"SELECT * FROM {schema}{table}")).mappings()]


async def in_two_steps(steps: Steps) -> float | None:
    async def sealed() -> bytes:
        return b"\x00sealed\xff"

    await steps.run("fetch", sealed)
    return None


@pytest.mark.req("M7.20")
async def test_a_limit_holds_over_two_engines_on_one_place(durable: Site, runs: Runs) -> None:
    at_once: list[int] = []
    running = 0

    async def count(_: Steps) -> float | None:
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0)
        running -= 1
        return None

    jobs = [f"job_{number}" for number in range(12)]
    runs.does = dict.fromkeys(jobs, count)
    one = await durable.engine(runs)
    await durable.engine(runs)
    await asyncio.gather(*(one.start(queued(job_id, concurrency=1)) for job_id in jobs))
    await runs.until(lambda: len(runs.over) == len(jobs))
    assert max(at_once) == 1
    assert sorted(runs.began) == sorted(jobs)


@pytest.mark.req("M7.3")
async def test_a_job_that_a_process_without_jobs_started_runs_in_one_that_has(
    durable: Site, runs: Runs
) -> None:
    starter = await durable.engine(None)
    await starter.start(queued("job_1"))
    await durable.engine(runs)
    await runs.until(lambda: runs.over == ["job_1"])


@pytest.mark.req("M7.20")
async def test_limits_that_a_new_release_declares_hold_for_jobs_that_wait(durable: Site, runs: Runs) -> None:
    jobs = [f"job_{number}" for number in range(3)]
    runs.hold(*jobs)
    old = await durable.engine(None)
    for job_id in jobs[:2]:
        await old.start(queued(job_id, concurrency=1))
    new = await durable.engine(None)
    await new.start(queued(jobs[2], concurrency=3, rate=Rate(100, 60.0)))
    await durable.engine(runs)
    await runs.until(lambda: len(runs.began) == 3)
    runs.let_go()
    await runs.until(lambda: len(runs.over) == 3)


@pytest.mark.req("M7.5", "M7.26")
async def test_rows_hold_ids_and_sealed_bytes_as_json_and_nothing_is_pickled(
    durable: Site, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("pickled")

    monkeypatch.setattr(pickle, "dumps", never)
    monkeypatch.setattr(pickle, "loads", never)
    runs.does["job_1"] = in_two_steps
    engine = await durable.engine(runs)
    await engine.start(queued("job_1", tool="transfer", tenant="acme"))

    async def over() -> bool:
        return not await engine.known(["job_1"])

    await until(over)
    (given,) = rows(durable, "workflow_input")
    (job_id, fingerprint), named = json.loads(given["inputs"])["args"], json.loads(given["inputs"])["kwargs"]
    assert (job_id, named) == ("job_1", {})
    assert len(fingerprint) == 64
    (step,) = rows(durable, "operation_outputs")
    assert isinstance(json.loads(step["output"]), str)
    (job,) = rows(durable, "workflow_status")
    assert (job["serialization"], job["executor_id"]) == ("toolgate_json", engine.executor)
    assert [value for value in (*job.values(), *given.values()) if "transfer" in str(value)] == []


@pytest.mark.req("M7.23", "M7.31")
async def test_no_two_engines_have_one_name(durable: Site, runs: Runs) -> None:
    one, two = await durable.engine(runs), await durable.engine(runs)
    assert one.executor != two.executor
    assert {row["executor_id"] for row in rows(durable, "toolgate_executors")} == {one.executor, two.executor}


@pytest.mark.req("M7.25")
async def test_a_job_that_an_earlier_release_left_in_its_queue_runs(durable: Site, runs: Runs) -> None:
    engine = await durable.engine(None)
    await engine.start(queued("job_now", delay=3600.0))
    schema = "" if isinstance(durable.where, Path) else "toolgate_jobs."
    # As the first release with jobs wrote it, to the letter: this is what must go on to be read.
    written = {
        "workflow_uuid": "job_then",
        "status": "ENQUEUED",
        "name": "run_tool_job",
        "application_version": "toolgate-jobs-1",
        "application_name": "toolgate",
        "queue_name": "jobs",
        "priority": 0,
        "recovery_attempts": 0,
        "serialization": "toolgate_json",
        "created_at": 1,
        "updated_at": 1,
    }
    with connected(durable) as connection, connection.begin():
        connection.execute(
            sa.text(
                f"INSERT INTO {schema}workflow_status ({', '.join(written)}) VALUES (:{', :'.join(written)})"
            ),
            written,
        )
    (now,) = [row for row in rows(durable, "workflow_status") if row["workflow_uuid"] == "job_now"]
    same = ("name", "application_version", "application_name", "queue_name", "serialization")
    assert {name: now[name] for name in same} == {name: written[name] for name in same}
    await durable.engine(runs)
    await runs.until(lambda: runs.over == ["job_then"])


@pytest.mark.req("M7.29")
async def test_of_a_forgotten_job_no_row_is_left(durable: Site, runs: Runs) -> None:
    runs.does["job_1"] = in_two_steps
    engine = await durable.engine(runs)
    await engine.start(queued("job_1"))
    await engine.start(queued("job_cancelled", delay=3600.0))
    await engine.cancel("job_cancelled")
    await runs.until(lambda: runs.over)

    async def gone() -> bool:
        await engine.forget(["job_1"])
        return not any(rows(durable, table) for table in TABLES)

    await until(gone)


@pytest.mark.req("M7.23")
async def test_a_claim_whose_answer_is_lost_is_put_back_and_runs(
    durable: Site, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = SystemDatabase.start_queued_workflows
    lost: list[str] = []

    def claim_and_lose(*given: Any, **named: Any) -> Any:
        claimed = claim(*given, **named)
        if claimed[0] and not lost:
            lost.extend(claimed[0])
            raise sa.exc.OperationalError("SELECT", {}, ConnectionError("the connection is gone"))
        return claimed

    monkeypatch.setattr(SystemDatabase, "start_queued_workflows", claim_and_lose)
    engine = await durable.engine(runs)
    await engine.start(queued("job_1"))
    await runs.until(lambda: runs.over == ["job_1"])
    assert lost == ["job_1"]


@pytest.mark.req("M7.24")
async def test_a_start_that_no_database_could_write_is_refused_alone(durable: Site, runs: Runs) -> None:
    engine = await durable.engine(runs)
    good = [f"job_{number}" for number in range(10)]
    answers = await asyncio.gather(
        *(engine.start(queued(job_id)) for job_id in good),
        # A lone surrogate is no text of any encoding.
        engine.start(queued("job_bad", tenant="\ud800", concurrency=1)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [type(None)] * 10 + [StoreUnavailable]
    await runs.until(lambda: len(runs.over) == 10)


@pytest.mark.req("M7.26")
async def test_the_file_is_its_owners_alone_and_written_ahead(tmp_path: Path) -> None:
    path = tmp_path / "toolgate.db.jobs"
    engine = DurableJobs(path, **QUICK)
    await engine.open(None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    parts = engine._open_parts()
    with parts.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
    await engine.close(drain=0.0)


@pytest.mark.req("M7.26")
async def test_a_file_of_another_application_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE books (title TEXT)")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="another application"):
        await DurableJobs(path).open(None)
    assert path.read_bytes() == before


@pytest.mark.req("M7.26")
async def test_a_place_that_cannot_be_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be made beside the store"):
        await DurableJobs(tmp_path / "missing" / "jobs").open(None)
    with pytest.raises(ConfigurationError, match="the address of Postgres cannot be read") as refused:
        await DurableJobs("postgresql://me:hunter2@host:port/db").open(None)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="small letters"):
        DurableJobs("postgresql://host/db", schema='x"; DROP')


@pytest.mark.req("M7.28", "M7.26")
async def test_while_postgres_is_away_a_start_says_so_and_what_ran_meanwhile_ends_afterwards(
    private_postgres: PostgresServer, runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    private_postgres.create("toolgate")
    dsn = private_postgres.dsn("toolgate").replace("//toolgate@", "//toolgate:hunter2@")
    site = Site(dsn)
    engine = await site.engine(runs, patience=0.5)
    runs.hold("job_through")
    runs.does["job_through"] = in_two_steps
    await engine.start(queued("job_through"))
    await runs.until(lambda: runs.began)
    await asyncio.to_thread(private_postgres.stop, "immediate")
    for asked in (engine.start(queued("job_2")), engine.known(["job_2"]), engine.take_over()):
        with pytest.raises(StoreUnavailable, match="the job engine's database cannot be") as told:
            await asked
        assert "hunter2" not in str(told.value)
        assert private_postgres.dsn("toolgate").rsplit("=", 1)[0] not in str(told.value)
    # Its step cannot be recorded now, so the run fails and is run again.
    runs.let_go()
    await runs.until(lambda: runs.faults)
    await asyncio.to_thread(private_postgres.start)
    await runs.until(lambda: "job_through" in runs.over)
    await engine.start(queued("job_2"))
    await runs.until(lambda: "job_2" in runs.over)

    async def over() -> bool:
        return not await engine.known(["job_through", "job_2"])

    await until(over)
    await site.close()
    ours = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith(("toolgate", "dbos"))
    )
    for word in ("hunter2", "SELECT", "UPDATE", "Traceback", "socket", "postgresql"):
        assert word not in ours
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.req("M7.31")
async def test_an_application_that_runs_dbos_for_itself_is_not_disturbed(
    tmp_path: Path, runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    @DBOS.workflow()
    def double(number: int) -> int:
        return 2 * number

    DBOS(config={"name": "somebody", "system_database_url": f"sqlite:///{tmp_path / 'theirs.db'}"})
    try:
        await asyncio.to_thread(DBOS.launch)
        site = Site(tmp_path / "ours.jobs")
        engine = await site.engine(runs)
        await engine.start(queued("job_1"))
        assert await asyncio.to_thread(double, 21) == 42
        await runs.until(lambda: runs.over == ["job_1"])
        await site.close()
        assert await asyncio.to_thread(double, 4) == 8
    finally:
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)


@pytest.mark.req("M7.25")
def test_what_is_used_of_dbos_beneath_its_public_face_is_there() -> None:
    assert dbos._utils.GlobalParams.dbos_version.startswith(f"{WRITTEN_FOR}.")
    used = {
        "create": {
            "engine",
            "schema",
            "serializer",
            "use_listen_notify",
            "app_name",
            "retry_connection_errors",
        },
        "start_queued_workflows": {"queue", "executor_id", "app_version", "queue_partition_key", "owner_xid"},
        "_record_operation_result_txn": {"result", "completed_at_epoch_ms", "conn", "owner_xid"},
        "upsert_queue": {"partition_concurrency", "partition_rate_limit_max", "update_existing"},
        "list_queues": {"application_name"},
        "get_queue_partitions": {"queue_name"},
        "transition_delayed_workflows": set[str](),
        "run_migrations": set[str](),
        "is_lock_conflict": {"error"},
        "is_serialization_conflict": {"error"},
    }
    for name, parameters in used.items():
        assert parameters <= set(inspect.signature(getattr(SystemDatabase, name)).parameters), name


@pytest.mark.req("M7.31")
async def test_engines_may_open_together_on_an_empty_place(tmp_path: Path, empty_postgres_dsn: str) -> None:
    for where in (tmp_path / "jobs", empty_postgres_dsn):
        engines = [DurableJobs(where, **QUICK) for _ in range(4)]
        await asyncio.gather(*(engine.open(None) for engine in engines))
        await asyncio.gather(*(engine.start(queued("job_1", delay=3600.0)) for engine in engines))
        assert len(rows(Site(where), "workflow_status")) == 1
        for engine in engines:
            await engine.close(drain=0.0)
