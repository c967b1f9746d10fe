"""Where a page ended, as a text that nobody is meant to read: URL-safe, and checked when it comes back.

It holds a place in a list and no right: what is listed is decided anew for whoever brings it. Not here: pages.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from toolgate.surfaces.http.problems import FieldError, Problem

if TYPE_CHECKING:
    from starlette.requests import Request

_PLACE: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
NOT_OURS: Final = Problem(
    code="bad_request",
    detail="the cursor is not one that was given out here; take `next` of a page as it is, or leave it out",
    errors=(FieldError("?cursor", "no cursor of this list"),),
)


def cursor_of(place: str | int | None) -> str | None:
    """The cursor that leads on from ``place``; None at the end of a list."""
    return None if place is None else base64.urlsafe_b64encode(str(place).encode()).rstrip(b"=").decode()


def place_of(cursor: str | None) -> str | Problem | None:
    """The id that ``cursor`` stands for."""
    if cursor is None:
        return None
    try:
        place = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode(
            "ascii"
        )
    except (binascii.Error, UnicodeDecodeError):
        return NOT_OURS
    return place if _PLACE.fullmatch(place) else NOT_OURS


def number_of(cursor: str | None) -> int | Problem | None:
    """The number that ``cursor`` stands for, where a list is counted."""
    place = place_of(cursor)
    if isinstance(place, str):
        return int(place) if _NUMBER.fullmatch(place) else NOT_OURS
    return place


def link_to_next(request: Request, cursor: str | None) -> dict[str, str]:
    """The header that leads to the next page (RFC 8288, relation ``next``), with the filters of this one."""
    if cursor is None:
        return {}
    asked = {name: value for name, value in request.query_params.items() if name != "cursor"}
    return {"Link": f'<{request.url.path}?{urlencode({**asked, "cursor": cursor})}>; rel="next"'}
