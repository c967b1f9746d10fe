"""``toolgate approvals``: what waits for a person, exactly what would run, and the decision.

A decision is taken on what was shown: on the digest of the approval as this command printed it, or on the one that
``--digest`` names. Who decides is who the token says. Not here: who may (``domain.approval``).
"""

from __future__ import annotations

import sys
from typing import Any, Literal

import click

from toolgate.cli.exits import Ended, Exit, no
from toolgate.cli.ledger import Ledger, acting, reading, writing
from toolgate.cli.options import as_json, asynchronous, configured, reason
from toolgate.cli.plain import print_json, span
from toolgate.cli.request import Request, find_request
from toolgate.cli.tables import print_facts, print_heading, print_rows
from toolgate.config import Settings
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.rows import ApprovalRow, ByApproval
from toolgate.operations.decide_approval import decide_approval

NOBODY_RUNS_IT = (
    "no gateway is running on this store: it runs once one that has the tool is started, before it expires"
)

digest_option = click.option(
    "--digest", metavar="HEX", help="The digest that `approvals show` showed: refuse if it is another by now."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask again on a terminal.")


@click.group()
def approvals() -> None:
    """See what waits for a person, and decide."""


@approvals.command("list")
@configured
@click.option("--all", "everything", is_flag=True, help="Also what is decided, newest first.")
@click.option("--tenant", metavar="NAME", help="Only those of one tenant.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@as_json
@asynchronous
async def list_(
    settings: Settings,
    everything: bool,  # noqa: FBT001 - click's parameter
    tenant: str | None,
    limit: int,
    as_json: bool,  # noqa: FBT001 - click's parameter
) -> None:
    """List what waits for a person, oldest first."""
    async with reading(settings) as ledger:
        now = await ledger.store.now()
        rows = await ledger.store.approvals(open_only=not everything, tenant=tenant, limit=limit)
        requests = [
            Request(row, (await ledger.store.find(ByApproval(row.approval_id))).votes, now) for row in rows
        ]
    if as_json:
        print_json([request.described() for request in requests])
        return
    print_rows(
        (("approval", "asked by"), ("time left", "risk"), ("tool", "state")),
        (_row(request) for request in requests),
        empty="Nothing waits for a person.",
    )


def _row(request: Request) -> tuple[tuple[str, str], ...]:
    row = request.row
    left = span(row.expires_at - request.now) if request.is_open else "-"
    state = row.state.value
    if row.state is ApprovalState.PENDING:
        state = f"{state}: {request.tally.missing}"
    return (
        (row.approval_id, f"{row.caller_id} of {row.tenant}"),
        (left, request.requirement.risk),
        (row.tool, state),
    )


@approvals.command()
@configured
@click.argument("approval_id")
@as_json
@asynchronous
async def show(settings: Settings, approval_id: str, as_json: bool) -> None:  # noqa: FBT001 - click's parameter
    """Show exactly what would run."""
    async with reading(settings) as ledger:
        request = await find_request(ledger.store, approval_id)
        if request is None:
            no(f"there is no approval {approval_id}; `toolgate approvals list` shows what waits")
        served = ledger.served
    if as_json:
        print_json({**request.described(), "gateway_running": served})
        return
    _print(request)
    if request.row.state is ApprovalState.APPROVED and not served:
        click.echo(f"\n{NOBODY_RUNS_IT}")


@approvals.command()
@configured
@click.argument("approval_id")
@reason
@digest_option
@yes_option
@as_json
@asynchronous
async def approve(settings: Settings, **said: Any) -> None:
    """Approve what is shown. The gateway that has the tool runs it."""
    await _decide(settings, "approve", **said)


@approvals.command()
@configured
@click.argument("approval_id")
@reason
@digest_option
@yes_option
@as_json
@asynchronous
async def deny(settings: Settings, **said: Any) -> None:
    """Deny it, for good: its key never runs."""
    await _decide(settings, "deny", **said)


async def _decide(
    settings: Settings,
    decision: Literal["approve", "deny"],
    *,
    approval_id: str,
    reason: str,
    digest: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    async with writing(settings) as ledger:
        voter = await acting(ledger.store, ledger.keys)
        request = await find_request(ledger.store, approval_id)
        if request is None or request.row.tenant != voter.tenant:
            no(f"there is no approval {approval_id}; `toolgate approvals list` shows what waits")
        if digest is not None and not request.is_what(digest):
            no("it is not what was shown: its digest is another by now; look at it again")
        if not as_json:
            _print(request)
            click.echo()
        if sys.stdin.isatty() and not (yes or as_json):
            click.confirm(f"{decision.capitalize()} exactly this, as {voter.id}?", abort=True)
        answer = await decide_approval(
            ledger.store, approval_id, decision, voter=voter, reason=reason, digest=request.row.digest
        )
        if isinstance(answer, str):
            no(answer)
        await _report(ledger, answer, as_json=as_json)


async def _report(ledger: Ledger, row: ApprovalRow, *, as_json: bool) -> None:
    decided = await find_request(ledger.store, row.approval_id)
    if decided is None:
        raise Ended("the decision was recorded, and cannot be read again", Exit.FAULT)
    served = ledger.served
    if as_json:
        print_json({**decided.described(), "gateway_running": served})
        return
    match decided.row.state:
        case ApprovalState.PENDING:
            click.echo(f"Recorded. Still missing: {decided.tally.missing}.")
        case ApprovalState.APPROVED | ApprovalState.CONSUMED:
            click.echo(
                "Recorded: approved. " + ("The gateway runs it." if served else f"But {NOBODY_RUNS_IT}.")
            )
        case ended:
            click.echo(f"Recorded: {ended.value}. It does not run.")


def _print(request: Request) -> None:
    print_facts(request.facts())
    for title, lines in request.blocks():
        print_heading(title)
        for line in lines:
            click.echo(f"  {line}")
