"""Our own faults while a message over MCP is answered: nobody reads their words, and no call is lost for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.mcp.confirm.house import YES, User, again, asked, call, house
from tests.mcp.server.desk import MODERN, MODES, by_hand
from tests.rest.desk import ANN
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from toolgate import Gateway

both_eras = pytest.mark.parametrize("mode", MODES)
SECRET = "/srv/gate.db sk_live_51H8xyzABCDEFGHIJKLMNOP"


def fails(
    monkeypatch: pytest.MonkeyPatch, gateway: Gateway, fault: Callable[[str], Exception], *names: str
) -> None:
    """From now on these operations of ``gateway`` fail."""
    operate = gateway.operate

    async def failing(operation: Any, *args: Any, **given: Any) -> Any:
        if operation.__name__ in names:
            raise fault(SECRET)
        return await operate(operation, *args, **given)

    monkeypatch.setattr(gateway, "operate", failing)


@both_eras
@pytest.mark.parametrize("fault", [StoreUnavailable, StoreInDoubt, RuntimeError, KeyError])
@pytest.mark.req("M10.11", "M10.17")
async def test_the_text_of_a_fault_reaches_neither_client_nor_log(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    mode: str,
    fault: Callable[[str], Exception],
) -> None:
    async with house(tmp_path) as gate, by_hand(gate.desk, mode, await gate.desk.token(ANN)) as hand:
        fails(monkeypatch, gate.desk.gateway, fault, "see_call")
        told = await hand.ask("get_call", '{"call_id": "call_1"}')

    assert told["error"]["code"] == -32603
    assert "/srv" not in str(told)
    assert "/srv" not in caplog.text
    assert "sk_live" not in caplog.text
    assert fault("").__class__.__name__ in caplog.text


@both_eras
@pytest.mark.req("M12.25", "M12.2")
async def test_a_held_call_whose_caller_cannot_be_asked_is_told_as_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    user = User(YES)
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        with monkeypatch.context() as patch:
            fails(patch, gate.desk.gateway, StoreUnavailable, "review_approval")
            held = await call(client)
        row = await gate.approval(held["approval_id"])

    assert (held["status"], held["effect"]) == ("pending_approval", "none")
    assert held["call_id"] == row.call_id
    assert user.shown == []
    assert gate.business.paid == []


@pytest.mark.parametrize("where", ["confirm_own", "get_call"])
@pytest.mark.req("M12.25")
async def test_a_word_whose_end_cannot_be_read_is_told_as_unknown_and_not_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    async with house(tmp_path) as gate, gate.client(MODERN, User(YES)) as client:
        question = await asked(client)
        with monkeypatch.context() as patch:
            fails(patch, gate.desk.gateway, StoreInDoubt, where)
            told = await again(client, question.request_state)
        looked = await client.call_tool("get_call", {"call_id": told["call_id"], "wait_seconds": 0})

    assert (told["status"], told["effect"]) == ("unknown", "unknown")
    assert told["advice"] not in {"retry", "retry_later"}
    assert looked.structured_content is not None
    assert looked.structured_content["call_id"] == told["call_id"]
