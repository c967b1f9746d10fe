"""Whatever is sent, it is answered as the SDK answers it, whether or not the SDK had anything to do with it."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.mcp.hot.door import ENVELOPE, NIL, Doors, Headers, call, listing, opened, plain_headers

NAMES = (
    "notes",
    "pay",
    "send",
    "refuse",
    "break",
    "mirror",
    "hidden",
    "get_call",
    "no_such",
    "=?base64?bm90ZXM=?=",
)
METHODS = ("tools/call", "tools/list", "server/discover", "ping", "no/such")
VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-10, 10)
    | st.sampled_from([2**53, 1.5, 1.0, "", "ann", "é“", "\ud800", "__proto__", "2026-07-28"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text("ab_", max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)
ARGUMENTS: Any = st.sampled_from(
    [
        {"customer": "ann"},
        {"customer": "ann", "more": 1},
        {"order": 3},
        {"order": 3.0},
        {"to": "bob"},
        {"region": "eu"},
        {"call_id": "call_000001"},
        {},
        None,
        [],
    ]
)
KEYS = (
    "progressToken",
    "traceparent",
    "dev.toolgate/workflow_id",
    "dev.toolgate/model",
    "dev.toolgate/rationale",
    "dev.toolgate/user_input",
    "io.modelcontextprotocol/logLevel",
    *ENVELOPE,
)
CAPABILITIES: Any = st.sampled_from(
    [
        {},
        {"elicitation": {}},
        {"extensions": {"io.modelcontextprotocol/tasks": {}}},
        {"extensions": {"a/b": {}}},
    ]
)
HEADERS: Any = st.sampled_from(
    [
        (b"content-type", b"text/plain"),
        (b"content-type", b"application/json; charset=utf-8"),
        (b"accept", b"application/json"),
        (b"accept", b"*/*"),
        (b"accept", b"text/event-stream;q=0.5 , Application/JSON"),
        (b"mcp-protocol-version", b"2025-11-25"),
        (b"mcp-protocol-version", b"2099-01-01"),
        (b"mcp-protocol-version", b"2026-07-28"),
        (b"mcp-method", b"tools/call"),
        (b"mcp-method", b"tools/list"),
        (b"mcp-name", b"notes"),
        (b"mcp-name", b"=?base64?bm90ZXM=?="),
        (b"mcp-name", b"\xff"),
        (b"mcp-param-region", b"eu"),
        (b"mcp-session-id", b"x"),
        (b"toolgate-workflow-id", b"wf"),
        (b"toolgate-workflow-id", b"other"),
        (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        (b"x-other", b"1"),
    ]
)
SPOILED: Any = st.sampled_from(
    [
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: " \n" + text + "\t",
        lambda text: "\ufeff" + text,
        lambda text: f"[{text}]",
        lambda text: text.replace('"id"', '"method": "tools/call", "id"', 1),
        lambda text: text.replace('"arguments": {', '"arguments": {"customer": "x", ', 1),
        lambda text: text.replace('"id": 1', '"id": 1.0', 1),
        lambda text: text.replace('"id": 1', '"id": 123456789012345678901234567890', 1),
        lambda text: text.replace('"ann"', "NaN", 1),
        lambda text: text.replace('"ann"', "1" * 5000, 1),
        lambda text: text.replace('"ann"', "[" * 80 + "]" * 80, 1),
        lambda text: text.replace('"ann"', '"' + "n" * 300_000 + '"', 1),
        lambda _: "null",
        lambda _: "",
    ]
)


@st.composite
def requests(draw: Any) -> tuple[Headers, bytes]:
    """Mostly good, with some things changed: a member, something beside, a header, or the text itself."""
    method, name = draw(st.sampled_from(METHODS[:2] * 3 + METHODS)), draw(st.sampled_from(NAMES))
    params: dict[str, Any] = {"_meta": copy.deepcopy(ENVELOPE)}
    if method == "tools/call":
        params |= {"name": name, "arguments": draw(ARGUMENTS)}
        params["_meta"]["dev.toolgate/workflow_id"] = "wf"
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = draw(CAPABILITIES)
    headers = plain_headers(method, name if method == "tools/call" else None)
    for change in draw(st.lists(st.sampled_from(["member", "param", "meta", "less", "header"]), max_size=2)):
        match change:
            case "member":
                message[draw(st.sampled_from(["jsonrpc", "id", "method", "params", "more"]))] = draw(VALUES)
            case "param":
                params[
                    draw(st.sampled_from(["name", "arguments", "_meta", "cursor", "requestState", "more"]))
                ] = draw(VALUES)
            case "meta" if isinstance(params["_meta"], dict):
                params["_meta"][draw(st.sampled_from(KEYS))] = draw(VALUES)
            case "less":
                holder = draw(st.sampled_from([message, params]))
                holder.pop(draw(st.sampled_from(sorted(holder) or [""])), None)
                params.setdefault("_meta", {})
            case _:
                _change(headers, draw(HEADERS), draw(st.sampled_from(["add", "set", "drop"])))
    text = json.dumps(message)
    if draw(st.integers(0, 5)) == 0:
        text = draw(SPOILED)(text)
    return headers, text.encode("utf-8", "surrogatepass")


def _change(headers: list[tuple[bytes, bytes]], header: tuple[bytes, bytes], how: str) -> None:
    if how != "add":
        headers[:] = [each for each in headers if each[0] != header[0]]
    if how != "drop":
        headers.append(header)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def doors(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    doors = runner.run(Doors().open(tmp_path_factory.mktemp("doors")))
    yield doors
    runner.run(doors.close())


@pytest.mark.req("X3.46", "X3.47")
@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(request=requests())
@example(request=(plain_headers("tools/call", "notes"), call("notes", {"customer": "ann"})))
@example(request=(plain_headers("tools/call", "pay"), call("pay", {"order": 2})))
@example(request=(plain_headers("tools/call", "no_such"), call("no_such", {})))
@example(request=(plain_headers("tools/call", "hidden"), call("hidden", {})))
@example(request=(plain_headers("tools/call", "mirror"), call("mirror", {"region": "eu"})))
@example(request=(plain_headers("tools/list"), listing()))
@example(request=(plain_headers("tools/call"), call("notes", {"customer": "ann"})))
@example(request=(plain_headers("tools/call", "pay"), call("notes", {"customer": "ann"})))
@example(request=(plain_headers("tools/call", "=?base64?bm90ZXM=?="), call("notes", {"customer": "ann"})))
@example(request=(plain_headers("tools/call", "=?base64?bm90ZXM=?="), call("=?base64?bm90ZXM=?=", {})))
@example(request=(plain_headers("tools/list"), call("notes", {"customer": "ann"})))
@example(request=(plain_headers("tools/call", "notes"), call("notes", {}, {"dev.toolgate/model": 3})))
def test_every_request_is_answered_as_the_sdk_answers_it(
    request: tuple[Headers, bytes], doors: Doors, runner: asyncio.Runner
) -> None:
    headers, body = request

    direct = runner.run(doors.direct.post(headers, body))
    with_sdk = runner.run(doors.with_sdk.post(headers, body))

    assert (direct.status, direct.kind) == (with_sdk.status, with_sdk.kind)
    if direct.kind == "application/json":
        assert direct.message == with_sdk.message
    else:
        assert direct.body == with_sdk.body


PLAIN = {
    "a read": (plain_headers("tools/call", "notes"), call("notes", {"customer": "ann"})),
    "a keyed write": (plain_headers("tools/call", "pay"), call("pay", {"order": 2})),
    "bad arguments": (plain_headers("tools/call", "pay"), call("pay", {"order": "two"})),
    "a refusal": (plain_headers("tools/call", "refuse"), call("refuse", {})),
    "a failure": (plain_headers("tools/call", "break"), call("break", {})),
    "the list": (plain_headers("tools/list"), listing()),
}


@pytest.mark.req("X3.46")
@pytest.mark.parametrize("what", PLAIN)
async def test_a_plain_message_needs_nothing_of_the_sdk(what: str, tmp_path: Path) -> None:
    async with opened(tmp_path / "gate.db", sdk=False) as door:
        answer = await door.post(*PLAIN[what])

    assert (answer.status, answer.kind) == (200, "application/json")
    assert "result" in answer.message


SPECIAL = {
    "progress is asked for": call("notes", {"customer": "ann"}, {"progressToken": "p"}),
    "a task may answer it": call(
        "notes",
        {"customer": "ann"},
        {"io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}},
    ),
    "somebody may have to approve it": call("send", {"to": "bob"}),
    "an argument is mirrored in a header": call("mirror", {"region": "eu"}),
    "nobody has such a tool": call("no_such", {}),
}


@pytest.mark.req("X3.47")
@pytest.mark.parametrize("what", SPECIAL)
async def test_what_may_need_more_than_one_answer_is_left_to_the_sdk(what: str, tmp_path: Path) -> None:
    name = json.loads(SPECIAL[what])["params"]["name"]
    async with opened(tmp_path / "gate.db", sdk=False) as door:
        # The SDK does not run here, and says so.
        with pytest.raises(RuntimeError, match="Task group is not initialized"):
            await door.post(plain_headers("tools/call", name), SPECIAL[what])

        records = [json.loads(row.record) async for row in door.gateway.store.records()]
        assert not [record for record in records if record["event"] == "llm_tool_call"]


@pytest.mark.req("X3.46")
async def test_what_one_caller_was_shown_or_asked_opens_nothing_to_another(tmp_path: Path) -> None:
    headers, body = plain_headers("tools/call", "notes"), call("notes", {"customer": "ann"})
    async with opened(tmp_path / "gate.db") as door:
        assert (await door.post(headers, body)).status == 200
        assert len((await door.post(plain_headers("tools/list"), listing())).message["result"]["tools"]) > 1
        door.token = await door.token_of(NIL)

        refused = await door.post(headers, body)
        shown = await door.post(plain_headers("tools/list"), listing())

    assert (refused.status, refused.message["error"]["code"]) == (400, -32602)
    assert shown.message["result"]["tools"] == []
