"""An MCP client of either era gets the same decision and leaves the same audit as a call in the same process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.server.desk import MODES, by_hand
from tests.mcp.server.desk import Desk as McpDesk
from tests.mcp.server.desk import opened as opened_mcp
from tests.rest.desk import SECRET, opened
from tests.rest.test_same_as_in_process import CASES, Asked, audited, compared, in_process, timed
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("X3.3", "X3.13")

SAID = {"dev.toolgate/workflow_id": "wf", "dev.toolgate/model": "m", "dev.toolgate/rationale": "because"}
UNKNOWN = -32602


async def over_mcp(desk: McpDesk, asked: Asked, mode: str) -> list[dict[str, Any]]:
    """What an MCP client is told, each time it asks."""
    found = []
    async with by_hand(desk, mode, await desk.token(asked.caller)) as hand:
        for _ in range(asked.times):
            answer = await hand.ask(asked.tool, asked.arguments, SAID)
            if "error" in answer:
                assert answer["error"]["code"] == UNKNOWN, answer
                found.append({"error_type": "unknown_tool"})
                continue
            result = answer["result"]
            body = result["structuredContent"]
            assert json.loads(result["content"][0]["text"]) == body
            assert result["isError"] is (body["status"] in {"refused", "failed", "unknown"})
            found.append(body)
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
async def test_the_decision_and_the_audit_are_those_of_a_call_in_process(
    name: str, mode: str, tmp_path: Path
) -> None:
    asked = CASES[name]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with opened_mcp(tmp_path / "a", clock=FakeClock()) as one, opened(tmp_path / "b") as other:

        async def way(_: Any, asked: Asked) -> list[dict[str, Any]]:
            return await over_mcp(one, asked, mode)

        mcp, process = await timed(one, way, asked), await timed(other, in_process, asked)  # type: ignore[arg-type]
        for here, there in zip(compared(mcp), compared(process), strict=True):
            # A tool that is not there is an error of the protocol, and no outcome.
            assert here == (there if "status" in here else {"error_type": there["error_type"]})
        left = await audited(one)  # type: ignore[arg-type]
        assert left == await audited(other)
        assert left
        assert one.business.paid == other.business.paid
        assert SECRET not in json.dumps(left)


@pytest.mark.parametrize("mode", MODES)
async def test_the_trail_says_that_the_call_came_over_mcp(desk: McpDesk, mode: str) -> None:
    await over_mcp(desk, CASES["good"], mode)

    assert {record["toolgate.surface"] for record in await desk.trail()} == {"mcp"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "body",
    [
        '{"jsonrpc": "2.0", "id": 1, "id": 2, "method": "tools/call", "params": {"name": "refund"}}',
        '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "refund", "name": "notes"}}',
        '{"id": 1, "method": "tools/call", "params": {"name": "refund", "arguments": {}, "arguments": {"order": 1}}}',
    ],
)
async def test_a_message_that_two_readers_would_read_differently_is_refused(
    desk: McpDesk, mode: str, body: str
) -> None:
    async with by_hand(desk, mode, await desk.token()) as hand:
        answer = await hand.post(body.encode(), name="refund")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32700)
    assert "each once" in answer.json()["error"]["message"]
    assert not desk.business.paid
    assert not await desk.trail()


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_without_arguments_has_none(desk: McpDesk, mode: str) -> None:
    async with desk.client(mode=mode) as client:
        answer = await client.call_tool("rarely", meta={})

    assert answer.structured_content is not None
    assert answer.structured_content["result"] == "here"
