"""A problem as a page, for somebody whose browser asked for something that is not there or that failed.

Not here: which problems there are (``surfaces.http.problems``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.surfaces.console.render import door

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from toolgate.surfaces.http.problems import Problem


def refusal_page(request: Request, problem: Problem) -> Response:
    """The page, with the problem's own status and words."""
    reason = f"{problem.detail[:1].upper()}{problem.detail[1:]}."
    return door(request, "refused.html", status=problem.status, title=problem.kind.title, reason=reason)
