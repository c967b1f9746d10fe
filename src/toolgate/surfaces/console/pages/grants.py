"""Grants: what was agreed to beforehand, within which bounds and until when; made from a request or by hand, revoked.

Not here: what a grant covers (the gate), and who may make or end one (``operations.grants``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.asked_contract import grantable_contract, grantable_tools
from toolgate.operations.grant_states import grant_states
from toolgate.operations.grants import list_grants, make_grant, revoke_grant
from toolgate.operations.review_approval import review_approval
from toolgate.surfaces.console import bounds, edit_form, paths
from toolgate.surfaces.console.render import page
from toolgate.surfaces.console.session import Page, Visit

if TYPE_CHECKING:
    from starlette.responses import Response

    from toolgate.domain.contract import Contract
    from toolgate.domain.rows import GrantRow
    from toolgate.operations.review import Review

_LASTING: Final = (
    ("3600", "1 hour"),
    ("14400", "4 hours"),
    ("28800", "8 hours"),
    ("86400", "1 day"),
    ("259200", "3 days"),
    ("604800", "7 days"),
    ("2592000", "30 days"),
)
_SIGNS: Final = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "eq": "=", "in": "is one of"}
_USUAL: Final = {"lasting": "28800", "uses": "20"}
_DONE: Final = {
    "made": "The grant is made. Calls within it run without asking; each leaves its record.",
    "revoked": "The grant is revoked. From now on people are asked again.",
}
_STATUSES: Final = {"not_found": 404, "forbidden": 403, "conflict": 409, "invalid": 422}


@dataclass(frozen=True, slots=True)
class Shown:
    """One grant in the list."""

    row: GrantRow
    state: str

    @property
    def bounds(self) -> list[tuple[str, str, Any]]:
        """Path, sign and value of each bound; none for any arguments."""
        said: dict[str, dict[str, Any]] = json.loads(self.row.bounds)
        return [(path, _SIGNS[sign], value) for path, tests in said.items() for sign, value in tests.items()]

    @property
    def active(self) -> bool:
        """Whether it could be used now."""
        return self.state == "active"


async def grants(visit: Visit) -> Response:
    """The list: those in force, or with ``view=past`` all."""
    return await _list(visit, said=_DONE.get(visit.told("done")[0], ""))


async def _list(
    visit: Visit, *, said: str = "", refusal: Declined | None = None, ended: str = ""
) -> Response:
    past = visit.query.get("view") == "past"
    before = visit.query.get("before") or None
    found = await visit.operate(list_grants, by=visit.principal, active=not past, before=before)
    if isinstance(found, Declined):
        return visit.declined(found)
    states = await visit.operate(grant_states, found.rows, now=found.now)
    rows = [Shown(row, states[row.grant_id]) for row in found.rows]
    return page(
        visit,
        "grants.html",
        title="Grants",
        status=_STATUSES[refusal.why] if refusal else 200,
        past=past,
        rows=[one for one in rows if past != one.active],
        further=paths.with_query(paths.GRANTS, view="past" if past else "", before=found.next)
        if found.next
        else None,
        first=None if before is None else paths.with_query(paths.GRANTS, view="past" if past else ""),
        now=found.now,
        said=said,
        refusal=refusal,
        ended=ended,
        may_make=forbids(visit.principal, Action.GRANT) is None,
        may_revoke=None in {forbids(visit.principal, action) for action in (Action.GRANT, Action.STOP)},
    )


async def revoke(visit: Visit) -> Response:
    """End one."""
    grant_id = str(visit.request.path_params["grant_id"])
    found = await visit.operate(revoke_grant, grant_id, by=visit.principal, reason=visit.said("reason"))
    if isinstance(found, Declined):
        return await _list(visit, refusal=found, ended=grant_id)
    visit.office.decided()
    return visit.go(paths.GRANTS, done="revoked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a new grant is for: a tool, and the request that it is made from, if any."""

    contract: Contract
    review: Review | None
    fields: list[edit_form.Field]

    @property
    def hidden(self) -> list[str]:
        """Arguments that no grant can bound."""
        return [one.name for one in self.fields if one.masked]


async def new(visit: Visit) -> Response:
    """The form for a grant: first which tool, then within which bounds."""
    if (why := forbids(visit.principal, Action.GRANT)) is not None:
        return visit.declined(Declined("forbidden", why), back=paths.GRANTS)
    draft = await _draft(visit, visit.query.get("approval", ""), visit.query.get("tool", ""))
    if isinstance(draft, Declined):
        return visit.declined(draft, back=paths.GRANTS)
    if draft is None:
        tools = await visit.operate(grantable_tools, by=visit.principal)
        return page(visit, "grant_tool.html", title="Make a grant", tools=tools)
    shown = draft.review.shown if draft.review else {}
    typed = {**_USUAL, "caller": shown.get("caller") or "", "agent": shown.get("agent") or "", "reason": ""}
    return _form(visit, draft, bounds.prefilled(draft.fields), typed)


async def make(visit: Visit) -> Response:
    """Make it."""
    approval_id = visit.said("approval")
    draft = await _draft(visit, approval_id, visit.said("tool"))
    if draft is None or isinstance(draft, Declined):
        return visit.declined(draft or Declined("invalid", "say for which tool"), back=paths.GRANTS)
    limits, rows = bounds.read(visit.form, draft.fields)
    typed = {name: visit.said(name) for name in ("caller", "agent", "lasting", "uses", "reason")}
    if any(row.error for row in rows):
        return _form(visit, draft, rows, typed, refusal=Declined("invalid", "some bounds cannot be read"))
    made = await visit.operate(
        make_grant,
        by=visit.principal,
        tool=draft.contract.name,
        bounds=limits,
        caller_id=typed["caller"] or None,
        agent=typed["agent"] or None,
        lasting=float(_number(typed["lasting"])),
        uses=_number(typed["uses"]),
        reason=typed["reason"],
        approval_id=approval_id or None,
    )
    if isinstance(made, Declined):
        return _form(visit, draft, rows, typed, refusal=made)
    visit.office.decided()
    return visit.go(paths.GRANTS, done="made")


async def _draft(visit: Visit, approval_id: str, tool: str) -> Draft | Declined | None:
    """What the grant is for; None where nobody has said so yet."""
    review: Review | None = None
    if approval_id:
        found = await visit.operate(review_approval, approval_id, by=visit.principal)
        if isinstance(found, Declined):
            return found
        review, tool = found, found.row.tool
    if not tool:
        return None
    contract = await visit.operate(grantable_contract, tool, by=visit.principal)
    if isinstance(contract, Declined):
        return contract
    arguments = review.shown["arguments"] if review else {}
    masked = [tuple(entry["path"]) for entry in review.shown["masked"]] if review else []
    sensitive = [path for path in contract.sensitive if path]
    return Draft(
        contract=contract,
        review=review,
        fields=edit_form.fields(contract.input_schema, arguments, [*masked, *sensitive]),
    )


def _form(
    visit: Visit,
    draft: Draft,
    rows: list[bounds.Bound],
    typed: dict[str, Any],
    *,
    refusal: Declined | None = None,
) -> Response:
    approval = draft.contract.approval
    return page(
        visit,
        "grant_new.html",
        title=f"Make a grant for {draft.contract.name}",
        status=_STATUSES[refusal.why] if refusal else 200,
        draft=draft,
        rows=rows,
        typed=typed,
        refusal=refusal,
        lasting=_LASTING,
        quorum=max((part.quorum for part in approval.parts), default=1) if approval else 1,
    )


def _number(written: str) -> int:
    """A whole number; 0, which nothing is granted for, where it is none."""
    return int(written) if written.isascii() and written.isdigit() and len(written) <= len("2592000") else 0


PAGES = (
    Page("GET", "/grants", grants),
    Page("GET", "/grants/new", new),
    Page("POST", "/grants", make),
    Page("POST", "/grants/{grant_id}/revoke", revoke),
)
