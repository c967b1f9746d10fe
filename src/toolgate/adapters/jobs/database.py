"""Where the durable engine keeps its rows: a file, or a schema of the ledger's own Postgres. Connecting, no statements.

The tables and their migrations are those of DBOS (``dbos`` 3.4), and so are the rows: its own tools read them. Not
here: what is written (``tables``).
"""

from __future__ import annotations

import json
import logging
import os
import re
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from dbos import Serializer
from dbos._sys_db import SystemDatabase
from sqlalchemy import event
from sqlalchemy.pool import NullPool, QueuePool

from toolgate.domain.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITTEN_FOR = "3.4"
"""The release of DBOS whose tables and claims this package is written for. They are no public face of it, so the
dependency is held to this minor release, and a test fails when what is used of it changes."""
APPLICATION = "toolgate"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_BUSY_SECONDS = 30
_WAL_RETRY = 0.005
_CONNECTIONS = 5
"""The writer, the claims, the pulse, and two for whoever asks."""
_SETTINGS = (
    "SET statement_timeout = 30000; SET lock_timeout = 10000; SET idle_in_transaction_session_timeout = 30000"
)
"""Milliseconds. A frozen process lets go of its locks before others have waited long."""
_log = logging.getLogger("toolgate.jobs")
THREADS = "toolgate-jobs"
"""How the names of the engine's threads begin."""


class PlainJson(Serializer):
    """Rows hold JSON and nothing else: what is unpickled runs."""

    def serialize(self, data: Any) -> str:
        """JSON; of an error only what it was called."""
        if isinstance(data, BaseException):
            data = {"error": type(data).__name__}
        return json.dumps(data, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> Any:
        """What was written."""
        return json.loads(serialized_data)

    def name(self) -> str:
        """What a row says it was written by."""
        return "toolgate_json"


class _OursOnly(logging.Filter):
    """Says in our words what DBOS logs in our threads: its own hold SQL and hosts. Others' records pass as they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not (record.threadName or "").startswith(THREADS):
            return True
        if record.levelno >= logging.WARNING:
            _log.warning("the job engine's database was busy or away; what it was asked is asked again")
        return False


_TAMED = _OursOnly()


def file_engine(path: Path) -> sa.Engine:
    """An engine on a SQLite file that is its owner's alone: WAL, FULL, writers one after another.

    Raises:
        ConfigurationError: if the file cannot be made, or is another application's.
    """
    _prepare(path)
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=_CONNECTIONS,
        max_overflow=0,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        # IMMEDIATE: two transactions that read and then write would otherwise fail on each other (SQLITE_BUSY).
        connection.isolation_level = "IMMEDIATE"
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")

    return engine


def _prepare(path: Path) -> None:
    """Make the file for its owner alone, look that it is no other application's, and switch it to WAL."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        pass
    except OSError as refused:
        raise ConfigurationError(
            f"jobs: the file {path.name!r} cannot be made beside the store ({refused.strerror})"
        ) from None
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
            _refuse_foreign(connection, path.name)
            _use_wal(connection)
    except sqlite3.Error as broken:
        raise StoreUnavailable(f"the jobs file cannot be opened ({type(broken).__name__})") from None


def _refuse_foreign(connection: sqlite3.Connection, name: str) -> None:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "dbos_migrations" not in tables:
        raise ConfigurationError(
            f"jobs: {name} is a database of another application and was left as it is; move it away"
        )


def _use_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for this lock by itself, so processes that start together on a new file wait here."""
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() >= until:
                raise
            time.sleep(_WAL_RETRY)
        else:
            return


def server_engine(dsn: str, *, name: str, migrating: bool = False) -> sa.Engine:
    """An engine on the Postgres at ``dsn``, the address that the store has too; at most five connections.

    ``name`` is what the server calls them. ``migrating``: without time-outs, for an index over a long history.

    Raises:
        ConfigurationError: if ``dsn`` cannot be read. Nothing of it is repeated: it may hold a password.
    """
    try:
        url = sa.make_url(dsn).set(drivername="postgresql+psycopg").difference_update_query(["schema"])
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError("jobs: the address of Postgres cannot be read") from None
    arguments = {"application_name": name} | (
        {} if "connect_timeout" in url.query else {"connect_timeout": 5}
    )
    pool: dict[str, Any] = (
        {"poolclass": NullPool}
        if migrating
        else {"pool_size": _CONNECTIONS, "max_overflow": 0, "pool_pre_ping": True, "pool_timeout": 10}
    )
    engine = sa.create_engine(url, connect_args=arguments, hide_parameters=True, **pool)
    if not migrating:

        @event.listens_for(engine, "connect")
        def set_up(connection: Any, _record: object) -> None:
            connection.execute(_SETTINGS)
            # A rollback, with which the pool takes a connection back, would undo them.
            connection.commit()

    return engine


def checked_schema(schema: str) -> str:
    """``schema``.

    Raises:
        ConfigurationError: if it is no plain name.
    """
    if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
        raise ConfigurationError("jobs: the schema is a name of small letters, digits and underscores")
    return schema


def system_database(engine: sa.Engine, schema: str) -> SystemDatabase:
    """DBOS's own view of its tables, on our connections. It starts no thread and holds no state of the process."""
    logger = logging.getLogger("dbos")
    if _TAMED not in logger.filters:
        logger.addFilter(_TAMED)
    url = "sqlite://" if engine.dialect.name == "sqlite" else "postgresql://"
    return SystemDatabase.create(
        system_database_url=url,
        engine_kwargs={},
        engine=engine,
        schema=schema,
        serializer=PlainJson(),
        executor_id=None,
        use_listen_notify=False,
        app_name=APPLICATION,
        retry_connection_errors=False,
    )


@contextmanager
def told() -> Iterator[None]:
    """Errors of the driver as ours, without their words: they hold statements, hosts and names."""
    try:
        yield
    except sa.exc.SQLAlchemyError as broken:
        raise StoreUnavailable(f"the job engine's database cannot be used ({kind(broken)})") from None


def kind(broken: BaseException) -> str:
    """What kind of error it was, in one word."""
    return type(getattr(broken, "orig", None) or broken).__name__


def connection_was_lost(broken: Exception) -> bool:
    """Whether the same may well go through later: the server was away, or somebody else held a lock."""
    return isinstance(broken, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError) or (
        isinstance(broken, sa.exc.DBAPIError) and broken.connection_invalidated
    )


def thread_named(what: str, target: Any) -> threading.Thread:
    """A thread of the engine; its name is how its log records are known."""
    return threading.Thread(target=target, name=f"{THREADS}-{what}", daemon=True)
