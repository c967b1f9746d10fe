"""The application's own rule on who may agree to what: asked beside the roles, and only ever taking away."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import Field

from tests.small_gate import ANA, opened
from toolgate import Approval, Caller, Denied, PendingApproval, Sensitive, tool
from toolgate.domain.principal import Declined, in_person
from toolgate.operations import may_decide as rules
from toolgate.operations.decide_approval import decide_approval
from toolgate.operations.edit_approval import propose_edit
from toolgate.operations.grants import make_grant
from toolgate.operations.review import Review

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from toolgate import Gateway

LEA = in_person(Caller("u-lea", roles={"lead"}, tenant="acme"))
MAX = in_person(Caller("u-max", roles={"lead"}, tenant="acme"))
ran: list[int] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@tool(
    effect="write",
    roles={"support"},
    idempotency="pay:{number}:{workflow_id}",
    approval=Approval(approvers={"lead"}),
)
async def pay(number: int, card: Annotated[str, Sensitive(), Field(max_length=4)] = "4242") -> int:
    """Pay."""
    ran.append(number)
    return number


async def held(gateway: Gateway) -> str:
    outcome = await gateway.call(pay, {"number": 7}, caller=ANA, workflow="wf")
    assert isinstance(outcome, PendingApproval)
    return outcome.approval_id


async def approve(gateway: Gateway, approval_id: str, by: Any = LEA) -> Review | Declined:
    return await gateway.operate(
        decide_approval, approval_id, "approve", by=by, reason="it is fine", digest=None
    )


def big_ones_need_lea(person: Caller, facts: Mapping[str, Any]) -> bool | Denied:
    if facts["action"] == "approve" and facts["arguments"]["number"] > 5 and person.id != "u-lea":
        return Denied("big ones are lea's")
    return True


@pytest.mark.req("M12.21")
async def test_a_rule_takes_from_one_what_the_role_gives_to_both(tmp_path: Path) -> None:
    async with opened([pay], tmp_path, may_decide=big_ones_need_lea) as gateway:
        approval_id = await held(gateway)
        assert await approve(gateway, approval_id, MAX) == Declined("forbidden", "big ones are lea's")
        assert isinstance(await approve(gateway, approval_id), Review)


@pytest.mark.req("M12.21")
async def test_a_rule_gives_nothing_that_the_role_does_not(tmp_path: Path) -> None:
    stranger = in_person(Caller("u-eve", roles={"support"}, tenant="acme"))
    async with opened([pay], tmp_path, may_decide=lambda _person, _facts: True) as gateway:
        refused = await approve(gateway, await held(gateway), stranger)

    assert refused == Declined("forbidden", "deciding needs the role lead")


def _raises(person: Caller, facts: Mapping[str, Any]) -> bool:
    raise LookupError("password=hunter2")


@pytest.mark.req("M12.21", "M4.6")
@pytest.mark.parametrize(
    "rule",
    [
        _raises,
        lambda _person, _facts: None,
        lambda _person, _facts: "yes",
        lambda _person, _facts: 1,
        lambda _person, _facts: False,
    ],
)
async def test_a_rule_that_raises_or_answers_nonsense_denies_and_says_nothing_internal(
    rule: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened([pay], tmp_path, may_decide=rule) as gateway:
        refused = await approve(gateway, await held(gateway))

    assert isinstance(refused, Declined)
    assert refused.why == "forbidden"
    assert "hunter2" not in caplog.text + refused.reason


@pytest.mark.req("M12.21", "M6.3")
async def test_a_rule_that_hangs_denies_and_holds_nothing_else_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "PATIENCE", 0.05)
    let_go = threading.Event()
    async with opened([pay], tmp_path, may_decide=lambda _person, _facts: let_go.wait(60)) as gateway:
        try:
            refused = await approve(gateway, await held(gateway))
            other = await gateway.call(pay, {"number": 8}, caller=ANA, workflow="wf")
        finally:
            let_go.set()

    assert isinstance(refused, Declined)
    assert "did not answer in time" in refused.reason
    assert other.status == "pending_approval"


@pytest.mark.req("M12.21")
async def test_nobody_needs_leave_to_say_no(tmp_path: Path) -> None:
    async with opened([pay], tmp_path, may_decide=lambda _person, _facts: False) as gateway:
        denied = await gateway.operate(
            decide_approval, await held(gateway), "deny", by=LEA, reason="not this", digest=None
        )

    assert isinstance(denied, Review)
    assert denied.state == "denied"
    assert denied.described()["ended_by"] == LEA.id


@pytest.mark.req("M12.21", "X7.1", "X2.3")
async def test_edits_and_grants_are_asked_about_too_and_no_rule_sees_what_is_sensitive(
    tmp_path: Path,
) -> None:
    seen: list[Mapping[str, Any]] = []

    def rule(person: Caller, facts: Mapping[str, Any]) -> bool:
        seen.append(facts)
        return bool(facts["action"] == "approve")

    async with opened([pay], tmp_path, may_decide=rule) as gateway:
        approval_id = await held(gateway)
        edited = await gateway.operate_near_tools(propose_edit, approval_id, {"number": 1}, by=LEA)
        granted = await gateway.operate(
            make_grant,
            by=LEA,
            tool="pay",
            bounds={"number": {"le": 9}},
            caller_id=ANA.id,
            agent=None,
            lasting=60.0,
            uses=1,
            reason="small",
        )
        assert isinstance(await approve(gateway, approval_id), Review)

    assert edited == granted == Declined("forbidden", "the application's rule says no")
    assert [facts["action"] for facts in seen] == ["edit", "grant", "approve"]
    assert "4242" not in str(seen)
