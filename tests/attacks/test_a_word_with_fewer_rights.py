"""A word for a held call from whoever asked, but with a credential that gives less than the one it was asked with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mcp.confirm.house import NO, YES, User, again, asked, house
from tests.mcp.server.desk import MODERN
from toolgate import Caller
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.rows import ByCall

if TYPE_CHECKING:
    from pathlib import Path

ANN_WITHOUT_ROLES = Caller("ann", set(), "acme")


@pytest.mark.req("M12.23", "M12.24")
async def test_whoever_may_not_call_the_tool_any_more_confirms_no_call_of_it(tmp_path: Path) -> None:
    async with house(tmp_path) as gate:
        async with gate.client(MODERN, User(YES)) as client:
            state = (await asked(client)).request_state
        async with gate.client(MODERN, User(YES), caller=ANN_WITHOUT_ROLES) as client:
            told = await again(client, state)

    assert (told["status"], told["effect"]) == ("pending_approval", "none")
    assert "may not be called" in told["message"]
    assert gate.business.paid == []


@pytest.mark.req("M12.27")
async def test_they_may_still_decline_it(tmp_path: Path) -> None:
    async with house(tmp_path) as gate:
        async with gate.client(MODERN, User(NO)) as client:
            state = (await asked(client)).request_state
        async with gate.client(MODERN, User(NO), caller=ANN_WITHOUT_ROLES) as client:
            told = await again(client, state, NO)
        found = await gate.desk.gateway.store.find(ByCall(told["call_id"]))

    assert found.approval is not None
    assert found.approval.state is ApprovalState.DENIED
    assert gate.business.paid == []
