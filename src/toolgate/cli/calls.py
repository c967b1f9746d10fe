"""``toolgate calls``: what became of calls, and a person's word on those whose effect is unknown.

Reading takes the key file alone; resolving takes a token with the role ``operator``, in the call's tenant. The
ledger decides: it respects the lease of a live gateway, and asks for a reason. Not here: that decision.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from toolgate.cli.approval_facts import print_tree
from toolgate.cli.exits import misused, no
from toolgate.cli.ledger import acting, kept, reading
from toolgate.cli.options import DurationType, MomentType, as_json, asynchronous, configured, reason
from toolgate.cli.plain import instant, iso, one_line, print_json
from toolgate.cli.tables import print_facts, print_heading, print_item, print_rows
from toolgate.config import Settings
from toolgate.domain.approval import Vote
from toolgate.domain.duration import MICRO
from toolgate.domain.principal import Declined
from toolgate.domain.rows import ByCall, CallRow
from toolgate.domain.trail import flat_line
from toolgate.operations.resolve_call import resolve_call
from toolgate.ports import CallFilter

if TYPE_CHECKING:
    from toolgate.ports import Store

_PAGE: Final = 500
_LAPSED: Final = 100


@click.group()
def calls() -> None:
    """See what became of calls, and resolve unknown ones."""


@calls.command("list")
@configured
@click.option("--unresolved", is_flag=True, help="Only what a person has to look at.")
@click.option("--tool", metavar="NAME")
@click.option("--caller", metavar="ID")
@click.option("--tenant", metavar="NAME")
@click.option("--agent", metavar="NAME")
@click.option("--status", metavar="STATUS", help="As in the trail: succeeded, refused, unknown, ...")
@click.option("--error", metavar="TYPE", help="As in the trail: timeout, permission_denied, ...")
@click.option("--workflow", metavar="ID")
@click.option("--since", type=DurationType(), metavar="DURATION", help="Only the last 24h, 30m, ...")
@click.option("--until", type=MomentType(), metavar="TIME", help="Only before 2026-11-22T18:00:00Z, ...")
@click.option("--before", metavar="CALL", help="Older than this call: the next page.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@as_json
@asynchronous
async def list_(settings: Settings, *, since: float | None, limit: int, as_json: bool, **said: Any) -> None:
    """List calls, newest first."""
    async with reading(settings) as ledger:
        now = await ledger.store.now()
        wanted = CallFilter(
            tenant=said["tenant"],
            tool=said["tool"],
            caller_id=said["caller"],
            agent=said["agent"],
            status=said["status"],
            error_type=said["error"],
            workflow_id=said["workflow"],
            unresolved=said["unresolved"],
            since=None if since is None else now - round(since * MICRO),
            until=said["until"],
            before=said["before"],
        )
        rows, more = await _collected(ledger.store, wanted, limit)
        lapsed = await ledger.store.lapsed(_LAPSED) if said["unresolved"] else ()
        served = ledger.served
    lapsed = [row for row in lapsed if wanted.tenant in {None, row.tenant}]
    if as_json:
        print_json([_described(row) for row in rows])
        return
    print_rows(
        (("call", "asked by"), ("when (UTC)", "through"), ("tool", "status")),
        (_row(row) for row in rows),
        empty="No calls.",
    )
    if more is not None:
        click.echo(f"There may be more: --before {more}")
    if lapsed:
        click.echo()
        print_item(_about_to(len(lapsed), served=served), depth=0)


async def _collected(store: Store, wanted: CallFilter, limit: int) -> tuple[list[CallRow], str | None]:
    """As many as were asked for, page by page: a page may be short of a rare kind of call, and still have a next."""
    found: list[CallRow] = []
    before = wanted.before
    while True:
        page = await store.calls(replace(wanted, before=before, limit=min(limit - len(found), _PAGE)))
        found += page.rows
        before = page.next
        if before is None or len(found) >= limit:
            return found, before


def _about_to(count: int, *, served: bool) -> str:
    many = f"{'More than ' if count == _LAPSED else ''}{count} call{'' if count == 1 else 's'} ran past"
    who = "within a second" if served else "once a gateway is started on this store, and none is running"
    return (
        f"{many} the time that its gateway had for it, and become{'s' if count == 1 else ''} unknown {who}."
    )


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
async def show(settings: Settings, call_id: str, *, as_json: bool) -> None:
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
    # What a repetition asked for is told with it, and is not what runs.
    told = [
        event["arguments"] for event in events if "arguments" in event and event["transition"] != "replayed"
    ]
    for place, arguments in enumerate(told):
        edited = f" as edited, {place} of {len(told) - 1}" if place else ""
        print_heading(f"Arguments{edited}, sensitive values replaced")
        print_tree(arguments)
    print_heading("Events")
    for event in events:
        print_item(_event(event))


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
    return one_line(", ".join([*words, *([f"by {who}"] if who else []), *([why] if why else [])]))


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
    *,
    applied: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """Say how an unknown effect ended, once you know it. Needs a token with the role operator."""
    from toolgate.bootstrap import Gateway  # noqa: PLC0415 - the whole gate

    if applied is None:
        misused("say --applied or --not-applied")
    kept(settings)
    async with Gateway.from_config(*settings.files, housekeeping=None) as gateway:
        by = await acting(gateway.store, gateway.world.keys, settings.agents)
        # Near tools: a call that is drafted anew shows the tool's own preview.
        answer = await gateway.operate_near_tools(
            resolve_call, call_id, applied=applied == "applied", by=by, reason=reason
        )
    if isinstance(answer, Declined):
        no(answer.reason)
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
