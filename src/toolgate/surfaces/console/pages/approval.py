"""One approval: everything that the gate knows of it, and the decision, bound to the digest that was shown.

Not here: changing its arguments (``edit``), and who may do what (operations).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.call_story import call_story
from toolgate.operations.decide_approval import CHANGED, decide_approval
from toolgate.operations.reveal_masked import reveal_masked
from toolgate.operations.review_approval import evidence, review_approval
from toolgate.operations.withdraw import withdraw
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.asked import Asked, what_happened
from toolgate.surfaces.console.pages.timeline import moments
from toolgate.surfaces.console.render import page
from toolgate.surfaces.console.session import Page, Visit

if TYPE_CHECKING:
    from starlette.responses import Response

    from toolgate.domain.canonical import JsonValue
    from toolgate.operations.review import Review

Decision = Literal["approve", "deny"]
_CONFLICT: Final = 409
_UNFIT: Final = 422
_FORBIDDEN: Final = 403
_DONE: Final = {
    "approved": ("Approved", "The gateway runs it now, as the person who asked.", "good"),
    "counted": ("Your approval is counted", "More people have to agree before it runs.", "good"),
    "denied": ("Denied", "It does not run. Asking for the same again gets the same no.", "good"),
    "twice": ("You had decided it already", "It was counted once.", "info"),
    "edited": (
        "Saved as a new revision",
        "Earlier votes are void, and somebody else has to approve it.",
        "good",
    ),
    "withdrawn": ("Withdrawn", "It does not run. It may be asked for again.", "good"),
    "batch": ("Decided together with others", "Each was bound to what was shown of it.", "good"),
}
"""What a page says after something was done: looked up by a word in the address, so that nobody else's words appear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What stands above the page, and the words that somebody typed into one of its forms in vain."""

    title: str
    text: str
    tone: str
    reason: str = ""
    form: str = ""


class Revealed(NamedTuple):
    """The arguments whole, and the digest of the revision whose they are."""

    arguments: dict[str, JsonValue]
    digest: bytes


async def show(visit: Visit) -> Response:
    """The page, or with ``part=state`` only how it stands, for a page that is open already."""
    part = visit.query.get("part") == "state"
    return await approval_page(visit, template="approval_state.html" if part else "approval.html")


def _said(visit: Visit, one: Asked) -> Notice | None:
    """What was done a moment ago, as long as it is so: the page may be loaded again when somebody else came after."""
    word = visit.told("done")[0]
    review = one.review
    holds = {
        "approved": one.i_approved and not review.waits_for_people,
        "counted": one.i_approved and review.waits_for_people,
        "denied": review.state == "denied",
        "twice": one.i_approved or review.state == "denied",
        "edited": review.waits_for_people and review.row.revision > 1,
        "withdrawn": review.state == "cancelled",
        "batch": not review.waits_for_people,
    }
    if not holds.get(word, False):
        return None
    title, text, tone = _DONE[word]
    return Notice(title=title, text=text, tone=tone)


async def approval_page(
    visit: Visit,
    *,
    notice: Notice | None = None,
    status: int = 200,
    revealed: Revealed | None = None,
    template: str = "approval.html",
) -> Response:
    """The approval that the address names, as it is now."""
    review = await visit.operate(review_approval, _id(visit), by=visit.principal)
    if isinstance(review, Declined):
        return visit.declined(review)
    earlier = await visit.operate(evidence, review.row.approval_id, by=visit.principal)
    one = Asked(review, visit.principal)
    if revealed is not None and revealed.digest != review.row.digest:
        # Beside the arguments of one revision never stands the form that decides about another.
        return await _failed(visit, CHANGED, "reveal")
    return page(
        visit,
        template,
        status=status,
        title=f"{review.row.tool}: {review.state}",
        one=one,
        earlier=() if isinstance(earlier, Declined) else earlier,
        moments=moments(await _events(visit, review.call.call_id)),
        notice=notice or _said(visit, one),
        revealed=None if revealed is None else revealed.arguments,
        may_grant=review.is_open and _may_grant(visit, review),
    )


def _may_grant(visit: Visit, review: Review) -> bool:
    one_vote_is_enough = review.requirement.quorum == 1 and not review.requirement.own
    return (
        one_vote_is_enough
        and forbids(visit.principal, Action.GRANT) is None
        and review.may_look(visit.principal) is None
    )


async def decide(visit: Visit) -> Response:
    """Approve or deny what was shown."""
    decision: Decision = "approve" if visit.said("decision") == "approve" else "deny"
    if visit.said("decision") not in {"approve", "deny"}:
        return visit.declined(Declined("invalid", "say whether to approve or deny"), back=_path(visit))
    reason, digest = visit.said("reason"), seen_digest(visit)
    found = await visit.operate(
        decide_approval, _id(visit), decision, by=visit.principal, reason=reason, digest=digest
    )
    if isinstance(found, Declined):
        return await _not_decided(visit, decision, digest, found)
    visit.office.decided()
    word = "denied" if decision == "deny" else "counted" if found.waits_for_people else "approved"
    return visit.go(_path(visit), done=word)


async def _not_decided(visit: Visit, decision: Decision, digest: bytes, refusal: Declined) -> Response:
    """A click that counted already is told so kindly; whatever else came between, by whom and how it stands now."""
    review = await visit.operate(review_approval, _id(visit), by=visit.principal)
    if isinstance(review, Declined):
        return visit.declined(refusal)
    events = await _events(visit, review.call.call_id)
    if (
        refusal.why == "conflict"
        and review.row.digest == digest
        and _was_mine(visit, decision, review, events)
    ):
        return visit.go(_path(visit), done="twice")
    if refusal.why == "conflict":
        stands = not review.is_open or review.row.digest != digest
        text = what_happened(review, events) if stands else refusal.reason
        notice = Notice(title="Nothing was decided by you", text=text, tone="warn")
        status = _CONFLICT
    else:
        changed = "" if review.row.digest == digest else f". {what_happened(review, events)}"
        notice = Notice(title="Nothing was decided", text=f"{refusal.reason}{changed}", tone="bad")
        status = _UNFIT if refusal.why == "invalid" else _FORBIDDEN
    return await approval_page(visit, notice=_with_words(visit, notice, decision), status=status)


def _was_mine(visit: Visit, decision: Decision, review: Review, events: tuple[dict[str, Any], ...]) -> bool:
    """Whether the same person said the same before: a double click, a form that was sent anew."""
    if decision == "approve":
        return Asked(review, visit.principal).i_approved
    return any(
        event.get("transition") == "approval_denied" and event.get("actor") == visit.principal.id
        for event in events
    )


async def reveal(visit: Visit) -> Response:
    """Show what is masked, once its viewer and their reason are written down."""
    found = await visit.operate(
        reveal_masked, _id(visit), by=visit.principal, reason=visit.said("reason"), digest=seen_digest(visit)
    )
    if isinstance(found, Declined):
        return await _failed(visit, found, "reveal")
    return await approval_page(visit, revealed=Revealed(found, seen_digest(visit)))


async def take_back(visit: Visit) -> Response:
    """Withdraw it."""
    found = await visit.operate(withdraw, _id(visit), by=visit.principal, reason=visit.said("reason"))
    if isinstance(found, Declined):
        return await _failed(visit, found, "withdraw")
    visit.office.decided()
    return visit.go(_path(visit), done="withdrawn")


async def _failed(visit: Visit, refusal: Declined, form: str) -> Response:
    if refusal.why == "not_found":
        return visit.declined(refusal)
    status = {"conflict": _CONFLICT, "invalid": _UNFIT}.get(refusal.why, _FORBIDDEN)
    notice = Notice(title="Nothing was done", text=refusal.reason, tone="warn")
    return await approval_page(visit, notice=_with_words(visit, notice, form), status=status)


def _with_words(visit: Visit, notice: Notice, form: str) -> Notice:
    return Notice(
        title=notice.title, text=notice.text, tone=notice.tone, reason=visit.said("reason"), form=form
    )


def seen_digest(visit: Visit) -> bytes:
    """The digest that the form showed; something that fits nothing where it is none."""
    try:
        return bytes.fromhex(visit.said("digest"))
    except ValueError:
        return b""


async def _events(visit: Visit, call_id: str) -> tuple[dict[str, Any], ...]:
    story = await visit.operate(call_story, call_id, by=visit.principal)
    return () if isinstance(story, Declined) else story.events


def _id(visit: Visit) -> str:
    return str(visit.request.path_params["approval_id"])


def _path(visit: Visit) -> str:
    return paths.approval_path(_id(visit))


PAGES = (
    Page("GET", "/approvals/{approval_id}", show),
    Page("POST", "/approvals/{approval_id}/decide", decide),
    Page("POST", "/approvals/{approval_id}/reveal", reveal),
    Page("POST", "/approvals/{approval_id}/withdraw", take_back),
)
