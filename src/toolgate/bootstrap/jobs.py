"""Which engine carries the jobs of a gateway: one that lasts beside a store that lasts, one that passes beside memory.

The durable one needs the extra ``jobs`` and is imported only where a tool is a job. Not here: what an engine does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from toolgate.adapters.jobs.passing import PassingJobs
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.config.jobs import JobSettings
from toolgate.domain.errors import ConfigurationError
from toolgate.domain.tool import Tool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toolgate.ports import Clock, JobEngine, Store

_SCHEMA = "toolgate_jobs"


@runtime_checkable
class KeepsJobs(Protocol):
    """A store in whose database an engine can keep its rows."""

    @property
    def jobs_dsn(self) -> str:
        """The database's address; it may hold a password."""

    @property
    def jobs_schema(self) -> str:
        """The schema in it that is the engine's."""


def job_tools_among(tools: Iterable[object]) -> bool:
    """Whether any of them runs as a job. What is no tool is refused elsewhere."""
    return any(isinstance(tool, Tool) and tool.contract.job is not None for tool in tools)


def engine_of(
    wanted: JobEngine | JobSettings | Literal[False] | None, store: Store, *, boot_id: str, clock: Clock
) -> JobEngine | None:
    """The engine for ``store``. None for False: a process that only asks leaves the hand-over to the others' sweep.

    Raises:
        ConfigurationError: if it needs what is not installed.
    """
    if wanted is False:
        return None
    if wanted is not None and not isinstance(wanted, JobSettings):
        return wanted
    settings = wanted or JobSettings()
    where, schema = _place(store)
    if where is None:
        return PassingJobs(clock, concurrency=settings.concurrency)
    try:
        from toolgate.adapters.jobs.durable import DurableJobs  # noqa: PLC0415 - only with the extra, and a job
    except ImportError:
        raise ConfigurationError(
            "job=: a tool runs as a job, and what carries jobs beside this store is not installed; "
            "install toolgate[jobs]"
        ) from None
    return DurableJobs(
        where,
        schema=schema,
        executor=boot_id,
        concurrency=settings.concurrency,
        poll=settings.poll,
        pulse=settings.pulse,
        dead_after=settings.dead_after,
    )


def _place(store: Store) -> tuple[Path | str | None, str]:
    """Where the engine keeps its rows: beside a file, in the same database; None for a store that does not last.

    And the schema there: the ledger's with ``_jobs``, so that two ledgers of one database have an engine each.
    """
    if isinstance(store, SqliteStore):
        return store.path.with_name(f"{store.path.name}.jobs"), _SCHEMA
    if isinstance(store, KeepsJobs):
        return store.jobs_dsn, store.jobs_schema
    return None, _SCHEMA
