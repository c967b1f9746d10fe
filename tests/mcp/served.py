"""A gateway behind its real server on a port of this machine, in a thread: what real peers connect to.

Not here: what it serves, and who comes.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from toolgate import Caller, Gateway
from toolgate.bootstrap.server import all_routes
from toolgate.operations.tokens import create_token
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.metrics import Metrics
from toolgate.surfaces.http.office import open_office
from toolgate.surfaces.http.server import Server
from toolgate.surfaces.http.settings import ServerSettings
from toolgate.surfaces.mcp.around import standing
from toolgate.surfaces.mcp.http import McpHttp

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from pathlib import Path
    from types import TracebackType

    from starlette.types import ASGIApp, Receive, Scope, Send

    from toolgate import Tool
    from toolgate.surfaces.http.office import Office

T = TypeVar("T")
PATIENCE = 60.0
"""Real seconds until something that was asked of the server's thread has failed."""
TOKEN_LASTS = 3600.0


class Served:
    """Opened with ``with``. Everything inside runs in the loop of one thread, as it does in a server.

    Args:
        tools: what it offers.
        signed_in: whose token a request without one is given; see ``Introduced``. None asks everybody for theirs.
        beside: what goes on beside it for as long as it serves, such as people who decide.
        settings: the gateway's.
    """

    def __init__(
        self,
        folder: Path,
        tools: Iterable[Tool[Any, Any]],
        *,
        signed_in: Caller | None = None,
        beside: Callable[[Office], Coroutine[Any, Any, None]] | None = None,
        **settings: Any,
    ) -> None:
        self._tools = list(tools)
        self._signed_in = signed_in
        self._beside = beside
        self._settings = {"store": f"sqlite:///{folder / 'gate.db'}", **settings}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        port: int = self._socket.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self.url = f"{self.base}/mcp"
        self._known = ServerSettings(
            host="127.0.0.1",
            port=port,
            public_url=self.base,
            names=frozenset({f"127.0.0.1:{port}", f"localhost:{port}"}),
            local=True,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="served", daemon=True)
        self._open = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._serving = asyncio.run_coroutine_threadsafe(self._serve(), self._loop)
        # Woken by whichever comes first: the door is open, or it never will be.
        self._serving.add_done_callback(lambda _: self._open.set())
        assert self._open.wait(PATIENCE)
        if self._serving.done():
            self._serving.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._server.should_exit = True
            self._serving.result(PATIENCE)
        finally:
            asyncio.run_coroutine_threadsafe(self._left_over(), self._loop).result(PATIENCE)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)
            self._loop.close()
            self._socket.close()

    async def _left_over(self) -> None:
        """As ``asyncio.run`` ends: what waits for an end that came is taken down."""
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()

    async def _serve(self) -> None:
        async with Gateway(self._tools, **self._settings) as self.gateway:
            metrics = Metrics()
            office = open_office(self.gateway, self._known)
            mcp = McpHttp(office, around=standing())
            app: ASGIApp = build_app(office, routes=[*mcp.routes(), *all_routes(office)], metrics=metrics)
            if self._signed_in is not None:
                app = Introduced(app, await self._token(self._signed_in))
            self._server = Server(app, office.closing, when_open=self._open.set)
            going_on = None if self._beside is None else asyncio.create_task(self._beside(office))
            async with mcp.running():
                await self._server.serve(sockets=[self._socket])
            if going_on is not None:
                going_on.cancel()

    async def _token(self, caller: Caller) -> str:
        world = self.gateway.world
        made = await create_token(
            world.store, world.keys, world.ids, caller=caller, lasting=TOKEN_LASTS, by="test"
        )
        return made.secret

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of ``work``, run in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE)

    def token(self, caller: Caller) -> str:
        """A token that stands for ``caller``."""
        return self.run(lambda: self._token(caller))


class Introduced:
    """For clients that send no credentials: gives each of their requests one, before it reaches the application.

    It stands in tests alone. The application behind it is the real one and asks everybody who they are.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._header = (b"authorization", f"Bearer {token}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the credential if it has none."""
        if scope["type"] == "http" and all(name != b"authorization" for name, _ in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)
