"""The application behind a real server on loopback, in its own thread, for clients that know nothing of asyncio."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from tests.rest.desk import SETTINGS, Desk, opened

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A desk that is served at ``url``."""

    url: str
    desk: Desk
    loop: asyncio.AbstractEventLoop

    def run(self, work: Callable[[Desk], Awaitable[T]]) -> T:
        """What ``work`` answers, done in the server's loop."""

        async def do() -> T:
            return await work(self.desk)

        return asyncio.run_coroutine_threadsafe(do(), self.loop).result(30)


@contextmanager
def served(folder: Path, **settings: Any) -> Iterator[Served]:
    """Serve ``folder/gate.db`` until the block ends. ``settings``: see ``opened``."""
    ready: Future[Served] = Future()
    stop = threading.Event()
    thread = threading.Thread(target=_serve, args=(folder, settings, ready, stop), name="served")
    thread.start()
    try:
        yield ready.result(30)
    finally:
        stop.set()
        thread.join(30)


def _serve(folder: Path, settings: dict[str, Any], ready: Future[Served], stop: threading.Event) -> None:
    try:
        asyncio.run(_serving(folder, settings, ready, stop))
    except BaseException as fault:
        if ready.done():
            raise
        ready.set_exception(fault)


async def _serving(
    folder: Path, settings: dict[str, Any], ready: Future[Served], stop: threading.Event
) -> None:
    # Named as TCP, so that asyncio sends each piece at once (TCP_NODELAY) instead of waiting for an acknowledgement.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    host = f"127.0.0.1:{listening.getsockname()[1]}"
    known = replace(SETTINGS, public_url=f"http://{host}", names=frozenset({host}))
    async with opened(folder, served_as=known, **settings) as desk:
        config = uvicorn.Config(desk.app, log_config=None, lifespan="off", access_log=False)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 - it sets a flag and no event
            await asyncio.sleep(0)
        ready.set_result(Served(url=f"http://{host}", desk=desk, loop=asyncio.get_running_loop()))
        await asyncio.to_thread(stop.wait)
        desk.office.closing.begin()
        server.should_exit = True
        await serving
