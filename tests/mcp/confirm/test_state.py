"""What a client carries between question and answer: whoever changes it, borrows it or keeps it gets nothing."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp.shared.exceptions import MCPError

from tests.mcp.confirm.house import NO, NOTHING, YES, User, again, asked, beside, call, house
from tests.mcp.server.desk import MODERN
from tests.rest.desk import ANN, BOB
from tests.small_gate import ANA, BEN, GIL, opened
from toolgate import tool
from toolgate.domain.principal import Principal, in_person
from toolgate.surfaces.mcp.confirm import Confirming
from toolgate.surfaces.mcp.state import GOOD_FOR, MOST_REMEMBERED, Shown, States
from toolgate.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    from toolgate import Gateway

pytestmark = pytest.mark.req("M12.26")
STALE = "Invalid or expired requestState"
SHOWN = Shown(approval_id="appr_1", call_id="call_1", digest=b"d" * 32)
HELPER = Principal(caller=ANA, agent="helper")
ARGUMENTS = {"order": 1, "of": [1.5, None, {"b": "ü", "a": True}]}


@tool(effect="read", roles={"support"})
async def look(number: int) -> int:
    """Look a number up."""
    return number


async def sealed(states: States, gateway: Gateway, by: Principal = HELPER, **changed: Any) -> str:
    given = {"tool": "pay", "arguments": ARGUMENTS} | changed
    return await states.seal(gateway, SHOWN, by=by, **given)


async def opens(
    states: States, gateway: Gateway, state: object, by: Principal = HELPER, **changed: Any
) -> Any:
    given = {"tool": "pay", "arguments": ARGUMENTS} | changed
    return await states.open(gateway, state, by=by, **given)


async def test_it_says_what_was_shown_once_whatever_the_order_of_names(tmp_path: Path) -> None:
    async with opened([look], tmp_path) as gateway:
        states = States()
        state = await sealed(states, gateway)
        reordered = {"of": [1.5, None, {"a": True, "b": "ü"}], "order": 1}
        first = await opens(states, gateway, state, arguments=reordered)
        second = await opens(states, gateway, state)

    assert (first, second) == (SHOWN, None)


@pytest.mark.parametrize(
    ("by", "changed"),
    [
        (in_person(ANA), {}),
        (Principal(caller=ANA, agent="other"), {}),
        (Principal(caller=BEN, agent="helper"), {}),
        (Principal(caller=GIL, agent="helper"), {}),
        (HELPER, {"tool": "pay_more"}),
        (HELPER, {"arguments": {**ARGUMENTS, "order": 2}}),
        (HELPER, {"arguments": {**ARGUMENTS, "order": True}}),
        (HELPER, {"arguments": {"order": 1}}),
        (HELPER, {"arguments": {}}),
        (HELPER, {"arguments": json.dumps(ARGUMENTS).encode()}),
    ],
    # In words of ours: a set of scopes has another order in each process.
    ids=[
        *("in person", "other agent", "other person", "other tenant", "other tool"),
        *("other value", "other type", "fewer arguments", "no arguments", "bytes"),
    ],
)
async def test_for_anybody_or_anything_else_it_is_no_state(
    tmp_path: Path, by: Principal, changed: dict[str, Any]
) -> None:
    async with opened([look], tmp_path) as gateway:
        states = States()
        state = await sealed(states, gateway)
        other = await opens(states, gateway, state, by, **changed)
        # Whoever tried has not used it up either.
        own = await opens(states, gateway, state)

    assert (other, own) == (None, SHOWN)


async def test_its_time_is_the_stores_and_is_over_to_the_microsecond(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened([look], tmp_path, clock=clock) as gateway:
        states = States()
        long, short = [await sealed(states, gateway, seconds=seconds) for seconds in (86_400.0, 5.0)]
        clock.advance(5)
        over = await opens(states, gateway, short)
        clock.advance(GOOD_FOR - 5 - 1e-6)
        in_time = await opens(states, gateway, long)
        late = await sealed(states, gateway)
        clock.advance(GOOD_FOR)
        too_late = await opens(states, gateway, late)

    assert (over, in_time, too_late) == (None, SHOWN, None)


async def test_another_process_on_the_same_store_opens_it_and_one_with_other_keys_does_not(
    tmp_path: Path,
) -> None:
    async with opened([look], tmp_path) as gateway, opened([look], tmp_path) as replica:
        state = await sealed(States(), gateway)
        there = await opens(States(), replica, state)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with opened([look], elsewhere) as stranger:
        nowhere = await opens(States(), stranger, state)

    assert (there, nowhere) == (SHOWN, None)


@pytest.mark.parametrize(
    "state",
    [
        "",
        "v1.",
        "v2.AAAA",
        "v1.====",
        "v1.ü",
        "v1." + "A" * 5_000,
        "v1.AAAA",
        7,
        True,
        None,
        ["v1."],
        {"v1.": 1},
    ],
    ids=lambda state: repr(state)[:20],
)
async def test_what_is_no_state_is_none(tmp_path: Path, state: object) -> None:
    async with opened([look], tmp_path) as gateway:
        assert await opens(States(), gateway, state) is None


async def test_one_that_was_changed_or_cut_anywhere_is_none(tmp_path: Path) -> None:
    async with opened([look], tmp_path) as gateway:
        states = States()
        state = await sealed(states, gateway)
        raw = base64.urlsafe_b64decode(state[3:] + "=" * (-len(state[3:]) % 4))

        def written(data: bytes) -> str:
            return "v1." + base64.urlsafe_b64encode(data).decode().rstrip("=")

        for place in range(len(raw)):
            changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
            assert await opens(states, gateway, written(changed)) is None
            assert await opens(states, gateway, written(raw[:place])) is None
        for spelling in (f"{state}=", f"{state}\n", f" {state}", state.lower(), state.replace("v1.", "v1..")):
            assert await opens(states, gateway, spelling) is None
        assert await opens(states, gateway, state) == SHOWN


@given(text=st.text(max_size=200))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_no_text_that_somebody_makes_up_is_one(tmp_path_factory: Any, text: str) -> None:
    async with opened([look], tmp_path_factory.mktemp("gate")) as gateway:
        assert await opens(States(), gateway, f"v1.{text}") is None


async def test_what_was_used_is_remembered_for_its_time_and_the_memory_is_bounded(tmp_path: Path) -> None:
    now = 0.0
    states = States(monotonic=lambda: now)
    clock = FakeClock()
    async with opened([look], tmp_path, clock=clock) as gateway:
        used = await sealed(states, gateway)
        assert await opens(states, gateway, used) == SHOWN
        assert await opens(states, gateway, used) is None
    assert all(states._first(str(number)) for number in range(MOST_REMEMBERED))
    assert len(states._used) == MOST_REMEMBERED
    assert not states._first(str(MOST_REMEMBERED - 1))
    now = GOOD_FOR
    assert states._first("another")
    assert len(states._used) == 1


# ------------------------------------------------------------------------------------------ on the wire


async def test_a_state_is_good_once_also_after_an_answer_that_decided_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, gate.client(MODERN, User(YES)) as client:
        question = await asked(client)
        cancelled = await again(client, question.request_state, NOTHING[0])
        with pytest.raises(MCPError, match=STALE) as refused:
            await again(client, question.request_state)
        # The call still waits, and is asked about anew.
        told = await call(client)
        with pytest.raises(MCPError, match=STALE):
            await again(client, question.request_state)

    assert cancelled["status"] == "pending_approval"
    assert refused.value.error.code == -32602
    assert told["status"] == "succeeded"
    assert gate.business.paid == [(1, 500)]


async def test_a_second_process_does_not_take_an_answer_twice_either(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, gate.client(MODERN, User(YES)) as client:
        question = await asked(client)
        told = await again(client, question.request_state)
        async with (
            house(tmp_path, confirming=Confirming()) as replica,
            replica.client(MODERN, User(YES)) as other,
        ):
            twice = await again(other, question.request_state)
            never = await again(other, (await asked(other, workflow="two")).request_state, NO, workflow="two")

    # It knows nothing of the first use, and the approval is consumed all the same: what is told is how it ended.
    assert (told["status"], twice["status"]) == ("succeeded", "succeeded")
    assert twice["call_id"] == told["call_id"]
    assert never["error_type"] == "approval_denied"
    assert gate.business.paid + replica.business.paid == [(1, 500)]


async def test_an_answer_for_another_call_another_user_or_another_agent_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path) as gate:
        helper, other = [await gate.desk.token(agent=name) for name in ("helper", "other")]
        async with gate.client(MODERN, User(YES), caller=helper) as client:
            question = await asked(client)
            state = question.request_state
            others: tuple[dict[str, Any], ...] = ({"order": 2}, {"cents": 501}, {"name": "pay_more"})
            for changed in others:
                with pytest.raises(MCPError, match=STALE):
                    await again(client, state, **changed)
            for caller in (other, BOB, ANN):
                async with gate.client(MODERN, User(YES), caller=caller) as thief:
                    with pytest.raises(MCPError, match=STALE):
                        await again(thief, state)
            assert state is not None
            for spoilt in (state[:-1], state[:40], f"{state[:60]}A{state[61:]}", "v1.AAAA", "x"):
                if spoilt != state:
                    with pytest.raises(MCPError, match=STALE):
                        await again(client, spoilt)
            nothing_said = await gate.said()
            told = await again(client, state)

    assert nothing_said == []
    assert told["status"] == "succeeded"
    assert gate.business.paid == [(1, 500)]


async def test_an_answer_that_comes_too_late_is_refused_and_asked_for_anew(tmp_path: Path) -> None:
    clock = FakeClock()
    async with (
        house(tmp_path, clock=clock, housekeeping=None) as gate,
        gate.client(MODERN, User(YES)) as client,
    ):
        question = await asked(client)
        clock.advance(GOOD_FOR)
        with pytest.raises(MCPError, match=STALE):
            await again(client, question.request_state)
        anew = await asked(client)

    assert anew.request_state != question.request_state
    assert gate.business.paid == []


async def test_answers_under_another_name_or_none_at_all_say_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, gate.client(MODERN, User(YES)) as client:
        wrong = await again(client, (await asked(client)).request_state, key="confirmed")
        none = await again(client, (await asked(client)).request_state, says=None)
        # Without a state an answer belongs to no question.
        unasked = await client.session.call_tool(
            "pay",
            {"order": 1},
            input_responses={"confirm": YES},
            meta=beside("wf"),
            allow_input_required=True,
        )

    assert (wrong["status"], none["status"]) == ("pending_approval", "pending_approval")
    assert unasked.result_type == "input_required"
    assert gate.business.paid == []
