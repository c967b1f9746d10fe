"""What a client reads before it has a credential: which resource this is, and who gives credentials for it (RFC 9728).

Not here: what makes a credential good; that its audience is this server is checked with its signature
(``adapters.identity``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from toolgate.domain.principal import Scope

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from toolgate.surfaces.http.settings import ServerSettings

PATH: Final = "/mcp"
WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


def metadata_url(settings: ServerSettings) -> str:
    """Where the metadata of ``/mcp`` lie (RFC 9728, section 3.1)."""
    return f"{settings.public_url}{WELL_KNOWN}{PATH}"


def metadata(settings: ServerSettings, path: str) -> dict[str, Any]:
    """The metadata of the resource at ``path`` (RFC 9728, section 2)."""
    found: dict[str, Any] = {
        "resource": f"{settings.public_url}{path}",
        "scopes_supported": [Scope.CALL.value],
        "bearer_methods_supported": ["header"],
        "resource_name": "Toolgate",
    }
    if settings.issuers:
        found["authorization_servers"] = list(settings.issuers)
    return found


def resource_routes(settings: ServerSettings) -> list[BaseRoute]:
    """The metadata of ``/mcp``, and those of the whole server for clients that look only there."""

    def at(path: str) -> Route:
        async def tell(request: Request) -> Response:  # noqa: ARG001 - an endpoint takes a request
            return JSONResponse(metadata(settings, path))

        return Route(f"{WELL_KNOWN}{path}", tell)

    return [at(PATH), at("")]
