"""The console's static files: served under a name that holds their hash, so that a browser may keep them for a year.

Read once, when the console is built. Not here: which page uses which.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.responses import PlainTextResponse, Response

from toolgate.surfaces.console import paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
    }
)
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_HASH_LENGTH: Final = 16


class Asset(NamedTuple):
    """One file as it is served."""

    url: str
    content: bytes
    media_type: str


def _read() -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    for file in sorted(FOLDER.iterdir()):
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:_HASH_LENGTH]
        url = f"{paths.STATIC}/{file.stem}.{digest}{file.suffix}"
        found[file.name] = Asset(url, content, _TYPES[file.suffix])
    return found


ASSETS: Final[Mapping[str, Asset]] = MappingProxyType(_read())
_BY_URL: Final[Mapping[str, Asset]] = MappingProxyType({asset.url: asset for asset in ASSETS.values()})


def asset_url(name: str) -> str:
    """Where ``name`` is served. Raises ``KeyError`` for a file that is not there."""
    return ASSETS[name].url


async def serve_asset(request: Request) -> Response:
    """One static file, by the name that holds its hash; any other name is not found."""
    asset = _BY_URL.get(request.url.path)
    if asset is None:
        return PlainTextResponse("there is no such file\n", 404)
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": _FOR_EVER})
