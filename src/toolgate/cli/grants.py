"""``toolgate grants``: consent given beforehand, within bounds, and its end.

Looking takes the key file alone where ``--tenant`` says at whose; making and revoking is done in somebody's name, who
the token says. Not here: who may grant what (``operations.grants``), and which calls a grant covers.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import click

from toolgate.cli.exits import misused, no
from toolgate.cli.ledger import acting, reading, writing
from toolgate.cli.options import DurationType, MomentType, as_json, asynchronous, configured, reason
from toolgate.cli.plain import dated, iso, print_json, span
from toolgate.cli.tables import print_facts, print_rows
from toolgate.config import Settings
from toolgate.domain.canonical import UnfitJson, parse_json
from toolgate.domain.duration import MICRO
from toolgate.domain.principal import Declined
from toolgate.domain.rows import ByGrant
from toolgate.operations.grants import bounds_in_words, list_grants, make_grant, revoke_grant, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolgate.domain.rows import GrantRow
    from toolgate.gateway.world import World

_BOUND: Final = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|==|=|<|>|\sin\s)\s*(.*\S)\s*", re.DOTALL)
_SIGNS: Final = {"<=": "le", ">=": "ge", "<": "lt", ">": "gt", "=": "eq", "==": "eq", "in": "in"}
_NO_GRANT = "there is no grant {}; `toolgate grants list --all` shows them"


@click.group()
def grants() -> None:
    """See, give and revoke consent beforehand: one tool, within bounds, for a time, so many times."""


@grants.command("list")
@configured
@click.option("--all", "everything", is_flag=True, help="Also those that have ended.")
@click.option("--tenant", metavar="NAME", help="Whose grants.  [default: those of your token]")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--before", metavar="GRANT", help="Older than this grant: the next page.")
@as_json
@asynchronous
async def list_(
    settings: Settings,
    *,
    everything: bool,
    tenant: str | None,
    limit: int,
    before: str | None,
    as_json: bool,
) -> None:
    """List grants, newest first: those that can still be used."""
    async with reading(settings) as ledger:
        world = ledger.office(settings, with_tools=True)
        if tenant is None:
            by = await acting(ledger.store, ledger.keys, settings.agents, otherwise="say --tenant")
            page = await list_grants(world, by=by, active=not everything, before=before, limit=limit)
            if isinstance(page, Declined):
                no(page.reason)
            rows, now, further = page.rows, page.now, page.next
        else:
            now = await ledger.store.now()
            active_at = None if everything else now
            rows = tuple(
                await ledger.store.grants(tenant=tenant, active_at=active_at, before=before, limit=limit)
            )
            further = rows[-1].grant_id if len(rows) == limit else None
    if as_json:
        print_json([_described(world, row, now) for row in rows])
        return
    print_rows(
        (("grant", "for"), ("time left", "used"), ("tool", "within")),
        (_row(world, row, now) for row in rows),
        empty="No grants." if everything else "No grant can be used.",
    )
    if further is not None:
        click.echo(f"There may be more: --before {further}")


def _row(world: World, row: GrantRow, now: int) -> tuple[tuple[str, str], ...]:
    state = state_of(world, row, now)
    return (
        (row.grant_id, _for_whom(row)),
        (span(row.until - now) if state == "active" else state, f"{row.uses} of {row.max_uses}"),
        (row.tool, bounds_in_words(row)),
    )


def _for_whom(row: GrantRow) -> str:
    through = "" if row.agent is None else f"agent {row.agent}"
    return " through ".join(
        part for part in (row.caller_id or ("" if through else "anybody"), through) if part
    )


@grants.command()
@configured
@click.argument("grant_id")
@as_json
@asynchronous
async def show(settings: Settings, grant_id: str, *, as_json: bool) -> None:
    """Show one grant, and how often it was used."""
    async with reading(settings) as ledger:
        world, now = ledger.office(settings, with_tools=True), await ledger.store.now()
        row = (await ledger.store.find(ByGrant(grant_id))).grant if grant_id.isascii() else None
    if row is None:
        no(_NO_GRANT.format(grant_id))
    _print(world, row, now, as_json=as_json)


@grants.command()
@configured
@click.argument("tool")
@click.option(
    "--bound",
    "bounds",
    multiple=True,
    metavar="'FIELD<=VALUE'",
    help="What an argument may be: <=, >=, <, >, =, or 'FIELD in A,B'; may be repeated. Without one: anything.",
)
@click.option("--caller", metavar="ID", help="Whose calls.")
@click.option("--agent", metavar="NAME", help="Calls of which agent. At least one of --caller and --agent.")
@click.option("--for", "lasting", type=DurationType(), metavar="DURATION", help="How long, at most 30 days.")
@click.option("--until", type=MomentType(), metavar="TIME", help="Until when, as 2026-11-22T18:00:00Z.")
@click.option("--uses", type=click.IntRange(1, 10_000), required=True, help="How many calls.")
@click.option("--from", "approval_id", metavar="APPROVAL", help="The held call that made you give it.")
@reason
@as_json
@asynchronous
async def create(settings: Settings, tool: str, *, reason: str, as_json: bool, **said: Any) -> None:
    """Agree beforehand to calls of TOOL.

    It stands for your own vote, so you can only grant what you may approve, and never to yourself or to an agent that
    you answer for. A held call that is waiting already is not approved by it.
    """
    bounds = _bounds(said["bounds"])
    if (said["lasting"] is None) == (said["until"] is None):
        misused("say --for DURATION or --until TIME")
    async with writing(settings) as ledger:
        world = ledger.office(settings, with_tools=True)
        by = await acting(ledger.store, ledger.keys, settings.agents)
        now = await ledger.store.now()
        lasting = (said["until"] - now) / MICRO if said["lasting"] is None else said["lasting"]
        row = await make_grant(
            world,
            by=by,
            tool=tool,
            bounds=bounds,
            caller_id=said["caller"],
            agent=said["agent"],
            lasting=lasting,
            uses=said["uses"],
            reason=reason,
            approval_id=said["approval_id"],
        )
    if isinstance(row, Declined):
        no(row.reason)
    _print(world, row, now, as_json=as_json)


@grants.command()
@configured
@click.argument("grant_id")
@reason
@as_json
@asynchronous
async def revoke(settings: Settings, grant_id: str, *, reason: str, as_json: bool) -> None:
    """End a grant before its time. What it let through already stays done."""
    async with writing(settings) as ledger:
        world = ledger.office(settings, with_tools=True)
        by = await acting(ledger.store, ledger.keys, settings.agents)
        row = await revoke_grant(world, grant_id, by=by, reason=reason)
        now = await ledger.store.now()
    if isinstance(row, Declined):
        no(row.reason)
    if as_json:
        print_json(_described(world, row, now))
        return
    click.echo(f"{row.grant_id} is revoked, used {row.uses} of {row.max_uses} times.")


def _bounds(words: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for word in words:
        if (match := _BOUND.fullmatch(word)) is None:
            misused(f"--bound {word!r}: write 'amount_cents<=5000', or 'currency in EUR,USD'")
        path, sign, text = match[1], _SIGNS[match[2].strip()], match[3]
        tests = found.setdefault(path, {})
        if sign in tests:
            misused(f"--bound {word!r}: {path} has this bound twice")
        tests[sign] = _choices(text) if sign == "in" else _value(text)
    return found


def _choices(text: str) -> list[Any]:
    whole = _value(text)
    return whole if isinstance(whole, list) else [_value(part.strip()) for part in text.split(",")]


def _value(text: str) -> Any:
    """A number, a list or a quoted text as JSON; anything else is the text as it stands."""
    try:
        return parse_json(text)
    except UnfitJson:
        return text


def _print(world: World, row: GrantRow, now: int, *, as_json: bool) -> None:
    if as_json:
        print_json(_described(world, row, now))
        return
    state = state_of(world, row, now)
    print_facts(
        [
            ("grant", row.grant_id),
            ("state", state),
            ("tool", row.tool),
            ("within", bounds_in_words(row)),
            ("for", f"{_for_whom(row)}, in {row.tenant}"),
            (
                "until",
                dated(row.until) + (f", {span(row.until - now)} left" if state == "active" else ""),
            ),
            ("used", f"{row.uses} of {row.max_uses}"),
            ("given by", f"{row.granted_by}, {dated(row.created_at)}"),
            ("reason", row.reason),
            ("made from", row.approval_id or ""),
            ("revoked by", row.revoked_by or ""),
        ]
    )


def _described(world: World, row: GrantRow, now: int) -> dict[str, Any]:
    return {
        "grant_id": row.grant_id,
        "state": state_of(world, row, now),
        "tool": row.tool,
        "tenant": row.tenant,
        "bounds": json.loads(row.bounds),
        "caller": row.caller_id,
        "agent": row.agent,
        "until": iso(row.until),
        "uses": row.uses,
        "max_uses": row.max_uses,
        "granted_by": row.granted_by,
        "reason": row.reason,
        "approval_id": row.approval_id,
        "created_at": iso(row.created_at),
        "revoked_at": None if row.revoked_at is None else iso(row.revoked_at),
        "revoked_by": row.revoked_by,
    }
