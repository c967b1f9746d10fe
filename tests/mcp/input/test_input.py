"""A reading tool that asks whoever calls it, over MCP: in both eras, by what the client declared, and no further."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from tests.mcp.input.house import ADA, HOME, LINE, User, accepted, asked, call, house, once, told
from tests.mcp.server.desk import MODERN, MODES, by_hand
from tests.mcp.server.desk import told as told_by_hand
from toolgate import Caller, StoreUnavailable
from toolgate.domain.principal import Principal
from toolgate.operations.authenticate import authenticate
from toolgate.surfaces.mcp import asking

BEN = Caller("ben", roles={"clerk"}, tenant="acme")
both_eras = pytest.mark.parametrize("mode", MODES)
EVERYTHING: dict[str, Any] = {"form": ADA, "sample": LINE, "roots": HOME}


@both_eras
@pytest.mark.req("X3.57")
async def test_the_user_is_shown_the_form_of_a_tool_and_the_call_answers_with_their_words(
    tmp_path: Path, mode: str
) -> None:
    user = User(form=ADA)
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        outcome = await call(client, shop="south")
        trail = await gate.trail()
        workflows = {event["toolgate.workflow.id"] for event in await gate.desk.trail()}

    assert outcome["result"] == "south: accept Ada"
    (form,) = user.shown
    assert form.message == "Who are you?"
    assert form.requested_schema == {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    # Each round is a call of its own, in one piece of work.
    assert trail == [("failed", {"who": "open"}), ("succeeded", {"who": "accept"})]
    assert len(workflows) == 1


@both_eras
@pytest.mark.req("X3.57")
async def test_several_questions_of_every_kind_are_asked_at_once(tmp_path: Path, mode: str) -> None:
    user = User(**EVERYTHING)
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        outcome = await call(client, "survey")

    assert outcome["result"] == ["accept", "It rains.", "file:///home/ann"]
    assert len(user.shown) == 3
    (sampled,) = [each for each in user.shown if isinstance(each, types.CreateMessageRequestParams)]
    assert (sampled.max_tokens, sampled.system_prompt) == (20, "Be short.")
    assert gate.business.seen[0] == {}


@both_eras
@pytest.mark.req("X3.56")
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_user_who_declines_is_told_to_the_tool_as_one(tmp_path: Path, mode: str, action: Any) -> None:
    # What comes with a no is no content.
    user = User(form=types.ElicitResult(action=action, content={"name": "Ada"}))
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        outcome = await call(client)
        trail = await gate.trail()

    assert outcome["result"] == f"north: {action} None"
    assert trail[-1] == ("succeeded", {"who": action})


@both_eras
@pytest.mark.req("X3.56")
async def test_an_answer_of_another_shape_never_reaches_the_tool_and_is_asked_for_again(
    tmp_path: Path, mode: str
) -> None:
    given = iter(
        [accepted(name="Ada"), accepted(name="Ada", age=36.5), accepted(name="Ada", age=36, x=1), ADA]
    )
    user = User(form=lambda _: next(given))
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        outcome = await call(client)
        trail = await gate.trail()

    assert outcome["result"] == "north: accept Ada"
    assert [each[1] for each in trail] == [{"who": "open"}, *[{"who": "misfit"}] * 3, {"who": "accept"}]
    assert [dict(seen["who"].content) for seen in gate.business.seen if seen] == [{"name": "Ada", "age": 36}]


@both_eras
@pytest.mark.req("X3.58")
async def test_a_tool_that_asks_again_and_again_is_followed_for_eight_rounds(
    tmp_path: Path, mode: str
) -> None:
    user = User(form=accepted(yes=True))
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        enough = await call(client, "pry", times=asking.MOST_ROUNDS)
        too_many = await call(client, "pry", times=asking.MOST_ROUNDS + 1)

    assert enough["result"] == asking.MOST_ROUNDS
    assert (too_many["status"], too_many["code"]) == ("failed", "input_required")
    assert f"step{asking.MOST_ROUNDS}" in too_many["message"]
    assert len(user.shown) == 2 * asking.MOST_ROUNDS


@both_eras
@pytest.mark.req("X3.57")
@pytest.mark.parametrize(
    ("user", "kinds"),
    [
        (User(), []),
        (User(form=ADA), ["form"]),
        (User(sample=LINE, roots=HOME), ["roots", "sample"]),
        (User(**EVERYTHING), ["form", "roots", "sample"]),
    ],
)
async def test_a_tool_is_told_what_the_client_declared_that_it_shows(
    tmp_path: Path, mode: str, user: User, kinds: list[str]
) -> None:
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        outcome = await call(client, "can_ask")

    assert outcome["result"] == kinds


@pytest.mark.req("X3.57")
async def test_a_modern_client_that_cannot_show_what_is_asked_gets_the_error_that_names_the_capabilities(
    tmp_path: Path,
) -> None:
    user = User(roots=HOME)
    async with house(tmp_path) as gate, gate.client(MODERN, user) as client:
        with pytest.raises(MCPError) as refused:
            await call(client, "survey")
        trail = await gate.trail()

    assert refused.value.error.code == -32021
    assert refused.value.error.data == {"requiredCapabilities": {"elicitation": {"form": {}}, "sampling": {}}}
    assert user.shown == []
    assert trail == [("failed", {"who": "open", "poem": "open", "where": "open"})]


@pytest.mark.req("X3.57")
async def test_over_http_that_error_is_a_bad_request(tmp_path: Path) -> None:
    async with house(tmp_path) as gate:
        token = await gate.desk.token()
        async with by_hand(gate.desk, MODERN, token) as hand:
            answer = await hand.post(hand.call("greet", "{}"), name="greet")

    assert answer.status_code == 400
    assert told_by_hand(answer)["error"]["code"] == -32021


@pytest.mark.req("X3.57")
async def test_an_older_client_that_cannot_show_what_is_asked_is_told_what_is_missing(tmp_path: Path) -> None:
    user = User(form=ADA)
    async with house(tmp_path) as gate, gate.client("legacy", user) as client:
        outcome = await call(client, "survey")

    assert (outcome["status"], outcome["code"], outcome["effect"]) == ("failed", "input_required", "none")
    assert "who, poem, where" in outcome["message"]
    # The model is told which, and not what.
    assert "Who are you?" not in str(outcome)
    assert user.shown == []


@pytest.mark.req("X3.57")
@pytest.mark.parametrize(("code", "ends"), [(-1, "decline"), (-32603, None)])
async def test_an_older_client_that_answers_with_an_error_declines_or_has_said_nothing(
    tmp_path: Path, code: int, ends: str | None
) -> None:
    user = User(form=ADA, sample=types.ErrorData(code=code, message="no"), roots=HOME)
    async with house(tmp_path) as gate, gate.client("legacy", user) as client:
        outcome = await call(client, "survey")

    if ends is None:
        assert (outcome["status"], outcome["code"]) == ("failed", "input_required")
    else:
        assert outcome["result"] == [ends, "", "file:///home/ann"]


@pytest.mark.req("X3.58")
async def test_a_state_is_good_once_for_the_same_call_of_the_same_caller(tmp_path: Path) -> None:
    user, says = User(form=ADA), {"who": ADA}
    async with (
        house(tmp_path) as gate,
        gate.client(MODERN, user) as client,
        gate.client(MODERN, user, caller=BEN) as other,
    ):
        state = (await asked(client, shop="south")).request_state
        for elsewhere in (
            once(client, says=says, state=state, shop="north"),
            once(other, says=says, state=state, shop="south"),
            once(client, "survey", says=says, state=state),
            once(client, says=says, state=f"{state}x", shop="south"),
        ):
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await elsewhere
        assert (await told(client, says=says, state=state, shop="south"))["ok"]
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await once(client, says=says, state=state, shop="south")


@pytest.mark.req("X3.58")
async def test_a_state_belongs_to_its_piece_of_work_and_keeps_one_that_nobody_named(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, gate.client(MODERN, User(form=ADA)) as client:
        state = (await asked(client, workflow="wf-1")).request_state
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await once(client, says={"who": ADA}, state=state, workflow="wf-2")
        state = (await asked(client, workflow="wf-1")).request_state
        assert (await told(client, says={"who": ADA}, state=state, workflow="wf-1"))["ok"]
        workflows = [event["toolgate.workflow.id"] for event in await gate.desk.trail()]

    assert workflows == ["wf-1"] * 3


@pytest.mark.req("X3.58")
async def test_answers_of_earlier_rounds_travel_sealed_and_only_what_was_asked_is_taken(
    tmp_path: Path,
) -> None:
    yes = accepted(yes=True)
    async with house(tmp_path) as gate, gate.client(MODERN, User(form=yes)) as client:
        first = await asked(client, "pry", times=3)
        # What was not asked yet is left aside: the state says what was.
        second = await asked(
            client, "pry", times=3, state=first.request_state, says={"step0": yes, "step1": yes, "junk": ADA}
        )
        third = await asked(client, "pry", times=3, state=second.request_state, says={"step1": yes})
        outcome = await told(client, "pry", times=3, state=third.request_state, says={"step2": yes})

    assert [list(each.input_requests or {}) for each in (first, second, third)] == [
        ["step0"],
        ["step1"],
        ["step2"],
    ]
    assert outcome["result"] == 3


@pytest.mark.req("X3.56")
async def test_answers_without_a_state_are_judged_as_any_others_and_unknown_ones_are_ignored(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as gate, gate.client(MODERN, User(form=ADA)) as client:
        outcome = await told(client, says={"who": ADA, "unknown": accepted(foo="bar")})
        again = await asked(client, says={"other": ADA})
        unasked = await told(client, "plain", says={"who": ADA})

    assert outcome["result"] == "north: accept Ada"
    assert list(again.input_requests or {}) == ["who"]
    assert unasked["result"] == "plain"
    assert all(set(seen) <= {"who"} for seen in gate.business.seen)


@pytest.mark.req("X3.58")
async def test_more_than_can_be_carried_is_refused_in_words(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, gate.client(MODERN, User(form=ADA)) as client:
        for says in (
            {"who": accepted(name="x" * 70_000, age=1)},
            {f"k{number}": ADA for number in range(65)},
        ):
            with pytest.raises(MCPError, match="inputResponses: at most 64, of 65536 characters in all"):
                await once(client, says=says)

    assert gate.business.seen == []


@both_eras
@pytest.mark.req("X3.56")
async def test_the_trail_holds_what_was_asked_and_how_it_was_answered_and_none_of_the_words(
    tmp_path: Path, mode: str
) -> None:
    user = User(form=accepted(name="Zuleika", age=41), sample=LINE, roots=HOME)
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        await call(client, "survey")
        events = await gate.desk.trail()

    text = str(events)
    assert events[-1]["toolgate.input"] == {"who": "accept", "poem": "accept", "where": "accept"}
    assert not any(word in text for word in ("Zuleika", "It rains", "/home/ann", "Who are you"))


@pytest.mark.req("X3.57")
async def test_where_no_state_can_be_sealed_the_call_has_failed_and_may_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as gate, gate.client(MODERN, User(form=ADA)) as client:
        keyring = type(gate.desk.gateway.world.keys)
        encrypt = keyring.encrypt

        def away(keys: Any, plain: bytes, *, kind: str, **bound: Any) -> bytes:
            if kind == "client_state":
                raise StoreUnavailable("the keys cannot be read")
            return encrypt(keys, plain, kind=kind, **bound)

        with monkeypatch.context() as fault:
            fault.setattr(keyring, "encrypt", away)
            outcome = await told(client)
        again = await asked(client)

    assert (outcome["status"], outcome["code"]) == ("failed", "input_required")
    assert list(again.input_requests or {}) == ["who"]


@pytest.mark.req("X3.57")
async def test_nobody_is_asked_where_too_many_wait_already(tmp_path: Path) -> None:
    user = User(form=ADA)
    async with house(tmp_path) as gate, gate.client("legacy", user) as client, AsyncExitStack() as waiting:
        token = await gate.desk.token()
        by = await gate.desk.gateway.operate(authenticate, token)
        assert isinstance(by, Principal)
        while gate.desk.office.waits.why_not(by) is None:
            waiting.enter_context(gate.desk.office.waits.held(by))
        outcome = await call(client)

    assert (outcome["status"], outcome["code"]) == ("failed", "input_required")
    assert user.shown == []
