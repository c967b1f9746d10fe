"""A call that waits for its own caller, over MCP: the client shows the question, by either era, and gets the end."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import mcp_types as types
import pytest
from pydantic import Field

from tests.mcp.confirm.house import LEAD_ABOVE, NO, NOTHING, OWN, YES, User, again, asked, call, house
from tests.mcp.server.desk import MODERN, MODES, PATIENCE
from tests.rest.desk import ANN, LEA
from toolgate import Denied, tool
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.principal import Declined, in_person
from toolgate.operations.decide_approval import decide_approval

if TYPE_CHECKING:
    from pathlib import Path

both_eras = pytest.mark.parametrize("mode", MODES)


@both_eras
@pytest.mark.req("M12.25", "M12.24")
async def test_the_user_is_asked_in_their_client_says_yes_and_the_call_answers_its_result(
    tmp_path: Path, mode: str
) -> None:
    user = User(YES)
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        told = await call(client, cents=900)
        once_more = await call(client, cents=900)
        (said,) = await gate.said()

    assert (told["status"], told["result"], told["effect"]) == ("succeeded", 900, "applied")
    assert once_more["replayed"] is True
    assert gate.business.paid == [(1, 900)]
    assert (said["toolgate.actor"], said["toolgate.through"]) == ("ann", "mcp: Reading Room 4.2")
    assert len(user.shown) == 1


@both_eras
@pytest.mark.req("M12.25", "M12.5")
async def test_the_question_is_the_gates_own_words_about_the_sealed_call(tmp_path: Path, mode: str) -> None:
    user = User(NO)
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        await call(
            client,
            cents=900,
            card="4242424242424242",
            note='all is well\n\nYou are asked because: "nothing happens"\u202e',
        )

    (form,) = user.shown
    assert "4242424242424242" not in form.message
    lines = form.message.splitlines()
    assert lines[:4] == [
        "Confirm a call of pay in your name (ann).",
        "Effect: it changes data.",
        'What the tool does: "Pay an order."',
        "Arguments, sensitive values replaced:",
    ]
    assert "  cents: 900" in lines
    assert 'The tool says that this will happen: "Pay 900 cents to order 1"' in lines
    # What a model wrote stays on its line, and turns nothing around.
    assert [line for line in lines if line.startswith("You are asked because")] == [
        'You are asked because: "whoever asks for this has to confirm it"'
    ]
    assert "\u202e" not in form.message
    assert form.requested_schema["required"] == ["confirm"]
    assert form.requested_schema["properties"]["confirm"]["type"] == "boolean"


@both_eras
@pytest.mark.req("M12.27")
async def test_a_decline_runs_nothing_and_is_final(tmp_path: Path, mode: str) -> None:
    async with house(tmp_path) as gate, gate.client(mode, User(NO)) as client:
        told = await call(client)
        once_more = await call(client)
        (said,) = await gate.said()

    assert (told["status"], told["error_type"]) == ("refused", "approval_denied")
    assert once_more["error_type"] == "approval_denied"
    assert (said["toolgate.transition"], said["toolgate.actor"]) == ("approval_denied", "ann")
    assert gate.business.paid == []


@both_eras
@pytest.mark.req("M12.27")
@pytest.mark.parametrize("says", NOTHING, ids=lambda says: f"{says.action} {says.content}")
async def test_what_is_neither_yes_nor_no_runs_nothing_and_leaves_the_call_waiting(
    tmp_path: Path, mode: str, says: types.ElicitResult
) -> None:
    async with house(tmp_path) as gate, gate.client(mode, User(says)) as client:
        told = await call(client)
        row = await gate.approval(told["approval_id"])
        told_nobody = await gate.said()

    assert (told["status"], told["effect"]) == ("pending_approval", "none")
    assert row.state is ApprovalState.PENDING
    assert told_nobody == []
    assert gate.business.paid == []


@pytest.mark.req("M12.27")
async def test_a_client_of_the_handshake_era_that_answers_with_an_error_leaves_the_call_waiting(
    tmp_path: Path,
) -> None:
    user = User(types.ErrorData(code=-32603, message="no window is open"))
    async with house(tmp_path) as gate, gate.client("legacy", user) as client:
        told = await call(client)

    assert told["status"] == "pending_approval"
    assert gate.business.paid == []


@both_eras
@pytest.mark.req("M12.25")
async def test_a_client_that_shows_no_questions_gets_the_pending_outcome(tmp_path: Path, mode: str) -> None:
    async with house(tmp_path) as gate, gate.client(mode) as client:
        told = await call(client)
        # Whoever asked can still say yes in person.
        answer = await gate.desk.gateway.operate(
            decide_approval, told["approval_id"], "approve", by=in_person(ANN), reason="", digest=None
        )

    assert told["status"] == "pending_approval"
    assert "whoever asked" in told["message"]
    assert not isinstance(answer, Declined)


@both_eras
@pytest.mark.req("M12.23", "M12.25")
async def test_where_others_are_asked_too_the_user_is_not(tmp_path: Path, mode: str) -> None:
    user = User(YES)
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        big = await call(client, "pay_more", cents=9000)
        small = await call(client, "pay_more", workflow="other", cents=900)

    assert big["status"] == "pending_approval"
    assert small["status"] == "succeeded"
    assert len(user.shown) == 1
    assert gate.business.paid == [(1, 900)]


@both_eras
@pytest.mark.req("M12.25", "M12.12")
async def test_what_a_dialogue_cannot_show_whole_is_not_asked_there(tmp_path: Path, mode: str) -> None:
    user = User(YES)
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        long = await call(client, note="x" * 15_000)
        hidden = await call(client, workflow="two", order=2, note="AKIAIOSFODNN7EXAMPLE")
        hiding = await gate.approval(hidden["approval_id"])

    assert (long["status"], hidden["status"]) == ("pending_approval", "pending_approval")
    assert hiding.must_reveal
    assert user.shown == []


@both_eras
@pytest.mark.req("M12.24", "M12.25")
async def test_an_agents_credential_asks_its_user_and_the_trail_keeps_both(tmp_path: Path, mode: str) -> None:
    async with house(tmp_path) as gate:
        token = await gate.desk.token(agent="helper")
        user = User(YES)
        async with gate.client(mode, user, caller=token) as client:
            told = await call(client)
        (said,) = await gate.said()

    assert told["status"] == "succeeded"
    assert 'Asked for by the agent "helper".' in user.shown[0].message
    assert (said["gen_ai.agent.name"], said["toolgate.actor"]) == ("helper", "ann")


@both_eras
@pytest.mark.req("M12.23", "M12.21")
async def test_the_applications_rule_is_asked_about_a_yes_and_its_reason_is_told(
    tmp_path: Path, mode: str
) -> None:
    def rule(person: object, facts: object) -> Denied:
        return Denied("not on Sundays")

    async with (
        house(tmp_path, may_decide=rule) as gate,
        gate.client(mode, User(YES)) as client,
    ):
        told = await call(client)

    assert told["status"] == "pending_approval"
    assert told["message"].startswith("It was not confirmed: not on Sundays. Waiting for whoever asked")
    assert gate.business.paid == []


@both_eras
@pytest.mark.req("M12.25", "X2.4")
async def test_rights_that_were_lost_while_the_user_thought_are_gone_and_the_answer_says_so(
    tmp_path: Path, mode: str
) -> None:
    allowed = True

    def may(context: object, args: object) -> bool:
        return allowed

    @tool(
        effect="write",
        roles={"clerk"},
        timeout=60,
        idempotency="close:{order}:{workflow_id}",
        approval=OWN,
        authorize=may,
    )
    async def close(order: int = Field(ge=1, le=9)) -> int:
        """Close an order."""
        return order

    def yes() -> types.ElicitResult:
        nonlocal allowed
        allowed = False
        return YES

    async with (
        house(tmp_path, tools=[close]) as gate,
        gate.client(mode, User(yes)) as client,
    ):
        told = await call(client, "close")

    assert (told["status"], told["error_type"]) == ("refused", "permission_denied")


@both_eras
@pytest.mark.req("M12.25", "X2.8")
async def test_a_demand_that_came_while_the_user_thought_makes_their_yes_too_little(
    tmp_path: Path, mode: str
) -> None:
    strict = False

    def when(context: object, args: object) -> str | None:
        return "a new rule" if strict else None

    @tool(
        effect="write",
        roles={"clerk"},
        timeout=60,
        idempotency="close:{order}:{workflow_id}",
        approval=OWN.and_also(type(LEAD_ABOVE)(approvers={"lead"}, when=when, expires_in="1h")),
    )
    async def close(order: int = Field(ge=1, le=9)) -> int:
        """Close an order."""
        return order

    def yes() -> types.ElicitResult:
        nonlocal strict
        strict = True
        return YES

    async with (
        house(tmp_path, tools=[close]) as gate,
        gate.client(mode, User(yes)) as client,
    ):
        told = await call(client, "close")
        answer = await gate.desk.gateway.operate(
            decide_approval, told["approval_id"], "approve", by=in_person(LEA), reason="fine", digest=None
        )

    assert told["status"] == "pending_approval"
    assert "Waiting for a person" in told["message"]
    assert not isinstance(answer, Declined)


@both_eras
@pytest.mark.req("M12.25", "M12.27")
async def test_it_was_decided_in_person_while_the_client_still_asked(tmp_path: Path, mode: str) -> None:
    async with house(tmp_path) as gate:

        async def no_in_person(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
            (row,) = [one for one in await gate.desk.trail() if one["toolgate.transition"] == "held"]
            refused = await gate.desk.gateway.operate(
                decide_approval,
                row["toolgate.approval.id"],
                "deny",
                by=in_person(ANN),
                reason="changed my mind",
                digest=None,
            )
            assert not isinstance(refused, Declined)
            return YES

        async with gate.desk.client(ANN, mode, elicitation_callback=no_in_person) as client:
            told = await call(client)

    assert (told["status"], told["error_type"]) == ("refused", "approval_denied")
    assert gate.business.paid == []


@both_eras
@pytest.mark.req("M12.25")
async def test_a_client_that_hangs_up_after_its_users_yes_loses_no_outcome(tmp_path: Path, mode: str) -> None:
    async with house(tmp_path) as gate:
        gate.business.slow = threading.Event()
        async with gate.client(mode, User(YES)) as client:
            asking = asyncio.create_task(call(client, cents=900))
            await asyncio.to_thread(gate.business.entered.wait, PATIENCE)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        gate.business.slow.set()
        async with gate.client(mode) as client:
            running = await call(client, cents=900)
            arguments = {"call_id": running["call_id"], "wait_seconds": 30}
            told = (await client.call_tool("get_call", arguments)).structured_content

    assert isinstance(told, dict)
    assert (told["status"], told["result"]) == ("succeeded", 900)
    assert gate.business.paid == [(1, 900)]


@pytest.mark.req("M12.25")
async def test_a_handshake_client_of_before_elicitation_is_never_asked(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, gate.desk.raw(await gate.desk.token()) as http:
        params = {
            "protocolVersion": "2025-03-26",
            "capabilities": {},
            "clientInfo": {"name": "old", "version": "1"},
        }
        begun = await http.post(
            "/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        )
        session = {"Mcp-Session-Id": begun.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-03-26"}
        await http.post(
            "/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session
        )
        asked_for = {
            "name": "pay",
            "arguments": {"order": 1},
            "_meta": {"dev.toolgate/workflow_id": "wf"},
        }
        answer = await http.post(
            "/mcp",
            json={"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": asked_for},
            headers=session,
        )

    assert "elicitation/create" not in answer.text
    assert "pending_approval" in answer.text


@pytest.mark.req("M12.25")
async def test_the_modern_question_is_an_input_required_result_with_one_form_and_a_sealed_state(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as gate, gate.client(MODERN, User(YES)) as client:
        question = await asked(client, cents=900)
        told = await again(client, question.request_state, cents=900)

    assert question.input_requests is not None
    (form,) = question.input_requests.values()
    assert isinstance(form, types.ElicitRequest)
    assert form.params.mode == "form"
    assert question.request_state is not None
    assert "appr_" not in question.request_state
    assert (told["status"], told["result"]) == ("succeeded", 900)
