"""``toolgate approvals withdraw`` and ``stop``: take back one held call, or everything at once.

Neither is a denial: what was withdrawn may be asked for again. What runs already is not called back.
"""

from __future__ import annotations

import sys

import click

from toolgate.cli.approval_facts import described
from toolgate.cli.exits import no
from toolgate.cli.ledger import acting, writing
from toolgate.cli.options import as_json, asynchronous, configured, reason, yes_option
from toolgate.cli.plain import print_json
from toolgate.config import Settings
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations import withdraw as operations


@click.command()
@configured
@click.argument("approval_id")
@reason
@as_json
@asynchronous
async def withdraw(settings: Settings, approval_id: str, *, reason: str, as_json: bool) -> None:
    """Cancel a held call; it may be asked for again.

    By whoever asked for it, who has a say in it, or an operator.
    """
    async with writing(settings) as ledger:
        by = await acting(ledger.store, ledger.keys, settings.agents)
        answer = await operations.withdraw(ledger.office(settings), approval_id, by=by, reason=reason)
    if isinstance(answer, Declined):
        no(answer.reason)
    if as_json:
        print_json(described(answer))
        return
    click.echo(f"Recorded: {answer.state}. It does not run, and may be asked for again.")


@click.command()
@configured
@reason
@click.option("--tool", metavar="NAME", help="Only calls of one tool, and its grants.")
@click.option(
    "--agent", metavar="NAME", help="Only calls of one agent, and grants that would let it through."
)
@click.option(
    "--caller", metavar="ID", help="Only calls of one caller, and grants that would let them through."
)
@yes_option
@as_json
@asynchronous
async def stop(
    settings: Settings,
    *,
    reason: str,
    tool: str | None,
    agent: str | None,
    caller: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """The kill switch: cancel all that waits, and end grants.

    What is approved and has not begun is cancelled too. Needs a token with the role operator, and reaches its tenant.
    What runs already is not called back.
    """
    async with writing(settings) as ledger:
        by = await acting(ledger.store, ledger.keys, settings.agents)
        if why := forbids(by, Action.STOP):
            no(why)
        if sys.stdin.isatty() and not (yes or as_json):
            click.confirm(_question(by.tenant, tool=tool, agent=agent, caller=caller), abort=True)
        stopped = await operations.stop_all(
            ledger.office(settings), by=by, reason=reason, tool=tool, agent=agent, caller_id=caller
        )
    if isinstance(stopped, Declined):
        no(stopped.reason)
    if as_json:
        print_json(stopped._asdict())
        return
    click.echo(
        f"Stopped: {_counted(stopped.approvals, 'approval')} cancelled, "
        f"{_counted(stopped.grants, 'grant')} revoked.\nWhat runs already is not called back."
    )


def _question(tenant: str, *, tool: str | None, agent: str | None, caller: str | None) -> str:
    parts = [
        f"{what} {name}" for what, name in (("tool", tool), ("agent", agent), ("caller", caller)) if name
    ]
    narrowed = f" of {' and '.join(parts)}" if parts else ""
    return f"Cancel everything{narrowed} that waits in {tenant}, and end the grants for it?"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
