"""Every page of the console, and the one list in which they are mounted.

To add a page:

1. Write a module in ``pages/`` with functions ``async def calls(visit: Visit) -> Response`` and, at its end,
   ``PAGES = (Page("GET", "/calls", calls), Page("POST", "/calls/{call_id}/resolve", resolve))``. Paths are beneath
   ``/console``; spell them in ``paths`` and link to them by name.
2. Ask operations: ``await visit.operate(list_calls, wanted, by=visit.principal)``. Hand a ``Declined`` to
   ``visit.declined(refusal)``. Nothing is decided here.
3. Answer with ``page(visit, "calls.html", title="Calls", …)``; the template begins with
   ``{% extends "base.html" %}{% import "parts.html" as parts with context %}`` and fills ``{% block content %}``.
   After a POST that changed something, answer ``visit.go(path, done="resolved")``, so that a reload posts nothing.
4. Each form is ``<form method="post" action="…">{{ parts.token() }}…``; what arrives in ``visit.form`` was checked.
   Write other people's words as ``{{ visible(text) }}``, JSON as ``{{ parts.json(value) }}``, moments as
   ``{{ when(at, now) }}``; never ``|safe``. No ``style=`` and no ``on…=``: the policy of the server refuses both.
5. Put the module into ``_MODULES`` below. A link in the navigation is a line of ``render._PLACES``.

Live lists: an element with ``data-live="/console/…"`` is fetched anew and morphed into place whenever the gate says
that something happened (``console.js``); the keyboard's place and what was typed stay. Lists with ``data-list`` can be
walked with j and k; each item's link has ``data-item``.

Not here: what a page says, and who may see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from toolgate.domain.principal import Declined
from toolgate.surfaces.console import live, paths
from toolgate.surfaces.console.assets import serve_asset
from toolgate.surfaces.console.pages import (
    approval,
    audit,
    batch,
    calls,
    edit,
    grants,
    inbox,
    jobs,
    notifications,
    overview,
    preferences,
    stop,
    tokens,
    tools,
)
from toolgate.surfaces.console.session import Visit, signed_in
from toolgate.surfaces.console.sign_in import sign_in_routes

if TYPE_CHECKING:
    from starlette.requests import Request

    from toolgate.surfaces.http.office import Office

_MODULES: Final = (
    inbox,
    approval,
    edit,
    batch,
    grants,
    overview,
    calls,
    jobs,
    notifications,
    tokens,
    live,
    preferences,
    stop,
)
_KEEPING: Final = (audit, tools)
"""Modules whose pages keep something as long as the console lives: each console gets its own."""


def routes(office: Office) -> list[BaseRoute]:
    """The console's routes, for the one application of the server."""
    pages = [
        Route(f"{paths.PREFIX}{page.path}", signed_in(office, page.answer), methods=[page.method])
        for page in (
            *(page for module in _MODULES for page in module.PAGES),
            *(page for module in _KEEPING for page in module.pages()),
        )
    ]
    return [
        Route("/", _to_inbox),
        Route(paths.PREFIX, _to_inbox),
        Route(f"{paths.STATIC}/{{name}}", serve_asset),
        *sign_in_routes(office),
        *pages,
        Route(f"{paths.PREFIX}/{{rest:path}}", signed_in(office, _nothing), methods=["GET"]),
    ]


async def _nothing(visit: Visit) -> Response:
    """A page for people who followed a link to something that is not there."""
    return visit.declined(Declined("not_found", "nothing is under this address"))


async def _to_inbox(request: Request) -> Response:  # noqa: ARG001 - an endpoint takes a request
    return RedirectResponse(paths.INBOX, 303)
