"""``toolgate migrate``: bring the store's schema up to date, and say what that took."""

from __future__ import annotations

import click

from toolgate.cli.ledger import database, writing
from toolgate.cli.options import as_json, asynchronous, configured
from toolgate.cli.plain import print_json
from toolgate.config import Settings


@click.command()
@configured
@as_json
@asynchronous
async def migrate(settings: Settings, as_json: bool) -> None:  # noqa: FBT001 - click's parameter
    """Make the store, with its keys beside it, or bring its schema up to date. A gateway does the same at its start."""
    from toolgate.adapters.stores.sqlite.reading import applied_migrations  # noqa: PLC0415 - drivers load late

    path = database(settings)
    new = not path.exists()
    before = applied_migrations(path)
    async with writing(settings):
        after = applied_migrations(path)
    applied = [name for name in after if name not in before]
    if as_json:
        print_json({"store": str(path), "created": new, "applied": applied, "migrations": after})
        return
    if new:
        click.echo(f"made {path}, and its keys in {path.name}.keys: back them up, apart from each other")
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo(f"nothing to do: the schema is at {after[-1]}")
