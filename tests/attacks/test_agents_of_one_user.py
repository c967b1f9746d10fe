"""An agent that reaches for what its user, or another agent of its user, asked for; and one who borrows a workflow.

Here by the operations that every surface asks.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.small_gate import ANA, BEN, opened
from toolgate import Approval, Caller, Gateway, PendingApproval, tool
from toolgate.domain.principal import Declined, Principal, in_person
from toolgate.operations.call_story import call_story
from toolgate.operations.list_approvals import list_approvals
from toolgate.operations.review import Review
from toolgate.operations.review_approval import evidence, review_approval
from toolgate.operations.withdraw import withdraw
from toolgate.ports import ApprovalFilter

HELPER, OTHER = (Principal(caller=ANA, agent=name, owner="dev") for name in ("helper", "other"))
LEA = in_person(Caller("lea", {"lead"}, "acme"))
OLA = in_person(Caller("ola", {"operator"}, "acme"))


@tool(
    effect="write",
    roles={"support"},
    idempotency="pay:{number}:{workflow_id}",
    approval=Approval(approvers={"lead"}),
)
async def pay(number: int) -> int:
    """Pay a number back."""
    return number


@tool(effect="read", roles={"support"})
async def look(number: int) -> int:
    """Look a number up."""
    return number


async def held(gateway: Gateway, by: Principal, number: int, workflow: str = "wf") -> PendingApproval:
    """A call of ``by`` that waits for a person."""
    asked = await gateway.request(
        "pay",
        {"number": number},
        caller=by.caller,
        workflow=gateway.make_workflow(workflow, agent=by.agent),
        actor=by,
    )
    assert isinstance(asked, PendingApproval)
    return asked


async def why_not(gateway: Gateway, approval_id: str, by: Principal) -> list[str]:
    """Why ``by`` may neither look at it, nor at what is around it, nor take it back."""
    answers = (
        await gateway.operate(review_approval, approval_id, by=by),
        await gateway.operate(evidence, approval_id, by=by),
        await gateway.operate(withdraw, approval_id, by=by, reason="a mistake"),
    )
    return [answer.why if isinstance(answer, Declined) else "done" for answer in answers]


async def listed(gateway: Gateway, by: Principal) -> list[str]:
    """What a list of everything that ``by`` may look at shows."""
    page = await gateway.operate(list_approvals, by=by, wanted=ApprovalFilter(), for_me=False)
    assert not isinstance(page, Declined)
    return [review.row.approval_id for review in page.rows]


@pytest.mark.req("M4.22")
async def test_an_agent_neither_sees_nor_withdraws_what_its_user_or_another_agent_asked_for(
    tmp_path: Path,
) -> None:
    async with opened([pay], tmp_path) as gateway:
        users = await held(gateway, in_person(ANA), 1)
        own = await held(gateway, HELPER, 2)
        reached = [
            await why_not(gateway, users.approval_id, HELPER),
            await why_not(gateway, users.approval_id, OTHER),
            await why_not(gateway, own.approval_id, OTHER),
        ]
        story = await gateway.operate(call_story, users.call_id, by=HELPER)
        lists = [await listed(gateway, by) for by in (HELPER, OTHER, in_person(ANA))]
        taken = await gateway.operate(withdraw, own.approval_id, by=HELPER, reason="a mistake")

    assert reached == [["not_found"] * 3] * 3
    assert isinstance(story, Declined)
    assert [sorted(ids) for ids in lists] == [
        [own.approval_id],
        [],
        sorted([users.approval_id, own.approval_id]),
    ]
    assert isinstance(taken, Review)


@pytest.mark.req("M4.31")
async def test_one_whose_id_only_looks_like_the_requesters_sees_and_withdraws_nothing(tmp_path: Path) -> None:
    async with opened([pay], tmp_path) as gateway:
        asked = await held(gateway, in_person(ANA), 1)
        namesakes = (
            in_person(Caller(name, {"support"}, "acme")) for name in ("U-ANA", "\uff55-ana", "u-ana ")
        )
        reached = [await why_not(gateway, asked.approval_id, by) for by in namesakes]

    assert reached == [["not_found"] * 3] * 3


@pytest.mark.req("M12.11")
async def test_whoever_asks_in_anothers_workflow_learns_nothing_of_what_the_other_asked(
    tmp_path: Path,
) -> None:
    async with opened([pay, look], tmp_path) as gateway:
        await gateway.call(look, {"number": 1}, caller=ANA, workflow="case-1")
        asked = await held(gateway, in_person(BEN), 2, "case-1")
        told = [
            await gateway.operate(evidence, asked.approval_id, by=by) for by in (in_person(BEN), LEA, OLA)
        ]

    assert [[call.tool for call in calls] for calls in told if not isinstance(calls, Declined)] == [
        [],
        ["look"],
        ["look"],
    ]
