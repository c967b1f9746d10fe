"""The bounds of a grant as a form: for each argument whether it may be anything, this value, or no more than this.

What is sensitive has no field: grants are read by many. Not here: what bounds mean (``domain.approval``), and whether
they may be set (``operations.grants``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolgate.surfaces.console.edit_form import Field, typed_value

if TYPE_CHECKING:
    from starlette.datastructures import FormData

ANY: Final = ""
_NUMBERS: Final = frozenset({"integer", "number"})
_OPERATIONS: Final = {"eq": "is", "le": "is at most", "ge": "is at least"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One argument's row of the form. ``operation`` is empty where it may be anything."""

    field: Field
    operation: str
    written: str
    error: str = ""

    @property
    def operations(self) -> tuple[tuple[str, str], ...]:
        """What may be said of it."""
        known = _OPERATIONS if self.field.kind in _NUMBERS else {"eq": _OPERATIONS["eq"]}
        return ((ANY, "may be anything"), *known.items())


def prefilled(fields: Sequence[Field]) -> list[Bound]:
    """As narrow as the one call that the fields were filled from: at most its numbers, exactly its words."""
    return [
        Bound(
            field=one,
            operation=_narrow(one),
            written=one.written,
        )
        for one in fields
        if _may_be_bound(one)
    ]


def _narrow(one: Field) -> str:
    if not one.present or one.is_null:
        return ANY
    # A number that names something is not less than another: up to order 5001 would mean every order before it.
    counts = one.kind in _NUMBERS and not one.name.lower().endswith(("id", "number", "no"))
    return "le" if counts else "eq"


def read(form: FormData, fields: Sequence[Field]) -> tuple[dict[str, Any], list[Bound]]:
    """The bounds that were chosen, and the rows as they were filled in, with what is wrong beside them."""
    bounds: dict[str, Any] = {}
    rows = []
    for one in fields:
        if not _may_be_bound(one):
            continue
        operation, written = str(form.get(f"op.{one.name}", ANY)), str(form.get(f"value.{one.name}", ""))
        error = ""
        if operation in _OPERATIONS:
            try:
                bounds[one.name] = {operation: typed_value(one.kind, written)}
            except ValueError as unreadable:
                error = str(unreadable)
        rows.append(
            Bound(
                field=one,
                operation=operation if operation in _OPERATIONS else ANY,
                written=written,
                error=error,
            )
        )
    return bounds, rows


def _may_be_bound(one: Field) -> bool:
    return not one.masked and one.kind != "json"
