"""What is read and written of a job: statements over DBOS's tables, and one table of ours for who is alive.

Every function takes the connection of an open transaction; who opens it is the writer's or the caller's business.
States are DBOS's: ``DELAYED → ENQUEUED → PENDING → SUCCESS``. A row that is ``PENDING`` carries the token of the run
that owns it (``owner_xid``); whoever has another token writes nothing of it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from dbos._error import DBOSWorkflowConflictIDError
from dbos._schemas import SCHEMA_PLACEHOLDER

from toolgate.adapters.jobs.database import APPLICATION
from toolgate.domain.errors import GateFault

if TYPE_CHECKING:
    from dbos._sys_db import SystemDatabase

VERSION = "toolgate-jobs-1"
"""Of what a row means, not of the program: a job that one release started runs under the next."""
WORKFLOW = "run_tool_job"
OPEN_QUEUE = "jobs"
"""Where the jobs of every tool without limits wait."""
_WAITING = ("ENQUEUED", "DELAYED")
_OVER = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_IDS_A_STATEMENT = 500
_LOCK = 0x746F6F6C6A6F6273
"""``tooljobs``, the advisory lock of whoever takes over; the one above it is that of whoever migrates."""
_LOCK_RETRY = 0.05
"""Seconds."""


class Run(NamedTuple):
    """One run of a job: ``owner`` is the token that its claim wrote."""

    job_id: str
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A job on its way into its queue. ``due``: milliseconds since the epoch, None for at once."""

    job_id: str
    queue: str
    tenant: str | None
    inputs: str
    priority: int
    due: int | None
    created: int
    creator: str


class Outlook(NamedTuple):
    """Whether anything waits for a claim, and in how many seconds the next delayed job is due."""

    waiting: bool
    due_in: float | None


def inputs(job_id: str, tool: str, tenant: str) -> str:
    """The arguments of the workflow, as text: the id, and a hash of what else it must be the same for."""
    what = hashlib.sha256(json.dumps([tool, tenant]).encode()).hexdigest()
    return json.dumps({"args": [job_id, what], "kwargs": {}}, separators=(",", ":"))


def now_ms() -> int:
    """Milliseconds since the epoch by this machine's clock, as DBOS counts delays."""
    return time.time_ns() // 1_000_000


@contextmanager
def alone(engine: sa.Engine) -> Iterator[None]:
    """Nobody else migrates meanwhile. On SQLite a migration is alone anyway: it is one transaction."""
    if engine.dialect.name == "sqlite":
        yield
        return
    lock = sa.select(sa.func.pg_try_advisory_lock(sa.literal(_LOCK + 1, sa.BigInteger)))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Asked again rather than waited for: an index that is built concurrently waits for every waiting statement.
        while not connection.execute(lock).scalar():
            time.sleep(_LOCK_RETRY)
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(sa.literal(_LOCK + 1, sa.BigInteger))))


class JobTables:
    """The statements."""

    def __init__(self, database: SystemDatabase) -> None:
        self._database = database
        self._sqlite = database.engine.dialect.name == "sqlite"
        self._jobs = database.tables.workflow_status
        self._inputs = database.tables.workflow_input
        self._steps = database.tables.operation_outputs
        self._output = database.tables.workflow_output
        self._alive = sa.Table(
            "toolgate_executors",
            sa.MetaData(schema=SCHEMA_PLACEHOLDER),
            sa.Column("executor_id", sa.Text, primary_key=True),
            sa.Column("seen_at", sa.BigInteger, nullable=False),
        )
        self._ending = (
            sa.update(self._jobs)
            .where(*self._owned())
            .values(
                status="SUCCESS",
                owner_xid=None,
                updated_at=sa.bindparam("at"),
                completed_at=sa.bindparam("at"),
            )
        )

    def create(self, connection: sa.Connection) -> None:
        """Our own table. DBOS's were migrated before."""
        connection.execute(sa.schema.CreateTable(self._alive, if_not_exists=True))

    # --- Starting -------------------------------------------------------------------------------------------------

    def start(self, connection: sa.Connection, entries: Sequence[Entry]) -> list[GateFault | None]:
        """Enter jobs into their queues; for each None, or why not. What is there already stays as it is."""
        insert = self._database.dialect.insert
        connection.execute(
            insert(self._jobs).on_conflict_do_nothing(), [self._row(entry) for entry in entries]
        )
        connection.execute(
            insert(self._inputs).on_conflict_do_nothing(),
            [
                {"workflow_uuid": entry.job_id, "inputs": entry.inputs, "retention_timestamp": entry.created}
                for entry in entries
            ],
        )
        found = self._found(connection, [entry.job_id for entry in entries])
        return [self._entered(connection, entry, *found[entry.job_id]) for entry in entries]

    def _row(self, entry: Entry) -> dict[str, Any]:
        return {
            "workflow_uuid": entry.job_id,
            "status": "ENQUEUED" if entry.due is None else "DELAYED",
            "name": WORKFLOW,
            "application_version": VERSION,
            "application_name": APPLICATION,
            "queue_name": entry.queue,
            "queue_partition_key": entry.tenant,
            "priority": entry.priority,
            "delay_until_epoch_ms": entry.due,
            "recovery_attempts": 0,
            "serialization": self._database.serializer.name(),
            "creator_xid": entry.creator,
            "created_at": entry.created,
            "updated_at": entry.created,
        }

    def _found(self, connection: sa.Connection, job_ids: Sequence[str]) -> dict[str, tuple[Any, Any, Any]]:
        jobs, given = self._jobs, self._inputs
        rows = connection.execute(
            sa.select(jobs.c.workflow_uuid, jobs.c.status, jobs.c.creator_xid, given.c.inputs)
            .join(given, given.c.workflow_uuid == jobs.c.workflow_uuid)
            .where(jobs.c.workflow_uuid.in_(job_ids))
        )
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    def _entered(
        self, connection: sa.Connection, entry: Entry, status: str, creator: str | None, given: str | None
    ) -> GateFault | None:
        if creator == entry.creator:
            return None
        if given != entry.inputs:
            return GateFault("the id of this job is in use for another tool or tenant")
        if status in _OVER:
            # Whoever starts it knows better: a restored backup, or a row that somebody ended by hand.
            row = self._row(entry)
            anew = {
                name: value for name, value in row.items() if name not in {"workflow_uuid", "creator_xid"}
            }
            connection.execute(
                sa.update(self._jobs)
                .where(self._jobs.c.workflow_uuid == entry.job_id)
                .values(**anew, owner_xid=None, started_at_epoch_ms=None, completed_at=None)
            )
        return None

    # --- Running --------------------------------------------------------------------------------------------------

    def outlook(self, connection: sa.Connection) -> Outlook:
        """Two index look-ups, so that an idle process costs its database next to nothing."""
        jobs = self._jobs
        waiting = connection.execute(
            sa.select(sa.literal(1))
            .where(
                jobs.c.status == sa.literal_column("'ENQUEUED'"),
                jobs.c.status.in_([sa.literal_column("'ENQUEUED'"), sa.literal_column("'PENDING'")]),
                jobs.c.queue_name.is_not(None),
            )
            .limit(1)
        ).first()
        due = connection.execute(
            sa.select(sa.func.min(jobs.c.delay_until_epoch_ms)).where(
                jobs.c.status == sa.literal_column("'DELAYED'")
            )
        ).scalar()
        return Outlook(waiting is not None, None if due is None else max((due - now_ms()) / 1000, 0.0))

    def end(self, connection: sa.Connection, runs: Sequence[Run]) -> None:
        """These are over. Nothing happens to one that another run owns by now."""
        at = now_ms()
        connection.execute(self._ending, [{"id": run.job_id, "owner": run.owner, "at": at} for run in runs])

    def put_off(self, connection: sa.Connection, run: Run, *, seconds: float) -> None:
        """Back into its queue, at its old place in line, to run in ``seconds`` at the earliest."""
        connection.execute(
            sa.update(self._jobs)
            .where(*self._owned())
            .values(
                status="DELAYED",
                delay_until_epoch_ms=now_ms() + int(seconds * 1000),
                owner_xid=None,
                started_at_epoch_ms=None,
                updated_at=now_ms(),
            ),
            {"id": run.job_id, "owner": run.owner},
        )

    def _owned(self) -> tuple[sa.ColumnElement[bool], ...]:
        jobs = self._jobs
        return (
            jobs.c.workflow_uuid == sa.bindparam("id"),
            jobs.c.owner_xid == sa.bindparam("owner"),
            jobs.c.status == "PENDING",
        )

    def steps(self, connection: sa.Connection, job_id: str) -> list[tuple[int, str, str]]:
        """Number, label and result of every recorded step."""
        steps = self._steps
        rows = connection.execute(
            sa.select(steps.c.function_id, steps.c.function_name, steps.c.output).where(
                steps.c.workflow_uuid == job_id
            )
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def record(self, connection: sa.Connection, run: Run, step: Step) -> GateFault | None:
        """Record a step if the run still owns its job, else say so. The same step once more is no fault."""
        try:
            self._database._record_operation_result_txn(  # noqa: SLF001 - see database.WRITTEN_FOR
                {
                    "workflow_uuid": run.job_id,
                    "function_id": step.number,
                    "function_name": step.label,
                    "output": step.output,
                    "error": None,
                    "child_workflow_id": None,
                    "started_at_epoch_ms": step.began,
                    "serialization": self._database.serializer.name(),
                },
                step.ended,
                connection,
                owner_xid=run.owner,
            )
        except DBOSWorkflowConflictIDError:
            return GateFault("another process runs this job by now; what this run did is not recorded")
        return None

    # --- Looking after --------------------------------------------------------------------------------------------

    def known(self, connection: sa.Connection, job_ids: Sequence[str]) -> frozenset[str]:
        """Those that wait or run."""
        found: set[str] = set()
        for some in _in_parts(job_ids):
            rows = connection.execute(
                sa.select(self._jobs.c.workflow_uuid).where(
                    self._jobs.c.workflow_uuid.in_(some), self._jobs.c.status.in_((*_WAITING, "PENDING"))
                )
            )
            found.update(row[0] for row in rows)
        return frozenset(found)

    def cancel(self, connection: sa.Connection, job_id: str) -> None:
        """Remove a job that waits."""
        self._remove(connection, [job_id], _WAITING)

    def over(self, connection: sa.Connection, after: str, limit: int) -> list[str]:
        """Jobs that are over, those behind ``after``."""
        name = self._jobs.c.workflow_uuid
        found = connection.execute(
            sa.select(name)
            .where(self._jobs.c.status.in_(_OVER), self._jobs.c.name == WORKFLOW, name > after)
            .order_by(name)
            .limit(limit)
        )
        return [row[0] for row in found]

    def forget(self, connection: sa.Connection, job_ids: Sequence[str]) -> None:
        """Remove jobs that are over."""
        for some in _in_parts(job_ids):
            self._remove(connection, some, _OVER)

    def _remove(self, connection: sa.Connection, job_ids: Sequence[str], states: Sequence[str]) -> None:
        gone = connection.execute(
            sa.delete(self._jobs)
            .where(self._jobs.c.workflow_uuid.in_(job_ids), self._jobs.c.status.in_(states))
            .returning(self._jobs.c.workflow_uuid)
        )
        removed = [row[0] for row in gone]
        for table in (self._inputs, self._steps, self._output) if removed else ():
            connection.execute(sa.delete(table).where(table.c.workflow_uuid.in_(removed)))

    # --- Who is alive ---------------------------------------------------------------------------------------------

    def beat(self, connection: sa.Connection, executor: str) -> None:
        """This process lives, by the database's clock."""
        insert = self._database.dialect.insert(self._alive).values(executor_id=executor, seen_at=self._now())
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["executor_id"], set_={"seen_at": insert.excluded.seen_at}
            )
        )

    def leave(self, connection: sa.Connection, executor: str) -> None:
        """This process goes: what it still holds goes back into the queues."""
        self._back(connection, self._jobs.c.executor_id == executor)
        connection.execute(sa.delete(self._alive).where(self._alive.c.executor_id == executor))

    def put_back(self, connection: sa.Connection, executor: str, keep: Sequence[Run]) -> int:
        """What this process claimed without hearing of it: an answer was lost. ``keep`` are those it knows of."""
        owners = {run.owner for run in keep}
        return self._back(
            connection,
            self._jobs.c.executor_id == executor,
            sa.or_(self._jobs.c.owner_xid.is_(None), self._jobs.c.owner_xid.not_in(owners)),
        )

    def take_over(self, connection: sa.Connection, *, dead_after: float) -> int:
        """Put back what processes hold that were not seen for ``dead_after`` seconds; 0 if another is at it."""
        if not self._sqlite:
            lock = sa.select(
                sa.func.pg_try_advisory_xact_lock(sa.bindparam("key", _LOCK, type_=sa.BigInteger))
            )
            if not connection.execute(lock).scalar():
                return 0
        alive = self._alive
        # On SQLite this write is the lock: the transaction is IMMEDIATE.
        connection.execute(
            sa.delete(alive).where(alive.c.seen_at < self._now() - sa.literal(int(dead_after * 1000)))
        )
        holder = self._jobs.c.executor_id
        return self._back(
            connection,
            sa.or_(holder.is_(None), holder.not_in(sa.select(alive.c.executor_id))),
        )

    def _back(self, connection: sa.Connection, *which: sa.ColumnElement[bool]) -> int:
        jobs = self._jobs
        moved = connection.execute(
            sa.update(jobs)
            .where(
                # The literals are what SQLite needs to see in order to use the index over what is in flight.
                jobs.c.status == sa.literal_column("'PENDING'"),
                jobs.c.application_name == APPLICATION,
                *which,
            )
            .values(
                status="ENQUEUED",
                owner_xid=None,
                started_at_epoch_ms=None,
                updated_at=now_ms(),
                queue_name=sa.func.coalesce(jobs.c.queue_name, OPEN_QUEUE),
            )
        )
        return moved.rowcount

    def _now(self) -> sa.ColumnElement[int]:
        if self._sqlite:
            return sa.literal_column(
                "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)", sa.BigInteger
            )
        return sa.literal_column(
            "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)", sa.BigInteger
        )


class Step(NamedTuple):
    """A step that ended. ``began`` and ``ended`` are milliseconds since the epoch, and tell a repeat from another."""

    number: int
    label: str
    output: str
    began: int
    ended: int


def _in_parts(job_ids: Sequence[str]) -> list[Sequence[str]]:
    return [job_ids[start : start + _IDS_A_STATEMENT] for start in range(0, len(job_ids), _IDS_A_STATEMENT)]
