"""A receiver on loopback that answers as a test says, and a desk whose gateway tells it what waits for people."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.approvals.desk import ANN, Desk, ask
from toolgate import Caller, Gateway
from toolgate.adapters.notify import WebhookNotifier
from toolgate.domain.notice import Wanted
from toolgate.domain.principal import Principal, in_person
from toolgate.ports import Notifier, Sink
from toolgate.testing import FakeClock

Opened = Callable[..., AbstractAsyncContextManager[Gateway]]
SECRET = "whsec_dG9vbGdhdGUgdGVzdHMgc2lnbiB3aXRoIHRoaXMga2V5"
OPERATOR: Principal = in_person(Caller("ops", {"operator"}, "acme"))
HANG = "hang"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came, and what is answered: each of ``answers`` once (``HANG``: nothing, until the test ends), then 200."""

    requests: list[Request] = field(default_factory=list)
    answers: deque[Any] = field(default_factory=deque)
    port: int = 0
    came: asyncio.Condition = field(default_factory=asyncio.Condition)
    before_answer: Callable[[], object] = lambda: None
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]

    async def until(self, count: int) -> None:
        """Until so many requests came."""
        async with self.came:
            await self.came.wait_for(lambda: len(self.requests) >= count)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers["content-length"]))
            answer = self.answers.popleft() if self.answers else 200
            async with self.came:
                self.requests.append(Request(head[0], headers, body))
                self.came.notify_all()
            if answer == HANG:
                await self._over.wait()
            else:
                self.before_answer()
                writer.write(answered(answer))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def end(self) -> None:
        self._over.set()


def answered(answer: int | tuple[int, dict[str, str]]) -> bytes:
    status, headers = (answer, {}) if isinstance(answer, int) else answer
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "content-length: 5", "connection: close", "", "hello"]).encode()


@asynccontextmanager
async def listening() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.handle, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.end()
        server.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as made:
        yield made


@pytest.fixture
async def other_receiver() -> AsyncIterator[Receiver]:
    async with listening() as made:
        yield made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def desk() -> Desk:
    return Desk()


EVERYTHING = Wanted()


def sink(notifier: Notifier, name: str = "ops", wanted: Wanted = EVERYTHING) -> Sink:
    return Sink(name=name, wanted=wanted, notifier=notifier)


def hook(receiver: Receiver, name: str = "ops", wanted: Wanted = EVERYTHING) -> Sink:
    """A signed webhook to ``receiver``."""
    return sink(WebhookNotifier(receiver.url, [SECRET]), name, wanted)


@pytest.fixture
def opened(tmp_path: Path, clock: FakeClock, desk: Desk) -> Opened:
    """Opens a gateway on this test's database; several at once are several processes to it."""

    @asynccontextmanager
    async def opened(*sinks: Sink, chance: float = 1.0) -> AsyncIterator[Gateway]:
        made = Gateway(
            [desk.tool()],
            store=f"sqlite:///{tmp_path / 'gate.db'}",
            clock=clock,
            sinks=sinks,
            housekeeping=None,
        )
        # The whole ceiling of each pause, where a test does not say otherwise.
        made.world.chance = lambda: chance
        async with made:
            yield made

    return opened


async def one_notice(gateway: Gateway, order: int = 1) -> Any:
    """Ask for what needs a person."""
    return await ask(gateway, order, caller=ANN)
