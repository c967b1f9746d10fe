"""Change what a held call would do: a form from its tool's schema, a look at what that comes to, then a new revision.

Checking runs the gate's own dry run and writes nothing. Not here: the form (``edit_form``), and whether an edit may
be made (``operations.edit_approval``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.principal import Declined
from toolgate.operations.asked_contract import asked_contract
from toolgate.operations.edit_approval import ProposedEdit, edit_approval, propose_edit
from toolgate.operations.review_approval import review_approval
from toolgate.surfaces.console import edit_form
from toolgate.surfaces.console.asked import Asked
from toolgate.surfaces.console.pages.approval import seen_digest
from toolgate.surfaces.console.render import page
from toolgate.surfaces.console.session import Page, Visit

if TYPE_CHECKING:
    from starlette.responses import Response

_UNFIT: Final = 422
_CONFLICT: Final = 409
_CHANGED: Final = Declined(
    "conflict", "it changed since it was shown; what you typed is still here, compare it"
)
_NOTHING: Final = Declined("invalid", "nothing is changed yet")


async def show(visit: Visit) -> Response:
    """The form, filled with what is shown of the call."""
    found = await _asked(visit)
    return visit.declined(found) if isinstance(found, Declined) else _page(visit, *found)


async def change(visit: Visit) -> Response:
    """``step=check`` shows what the changes come to; ``step=save`` makes them."""
    found = await _asked(visit)
    if isinstance(found, Declined):
        return visit.declined(found)
    one, asked = found
    typed = edit_form.read(visit.form, asked)
    if typed.wrong:
        wrong = Declined("invalid", "some fields cannot be read")
        return _page(visit, one, typed.fields, refusal=wrong, status=_UNFIT)
    if seen_digest(visit) != one.review.row.digest:
        return _page(visit, one, typed.fields, refusal=_CHANGED, status=_CONFLICT)
    if not typed.changes:
        return _page(visit, one, typed.fields, refusal=_NOTHING, status=_UNFIT)
    if visit.said("step") == "save":
        return await _save(visit, one, typed)
    return await _check(visit, one, typed)


async def _check(
    visit: Visit, one: Asked, typed: edit_form.Read, *, refusal: Declined | None = None, status: int = 200
) -> Response:
    proposed = await visit.office.gate.operate_near_tools(
        propose_edit, one.id, typed.changes, by=visit.principal
    )
    if isinstance(proposed, Declined):
        return _page(visit, one, typed.fields, refusal=proposed, status=_status(proposed))
    return _page(visit, one, typed.fields, proposed=proposed, refusal=refusal, status=status)


async def _save(visit: Visit, one: Asked, typed: edit_form.Read) -> Response:
    done = await visit.office.gate.operate_near_tools(
        edit_approval,
        one.id,
        typed.changes,
        by=visit.principal,
        reason=visit.said("reason"),
        digest=seen_digest(visit),
    )
    if isinstance(done, Declined):
        return await _check(visit, one, typed, refusal=done, status=_status(done))
    visit.office.decided()
    return visit.go(one.path, done="edited")


def _status(refusal: Declined) -> int:
    return {"conflict": _CONFLICT, "not_found": 404, "forbidden": 403}.get(refusal.why, _UNFIT)


async def _asked(visit: Visit) -> tuple[Asked, list[edit_form.Field]] | Declined:
    approval_id = str(visit.request.path_params["approval_id"])
    review = await visit.operate(review_approval, approval_id, by=visit.principal)
    if isinstance(review, Declined):
        return review
    one = Asked(review, visit.principal)
    if one.why_not_edit is not None:
        return Declined("forbidden" if review.is_open else "conflict", one.why_not_edit)
    contract = await visit.operate(asked_contract, approval_id, by=visit.principal)
    if isinstance(contract, Declined):
        return contract
    shown = review.shown["arguments"]
    return one, edit_form.fields(contract.input_schema, shown, one.masked)


def _page(
    visit: Visit,
    one: Asked,
    fields: Sequence[edit_form.Field],
    *,
    proposed: ProposedEdit | None = None,
    refusal: Declined | None = None,
    status: int = 200,
) -> Response:
    values: dict[str, Any] = {"one": one, "fields": fields, "proposed": proposed, "refusal": refusal}
    return page(
        visit,
        "edit.html",
        status=status,
        title=f"Change {one.review.row.tool}",
        reason=visit.said("reason"),
        **values,
    )


PAGES = (
    Page("GET", "/approvals/{approval_id}/edit", show),
    Page("POST", "/approvals/{approval_id}/edit", change),
)
