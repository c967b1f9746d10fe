"""What a browser remembers of its user's taste: the colours. Not here: anything about people or calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolgate.surfaces.console import paths
from toolgate.surfaces.console.render import THEME_COOKIE, THEMES
from toolgate.surfaces.console.session import Page, Visit

if TYPE_CHECKING:
    from starlette.responses import Response

_YEAR: Final = 31_536_000


async def choose_theme(visit: Visit) -> Response:
    """Remember the colours in a cookie, and go back to where the button was."""
    back, theme = visit.said("back"), visit.said("theme")
    answer = visit.go(back if paths.is_ours(back) else paths.INBOX)
    if theme in THEMES:
        answer.set_cookie(
            THEME_COOKIE,
            theme,
            max_age=_YEAR,
            path=paths.PREFIX,
            secure=visit.office.settings.secure,
            httponly=True,
            samesite="strict",
        )
    return answer


PAGES = (Page("POST", "/theme", choose_theme),)
