"""From a template and its values to a page. Escaping is always on, and a name that is not given is an error.

``page(visit, "calls.html", title=…, …)`` is what every page ends with. Not here: what a page says.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from toolgate.domain.principal import Action, Principal, forbids
from toolgate.surfaces.console import paths, spelling
from toolgate.surfaces.console.assets import asset_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from toolgate.surfaces.console.session import Visit

THEME_COOKIE: Final = "toolgate_theme"
THEMES: Final = ("auto", "light", "dark")

_TONES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("succeeded", "consumed", "approved", "applied", "delivered", "active", "approve"), "good"
        ),
        **dict.fromkeys(
            ("pending", "pending_approval", "expired", "intended", "used up", "cancelled"), "warn"
        ),
        **dict.fromkeys(("failed", "unknown", "denied", "dead", "revoked", "deny"), "bad"),
        **dict.fromkeys(("running", "started", "queued", "replayed"), "info"),
    }
)


def tone(word: str) -> str:
    """Which colour a state has. Words say the same, so that nobody needs the colour."""
    return _TONES.get(word, "")


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # An option whose value and words are the same.
    made.filters["pair"] = lambda word: (word, word)
    made.globals |= {
        "asset": asset_url,
        "paths": paths,
        "tone": tone,
        "exact": spelling.exact,
        "visible": spelling.visible,
        "one_line": spelling.one_line,
        "when": spelling.when,
        "instant": spelling.instant,
        "iso": spelling.iso,
        "span": spelling.span,
        "ago": spelling.ago,
        "urgency": spelling.urgency,
    }
    return made


_ENVIRONMENT: Final = _environment()


class Link(NamedTuple):
    """One line of the navigation. ``key``: pressed after ``g``; ``waiting``: None where nothing is counted."""

    path: str
    words: str
    key: str
    current: bool
    waiting: str | None = None


_PLACES: Final = (
    (
        "Decide",
        (
            (paths.INBOX, "Inbox", "i", Action.DECIDE),
            (paths.GRANTS, "Grants", "g", Action.GRANT),
        ),
    ),
    (
        "Look",
        (
            (paths.OVERVIEW, "Overview", "o", None),
            (paths.CALLS, "Calls", "c", None),
            (paths.JOBS, "Jobs", "b", None),
            (paths.UNRESOLVED, "Unresolved", "u", Action.SEE_ALL_CALLS),
            (paths.TOOLS, "Tools", "t", None),
            (paths.AUDIT, "Audit", "a", Action.READ_AUDIT),
        ),
    ),
    (
        "Run",
        (
            (paths.NOTIFICATIONS, "Notifications", "n", Action.SEE_NOTIFICATIONS),
            (paths.TOKENS, "Tokens", "k", Action.MANAGE_TOKENS),
        ),
    ),
)
"""Where one can go. A place that the visitor may not enter is left out; entering it all the same says why."""


def _navigation(here: str, principal: Principal, waiting: str | None) -> list[tuple[str, list[Link]]]:
    found = []
    for heading, places in _PLACES:
        links = [
            Link(path, words, key, _is_at(here, path), waiting if path == paths.INBOX else None)
            for path, words, key, action in places
            if action is None or forbids(principal, action) is None
        ]
        if links:
            found.append((heading, links))
    return found


def _is_at(here: str, path: str) -> bool:
    approval = path == paths.INBOX and here.startswith(f"{paths.PREFIX}/approvals/")
    return approval or here == path or here.startswith(f"{path}/")


def theme_of(request: Request) -> str:
    """The colours that this browser asked for."""
    theme = request.cookies.get(THEME_COOKIE, "")
    return theme if theme in THEMES else THEMES[0]


def page(visit: Visit, template: str, *, status: int = 200, title: str, **values: Any) -> Response:
    """The page of ``template`` for this visitor. ``title`` stands in the browser's tab and, mostly, on the page."""
    here = visit.request.url.path
    return _response(
        visit.request,
        template,
        status,
        {
            "visit": visit,
            "navigation": _navigation(here, visit.principal, visit.waiting),
            "here": paths.with_query(here, **dict(visit.request.query_params)),
            "title": title,
            **values,
        },
    )


def door(request: Request, template: str, *, status: int = 200, title: str, **values: Any) -> Response:
    """A page for somebody who has not signed in."""
    return _response(request, template, status, {"navigation": [], "title": title, **values})


def _response(request: Request, template: str, status: int, values: dict[str, Any]) -> Response:
    theme = theme_of(request)
    following = THEMES[(THEMES.index(theme) + 1) % len(THEMES)]
    text = _ENVIRONMENT.get_template(template).render(theme=theme, next_theme=following, **values)
    # What one person may see is for nobody else's cache, and gone from this browser's once they sign out.
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


def fragment(template: str, **values: Any) -> str:
    """A part of a page, for a stream or a test."""
    return _ENVIRONMENT.get_template(template).render(**values)
