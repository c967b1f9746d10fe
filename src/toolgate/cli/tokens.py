"""``toolgate tokens``: the credentials by which people and programs act.

Whoever can read the key file makes tokens, the first one and every later one; the trail names the system's user.
A secret is printed once and kept nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from toolgate.cli.exits import misused, no
from toolgate.cli.ledger import TOKEN_VARIABLE, keyholder, reading, writing
from toolgate.cli.options import DurationType, as_json, asynchronous, configured
from toolgate.cli.plain import dated, iso, print_json, printable
from toolgate.cli.tables import print_rows
from toolgate.config import Settings
from toolgate.domain.caller import Caller
from toolgate.domain.principal import Scope
from toolgate.domain.rows import GIVEN_OUT
from toolgate.operations.tokens import (
    AGENT_SCOPES,
    SCOPES,
    agent_problem,
    create_token,
    label_problem,
    revoke_token,
    token_state,
)

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
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may be used for; may be repeated.  [default: call, approve, operate]",
)
@click.option("--agent", metavar="NAME", help="The program that acts with it; it may then only call.")
@click.option(
    "--owner", metavar="ID", help="Who answers for the agent, and may not approve what it asks for."
)
@click.option("--label", default="", metavar="TEXT", help="What it is for, for the list.")
@click.option(
    "--expires-in", type=DurationType(), default="90d", show_default=True, help="How long it works."
)
@as_json
@asynchronous
async def create(settings: Settings, *, as_json: bool, expires_in: float, **said: Any) -> None:
    """Make a token and print its secret, once."""
    from toolgate.adapters.ids import UlidIds  # noqa: PLC0415 - with the store

    caller = _caller(said["caller_id"], said["roles"], said["tenant"])
    agent, owner, label, scopes = said["agent"], said["owner"], said["label"], said["scopes"]
    if problem := agent_problem(agent, owner, settings.agents) or label_problem(label):
        misused(problem)
    if agent is not None and set(scopes) - AGENT_SCOPES:
        misused("--scope: what acts through an agent may only call; leave it out")
    async with writing(settings) as ledger:
        made = await create_token(
            ledger.store,
            ledger.keys,
            UlidIds(),
            caller=caller,
            lasting=expires_in,
            by=keyholder(),
            scopes=[Scope(scope) for scope in scopes] or SCOPES,
            agent=agent,
            owner=None if agent is None else settings.agents.get(agent, owner),
            label=label,
        )
        if as_json:
            print_json({**_described(made.row, await ledger.store.now()), "secret": made.secret})
            return
        click.echo(made.secret)
    _explain(made.row)


def _caller(caller_id: str, roles: Iterable[str], tenant: str) -> Caller:
    names = [name.strip() for text in roles for name in text.split(",") if name.strip()]
    try:
        return Caller(caller_id, roles=names, tenant=tenant)
    except ValueError as refused:
        misused(str(refused))


def _explain(row: TokenRow) -> None:
    through = "" if row.agent is None else f" through the agent {printable(row.agent)}, {_owned(row)}"
    click.echo(
        f"\nThis is shown once. It acts as {printable(row.caller_id)} of {printable(row.tenant)}{through}, "
        f"until {iso(row.expires_at)}.\nIt is good for: {', '.join(sorted(row.scopes))}.\n"
        f"Put it into {TOKEN_VARIABLE}; revoke it with: toolgate tokens revoke {row.token_id}",
        err=True,
    )


@tokens.command("list")
@configured
@click.option("--all", "everything", is_flag=True, help="Also sessions, links and exchanged tokens.")
@as_json
@asynchronous
async def list_(settings: Settings, *, everything: bool, as_json: bool) -> None:
    """List the tokens; their secrets are kept nowhere."""
    async with reading(settings) as ledger:
        now = await ledger.store.now()
        found = await ledger.store.tokens(live_at=None if everything else now)
        rows = [row for row in found if everything or row.kind == GIVEN_OUT]
    if as_json:
        print_json([_described(row, now) for row in rows])
        return
    print_rows(
        (
            ("token", "stands for"),
            ("state", "until (UTC)"),
            ("roles", "tenant"),
            ("good for", "in whose hands"),
        ),
        (
            (
                (row.token_id, row.caller_id),
                (token_state(row, now), _until(row)),
                (", ".join(sorted(row.roles)) or "none", row.tenant),
                (_good_for(row), _hands(row)),
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


def _until(row: TokenRow) -> str:
    """The day of what lasts for months, the minute of what lasts for hours."""
    day, _, minute = dated(row.expires_at).partition(" ")
    return day if row.kind == "api" else f"{day} {minute}"


def _good_for(row: TokenRow) -> str:
    scopes = ", ".join(sorted(row.scopes)) or "nothing"
    return scopes if row.kind == "api" else f"{row.kind}: {scopes}"


def _hands(row: TokenRow) -> str:
    agent = "" if row.agent is None else f"{row.agent} ({row.owner or 'nobody'} answers)"
    return "; ".join(word for word in (agent, row.label) if word)


def _owned(row: TokenRow) -> str:
    return "which nobody answers for" if row.owner is None else f"which {printable(row.owner)} answers for"


def _described(row: TokenRow, now: int) -> dict[str, Any]:
    return {
        "token_id": row.token_id,
        "caller": row.caller_id,
        "tenant": row.tenant,
        "roles": sorted(row.roles),
        "scopes": sorted(row.scopes),
        "kind": row.kind,
        "agent": row.agent,
        "owner": row.owner,
        "label": row.label,
        "parents": [] if row.parent is None else row.parent.split(" "),
        "state": token_state(row, now),
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
        "revoked_at": None if row.revoked_at is None else iso(row.revoked_at),
    }
