"""The start page: what waits for the visitor, what waits for others, and what was decided lately.

Not here: the decision (``approval``), and several at once (``batch``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from toolgate.domain.approval import RISKS
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.list_approvals import list_approvals
from toolgate.ports import ApprovalFilter
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.asked import Asked
from toolgate.surfaces.console.render import page
from toolgate.surfaces.console.session import Page, Visit

if TYPE_CHECKING:
    from starlette.responses import Response

View = Literal["mine", "others", "decided"]
_VIEWS: Final[dict[str, View]] = {"": "mine", "mine": "mine", "others": "others", "decided": "decided"}
_A_PAGE: Final = 50
_DONE: Final = {
    "approve-all": "All of them were approved, each as it was shown.",
    "deny-all": "All of them were denied.",
}
"""What the page says after a decision on several: looked up by a word in the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which approvals the visitor wants to see."""

    view: View
    tool: str
    risk: str
    after: str

    @classmethod
    def of(cls, visit: Visit) -> Choice:
        """What the address says; whatever it should not say counts as nothing."""
        query = visit.query
        risk = query.get("risk", "")
        return cls(
            view=_VIEWS.get(query.get("view", ""), "mine"),
            tool=query.get("tool", ""),
            risk=risk if risk in RISKS else "",
            after=query.get("after", ""),
        )

    def path(self, **other: object) -> str:
        """The address of this choice, but for ``other``."""
        said: dict[str, object] = {
            "view": self.view,
            "tool": self.tool,
            "risk": self.risk,
            "after": self.after,
        }
        said |= other
        return paths.with_query(paths.INBOX, **(said | ({"view": ""} if said["view"] == "mine" else {})))


async def inbox(visit: Visit) -> Response:
    """The page, or with ``part=queue`` the list alone, for a page that is open already."""
    choice = Choice.of(visit)
    wanted = ApprovalFilter(
        open_only=choice.view != "decided",
        tool=choice.tool or None,
        after=choice.after or None,
        limit=_A_PAGE,
    )
    found = await visit.operate(
        list_approvals, by=visit.principal, for_me=choice.view == "mine", wanted=wanted
    )
    if isinstance(found, Declined):
        return _not_an_approver(visit, found)
    everyone = [Asked(review, visit.principal) for review in found.rows]
    rows = [one for one in everyone if _belongs(one, choice)]
    template = "inbox_queue.html" if visit.query.get("part") == "queue" else "inbox.html"
    count = visit.waiting if choice.view == "mine" and not choice.tool and not choice.risk else None
    return page(
        visit,
        template,
        said=_DONE.get(visit.told("done")[0], ""),
        title=f"({visit.waiting}) Inbox" if visit.waiting not in {None, "0"} else "Inbox",
        choice=choice,
        rows=rows,
        tools=sorted({one.review.row.tool for one in everyone} | ({choice.tool} if choice.tool else set())),
        risks=RISKS,
        may_stop=forbids(visit.principal, Action.STOP) is None,
        further=choice.path(after=found.next) if found.next else None,
        batches=_batches(rows) if choice.view == "mine" else set(),
        count=count,
    )


def _belongs(one: Asked, choice: Choice) -> bool:
    if choice.risk and one.review.requirement.risk != choice.risk:
        return False
    match choice.view:
        case "mine":
            return True
        case "others":
            return one.review.is_open and one.why_not_approve is not None
        case "decided":
            return not one.review.is_open


def _batches(rows: Sequence[Asked]) -> set[str]:
    """What several of the rows have in common, so that they can be decided together."""
    kinds = [one.like for one in rows]
    return {kind for kind in kinds if kinds.count(kind) > 1}


def _not_an_approver(visit: Visit, refusal: Declined) -> Response:
    return page(visit, "inbox_closed.html", title="Inbox", reason=refusal.reason)


PAGES = (Page("GET", "/inbox", inbox),)
