"""Several like requests on one page: each with its own arguments and digest, one reason, one press of the button.

Like are requests for one tool of which the same is demanded of people. One that changed meanwhile keeps none of the
others back. Not here: the decision (``operations.decide_batch``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from toolgate.domain.principal import Declined
from toolgate.operations.decide_batch import MOST_AT_ONCE, decide_batch
from toolgate.operations.review_approval import review_approval
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.asked import Asked
from toolgate.surfaces.console.render import page
from toolgate.surfaces.console.session import Page, Visit

if TYPE_CHECKING:
    from starlette.responses import Response

_UNLIKE: Final = (
    "they are not alike: only requests for one tool, with the same requirement, are decided together"
)


async def show(visit: Visit) -> Response:
    """The requests that were marked in the inbox."""
    found = await _marked(visit, visit.query.getlist("id"))
    if isinstance(found, Declined):
        return visit.declined(found)
    return _page(visit, found)


async def decide(visit: Visit) -> Response:
    """One decision on each, bound to the digest that was shown of it."""
    said = visit.said("decision")
    if said not in {"approve", "deny"}:
        return visit.declined(Declined("invalid", "say whether to approve or deny"))
    decision: Literal["approve", "deny"] = "approve" if said == "approve" else "deny"
    items = [(approval_id, _digest(visit, approval_id)) for approval_id in _ids(visit)]
    found = await _marked(visit, [approval_id for approval_id, _ in items])
    if isinstance(found, Declined):
        return visit.declined(found)
    if not visit.said("reason"):
        return _page(visit, found, refusal=Declined("invalid", "say why, in a few words; the trail keeps it"))
    decided = await visit.operate(
        decide_batch, items, decision, by=visit.principal, reason=visit.said("reason")
    )
    if isinstance(decided, Declined):
        return visit.declined(decided)
    visit.office.decided()
    refused = [
        (approval_id, answer.reason) for approval_id, answer in decided if isinstance(answer, Declined)
    ]
    if not refused:
        return visit.go(paths.INBOX, done=f"{decision}-all")
    return page(
        visit,
        "batch_done.html",
        status=409,
        title="Not all were decided",
        decision=decision,
        done=[approval_id for approval_id, answer in decided if not isinstance(answer, Declined)],
        refused=refused,
    )


def _ids(visit: Visit) -> list[str]:
    return [value for value in visit.form.getlist("id") if isinstance(value, str)]


def _digest(visit: Visit, approval_id: str) -> bytes:
    try:
        return bytes.fromhex(visit.said(f"digest.{approval_id}"))
    except ValueError:
        return b""


async def _marked(visit: Visit, ids: Sequence[str]) -> list[Asked] | Declined:
    """What ``ids`` name, if it may be decided together."""
    wanted = list(dict.fromkeys(ids))
    if not 1 <= len(wanted) <= MOST_AT_ONCE:
        return Declined("invalid", f"mark 1 to {MOST_AT_ONCE} requests in the inbox first")
    found = []
    for approval_id in wanted:
        review = await visit.operate(review_approval, approval_id, by=visit.principal)
        if isinstance(review, Declined):
            return review
        found.append(Asked(review, visit.principal))
    return found if len({one.like for one in found}) == 1 else Declined("invalid", _UNLIKE)


def _page(visit: Visit, found: Sequence[Asked], *, refusal: Declined | None = None) -> Response:
    first = found[0].review
    return page(
        visit,
        "batch.html",
        status=422 if refusal else 200,
        title=f"{len(found)} requests for {first.row.tool}",
        rows=found,
        first=first,
        decidable=[one for one in found if one.why_not_approve is None and not one.must_reveal_first],
        refusal=refusal,
    )


PAGES = (
    Page("GET", "/batch", show),
    Page("POST", "/batch", decide),
)
