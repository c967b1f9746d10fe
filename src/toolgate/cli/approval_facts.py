"""One approval on a terminal: the facts, what needs lines of its own, and what a decision on it was bound to.

What there is to show is the gate's review (``operations.review``). Not here: deciding, and who may.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from toolgate.cli.plain import iso, one_line, printable, span
from toolgate.cli.tables import print_facts, print_heading, print_item
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.rows import ByApproval
from toolgate.operations.review import Difference, Review
from toolgate.operations.review_approval import find_review

if TYPE_CHECKING:
    from toolgate.domain.approval import Vote
    from toolgate.gateway.world import World
    from toolgate.operations.review import Edited

SHOWN_DIGEST: Final = 16
"""Hexadecimal digits of a digest that are shown, and that ``--digest`` needs at least."""
_BY_LIKENESS = "likeness"


async def look(world: World, approval_id: str, *, tenant: str | None = None) -> Review | None:
    """The approval, of whichever tenant where none is named: whoever holds the key file may look at everything."""
    if tenant is None and approval_id.isascii():
        row = (await world.store.find(ByApproval(approval_id))).approval
        tenant = row.tenant if row is not None else None
    return None if tenant is None else await find_review(world, approval_id, tenant=tenant)


def is_what(review: Review, digest: str) -> bool:
    """Whether ``digest`` is the beginning of this approval's, long enough to mean it."""
    return len(digest) >= SHOWN_DIGEST and review.row.digest.hex().startswith(digest.lower())


def described(review: Review) -> dict[str, Any]:
    """For programs."""
    seen = [{"viewer": one.viewer, "revision": one.revision, "at": iso(one.at)} for one in review.reveals]
    return {**review.described(), "reveals": seen}


def print_review(review: Review) -> None:
    """For people, most important first."""
    print_facts(_facts(review))
    print_heading("Arguments, sensitive values replaced")
    print_tree(review.shown["arguments"])
    if review.shown["masked"]:
        print_heading("Masked")
        for place in review.shown["masked"]:
            print_item(f"{'.'.join(place['path'])}: {_masked(place['by'])}")
    if review.shown["preview"] is not None:
        print_heading("The tool's preview")
        for line in str(review.shown["preview"]).splitlines():
            print_item(line)
    for title, lines in (
        ("Edits", [line for edit in review.edits for line in _edit(edit)]),
        ("Votes", [_vote(vote, review.row.revision) for vote in review.votes]),
        ("Seen unmasked by", [_seen(review, place) for place in range(len(review.reveals))]),
    ):
        if lines:
            print_heading(title)
        for line in lines:
            print_item(line)


def print_tree(arguments: object) -> None:
    """Arguments as indented JSON that no terminal obeys."""
    for line in json.dumps(arguments, indent=2, ensure_ascii=False).splitlines():
        click.echo(f"  {printable(line)}")


def print_differences(differences: Iterable[Difference]) -> None:
    """What an edit changes, one argument a line."""
    for one in differences:
        print_item(_difference(one))


def _facts(review: Review) -> list[tuple[str, str]]:
    row, shown, demanded = review.row, review.shown, review.requirement
    ended = row.state.value == review.state and row.reason
    revision = "" if row.revision == 1 else f"{row.revision}: not what was asked for any more, see the edits"
    return [
        ("approval", row.approval_id),
        ("state", review.state + (f" by {row.ended_by}: {row.reason}" if ended else "")),
        ("revision", revision),
        ("tool", f"{shown['tool']} (version {shown['version']})"),
        ("what it does", str(shown["description"])),
        ("effect", str(shown["effect"]) + (", leaves the house" if shown["external"] else "")),
        ("risk", demanded.risk),
        ("why a person", demanded.reason),
        ("asked by", f"{shown['caller']} of {shown['tenant']}"),
        ("agent", ", ".join(str(part) for part in (shown["agent"], shown["model"]) if part)),
        ("workflow", str(shown["workflow_id"])),
        ("call", row.call_id),
        ("needs", _needs(review)),
        ("missing", review.tally.missing if review.is_open else ""),
        ("may not approve", _barred(review)),
        ("time left", span(row.expires_at - review.now) if review.is_open else ""),
        ("digest", row.digest.hex()[:SHOWN_DIGEST]),
        ("agent claims", "" if shown["claimed_reason"] is None else str(shown["claimed_reason"])),
    ]


def _needs(review: Review) -> str:
    demanded = review.requirement
    if demanded.own:
        return f"{review.row.caller_id} asked for it, and has to confirm it; nobody else may"
    return f"{demanded.quorum} by {demanded.shown_roles()}"


def _barred(review: Review) -> str:
    row = review.row
    if not (review.is_open and row.barred) or review.requirement.own:
        return ""
    return ", ".join((row.caller_id, *row.barred))


def _masked(by: str) -> str:
    if by == _BY_LIKENESS:
        return "it looks like a secret, though its author did not say so; reveal it before you approve"
    return "sensitive, as the tool's author said"


def _vote(vote: Vote, revision: int) -> str:
    void = "" if vote.revision == revision else " (void: it was edited since)"
    # On its one line, or it could pass for another vote.
    return f"{vote.voter} approved at {iso(vote.at)}{void}: {one_line(vote.reason)}"


def _edit(edit: Edited) -> list[str]:
    return [
        f"{edit.editor} made revision {edit.revision} at {iso(edit.at)}: {one_line(edit.reason)}",
        *(f"  {_difference(one)}" for one in edit.differences),
    ]


def _difference(one: Difference) -> str:
    return f"{one.path}: {_value(one.before)} -> {_value(one.after)}"


def _value(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _seen(review: Review, place: int) -> str:
    seen = review.reveals[place]
    void = "" if seen.revision == review.row.revision else " (before it was edited)"
    return f"{seen.viewer} at {iso(seen.at)}{void}"


def summary(review: Review) -> str:
    """What would run, on one line: the tool's preview, or the arguments."""
    preview = review.shown["preview"]
    return one_line(preview or json.dumps(review.shown["arguments"], ensure_ascii=False))


def state_of(review: Review) -> str:
    """Where it stands, in a table."""
    if review.is_open and not review.tally.enough:
        return f"{ApprovalState.PENDING.value}: {review.tally.missing}"
    return review.state
