"""Every row of another ledger into an empty schema, in one transaction: all of it, or nothing.

Not here: where the rows come from (``bootstrap.copy_store``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg

from toolgate.adapters.stores.postgres.faults import FAULTS, unavailable
from toolgate.adapters.stores.postgres.migrate import raise_base
from toolgate.adapters.stores.postgres.partitions import make_partitions
from toolgate.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from toolgate.adapters.stores.postgres.store import PostgresStore


class Rows(Protocol):
    """A table to be written: ``rows`` is read once, in the order of ``columns``."""

    @property
    def name(self) -> str:
        """Of the table."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Of each row."""

    @property
    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Each row once."""


_TIMES = """
UPDATE chains c SET head_at = coalesce((SELECT max(at) FROM audit a WHERE a.chain_no = c.chain_no), 0);
UPDATE chains SET recent = (head_at = (SELECT max(head_at) FROM chains));
SELECT setval(pg_get_serial_sequence('chains', 'chain_no'), (SELECT coalesce(max(chain_no), 0) + 1 FROM chains), false);
"""


async def fill(
    store: PostgresStore, tables: Iterable[Rows], *, months: Iterable[int], progress: Callable[[int], object]
) -> dict[str, int]:
    """Write ``tables`` into the schema of an open store. How many rows each has now, as counted there.

    Raises:
        ConfigurationError: if the schema holds anything already, or a value that Postgres has no place for.
        StoreUnavailable: if the server fails; nothing was written then.
    """
    return await store.link.run(_filled(store, list(tables), list(months), progress))


async def _filled(
    store: PostgresStore, tables: list[Rows], months: list[int], progress: Callable[[int], object]
) -> dict[str, int]:
    db: asyncpg.Connection | None = None
    try:
        db = await store.link.connect("copy", endless=True)
        async with db.transaction():
            await db.execute("LOCK TABLE chains, calls, tokens IN ACCESS EXCLUSIVE MODE")
            for name in ("chains", "calls", "tokens", "grants"):
                if await db.fetchval(f"SELECT EXISTS (SELECT 1 FROM {name})"):
                    raise ConfigurationError(
                        f"{store.link.address.shown} holds a ledger with something in it; name an empty one"
                    )
            for at in months:
                await make_partitions(db, at)
            for table in tables:
                await _copy(db, table, progress)
            await db.execute(_TIMES)
            await raise_base(db)
            return {table.name: await db.fetchval(f"SELECT count(*) FROM {table.name}") for table in tables}
    except (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError, asyncpg.DataError):
        raise ConfigurationError(
            "a text holds a NUL character, which Postgres cannot keep; nothing was copied"
        ) from None
    except FAULTS as fault:
        raise unavailable(fault) from None
    finally:
        if db is not None:
            with suppress(*FAULTS):
                await db.close()


async def _copy(db: asyncpg.Connection, table: Rows, progress: Callable[[int], object]) -> None:
    columns, rows = list(table.columns), table.rows
    if table.name == "chains":
        # What this store keeps besides is found out from the trail, once that is there.
        columns, rows = [*columns, "head_at", "recent"], ((*row, 0, False) for row in rows)
    await db.copy_records_to_table(table.name, records=_counted(rows, progress), columns=columns)


def _counted(rows: Iterator[tuple[Any, ...]], progress: Callable[[int], object]) -> Iterator[tuple[Any, ...]]:
    for number, row in enumerate(rows, start=1):
        if number % 1000 == 0:
            progress(1000)
        yield row
