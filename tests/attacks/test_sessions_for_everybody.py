"""Sessions of the handshake era are for everybody: nobody has more of them than others, nor fills much memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.mcp.server.desk import LEGACY, opened
from tests.rest.desk import ANN, BOB
from toolgate.surfaces.mcp.sessions import MOST_OF_ONE

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

_BEGIN: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
_PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}


async def _open(http: httpx.AsyncClient) -> str:
    return (await http.post("/mcp", json=_BEGIN)).headers["mcp-session-id"]


async def _status(http: httpx.AsyncClient, session: str) -> int:
    return (await http.post("/mcp", json=_PING, headers={"Mcp-Session-Id": session})).status_code


@pytest.mark.req("X3.11")
async def test_the_sessions_of_all_credentials_of_one_person_count_together(tmp_path: Path) -> None:
    async with (
        opened(tmp_path) as desk,
        desk.raw(await desk.token(ANN)) as one,
        desk.raw(await desk.token(ANN)) as another,
        desk.raw(await desk.token(BOB)) as other,
    ):
        theirs, first = await _open(other), await _open(one)
        before = await _status(one, first)
        last = [await _open(another) for _ in range(MOST_OF_ONE)][-1]
        statuses = [await _status(one, first), await _status(another, last), await _status(other, theirs)]

    assert before == 200
    assert statuses == [404, 200, 200]


@pytest.mark.parametrize("where", ["capabilities", "clientInfo"])
@pytest.mark.req("M6.14")
async def test_what_a_client_says_of_itself_for_a_whole_session_is_bounded(
    tmp_path: Path, where: str
) -> None:
    much = {"x" * 100: "y" * 20_000}
    said = {
        "capabilities": {"experimental": {"much": much}},
        "clientInfo": {"name": "n" * 20_000, "version": "1"},
    }
    begin = {**_BEGIN, "params": {**_BEGIN["params"], where: said[where]}}
    async with opened(tmp_path) as desk, desk.raw(await desk.token(ANN)) as http:
        refused = await http.post("/mcp", json=begin)
        begun = await http.post("/mcp", json=_BEGIN)

    assert refused.status_code == 400
    assert "mcp-session-id" not in refused.headers
    assert begun.status_code == 200
