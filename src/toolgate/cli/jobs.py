"""``toolgate jobs``: long work, how far it is, and a person's word that it shall end.

Looking takes the key file alone; cancelling takes the token of whoever may. A gateway or a worker that runs sees the
word within a second. Not here: what a job may do, and how it is followed until it ends (``watch``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from toolgate.cli.exits import no
from toolgate.cli.job_facts import described, facts, row_of
from toolgate.cli.ledger import acting, reading, writing
from toolgate.cli.options import DurationType, as_json, asynchronous, configured, reason
from toolgate.cli.plain import print_json
from toolgate.cli.tables import print_facts, print_item, print_rows
from toolgate.cli.watch import watch
from toolgate.config import Settings
from toolgate.domain.duration import MICRO
from toolgate.domain.jobs import told_state
from toolgate.domain.principal import Declined
from toolgate.domain.rows import ByCall
from toolgate.operations.jobs import cancel_job
from toolgate.ports import JobFilter

if TYPE_CHECKING:
    from toolgate.domain.rows import CallRow, JobRow
    from toolgate.ports import Store

_PAGE: Final = 500
STATES: Final = (
    "queued",
    "running",
    "pending_approval",
    "succeeded",
    "failed",
    "refused",
    "cancelled",
    "unknown",
)
NO_JOB: Final = "there is no job {}; `toolgate jobs list` shows them"
NOBODY_RUNS_THEM: Final = (
    "No gateway or worker is running on this store; jobs begin once one does: `toolgate serve`, or "
    "`toolgate worker`."
)


@click.group()
def jobs() -> None:
    """See how far long work is, follow it, and cancel it."""


jobs.add_command(watch)


@jobs.command("list")
@configured
@click.option("--state", type=click.Choice(STATES), help="Only those that stand so.")
@click.option("--tool", metavar="NAME")
@click.option("--caller", metavar="ID")
@click.option("--tenant", metavar="NAME")
@click.option("--agent", metavar="NAME")
@click.option("--since", type=DurationType(), metavar="DURATION", help="Only the last 24h, 30m, ...")
@click.option("--before", metavar="JOB", help="Older than this job: the next page.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@as_json
@asynchronous
async def list_(settings: Settings, *, since: float | None, limit: int, as_json: bool, **said: Any) -> None:
    """List jobs, newest first."""
    async with reading(settings) as ledger:
        now = await ledger.store.now()
        wanted = JobFilter(
            tenant=said["tenant"],
            tool=said["tool"],
            caller_id=said["caller"],
            agent=said["agent"],
            state=said["state"],
            since=None if since is None else now - round(since * MICRO),
            before=said["before"],
        )
        found, more = await _collected(ledger.store, wanted, limit)
        served = ledger.served
    if as_json:
        print_json([described(job, call) for job, call in found])
        return
    print_rows(
        (("job", "asked by"), ("state", "progress"), ("tool", "time")),
        (row_of(job, call, now) for job, call in found),
        empty="No jobs.",
    )
    if more is not None:
        click.echo(f"There may be more: --before {more}")
    if not served and any(told_state(call) == "queued" for _, call in found):
        click.echo()
        print_item(NOBODY_RUNS_THEM, depth=0)


async def _collected(
    store: Store, wanted: JobFilter, limit: int
) -> tuple[list[tuple[JobRow, CallRow]], str | None]:
    """As many as were asked for, page by page: a page may be short and still have a next."""
    found: list[tuple[JobRow, CallRow]] = []
    before = wanted.before
    while True:
        page = await store.jobs(replace(wanted, before=before, limit=min(limit - len(found), _PAGE)))
        found += page.rows
        before = page.next
        if before is None or len(found) >= limit:
            return found, before


@jobs.command()
@configured
@click.argument("job_id")
@as_json
@asynchronous
async def show(settings: Settings, job_id: str, *, as_json: bool) -> None:
    """Show a job: how it stands, how far it is, and how long it may still run."""
    async with reading(settings) as ledger:
        job = await ledger.store.job(job_id)
        call = None if job is None else (await ledger.store.find(ByCall(job.call_id))).call
        now = await ledger.store.now()
        served = ledger.served
    if job is None or call is None:
        no(NO_JOB.format(job_id))
    if as_json:
        print_json({**described(job, call), "gateway_running": served})
        return
    print_facts(facts(job, call, now))
    click.echo()
    if told_state(call) == "queued" and not served:
        print_item(NOBODY_RUNS_THEM, depth=0)
    print_item(f"Every event of it: toolgate calls show {job.call_id}", depth=0)


@jobs.command()
@configured
@click.argument("job_id")
@reason
@as_json
@asynchronous
async def cancel(settings: Settings, job_id: str, *, reason: str, as_json: bool) -> None:
    """Have a job end.

    One that has not begun never does. One that runs is told to stop; what it did stays done. By whoever asked for it,
    or an operator.
    """
    async with writing(settings) as ledger:
        by = await acting(ledger.store, ledger.keys, settings.agents)
        answer = await cancel_job(ledger.office(settings), job_id, by=by, reason=reason)
    if isinstance(answer, Declined):
        no(answer.reason)
    if as_json:
        print_json(described(answer.row, answer.call))
        return
    if answer.ended:
        click.echo(f"Recorded: {answer.state}. It had not begun, and never will.")
        return
    click.echo(f"Recorded: its worker is told to stop. How it ends: toolgate jobs watch {job_id}")
