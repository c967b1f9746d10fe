"""A message over MCP that two readers take for two: nothing runs on what only one of them has seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from tests.mcp.confirm.house import YES, User, asked, house
from tests.mcp.server.desk import ENVELOPE, MODERN, MODES, by_hand, meta, opened, told
from tests.rest.desk import ANN
from toolgate import ToolContext, tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

both_eras = pytest.mark.parametrize("mode", MODES)


class Purge(BaseModel):
    """What goes; by itself everything."""

    older_than_days: int = 0


def _as(encoding: str, before: str = "") -> Callable[[str], bytes]:
    return lambda text: (before + text).encode(encoding)


def _in_front(before: bytes) -> Callable[[str], bytes]:
    return lambda text: before + text.encode()


def _twice(inner: str, again: str) -> Callable[[str], bytes]:
    return lambda text: text.replace(inner, again).encode()


SPELLINGS: dict[str, Callable[[str], bytes]] = {
    "a byte order mark": _in_front(b"\xef\xbb\xbf"),
    "UTF-16 BE": _as("utf-16-be"),
    "UTF-16 LE": _as("utf-16-le"),
    "UTF-16 LE behind a space": _as("utf-16-le", " "),
    "UTF-32 BE": _as("utf-32-be"),
    "UTF-32 LE behind a space": _as("utf-32-le", " "),
    "the workflow twice": _twice(
        '"dev.toolgate/workflow_id": "wf"',
        '"dev.toolgate/workflow_id": "other", "dev.toolgate/workflow_id": "wf"',
    ),
    "the envelope twice": _twice('"_meta"', '"_meta": {}, "_meta"'),
    "the arguments twice, once escaped": _twice('"arguments"', '"argument\\u0073": {}, "arguments"'),
    "half a character beside the arguments": _twice('"wf"', '"\\ud800"'),
    "no number beside the arguments": _twice('"wf"', "NaN"),
}


@both_eras
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.req("M3.6", "M3.10")
async def test_a_call_that_another_reader_takes_for_another_runs_nothing(
    tmp_path: Path, mode: str, spelling: str
) -> None:
    purged: list[int] = []

    @tool(effect="write", roles={"clerk"})
    async def purge(context: ToolContext[Any], args: Purge) -> None:
        """Purge old notes."""
        purged.append(args.older_than_days)

    async with opened(tmp_path, tools=[purge]) as desk, by_hand(desk, mode, await desk.token(ANN)) as hand:
        text = hand.call("purge", '{"older_than_days": 365}').decode()
        answer = await hand.post(SPELLINGS[spelling](text), name="purge")
        ran_meanwhile = list(purged)
        await hand.ask("purge", '{"older_than_days": 365}')

    assert answer.status_code == 400
    assert told(answer)["error"]["code"] == -32700
    assert ran_meanwhile == []
    assert purged == [365]


@pytest.mark.req("M12.27", "M3.6")
async def test_a_user_who_declines_and_accepts_in_one_message_has_said_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as gate:
        async with gate.client(MODERN, User(_nobody)) as client:
            state = (await asked(client)).request_state
        params = {
            "name": "pay",
            "arguments": {"order": 1},
            "_meta": {
                **meta("wf"),
                **ENVELOPE,
                "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
            },
            "inputResponses": {"confirm": {"action": YES.action, "content": YES.content}},
            "requestState": state,
        }
        text = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})
        twice = text.replace('"action": ', '"action": "decline", "action": ').encode()
        async with by_hand(gate.desk, MODERN, await gate.desk.token(ANN)) as hand:
            refused = await hand.post(twice, name="pay")
            paid = list(gate.business.paid)
            once = await hand.post(text.encode(), name="pay")

    assert refused.status_code == 400
    assert paid == []
    # The state is still good for what its user plainly says.
    assert told(once)["result"]["structuredContent"]["status"] == "succeeded"


def _nobody() -> None:
    raise AssertionError("the question is answered by hand")
