"""The server process: what a connection may do before there is a request, and how the server ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Annotated, Any

import httpx
import pytest
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.http.desk import ANA, SETTINGS, routes_of, until
from toolgate import Gateway, tool
from toolgate.domain.principal import in_person
from toolgate.surfaces.http import server as server_module
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.middleware.small_head import HEAD_LIMIT
from toolgate.surfaces.http.office import Office, open_office
from toolgate.surfaces.http.server import BoundedProtocol, Server
from toolgate.surfaces.http.streams import Message, Telling, event_stream

PATIENCE = 20.0


class Running:
    """A server in the test's own loop."""

    def __init__(self, gateway: Gateway, office: Office, server: Server, port: int) -> None:
        self.gateway = gateway
        self.office = office
        self.server = server
        self.port = port
        self.base = f"http://127.0.0.1:{port}"
        self.over: asyncio.Task[None] | None = None

    def end(self) -> None:
        """As a signal does."""
        self.server.should_exit = True

    async def raw(self, said: bytes) -> bytes:
        """All that the server says to `said`, until it hangs up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(said)
        try:
            async with asyncio.timeout(PATIENCE):
                return await reader.read()
        finally:
            writer.close()


class Work:
    """What the tool of one test does: it says that it began, and lasts until the test lets it end."""

    def __init__(self) -> None:
        self.began: Future[None] = Future()
        self.may_end: Future[None] = Future()
        self.times = 0

    async def begun(self) -> None:
        """Return once the tool runs."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.wrap_future(self.began)

    def end(self) -> None:
        """Let it end."""
        if not self.may_end.done():
            self.may_end.set_result(None)


work = [Work()]


@tool(effect="write", roles={"support"}, timeout=30.0, idempotency="slow:{order_id}")
async def slow_write(order_id: Annotated[int, Field(gt=0)]) -> int:
    """Do something that takes as long as the test says."""
    work[0].times += 1
    work[0].began.set_result(None)
    await asyncio.wrap_future(work[0].may_end)
    return order_id


@pytest.fixture
async def running(tmp_path: Any) -> AsyncIterator[Running]:
    work[0] = Work()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    names = frozenset({f"127.0.0.1:{port}"})
    async with Gateway([slow_write], store=f"sqlite:///{tmp_path / 'gate.db'}", housekeeping=None) as gateway:
        settings = type(SETTINGS)(
            host="127.0.0.1", port=port, public_url=f"http://127.0.0.1:{port}", names=names, local=True
        )
        office = open_office(gateway, settings)

        async def call(request: Request) -> Response:
            outcome = await gateway.call("slow_write", {"order_id": 7}, caller=ANA, workflow="w")
            return JSONResponse(outcome.to_model())

        async def events(request: Request) -> Response:
            async def who(_: Request) -> Any:
                raise AssertionError

            async def render(_: Any) -> Message:
                return Message("changed", "")

            telling = Telling(wanted=lambda _: True, render=render)
            return event_stream(office, request, telling, principal=in_person(ANA), identify=who)

        async def cut(request: Request) -> Response:
            async def pieces() -> AsyncIterator[str]:
                yield "one"
                raise LookupError("secret")

            return StreamingResponse(pieces())

        routes = [Route("/call", call, methods=["POST"]), Route("/events", events), Route("/cut", cut)]
        opened = asyncio.Event()
        app = build_app(office, routes=[*routes_of([]), *routes])
        server = Server(app, office.closing, when_open=opened.set)
        found = Running(gateway, office, server, port)
        found.over = asyncio.create_task(server.serve(sockets=[listening]))
        await opened.wait()
        try:
            yield found
        finally:
            work[0].end()
            found.end()
            await found.over


def problem_in(raw: bytes) -> tuple[bytes, dict[str, Any]]:
    head, _, body = raw.partition(b"\r\n\r\n")
    return head, json.loads(body)


@pytest.mark.req("M6.14", "M4.28", "M10.17")
@pytest.mark.parametrize(
    "said",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * (2 * HEAD_LIMIT),
    ],
    ids=["no HTTP", "a space too much", "two lengths", "large head"],
)
async def test_what_is_no_request_is_told_so_like_everything_else(running: Running, said: bytes) -> None:
    head, problem = problem_in(await running.raw(said))

    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert b"default-src 'none'" in head
    assert problem["type"] == "/problems/bad_request"


@pytest.mark.req("M6.14")
@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: "], ids=["nothing", "half a head"])
async def test_a_head_that_does_not_come_is_not_waited_for(
    running: Running, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.01)

    assert await running.raw(said) == b""


@pytest.mark.req("M6.14")
async def test_a_slow_answer_is_not_taken_for_a_slow_head(running: Running) -> None:
    async with httpx.AsyncClient(base_url=running.base, timeout=PATIENCE) as client:
        call = asyncio.create_task(client.post("/call"))
        await work[0].begun()
        (connection,) = running.server.server_state.connections
        assert isinstance(connection, BoundedProtocol)
        waits_for_a_head = connection._head_timer is not None
        work[0].end()

        assert (await call).json()["status"] == "succeeded"
        assert not waits_for_a_head


@pytest.mark.req("M6.14")
async def test_connections_beyond_the_limit_are_dropped(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MOST_CONNECTIONS", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    await until(lambda: running.server.server_state.connections)

    with contextlib.suppress(ConnectionError):
        assert await running.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.req("M4.28")
async def test_the_server_does_not_name_itself(running: Running) -> None:
    async with httpx.AsyncClient(base_url=running.base) as client:
        assert "server" not in (await client.get("/healthz")).headers


@pytest.mark.req("M10.17")
async def test_a_response_that_breaks_off_is_not_passed_off_as_whole(running: Running) -> None:
    async with httpx.AsyncClient(base_url=running.base) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/cut")


@pytest.mark.req("M5.14")
async def test_a_call_on_its_way_is_answered_and_settled_before_the_server_ends(running: Running) -> None:
    async with httpx.AsyncClient(base_url=running.base, timeout=PATIENCE) as client:
        call = asyncio.create_task(client.post("/call"))
        await work[0].begun()
        running.end()
        await running.office.closing.wait()
        refused = False
        try:
            await asyncio.open_connection("127.0.0.1", running.port)
        except OSError:
            refused = True
        work[0].end()
        answer = await call

    assert refused
    assert answer.json()["status"] == "succeeded"
    assert running.over is not None
    await running.over
    kept = await running.gateway.get_call(answer.json()["call_id"], caller=ANA)
    assert kept.status.value == "succeeded"


@pytest.mark.req("M5.14", "M10.15")
async def test_a_client_that_hangs_up_does_not_stop_its_call(running: Running) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", running.port)
    head = f"POST /call HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nContent-Length: 0\r\n\r\n"
    writer.write(head.encode())
    await work[0].begun()
    writer.close()
    work[0].end()

    outcome = await running.gateway.call("slow_write", {"order_id": 7}, caller=ANA, workflow="w")
    while getattr(outcome, "retry_after", None) is not None:
        outcome = await running.gateway.call("slow_write", {"order_id": 7}, caller=ANA, workflow="w")

    assert outcome.status.value == "succeeded"
    assert work[0].times == 1


@pytest.mark.req("M5.14", "M12.15")
async def test_streams_end_with_the_server(running: Running) -> None:
    async with (
        httpx.AsyncClient(base_url=running.base, timeout=PATIENCE) as client,
        client.stream("GET", "/events") as answer,
    ):
        pieces = answer.aiter_text()
        first = await anext(pieces)
        running.end()
        rest = [piece async for piece in pieces]

    assert first == "retry: 2000\n\n"
    assert rest == []
    assert running.over is not None
    await running.over
