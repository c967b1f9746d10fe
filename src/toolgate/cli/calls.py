"""``toolgate calls``: what became of calls, and a person's word on those whose effect is unknown.

Reading takes the key file alone; resolving takes a token with the role ``operator``, in the call's tenant. The
ledger decides: it respects the lease of a live gateway, and asks for a reason. Not here: that decision.
"""

from __future__ import annotations

import json
from typing import Any

import click

from toolgate.cli.exits import misused, no
from toolgate.cli.ledger import acting, database, reading
from toolgate.cli.options import DurationType, as_json, asynchronous, configured, reason
from toolgate.cli.plain import instant, iso, print_json, printable
from toolgate.cli.tables import print_facts, print_heading, print_rows
from toolgate.config import Settings
from toolgate.domain.approval import Vote
from toolgate.domain.duration import MICRO
from toolgate.domain.rows import ByCall, CallRow
from toolgate.domain.trail import flat_line
from toolgate.operations.resolve_call import may_resolve, resolve_call
from toolgate.ports import CallFilter


@click.group()
def calls() -> None:
    """See what became of calls, and resolve unknown ones."""


@calls.command("list")
@configured
@click.option("--unresolved", is_flag=True, help="Only what a person has to look at.")
@click.option("--tool", metavar="NAME")
@click.option("--caller", metavar="ID")
@click.option("--tenant", metavar="NAME")
@click.option("--status", metavar="STATUS", help="As in the trail: succeeded, refused, unknown, ...")
@click.option("--workflow", metavar="ID")
@click.option("--since", type=DurationType(), metavar="DURATION", help="Only the last 24h, 30m, ...")
@click.option("--before", metavar="CALL", help="Older than this call: the next page.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@as_json
@asynchronous
async def list_(
    settings: Settings,
    unresolved: bool,  # noqa: FBT001 - click's parameter
    tool: str | None,
    caller: str | None,
    tenant: str | None,
    status: str | None,
    workflow: str | None,
    since: float | None,
    before: str | None,
    limit: int,
    as_json: bool,  # noqa: FBT001 - click's parameter
) -> None:
    """List calls, newest first."""
    async with reading(settings) as ledger:
        earliest = None if since is None else await ledger.store.now() - round(since * MICRO)
        rows = await ledger.store.calls(
            CallFilter(
                tenant=tenant,
                tool=tool,
                caller_id=caller,
                status=status,
                workflow_id=workflow,
                unresolved=unresolved,
                since=earliest,
                before=before,
                limit=limit,
            )
        )
    if as_json:
        print_json([_described(row) for row in rows])
        return
    print_rows(
        (("call", "asked by"), ("when (UTC)", "through"), ("tool", "status")),
        (_row(row) for row in rows),
        empty="No calls.",
    )
    if len(rows) == limit:
        click.echo(f"There may be more: --before {rows[-1].call_id}")


def _row(row: CallRow) -> tuple[tuple[str, str], ...]:
    status = row.status if row.error_type in {None, row.status} else f"{row.status}: {row.error_type}"
    if row.incident:
        status += ", INCIDENT"
    return (
        (row.call_id, f"{row.caller_id} of {row.tenant}"),
        (instant(row.received_at), row.agent or row.surface),
        (row.tool, status),
    )


@calls.command()
@configured
@click.argument("call_id")
@as_json
@asynchronous
async def show(settings: Settings, call_id: str, as_json: bool) -> None:  # noqa: FBT001 - click's parameter
    """Show a call: what it is now, and every event of it."""
    async with reading(settings) as ledger:
        found = await ledger.store.find(ByCall(call_id))
        events = [flat_line(json.loads(item.record)) async for item in ledger.store.records(call_id=call_id)]
    if found.call is None:
        no(f"there is no call {call_id}; `toolgate calls list` shows them")
    if as_json:
        votes = [{"voter": vote.voter, "reason": vote.reason, "at": iso(vote.at)} for vote in found.votes]
        print_json({**_described(found.call), "votes": votes, "events": events})
        return
    print_facts(_facts(found.call, found.votes))
    arguments = next((event["arguments"] for event in events if "arguments" in event), None)
    if arguments is not None:
        print_heading("Arguments, sensitive values replaced")
        for line in json.dumps(arguments, indent=2, ensure_ascii=False).splitlines():
            click.echo(f"  {printable(line)}")
    print_heading("Events")
    for event in events:
        click.echo(f"  {_event(event)}")


def _facts(row: CallRow, votes: tuple[Vote, ...]) -> list[tuple[str, str]]:
    return [
        ("call", row.call_id),
        ("status", row.status + (f": {row.error_type}" if row.error_type else "")),
        ("effect", row.effect_state.value if row.effect_state else "none"),
        ("incident", row.incident or ""),
        ("tool", f"{row.tool} (version {row.version}, {row.effect})"),
        ("asked by", f"{row.caller_id} of {row.tenant}"),
        ("agent", ", ".join(part for part in (row.agent, row.model) if part)),
        ("workflow", row.workflow_id),
        ("request", row.request_id or ""),
        ("received", iso(row.received_at)),
        ("took", f"{row.duration_us / 1000:.1f} ms" if row.duration_us else ""),
        ("approval", row.approval_id or ""),
        ("approved by", ", ".join(dict.fromkeys(vote.voter for vote in votes))),
    ]


def _event(event: dict[str, Any]) -> str:
    who = event.get("actor", "")
    why = event.get("reason") or "; ".join(event.get("reasons", ()))
    words = [
        instant(event["time"]),
        str(event.get("transition", event["event"])),
        f"effect {event.get('effect')}",
    ]
    return printable(", ".join([*words, *([f"by {who}"] if who else []), *([why] if why else [])]))


@calls.command()
@configured
@click.argument("call_id")
@click.option(
    "--applied", "applied", flag_value="applied", help="It happened. A replay answers a null result."
)
@click.option(
    "--not-applied", "applied", flag_value="not_applied", help="It did not: its key may be used again."
)
@reason
@as_json
@asynchronous
async def resolve(
    settings: Settings,
    call_id: str,
    applied: str | None,
    reason: str,
    as_json: bool,  # noqa: FBT001 - click's parameter
) -> None:
    """Say how an unknown effect ended, once you know it. Needs a token with the role operator."""
    from toolgate.bootstrap import Gateway  # noqa: PLC0415 - the whole gate

    if applied is None:
        misused("say --applied or --not-applied")
    database(settings)
    async with Gateway.from_config(*settings.files, housekeeping=None) as gateway:
        caller = await acting(gateway.store, gateway.world.keys)
        if (why := may_resolve(caller)) is not None:
            no(why)
        answer = await resolve_call(
            gateway.world, call_id, applied=applied == "applied", by=caller, reason=reason
        )
    if isinstance(answer, str):
        no(answer)
    if as_json:
        print_json(_described(answer))
        return
    click.echo(f"Recorded: {answer.call_id} is {answer.status}, its effect {_effect(answer)}.")


def _effect(row: CallRow) -> str:
    return row.effect_state.value if row.effect_state else "none"


def _described(row: CallRow) -> dict[str, Any]:
    return {
        "call_id": row.call_id,
        "tool": row.tool,
        "version": row.version,
        "effect": row.effect,
        "status": row.status,
        "effect_state": row.effect_state.value if row.effect_state else None,
        "error_type": row.error_type,
        "incident": row.incident,
        "caller": row.caller_id,
        "tenant": row.tenant,
        "agent": row.agent,
        "model": row.model,
        "workflow_id": row.workflow_id,
        "request_id": row.request_id,
        "approval_id": row.approval_id,
        "surface": row.surface,
        "received_at": iso(row.received_at),
        "updated_at": iso(row.updated_at),
        "duration_ms": row.duration_us // 1000,
    }
