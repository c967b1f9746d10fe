"""Move a SQLite ledger to Postgres: all of it in one transaction, or nothing. The chains go on verifying.

Both stand still meanwhile: the source is held by a writer's lock, no gateway may keep house on it, and the target has
to be empty. Jobs that wait or run are refused: what their engine recorded of them lies elsewhere and is not copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from toolgate.adapters.stores.sqlite.dump import Dump, held_still
from toolgate.adapters.stores.sqlite.presence import is_served
from toolgate.bootstrap.stores import is_postgres, keys_of, open_ledger, sqlite_file
from toolgate.domain.errors import ConfigurationError
from toolgate.operations.verify_audit import verify_audit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from toolgate.adapters.keys import Keyring


class Copied(NamedTuple):
    """How many rows each table has now, and how many records of the trail verified at the target."""

    rows: dict[str, int]
    verified: int


async def copy_store(
    source: str,
    target: str,
    *,
    keys: Path | None = None,
    begin: Callable[[int], object],
    progress: Callable[[int], object],
) -> Copied:
    """Copy the ledger at ``source`` to ``target``. ``begin`` hears how many rows there are, ``progress`` of each part.

    Raises:
        ConfigurationError: if one of them is not what it has to be; nothing was copied.
        StoreUnavailable: if one of them fails; nothing was copied.
    """
    if is_postgres(source) or not is_postgres(target):
        raise ConfigurationError("a store is copied --from sqlite:///… --to postgresql://…, and no other way")
    path = sqlite_file(source)
    if not path.exists():
        raise ConfigurationError(f"--from: there is no database at {path}")
    if is_served(path):
        raise ConfigurationError(
            f"--from: a gateway is open on {path.name}; stop it first, and leave it stopped"
        )
    ring = keys_of(source, keys)
    with held_still(path) as dump:
        _refuse_unfit(dump, ring, path)
        begin(sum(table.total for table in dump.tables))
        return await _filled(target, dump, ring, progress)


def _refuse_unfit(dump: Dump, ring: Keyring, path: Path) -> None:
    if dump.ring is not None and dump.ring != ring.ring_id:
        raise ConfigurationError(f"--from: the keys belong to another database than {path.name}")
    if dump.open_jobs:
        raise ConfigurationError(
            f"--from: {dump.open_jobs} jobs or calls wait or run; let a gateway end them, or cancel them, then copy"
        )


async def _filled(target: str, dump: Dump, ring: Keyring, progress: Callable[[int], object]) -> Copied:
    from toolgate.adapters.stores.postgres.fill import fill  # noqa: PLC0415 - an extra
    from toolgate.adapters.stores.postgres.store import PostgresStore  # noqa: PLC0415 - likewise

    store = open_ledger(target, ring, boot_id="copy")
    assert isinstance(store, PostgresStore)
    await store.open()
    try:
        if await store.is_served():
            raise ConfigurationError("--to: a gateway is open on it; stop it first")
        rows = await fill(store, dump.tables, months=dump.months, progress=progress)
        if short := [table.name for table in dump.tables if rows[table.name] != table.total]:
            raise ConfigurationError(
                f"--to: {', '.join(short)} has another count of rows; drop it, and copy again"
            )
        report = await verify_audit(store)
        if not report.intact:
            raise ConfigurationError(
                f"the trail does not verify ({report.problem_count} problems): it did not before either, or the copy "
                "is damaged; see toolgate audit verify on both"
            )
        return Copied(rows, report.records)
    finally:
        await store.close()
