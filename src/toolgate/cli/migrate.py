"""``toolgate migrate``: bring the store's schema up to date, and say what that took."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from toolgate.bootstrap.stores import is_postgres, keys_file, keys_of, open_ledger, sqlite_file
from toolgate.cli.ledger import kept, writing
from toolgate.cli.options import as_json, asynchronous, configured
from toolgate.cli.plain import print_json
from toolgate.cli.serving import store_words
from toolgate.config import Settings
from toolgate.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from toolgate.adapters.keys import Keyring


@click.command()
@configured
@as_json
@asynchronous
async def migrate(settings: Settings, as_json: bool) -> None:  # noqa: FBT001 - click's parameter
    """Make the store, with its keys beside it, or bring its schema up to date. A gateway does the same at its start."""
    address = kept(settings)
    keys, made_at = keys_of(address, settings.keys), keys_file(address, settings.keys)
    before = await _applied(address, keys)
    async with writing(settings) as ledger:
        after = await ledger.store.migrations()
    applied = [name for name in after if name not in before]
    name = store_words(settings) if is_postgres(address) else str(sqlite_file(address))
    if as_json:
        print_json({"store": name, "created": not before, "applied": applied, "migrations": after})
        return
    if not before:
        click.echo(f"made {name}, and its keys in {made_at.name}: back them up, apart from each other")
    for migration in applied:
        click.echo(f"applied {migration}")
    if not applied:
        click.echo(f"nothing to do: the schema is at {after[-1]}")


async def _applied(address: str, keys: Keyring) -> list[str]:
    """What the database has before; none where it holds no ledger yet."""
    store = open_ledger(address, keys, boot_id="migrate", reading=True)
    with suppress(ConfigurationError):
        await store.open()
        try:
            return await store.migrations()
        finally:
            await store.close()
    return []
