"""``toolgate approvals approve``, ``deny`` and ``decide``: one decision, or the same one on several like calls.

A decision is taken on what was shown: on the digest of the approval as the command printed it, or on the one that was
given with it. Who decides is who the token says. Not here: who may (``domain.approval``).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

import click

from toolgate.cli.approval_facts import SHOWN_DIGEST, described, is_what, look, print_review, summary
from toolgate.cli.exits import Exit, misused, no
from toolgate.cli.ledger import acting, writing
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
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.principal import Declined
from toolgate.operations.decide_approval import decide_approval
from toolgate.operations.decide_batch import decide_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolgate.cli.ledger import Ledger
    from toolgate.domain.principal import Principal
    from toolgate.operations.review import Review

Decision = Literal["approve", "deny"]
NOBODY_RUNS_IT = (
    "no gateway is running on this store: it runs once one that has the tool is started, before it expires"
)
CHANGED = "it is not what was shown: its digest is another by now; look at it again"


@click.command()
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


@click.command()
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
    decision: Decision,
    *,
    approval_id: str,
    reason: str,
    digest: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    async with writing(settings) as ledger:
        world = ledger.office(settings)
        by = await acting(ledger.store, ledger.keys, settings.agents)
        review = await look(world, approval_id, tenant=by.tenant)
        if review is None:
            no(NO_APPROVAL.format(approval_id))
        if digest is not None and not is_what(review, digest):
            no(CHANGED)
        if not as_json:
            print_review(review)
            click.echo()
        if sys.stdin.isatty() and not (yes or as_json):
            click.confirm(_asked(review, decision, by), abort=True)
        answer = await decide_approval(
            world, approval_id, decision, by=by, reason=reason, digest=review.row.digest
        )
        served = ledger.served
    if isinstance(answer, Declined):
        no(answer.reason)
    if as_json:
        print_json({**described(answer), "gateway_running": served})
        return
    print_item(f"Recorded{_became(answer, served=served)}", depth=0)


def _asked(review: Review, decision: Decision, by: Principal) -> str:
    if review.requirement.own and review.row.caller_id == by.id:
        verb = "Confirm" if decision == "approve" else "Decline"
        return f"You asked for this. {verb} exactly this, as {by.id}?"
    return f"{decision.capitalize()} exactly this, as {by.id}?"


def _became(review: Review, *, served: bool) -> str:
    match review.row.state:
        case ApprovalState.PENDING:
            return f". Still missing: {review.tally.missing}."
        case ApprovalState.APPROVED | ApprovalState.CONSUMED:
            return ": approved. " + ("The gateway runs it." if served else f"But {NOBODY_RUNS_IT}.")
        case ended:
            return f": {ended.value}. It does not run."


@click.command()
@configured
@click.argument("approvals", nargs=-1, required=True, metavar="APPROVAL[=DIGEST]...")
@click.option("--approve", "decision", flag_value="approve", help="Approve each of them.")
@click.option("--deny", "decision", flag_value="deny", help="Deny each of them, for good.")
@reason
@yes_option
@as_json
@asynchronous
async def decide(
    settings: Settings,
    approvals: Sequence[str],
    *,
    decision: Decision | None,
    reason: str,
    yes: bool,
    as_json: bool,
) -> int:
    """Take one decision on several like calls, at most 100.

    Each is bound to what was shown of it: by this command, or to the digest that is written behind its id, as in
    appr_01J...=0123456789abcdef. Each is decided by itself: one that changed meanwhile keeps none of the others back.
    """
    if decision is None:
        misused("say --approve or --deny")
    async with writing(settings) as ledger:
        world = ledger.office(settings)
        by = await acting(ledger.store, ledger.keys, settings.agents)
        reviews = [await _named(ledger, settings, by, name) for name in approvals]
        if not as_json:
            _print_all(reviews)
        if sys.stdin.isatty() and not (yes or as_json):
            which = "this" if len(reviews) == 1 else f"these {len(reviews)}"
            click.confirm(f"{decision.capitalize()} exactly {which}, as {by.id}?", abort=True)
        items = [(review.row.approval_id, digest) for review, digest in reviews]
        answers = await decide_batch(world, items, decision, by=by, reason=reason)
        served = ledger.served
    if isinstance(answers, Declined):
        no(answers.reason)
    if as_json:
        print_json([_described(name, answer) for name, answer in answers])
    else:
        _print_became(answers, served=served)
    return Exit.NO if any(isinstance(answer, Declined) for _, answer in answers) else Exit.OK


async def _named(ledger: Ledger, settings: Settings, by: Principal, name: str) -> tuple[Review, bytes]:
    """The approval of ``ID`` or ``ID=DIGEST``, and the digest that a decision on it is bound to."""
    approval_id, given, digest = name.partition("=")
    review = await look(ledger.office(settings), approval_id, tenant=by.tenant)
    if review is None:
        no(f"{NO_APPROVAL.format(approval_id)}; nothing was decided")
    if given and len(digest) < SHOWN_DIGEST:
        misused(
            f"{approval_id}: a digest has at least {SHOWN_DIGEST} digits, as `approvals show` prints them"
        )
    # What was shown before and is another by now is refused by the ledger, by itself.
    stale = bool(given) and not is_what(review, digest)
    return review, b"" if stale else review.row.digest


def _print_all(reviews: Sequence[tuple[Review, bytes]]) -> None:
    for review, _ in reviews:
        print_facts(
            [
                ("approval", review.row.approval_id),
                ("tool", review.row.tool),
                ("asked by", f"{review.row.caller_id} of {review.row.tenant}"),
                ("what", summary(review)),
                ("digest", review.row.digest.hex()[:SHOWN_DIGEST]),
            ]
        )
        click.echo()


def _print_became(answers: Sequence[tuple[str, Review | Declined]], *, served: bool) -> None:
    print_heading("What became of them")
    for name, answer in answers:
        said = answer.reason if isinstance(answer, Declined) else answer.state
        print_item(f"{name}: {said}")
    approved = [answer for _, answer in answers if not isinstance(answer, Declined) and answer.is_open]
    if not served and any(review.row.state is ApprovalState.APPROVED for review in approved):
        click.echo()
        print_item(NOBODY_RUNS_IT, depth=0)


def _described(name: str, answer: Review | Declined) -> dict[str, Any]:
    if isinstance(answer, Declined):
        return {"approval_id": name, "decided": False, "why": answer.why, "reason": answer.reason}
    return {"decided": True, **described(answer)}
