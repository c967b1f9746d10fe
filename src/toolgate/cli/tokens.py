"""``toolgate tokens``: the credentials by which people and programs act.

Whoever can read the key file makes tokens, the first one and every later one; the trail names the system's user.
A secret is printed once and kept nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from toolgate.cli.exits import misused, no
from toolgate.cli.ledger import TOKEN_VARIABLE, keyholder, reading, writing
from toolgate.cli.options import DurationType, as_json, asynchronous, configured
from toolgate.cli.plain import instant, iso, print_json
from toolgate.cli.tables import print_rows
from toolgate.config import Settings
from toolgate.domain.caller import Caller
from toolgate.operations.tokens import create_token, revoke_token

if TYPE_CHECKING:
    from toolgate.domain.rows import TokenRow


@click.group()
def tokens() -> None:
    """Make, list and revoke the tokens that people and programs act by.

    Owning the key file beside the database is owning the gate: no token is needed here, and the trail says
    keyholder:<user of this machine>.
    """


@tokens.command()
@configured
@click.option("--id", "caller_id", required=True, metavar="ID", help="Whom the token stands for.")
@click.option("--roles", multiple=True, metavar="NAME[,NAME]", help="Roles it gives; may be repeated.")
@click.option("--tenant", default="default", show_default=True, metavar="NAME", help="Whose data it reaches.")
@click.option(
    "--expires-in", type=DurationType(), default="90d", show_default=True, help="How long it works."
)
@as_json
@asynchronous
async def create(
    settings: Settings,
    caller_id: str,
    roles: tuple[str, ...],
    tenant: str,
    expires_in: float,
    as_json: bool,  # noqa: FBT001 - click's parameter
) -> None:
    """Make a token and print its secret, once."""
    from toolgate.adapters.ids import UlidIds  # noqa: PLC0415 - with the store

    names = [name.strip() for text in roles for name in text.split(",") if name.strip()]
    try:
        caller = Caller(caller_id, roles=names, tenant=tenant)
    except ValueError as refused:
        misused(str(refused))
    async with writing(settings) as ledger:
        made = await create_token(
            ledger.store, ledger.keys, UlidIds(), caller=caller, lasting=expires_in, by=keyholder()
        )
        if as_json:
            print_json({**_described(made.row, await ledger.store.now()), "secret": made.secret})
            return
        click.echo(made.secret)
    click.echo(
        f"\nThis is shown once. It acts as {caller_id} of {tenant}, until {iso(made.row.expires_at)}.\n"
        f"Put it into {TOKEN_VARIABLE}; revoke it with: toolgate tokens revoke {made.row.token_id}",
        err=True,
    )


@tokens.command("list")
@configured
@as_json
@asynchronous
async def list_(settings: Settings, as_json: bool) -> None:  # noqa: FBT001 - click's parameter
    """List the tokens; their secrets are kept nowhere."""
    async with reading(settings) as ledger:
        now = await ledger.store.now()
        rows = await ledger.store.tokens()
    if as_json:
        print_json([_described(row, now) for row in rows])
        return
    print_rows(
        (("token", "stands for"), ("state", "until (UTC)"), ("roles", "tenant")),
        (
            (
                (row.token_id, row.caller_id),
                (_state(row, now), instant(row.expires_at)),
                (", ".join(sorted(row.roles)) or "none", row.tenant),
            )
            for row in rows
        ),
        empty="There are no tokens. Make one: toolgate tokens create --id ID --roles NAME",
    )


@tokens.command()
@configured
@click.argument("token_id")
@as_json
@asynchronous
async def revoke(settings: Settings, token_id: str, as_json: bool) -> None:  # noqa: FBT001 - click's parameter
    """Revoke a token: from now on it opens nothing."""
    async with writing(settings) as ledger:
        row = await revoke_token(ledger.store, token_id, by=keyholder())
        if row is None:
            no(f"there is no token {token_id}; `toolgate tokens list` shows them")
        now = await ledger.store.now()
    if as_json:
        print_json(_described(row, now))
        return
    click.echo(f"{token_id} of {row.caller_id} is revoked")


def _state(row: TokenRow, now: int) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if now >= row.expires_at else "works"


def _described(row: TokenRow, now: int) -> dict[str, Any]:
    return {
        "token_id": row.token_id,
        "caller": row.caller_id,
        "tenant": row.tenant,
        "roles": sorted(row.roles),
        "state": _state(row, now),
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
        "revoked_at": None if row.revoked_at is None else iso(row.revoked_at),
    }
