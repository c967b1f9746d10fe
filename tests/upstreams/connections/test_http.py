"""Upstreams over HTTP: both eras, sessions, tokens, and servers that do what none should."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import pytest
import uvicorn

from tests.upstreams.connections.conftest import PATIENCE, Opened, call, text, until
from tests.upstreams.servers import sdk
from tests.upstreams.servers.raw_http import (
    RawServer,
    Request,
    chunk,
    error,
    event,
    reply,
    result,
    said,
    stream,
)
from toolgate.adapters.upstreams.connection import (
    ConnectionFailure,
    ListOutdated,
    Lost,
    NoAnswer,
    NotSent,
    RpcError,
    UpstreamDown,
)
from toolgate.adapters.upstreams.kept import LIST_TIMEOUT, MAX_LIST
from toolgate.domain.errors import ConfigurationError, UsageError
from toolgate.domain.upstream.settings import Bearer, ClientCredentials, HttpSettings
from toolgate.testing import FakeClock

Writer = asyncio.StreamWriter
CALL = "tools/call ok"


def at(server: RawServer, **settings: Any) -> HttpSettings:
    return HttpSettings(url=server.url, **settings)


def answering(
    make: Callable[[Request], bytes], *, close: bool = False
) -> Callable[[Request, Writer], Awaitable[None]]:
    """Writes what ``make`` gives, and hangs up after it if it is to."""

    async def act(request: Request, writer: Writer) -> None:
        writer.write(make(request))
        if close:
            await writer.drain()
            writer.close()

    return act


async def failure_of(connection: Any, *, seconds: float = PATIENCE) -> ConnectionFailure:
    with pytest.raises(ConnectionFailure) as caught:
        await call(connection, "ok", seconds=seconds)
    return caught.value


@asynccontextmanager
async def sdk_served(handlers: sdk.Handlers | None = None, **options: Any) -> AsyncIterator[str]:
    """The SDK's server on loopback; its URL."""
    app = sdk.server(handlers).streamable_http_app(**options)
    # The protocol is named, for asyncio turns off Nagle's delay only where it is.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", http="h11", lifespan="on"))
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    try:
        await until(lambda: server.started)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.wait([serving])
        listening.close()


# --- what is right ------------------------------------------------------------------------------------------------


@pytest.mark.req("M6.20", "M6.21")
@pytest.mark.parametrize("json_response", [False, True], ids=["events", "json"])
async def test_the_sdks_server_is_spoken_to(opened: Opened, json_response: bool) -> None:
    async with sdk_served(json_response=json_response) as url:
        connection = await opened.ready(HttpSettings(url=url))

        assert connection.state().version == "2026-07-28"
        assert len(await connection.tools()) == 7
        words = [f"word {number}" for number in range(40)]
        answers = await asyncio.gather(*(call(connection, "echo", text=word) for word in words))
        assert [text(answer) for answer in answers] == words
        assert (await call(connection, "fail")).is_error
        await connection.close()


@pytest.mark.req("M6.21")
async def test_progress_and_cancellation_reach_through(opened: Opened) -> None:
    handlers = sdk.Handlers()
    async with sdk_served(handlers) as url:
        connection = await opened.ready(HttpSettings(url=url))
        steps: list[tuple[float, float | None, str | None]] = []
        await connection.call(
            "steps", {}, seconds=PATIENCE, meta={}, progress=lambda *step: steps.append(step)
        )
        waiting = asyncio.ensure_future(call(connection, "wait"))
        await until(handlers.waiting.is_set)

        waiting.cancel()

        await until(lambda: handlers.cancelled == 1)
        assert [step[0] for step in steps] == [1.0, 2.0, 3.0]
        await connection.close()


@pytest.mark.req("M6.20")
async def test_modern_requests_carry_their_headers_and_envelope(opened: Opened) -> None:
    async with RawServer() as server:
        connection = await opened.ready(at(server, headers={"x-team": "blue"}))
        await call(connection, "ok", text="hi")

        (sent,) = server.asked(CALL)
        meta = sent.message["params"]["_meta"]

        assert sent.headers["mcp-protocol-version"] == "2026-07-28"
        assert (sent.headers["mcp-method"], sent.headers["mcp-name"]) == ("tools/call", "ok")
        assert (sent.headers["x-team"], sent.headers["accept"]) == (
            "blue",
            "application/json, text/event-stream",
        )
        assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
        assert meta["io.modelcontextprotocol/clientInfo"]["name"] == "toolgate"
        assert server.connections == 1


@pytest.mark.req("M6.20")
async def test_a_marked_parameter_goes_into_a_header_and_a_wrongly_marked_tool_is_left_out(
    opened: Opened,
) -> None:
    def marked(name: str, kind: str) -> dict[str, Any]:
        schema = {"type": "object", "properties": {"region": {"type": kind, "x-mcp-header": "Region"}}}
        return {"name": name, "inputSchema": schema}

    tools = [marked("ok", "string"), marked("wrong", "object")]
    async with RawServer(
        acts={"tools/list": answering(lambda r: reply(200, result(r, {"tools": tools})))}
    ) as server:
        connection = await opened.ready(at(server))

        assert [tool["name"] for tool in await connection.tools()] == ["ok"]
        await call(connection, "ok", region="zürich")

        assert server.asked(CALL)[0].headers["mcp-param-region"] == "=?base64?esO8cmljaA==?="


@pytest.mark.req("M6.20")
async def test_an_older_server_gets_its_handshake_its_session_and_its_goodbye(opened: Opened) -> None:
    async with RawServer(modern=False, session="s-1") as server:
        connection = await opened.ready(at(server))
        await call(connection, "ok")
        await connection.close()

        assert [request.asked for request in server.requests] == [
            "server/discover", "initialize", "notifications/initialized", CALL, "DELETE",
        ]  # fmt: skip
        assert "mcp-session-id" not in server.requests[1].headers
        assert {request.headers["mcp-session-id"] for request in server.requests[2:]} == {"s-1"}
        assert server.asked(CALL)[0].headers["mcp-protocol-version"] == "2025-11-25"


@pytest.mark.req("M6.20")
async def test_a_version_that_a_refusal_names_is_tried(opened: Opened) -> None:
    refused: list[Request] = []

    async def once(request: Request, writer: Writer) -> None:
        if refused:
            info = {"supportedVersions": ["2026-07-28"], "capabilities": {}}
            writer.write(reply(200, result(request, info)))
        else:
            refused.append(request)
            writer.write(reply(400, error(request, -32022, "no", {"supported": ["2026-07-28"]})))

    async with RawServer(acts={"server/discover": once}) as server:
        connection = await opened.ready(at(server))

        assert connection.state().version == "2026-07-28"


@pytest.mark.req("M6.20")
async def test_a_broken_stream_of_an_older_server_is_resumed(opened: Opened) -> None:
    async def broken(request: Request, writer: Writer) -> None:
        head = stream(end=False) + event(id="event-1", retry=1)
        writer.write(head + b"0\r\n\r\n")

    async def rest(request: Request, writer: Writer) -> None:
        assert request.headers["last-event-id"] == "event-1"
        answer = {"jsonrpc": "2.0", "id": server.asked(CALL)[0].message["id"], "result": {"content": []}}
        writer.write(stream(answer))

    async with RawServer(modern=False, acts={CALL: broken, "GET": rest}) as server:
        connection = await opened.ready(at(server))

        assert (await call(connection, "ok")).content == ()
        assert len(server.asked(CALL)) == 1


@pytest.mark.req("M6.21")
async def test_a_ping_beside_an_answer_is_answered_by_a_request_of_its_own(opened: Opened) -> None:
    def pinging(request: Request) -> bytes:
        ping = {"jsonrpc": "2.0", "id": "p", "method": "ping"}
        sample = {"jsonrpc": "2.0", "id": "s", "method": "sampling/createMessage", "params": {}}
        return stream(ping, sample, said(request, "ok"))

    async with RawServer(modern=False, acts={CALL: answering(pinging)}) as server:
        connection = await opened.ready(at(server))
        assert text(await call(connection, "ok")) == "ok"

        await until(lambda: len(server.asked("answer")) == 2)
        answers = {each.message["id"]: each.message for each in server.asked("answer")}
        assert answers["p"]["result"] == {}
        assert answers["s"]["error"]["code"] == -32601


# --- verdicts -----------------------------------------------------------------------------------------------------

VERDICTS: dict[str, tuple[Callable[[Request], bytes], type[ConnectionFailure]]] = {
    "400": (lambda _: reply(400, b"no"), NotSent),
    "401": (lambda _: reply(401), NotSent),
    "403 whatever its body says": (lambda r: reply(403, error(r, -1, "no")), NotSent),
    "404": (lambda _: reply(404, b"gone", kind="text/plain"), NotSent),
    "429": (lambda _: reply(429), NotSent),
    "307": (lambda _: reply(307, location="http://127.0.0.2:1/mcp"), NotSent),
    "302": (lambda _: reply(302, location="http://127.0.0.2:1/mcp"), Lost),
    "500": (lambda _: reply(500, b"oops", kind="text/html"), Lost),
    "502": (lambda _: reply(502), Lost),
    "202 to a request": (lambda _: reply(202), Lost),
    "an error of the protocol": (lambda r: reply(200, error(r, -32603, "no")), RpcError),
    "an error with a status": (lambda r: reply(400, error(r, -32602, "no")), RpcError),
    "a header that does not match": (lambda r: reply(400, error(r, -32020, "no")), ListOutdated),
    "a header that does not match, said with success": (
        lambda r: reply(200, error(r, -32020, "no")),
        RpcError,
    ),
    "another version, said with success": (lambda r: stream(error(r, -32022, "no")), RpcError),
    "garbage": (lambda _: reply(200, b"<html>"), Lost),
    "a wrong kind": (lambda _: reply(200, b"hello", kind="text/plain"), Lost),
    "compressed": (lambda r: reply(200, said(r, "ok"), content_encoding="gzip"), Lost),
    "another's answer": (lambda _: reply(200, {"jsonrpc": "2.0", "id": 99, "result": {"content": []}}), Lost),
    "two different answers": (lambda r: stream(said(r, "yes"), said(r, "no")), Lost),
    "a stream without an answer": (lambda _: stream({"jsonrpc": "2.0", "method": "x"}), Lost),
    "too long": (lambda r: reply(200, said(r, "x" * 70_000)), Lost),
    "too long an event": (lambda r: stream(said(r, "x" * 70_000)), Lost),
    "an event without an end": (lambda _: stream(end=False) + chunk(b"data: " + b"x" * 70_000), Lost),
}


@pytest.mark.req("M6.22", "M6.28")
@pytest.mark.parametrize("case", VERDICTS)
async def test_what_a_server_answers_is_judged_by_what_may_have_run(opened: Opened, case: str) -> None:
    make, verdict = VERDICTS[case]
    async with RawServer(acts={CALL: answering(make)}) as server:
        connection = await opened.ready(at(server, message_limit=65_536))

        failure = await failure_of(connection)

        assert type(failure) is verdict
        assert "127.0.0" not in failure.reason
        assert len(server.asked(CALL)) == 1  # never sent again by itself


@pytest.mark.req("M6.22")
@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{", b"nonsense\r\n\r\n",
     stream({"jsonrpc": "2.0", "method": "x"}, end=False)],
    ids=["before", "in a body", "no HTTP", "in a stream"],
)  # fmt: skip
async def test_a_server_that_hangs_up_has_lost_the_call(opened: Opened, start: bytes) -> None:
    async with RawServer(acts={CALL: answering(lambda _: start, close=True)}) as server:
        connection = await opened.ready(at(server))

        assert type(await failure_of(connection)) is Lost
        assert len(server.asked(CALL)) == 1  # never sent again by itself


@pytest.mark.req("M6.22", "M6.23")
async def test_an_endless_stream_ends_with_the_callers_time_and_holds_up_nobody(opened: Opened) -> None:
    async def endless(request: Request, writer: Writer) -> None:
        writer.write(stream(end=False))
        while True:
            writer.write(chunk(b": still here\n\n") * 100)
            await writer.drain()

    async with RawServer(acts={CALL: endless}) as sick, RawServer() as well:
        one, other = await opened.ready(at(sick)), await opened.ready(at(well))
        endlessly = asyncio.ensure_future(failure_of(one, seconds=0.5))
        assert [text(await call(other, "ok")) for _ in range(10)] == ["ok"] * 10

        assert type(await endlessly) is NoAnswer


@pytest.mark.req("M6.22")
async def test_a_call_that_finds_nobody_was_not_sent_and_the_upstream_comes_back(opened: Opened) -> None:
    clock = FakeClock()
    async with RawServer() as server:
        connection = await opened.ready(at(server), clock=clock, jitter=lambda: 1.0)
        port = server.port
    assert type(await failure_of(connection)) in {
        NotSent,
        Lost,
    }  # the kept connection may still have taken it
    failure = await failure_of(connection)
    assert isinstance(failure, NotSent)
    await until(lambda: connection.state().phase == "down")

    async with RawServer(port=port):
        clock.advance(1.0)
        await until(lambda: connection.state().phase == "ready")
        assert text(await call(connection, "ok")) == "ok"


@pytest.mark.req("M6.24")
async def test_an_upstream_that_is_not_there_is_down_and_says_so(opened: Opened) -> None:
    connection = opened(HttpSettings(url="http://127.0.0.1:9/mcp"))

    await until(lambda: connection.state().phase == "down")

    assert "cannot be reached" in (connection.state().reason or "")
    with pytest.raises(UpstreamDown):
        await connection.tools()


@pytest.mark.req("M6.24")
async def test_a_handshake_that_hangs_is_given_up(opened: Opened) -> None:
    async def hang(request: Request, writer: Writer) -> None:
        await asyncio.Event().wait()

    async with RawServer(acts={"server/discover": hang, "initialize": hang}) as server:
        connection = opened(at(server, connect_timeout=0.3))

        await until(lambda: connection.state().phase == "down")

        assert "no answer" in (connection.state().reason or "")


@pytest.mark.req("M6.23", "M6.28")
async def test_a_list_of_great_pages_is_given_up(opened: Opened) -> None:
    page = 1 << 20

    async def great(request: Request, writer: Writer) -> None:
        tools = [{"name": "t", "inputSchema": {"type": "object"}, "_meta": {"x": "x" * page}}]
        cursor = int(request.message["params"].get("cursor", 0)) + 1
        writer.write(reply(200, result(request, {"tools": tools, "nextCursor": str(cursor)})))

    async with RawServer(acts={"tools/list": great}) as server:
        connection = await opened.ready(at(server), clock=FakeClock())

        with pytest.raises(UpstreamDown, match="longer than"):
            await connection.tools()
        assert len(server.asked("tools/list")) <= MAX_LIST // page + 1


@pytest.mark.req("M6.23")
async def test_a_list_that_hangs_is_given_up(opened: Opened) -> None:
    clock = FakeClock()

    async def hang(request: Request, writer: Writer) -> None:
        clock.advance(LIST_TIMEOUT)
        await asyncio.Event().wait()

    async with RawServer(acts={"tools/list": hang}) as server:
        connection = await opened.ready(at(server), clock=clock)

        with pytest.raises(UpstreamDown, match="did not come"):
            await connection.tools()
        assert text(await call(connection, "ok")) == "ok"


@pytest.mark.req("M6.23")
async def test_a_list_without_an_end_is_given_up(opened: Opened) -> None:
    pages = answering(lambda r: reply(200, result(r, {"tools": [], "nextCursor": "again"})))
    async with RawServer(acts={"tools/list": pages}) as server:
        connection = await opened.ready(at(server))

        with pytest.raises(UpstreamDown, match="again and again"):
            await connection.tools()


# --- sessions and tokens ------------------------------------------------------------------------------------------


@pytest.mark.req("M6.27")
async def test_an_expired_session_is_renewed_once_and_no_call_sent_on_the_new_one_unjudged(
    opened: Opened,
) -> None:
    server = RawServer(modern=False, session="old")

    async def check(request: Request, writer: Writer) -> None:
        if request.headers.get("mcp-session-id") == "new":
            writer.write(reply(200, said(request, "ok")))
        else:
            writer.write(reply(404, error(request, -32001, "Session not found")))

    server.acts[CALL] = check
    async with server:
        connection = await opened.ready(at(server))
        server.session, told = "new", opened.changes

        failures = await asyncio.gather(*(failure_of(connection) for _ in range(8)))
        answers = await asyncio.gather(*(call(connection, "ok") for _ in range(8)))

        assert {type(failure) for failure in failures} == {ListOutdated}
        assert opened.changes == told + 1  # whoever compares lists compares it before a call is sent again
        assert [text(answer) for answer in answers] == ["ok"] * 8
        assert len(server.asked("initialize")) == 2
        assert len(server.asked(CALL)) <= 16
        assert connection.state().connected == 1
        await connection.close()


@pytest.mark.req("M6.27")
async def test_a_session_that_is_always_gone_is_renewed_once_for_each_try(opened: Opened) -> None:
    gone = answering(lambda r: reply(404, error(r, -32001, "Session not found")))
    async with RawServer(modern=False, session="s", acts={CALL: gone}) as server:
        connection = await opened.ready(at(server))

        assert type(await failure_of(connection)) is ListOutdated

        assert len(server.asked(CALL)) == 1
        assert len(server.asked("initialize")) == 2
        await connection.close()


class Issuer:
    """A token endpoint on the same server; tokens are numbered."""

    def __init__(self, server: RawServer) -> None:
        self.server = server
        self.issued = 0
        self.good = 1
        self.seen: list[Request] = []
        self.answer: bytes | None = None
        server.acts["POST"] = self.token
        server.acts[CALL] = self.check

    async def token(self, request: Request, writer: Writer) -> None:
        self.seen.append(request)
        self.issued += 1
        answer = {"access_token": f"token-{self.issued}", "token_type": "Bearer", "expires_in": 100}
        writer.write(self.answer or reply(200, answer))

    async def check(self, request: Request, writer: Writer) -> None:
        if request.headers.get("authorization") == f"Bearer token-{self.good}":
            writer.write(reply(200, said(request, "ok")))
        else:
            writer.write(reply(401, www_authenticate="Bearer"))

    def settings(self, **more: Any) -> HttpSettings:
        auth = ClientCredentials(
            token_url=self.server.url.replace("/mcp", "/token"),
            client_id="gate:way",
            client_secret="s3cr%t",
            **more,
        )
        return at(self.server, auth=auth)


@pytest.mark.req("M6.27")
async def test_a_token_is_fetched_once_kept_and_renewed_before_its_end(opened: Opened) -> None:
    clock = FakeClock()
    async with RawServer() as server:
        issuer = Issuer(server)
        connection = await opened.ready(issuer.settings(scope="tools", resource=server.url), clock=clock)
        await asyncio.gather(*(call(connection, "ok") for _ in range(5)))
        assert issuer.issued == 1

        clock.advance(91.0)
        issuer.good = 2
        await call(connection, "ok")

        assert issuer.issued == 2
        form = parse_qs(issuer.seen[0].body.decode())
        assert form == {"grant_type": ["client_credentials"], "scope": ["tools"], "resource": [server.url]}
        # base64 of gate%3Away:s3cr%25t, as RFC 6749 has it
        assert issuer.seen[0].headers["authorization"] == "Basic Z2F0ZSUzQXdheTpzM2NyJTI1dA=="


@pytest.mark.req("M6.27")
async def test_a_token_that_is_refused_is_renewed_once_however_many_calls_find_it_out(opened: Opened) -> None:
    async with RawServer() as server:
        issuer = Issuer(server)
        connection = await opened.ready(issuer.settings(client_authentication="post"))
        issuer.good = 2

        answers = await asyncio.gather(*(call(connection, "ok") for _ in range(6)))

        assert [text(answer) for answer in answers] == ["ok"] * 6
        assert issuer.issued == 2
        assert parse_qs(issuer.seen[0].body.decode())["client_secret"] == ["s3cr%t"]


@pytest.mark.req("M6.22", "M6.27")
async def test_a_token_that_stays_refused_means_that_nothing_ran(opened: Opened) -> None:
    async with RawServer() as server:
        issuer = Issuer(server)
        connection = await opened.ready(issuer.settings())
        issuer.good = 99

        assert type(await failure_of(connection)) is NotSent
        assert len(server.asked(CALL)) == 2


@pytest.mark.req("M6.28")
async def test_a_token_endpoint_that_refuses_is_named_and_no_secret_is_shown(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with RawServer() as server:
        issuer = Issuer(server)
        issuer.answer = reply(400, {"error": "invalid_client", "error_description": "s3cr%t is wrong"})
        connection = opened(issuer.settings())

        await until(lambda: connection.state().phase == "down")

        reason = connection.state().reason or ""
        assert "invalid_client" in reason
        assert "s3cr" not in reason + caplog.text + repr(issuer.settings())


@pytest.mark.req("M6.28")
async def test_a_secret_is_sent_neither_in_clear_nor_to_whom_a_redirect_names(opened: Opened) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        opened(
            HttpSettings(
                url="https://up.example/mcp",
                auth=ClientCredentials(token_url="http://id.example/t", client_id="a", client_secret="b"),
            )
        )
    async with RawServer() as thief, RawServer() as server:
        server.acts[CALL] = answering(lambda _: reply(307, location=thief.url))
        connection = await opened.ready(at(server, auth=Bearer(token="t0ken")))

        assert type(await failure_of(connection)) is NotSent
        assert server.asked(CALL)[0].headers["authorization"] == "Bearer t0ken"
        assert thief.requests == []


@pytest.mark.req("M6.28")
async def test_a_proxy_of_the_environment_is_not_heeded(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with RawServer() as server:
        connection = await opened.ready(at(server))

        assert text(await call(connection, "ok")) == "ok"


@pytest.mark.req("M6.29")
async def test_a_connection_to_an_upstream_of_users_is_for_one_of_them(opened: Opened) -> None:
    async with RawServer(modern=False, session="s") as server:
        settings = at(server, per_user=True)
        with pytest.raises(UsageError, match="identity"):
            opened(settings)
        with pytest.raises(UsageError, match="identity"):
            opened(at(server), identity="anna")

        anna, boris = (
            await opened.ready(settings, identity="anna"),
            await opened.ready(settings, identity="boris"),
        )
        await asyncio.gather(call(anna, "ok"), call(boris, "ok"))

        assert anna.key != boris.key
        assert len(server.asked("initialize")) == 2
        assert server.connections == 2
        await anna.close()
        await boris.close()
