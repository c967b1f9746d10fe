"""``toolgate notifications``: what became of messages to people outside, and beginning anew what was given up.

Looking takes the key file; beginning anew is done in somebody's name, who the token says. Sending is a gateway's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from toolgate.cli.exits import no
from toolgate.cli.ledger import acting, kept, reading
from toolgate.cli.options import as_json, asynchronous, configured
from toolgate.cli.plain import instant, iso, print_json, printable
from toolgate.config import Settings
from toolgate.domain.principal import Declined
from toolgate.operations.notify import DEAD, PENDING, STATES, retry_delivery

if TYPE_CHECKING:
    from toolgate.domain.rows import DeliveryRow, NoticeRow


@click.group()
def notifications() -> None:
    """See which messages to people outside did not arrive, and send them again."""


@notifications.command("list")
@configured
@click.option(
    "--state",
    type=click.Choice(STATES),
    default=DEAD,
    show_default=True,
    help="dead: given up after all attempts.",
)
@click.option("--tenant", metavar="NAME", help="Only those of one tenant.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@as_json
@asynchronous
async def list_(
    settings: Settings,
    state: str,
    tenant: str | None,
    limit: int,
    as_json: bool,  # noqa: FBT001 - click's parameter
) -> None:
    """List deliveries; without an option those that were given up."""
    async with reading(settings) as ledger:
        rows = await ledger.store.deliveries(state=state, tenant=tenant, limit=limit)
    if as_json:
        print_json([_described(delivery, notice) for delivery, notice in rows])
        return
    if not rows:
        click.echo(f"No notification is {state}.")
    for delivery, notice in rows:
        # An id and its sink are what `retry` takes: never cut or folded.
        click.echo(printable(f"{delivery.notice_id} {delivery.sink}"))
        click.echo(printable(f"  {notice.topic} of {notice.tenant}, {instant(notice.at)} UTC"))
        click.echo(printable(f"  {_state(delivery)}"))


def _state(delivery: DeliveryRow) -> str:
    words = f"{delivery.state}, attempts: {delivery.attempts}"
    if delivery.state == PENDING:
        words += f", next {instant(delivery.next_at)} UTC"
    return words + (f", {delivery.last_error}" if delivery.last_error else "")


@notifications.command()
@configured
@click.argument("notice_id", metavar="NOTIFICATION")
@click.argument("sink")
@as_json
@asynchronous
async def retry(
    settings: Settings,
    notice_id: str,
    sink: str,
    as_json: bool,  # noqa: FBT001 - click's parameter
) -> None:
    """Begin a delivery anew that was given up. Needs a token with the role operator."""
    from toolgate.bootstrap import Gateway  # noqa: PLC0415 - the whole gate

    kept(settings)
    async with Gateway.from_config(*settings.files, housekeeping=None) as gateway:
        by = await acting(gateway.store, gateway.world.keys, settings.agents)
        answer = await retry_delivery(gateway.world, notice_id, sink, by=by)
    if isinstance(answer, Declined):
        no(answer.reason)
    if as_json:
        print_json({"notification": answer.notice_id, "sink": answer.sink, "state": answer.state})
        return
    click.echo(f"{notice_id} is due to {sink} again; a running gateway sends it within a second.")


def _described(delivery: DeliveryRow, notice: NoticeRow) -> dict[str, Any]:
    return {
        "notification": delivery.notice_id,
        "topic": notice.topic,
        "tenant": notice.tenant,
        "at": iso(notice.at),
        "sink": delivery.sink,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_at": iso(delivery.next_at) if delivery.state == PENDING else None,
        "updated_at": iso(delivery.updated_at),
        "last_error": delivery.last_error,
    }
