"""A caller of one tenant who knows the ids, keys and workflows of another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machines.stage import sweep
from tests.small_gate import ANA, BEN, GIL, opened
from toolgate import Approval, Caller, PendingApproval, Succeeded, tool
from toolgate.domain.idempotency import key_scope

ran: list[tuple[str, str]] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@tool(
    effect="write",
    roles={"support"},
    idempotency="send:{order}:{to}:{workflow_id}",
    approval=Approval(approvers={"lead"}, when={"to": {"eq": "outside"}}),
)
async def send(order: str, to: str) -> str:
    """Send an order."""
    ran.append((order, to))
    return f"{order} went to {to}"


async def ask(gateway: Any, order: str, to: str, *, caller: Caller = ANA, workflow: str = "wf") -> Any:
    return await gateway.call(send, {"order": order, "to": to}, caller=caller, workflow=workflow)


@pytest.mark.req("M4.7", "M9.4", "M9.18")
async def test_the_same_words_in_another_tenant_replay_nothing_and_collide_with_nothing(
    tmp_path: Path,
) -> None:
    async with opened([send], tmp_path) as gateway:
        mine = await ask(gateway, "o1", "home")
        theirs = await ask(gateway, "o1", "home", caller=GIL)
        neighbour = await ask(gateway, "o1", "home", caller=BEN)

    assert isinstance(mine, Succeeded)
    assert isinstance(theirs, Succeeded)
    assert not theirs.replayed
    assert mine.call_id != theirs.call_id
    assert (neighbour.status, getattr(neighbour, "error_type", None)) == ("refused", "idempotency_conflict")
    assert "o1" not in json.dumps(neighbour.to_model())


@pytest.mark.req("M9.16")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("a:b", "c", "wf"), ("a", "b:c", "wf")),
        (("a", "b:wf", "x"), ("a", "b", "wf:x")),
        (("a%3Ab", "c", "wf"), ("a:b", "c", "wf")),
        (("{to}", "c", "wf"), ("c", "{to}", "wf")),
        (("", "a", "wf"), ("a", "", "wf")),
        (("1", "c", "wf"), ("~1", "c", "wf")),
    ],
)
async def test_separators_in_arguments_and_workflows_make_no_two_calls_one(
    first: tuple[str, str, str], second: tuple[str, str, str], tmp_path: Path
) -> None:
    async with opened([send], tmp_path) as gateway:
        one = await ask(gateway, *first[:2], workflow=first[2])
        other = await ask(gateway, *second[:2], workflow=second[2])

    assert isinstance(one, Succeeded)
    assert isinstance(other, Succeeded)
    assert not other.replayed
    assert ran == [first[:2], second[:2]]


@pytest.mark.req("M9.18")
@given(
    st.lists(st.text(max_size=6), min_size=3, max_size=3),
    st.lists(st.text(max_size=6), min_size=3, max_size=3),
)
def test_no_tenant_tool_and_key_share_a_scope_with_three_others(one: list[str], other: list[str]) -> None:
    assert (key_scope(*one) == key_scope(*other)) == (one == other)


@pytest.mark.req("M4.7", "X2.8", "M12.6")
async def test_another_tenants_lead_sees_and_moves_neither_call_nor_approval(tmp_path: Path) -> None:
    stranger = Caller("u-lea", roles={"lead", "support"}, tenant="globex")
    namesake = Caller(ANA.id, roles={"lead", "support"}, tenant="globex")
    async with opened([send], tmp_path) as gateway:
        held = await ask(gateway, "o1", "outside")
        assert isinstance(held, PendingApproval)
        answers = [
            await decide(held.approval_id, by=who, reason="it is fine")
            for who in (stranger, namesake)
            for decide in (gateway.approve, gateway.deny)
        ]
        seen = [await gateway.get_call(held.call_id, caller=who) for who in (stranger, namesake, BEN)]
        waited: Any = await gateway.wait_for(held, caller=namesake, timeout=0.001)
        await sweep(gateway)
        now = await gateway.get_call(held.call_id, caller=ANA)

    assert set(answers) == {"there is no such approval"}
    assert {outcome.message for outcome in (*seen, waited)} == {"There is no such call."}
    assert (ran, now.status) == ([], "pending_approval")


@pytest.mark.req("M4.8", "M4.7")
@pytest.mark.parametrize("guess", ["", "call_", "x" * 10_000, "call_\x00", "' OR 1=1 --", "call_\ud800"])
async def test_a_guessed_id_is_answered_like_any_unknown_one(guess: str, tmp_path: Path) -> None:
    async with opened([send], tmp_path) as gateway:
        looked = await gateway.get_call(guess, caller=ANA)
        voted = await gateway.approve(
            guess.encode("utf-8", "replace").decode(), by=Caller("lea", {"lead"}, "acme"), reason="fine"
        )

    assert getattr(looked, "message", None) == "There is no such call."
    assert voted == "there is no such approval"
