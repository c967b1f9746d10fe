"""Where a defect ends: the client learns that it was ours, the log where it is, and nobody what the data were."""

from __future__ import annotations

import logging
import traceback
from pathlib import PurePath
from typing import TYPE_CHECKING

from starlette.requests import Request

from toolgate.surfaces.http.marks import request_id_of
from toolgate.surfaces.http.problems import Problem, shown

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from toolgate.surfaces.http.problems import Pages

_log = logging.getLogger("toolgate")


class LastDoor:
    """Answers 500 for whatever no handler caught. A response that has begun is cut off instead."""

    def __init__(self, app: ASGIApp, *, pages: Pages | None = None) -> None:
        self.app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception as defect:  # noqa: BLE001 - the last door: named in the log, never shown
            request = Request(scope)
            _log.error("request %s failed: %s", request_id_of(request), place_of(defect))
            if begun:
                raise CutOff from None
            detail = "the server failed, and whoever runs it finds why under the request_id"
            problem = Problem(code="server_failed", detail=detail)
            await shown(request, problem, self._pages)(scope, receive, send)


class CutOff(Exception):
    """A response was begun and cannot be finished: the connection ends, and the client sees that it does."""


def place_of(error: BaseException) -> str:
    """``"KeyError at feed.py:120 in watch"``: enough to find the line, nothing of the data."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    return f"{type(error).__name__} at {PurePath(last.filename).name}:{last.lineno} in {last.name}"
