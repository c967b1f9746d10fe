"""``toolgate approvals edit`` and ``reveal``: change what would run, and see what is masked.

An edit is validated and authorised by the tool's own code, so it opens a gateway that keeps no house. Not here: what
an edit means for votes and keys (``domain.ledger.approvals``).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from toolgate.cli.approval_facts import (
    SHOWN_DIGEST,
    described,
    is_what,
    look,
    print_differences,
    print_tree,
)
from toolgate.cli.decide import CHANGED
from toolgate.cli.exits import misused, no
from toolgate.cli.ledger import acting, kept, writing
from toolgate.cli.options import (
    NO_APPROVAL,
    as_json,
    asynchronous,
    configured,
    digest_option,
    reason,
    yes_option,
)
from toolgate.cli.plain import print_json
from toolgate.cli.tables import print_facts, print_heading, print_item
from toolgate.config import Settings
from toolgate.domain.canonical import UnfitJson, parse_json
from toolgate.domain.principal import Declined
from toolgate.operations.edit_approval import ProposedEdit, edit_approval, propose_edit
from toolgate.operations.reveal_masked import reveal_masked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolgate.operations.review import Review


@click.command()
@configured
@click.argument("approval_id")
@click.option(
    "--set",
    "changes",
    multiple=True,
    required=True,
    metavar="FIELD=JSON",
    help="A new value of an argument; may be repeated. What is not named stays.",
)
@click.option("--reason", metavar="TEXT", help="Why; the trail keeps it. Not needed with --dry-run.")
@digest_option
@click.option("--dry-run", is_flag=True, help="Only show what it would come to.")
@yes_option
@as_json
@asynchronous
async def edit(
    settings: Settings,
    approval_id: str,
    *,
    changes: Sequence[str],
    reason: str | None,
    digest: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Change the arguments before anybody agrees to them.

    The new ones are validated and authorised as the old ones were. Votes that were given are void, an edit is no vote,
    and whoever makes it may not approve the result.
    """
    from toolgate.bootstrap import Gateway  # noqa: PLC0415 - the whole gate

    new = _changes(changes)
    if reason is None and not dry_run:
        misused("say --reason, or look first with --dry-run")
    kept(settings)
    async with Gateway.from_config(*settings.files, housekeeping=None) as gateway:
        by = await acting(gateway.store, gateway.world.keys, settings.agents)
        review = await look(gateway.world, approval_id, tenant=by.tenant)
        if review is None:
            no(NO_APPROVAL.format(approval_id))
        if digest is not None and not is_what(review, digest):
            no(CHANGED)
        proposed = await gateway.operate_near_tools(propose_edit, approval_id, new, by=by)
        if isinstance(proposed, Declined):
            no(proposed.reason)
        if not as_json:
            _print(proposed)
        if dry_run:
            _answer_dry(proposed, as_json=as_json)
            return
        if sys.stdin.isatty() and not (yes or as_json):
            click.echo()
            click.confirm(f"Edit it so, as {by.id}?", abort=True)
        after = await gateway.operate_near_tools(
            edit_approval,
            approval_id,
            new,
            by=by,
            reason=reason or "",
            digest=review.row.digest,
        )
    if isinstance(after, Declined):
        no(after.reason)
    _answer(after, as_json=as_json)


def _changes(words: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in words:
        field, given, text = word.partition("=")
        field = field.strip()
        if not given or not field:
            misused(f"--set {word}: write FIELD=JSON, for example --set amount_cents=4500")
        if field in found:
            misused(f"--set {field}: it is named twice")
        try:
            found[field] = parse_json(text.encode("utf-8", "surrogateescape"))
        except UnfitJson as unfit:
            _unreadable(field, text, unfit)
    return found


def _unreadable(field: str, text: str, unfit: Exception) -> NoReturn:
    hint = "" if text[:1] in {'"', "{", "["} else f"; a text is written --set '{field}=\"...\"'"
    misused(f"--set {field}: its value is no JSON: {unfit}{hint}")


def _print(proposed: ProposedEdit) -> None:
    print_heading("It would change")
    print_differences(proposed.differences)
    print_heading("To these arguments, sensitive values replaced")
    print_tree(proposed.arguments)
    if proposed.preview is not None:
        print_heading("The tool's preview")
        print_item(proposed.preview)
    demanded = proposed.requirement
    click.echo()
    print_facts(
        [
            ("needs", f"{demanded.quorum} by {demanded.shown_roles()}"),
            ("why a person", demanded.reason),
        ]
    )


def _answer_dry(proposed: ProposedEdit, *, as_json: bool) -> None:
    if not as_json:
        click.echo("\nNothing was changed.")
        return
    print_json(
        {
            "arguments": dict(proposed.arguments),
            "differences": [one._asdict() for one in proposed.differences],
            "preview": proposed.preview,
            "requires_role": proposed.requirement.shown_roles(),
            "quorum": proposed.requirement.quorum,
        }
    )


def _answer(review: Review, *, as_json: bool) -> None:
    if as_json:
        print_json(described(review))
        return
    click.echo(
        f"\nRecorded: revision {review.row.revision}, digest {review.row.digest.hex()[:SHOWN_DIGEST]}.\n"
        "Every vote before it is void, and whoever edited it may not approve it."
    )
    print_item(f"Missing: {review.tally.missing}.", depth=0)


@click.command()
@configured
@click.argument("approval_id")
@reason
@digest_option
@as_json
@asynchronous
async def reveal(
    settings: Settings, approval_id: str, *, reason: str, digest: str | None, as_json: bool
) -> None:
    """Show the arguments whole, masked values too. That you looked, and why, stands in the trail."""
    async with writing(settings) as ledger:
        world = ledger.office(settings)
        by = await acting(ledger.store, ledger.keys, settings.agents)
        review = await look(world, approval_id, tenant=by.tenant)
        if review is None:
            no(NO_APPROVAL.format(approval_id))
        if digest is not None and not is_what(review, digest):
            no(CHANGED)
        whole: Mapping[str, Any] | Declined = await reveal_masked(
            world, approval_id, by=by, reason=reason, digest=review.row.digest
        )
    if isinstance(whole, Declined):
        no(whole.reason)
    if as_json:
        print_json({"approval_id": approval_id, "digest": review.row.digest.hex(), "arguments": dict(whole)})
        return
    click.echo(
        f"Revision {review.row.revision}, digest {review.row.digest.hex()[:SHOWN_DIGEST]}. "
        "The trail says that you looked."
    )
    print_heading("Arguments, whole")
    print_tree(whole)
