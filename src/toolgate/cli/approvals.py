"""``toolgate approvals``: what waits for a person, and exactly what would run.

Looking takes the key file alone; ``--mine`` and everything that changes something is done by whom the token says.
Not here: deciding (``decide``), editing and revealing (``amend``), withdrawing and the kill switch (``withdraw``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolgate.cli.amend import edit, reveal
from toolgate.cli.approval_facts import described, look, print_review, state_of
from toolgate.cli.decide import NOBODY_RUNS_IT, approve, decide, deny
from toolgate.cli.exits import no
from toolgate.cli.ledger import acting, reading
from toolgate.cli.options import NO_APPROVAL, as_json, asynchronous, configured
from toolgate.cli.plain import print_json, span
from toolgate.cli.tables import print_item, print_rows
from toolgate.cli.withdraw import stop, withdraw
from toolgate.config import Settings
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.principal import Declined
from toolgate.domain.rows import ByApproval
from toolgate.operations.list_approvals import list_approvals
from toolgate.operations.review import Review, reviewed
from toolgate.ports import ApprovalFilter

if TYPE_CHECKING:
    from toolgate.cli.ledger import Ledger


@click.group()
def approvals() -> None:
    """See what waits for a person, and decide."""


for _command in (approve, deny, decide, edit, reveal, withdraw, stop):
    approvals.add_command(_command)


@approvals.command("list")
@configured
@click.option("--mine", is_flag=True, help="Only what the token in TOOLGATE_TOKEN may approve now.")
@click.option("--all", "everything", is_flag=True, help="Also what is decided, newest first.")
@click.option("--tenant", metavar="NAME", help="Only those of one tenant.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@as_json
@asynchronous
async def list_(
    settings: Settings, *, mine: bool, everything: bool, tenant: str | None, limit: int, as_json: bool
) -> None:
    """List what waits for a person, oldest first."""
    wanted = ApprovalFilter(open_only=mine or not everything, tenant=tenant, limit=limit)
    async with reading(settings) as ledger:
        found, more = await (_mine(ledger, settings, wanted) if mine else _all(ledger, wanted))
    if as_json:
        print_json([described(review) for review in found])
        return
    print_rows(
        (("approval", "asked by"), ("time left", "risk"), ("tool", "state")),
        (_row(review) for review in found),
        empty="Nothing waits for you." if mine else "Nothing waits for a person.",
    )
    if more:
        click.echo("There are more; raise --limit.")


async def _mine(ledger: Ledger, settings: Settings, wanted: ApprovalFilter) -> tuple[list[Review], bool]:
    by = await acting(ledger.store, ledger.keys, settings.agents)
    page = await list_approvals(ledger.office(settings), by=by, wanted=wanted, for_me=True)
    if isinstance(page, Declined):
        no(page.reason)
    return list(page.rows), page.next is not None


async def _all(ledger: Ledger, wanted: ApprovalFilter) -> tuple[list[Review], bool]:
    now = await ledger.store.now()
    rows = await ledger.store.approvals(wanted)
    found = [reviewed(await ledger.store.find(ByApproval(row.approval_id)), now) for row in rows]
    return [review for review in found if review is not None], len(rows) == wanted.limit


def _row(review: Review) -> tuple[tuple[str, str], ...]:
    row = review.row
    left = span(row.expires_at - review.now) if review.is_open else "-"
    edited = f" (revision {row.revision})" if row.revision > 1 else ""
    return (
        (row.approval_id, f"{row.caller_id} of {row.tenant}"),
        (left, review.requirement.risk),
        (f"{row.tool}{edited}", state_of(review)),
    )


@approvals.command()
@configured
@click.argument("approval_id")
@as_json
@asynchronous
async def show(settings: Settings, approval_id: str, *, as_json: bool) -> None:
    """Show exactly what would run, what was changed, and who said what."""
    async with reading(settings) as ledger:
        review = await look(ledger.office(settings), approval_id)
        served = ledger.served
    if review is None:
        no(NO_APPROVAL.format(approval_id))
    if as_json:
        print_json({**described(review), "gateway_running": served})
        return
    print_review(review)
    if review.row.state is ApprovalState.APPROVED and not served:
        click.echo()
        print_item(NOBODY_RUNS_IT, depth=0)
