"""A message that two readers would read differently is refused, and one that says nothing of arguments has none.

That the same bytes get the same decision whichever way they come is held by ``tests/surfaces``.
"""

from __future__ import annotations

import pytest

from tests.mcp.server.desk import MODES, by_hand
from tests.mcp.server.desk import Desk as McpDesk

pytestmark = pytest.mark.req("X3.13")


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
