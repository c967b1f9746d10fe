"""Approvers who try to be two people, to approve what they asked for, or to vote on what they did not see."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machines.stage import sweep
from tests.people import decide_approval
from tests.small_gate import ANA, opened
from toolgate import Approval, Caller, PendingApproval, tool
from toolgate.domain.approval import Requirement, Vote, may_vote, tally
from toolgate.ports import ApprovalFilter

ran: list[int] = []
SPELLINGS = ("U-ANA", " u-ana", "u-ana ", "U-ana", "\uff55-ana")


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@tool(
    effect="write",
    roles={"support"},
    idempotency="pay:{number}:{workflow_id}",
    approval=Approval(approvers={"lead"}, quorum=2),
)
async def pay(number: int) -> int:
    """Pay a number back."""
    ran.append(number)
    return number


@pytest.mark.req("X2.8")
@pytest.mark.parametrize("spelt", SPELLINGS)
async def test_whoever_asked_cannot_approve_under_another_spelling_of_their_id(
    spelt: str, tmp_path: Path
) -> None:
    async with opened([pay], tmp_path) as gateway:
        held = await gateway.call(pay, {"number": 1}, caller=ANA, workflow="wf")
        assert isinstance(held, PendingApproval)
        answer = await gateway.approve(
            held.approval_id, by=Caller(spelt, {"lead"}, "acme"), reason="it is fine"
        )

    assert answer == "whoever asked for a call may not approve it"


@pytest.mark.req("X2.9")
@pytest.mark.parametrize("again", ["LEA", "lea ", " Lea", "\uff4cea"])
async def test_one_person_cannot_fill_a_quorum_of_two_with_two_spellings(again: str, tmp_path: Path) -> None:
    async with opened([pay], tmp_path) as gateway:
        held = await gateway.call(pay, {"number": 1}, caller=ANA, workflow="wf")
        assert isinstance(held, PendingApproval)
        await gateway.approve(held.approval_id, by=Caller("lea", {"lead"}, "acme"), reason="it is fine")
        answer = await gateway.approve(
            held.approval_id, by=Caller(again, {"lead"}, "acme"), reason="it is fine"
        )
        await sweep(gateway)

    assert answer == "you approved it already; another person is needed"
    assert ran == []


@pytest.mark.req("X2.8", "X2.9")
@given(
    st.lists(st.sampled_from(["ann", "Ann", " ANN", "bob", "BOB ", "eve"]), max_size=6),
    st.integers(min_value=1, max_value=4),
)
def test_votes_count_people_and_never_spellings(voters: list[str], quorum: int) -> None:
    required = Requirement(reason="", approvers=(frozenset({"lead"}),), quorum=quorum)
    votes = [
        Vote(approval_id="a", revision=1, voter=name, roles=frozenset({"lead"}), reason="", at=at)
        for at, name in enumerate(voters)
    ]

    people = {name.strip().lower() for name in voters} - {"eve"}
    assert tally(required, votes, revision=1, requester="EVE").enough == (len(people) >= quorum)
    assert may_vote(required, Caller("eve ", {"lead"}, "t"), requester="Eve", tenant="t") is not None


@pytest.mark.req("X2.2")
async def test_a_vote_on_a_page_that_shows_another_digest_is_not_taken(tmp_path: Path) -> None:
    async with opened([pay], tmp_path) as gateway:
        held = await gateway.call(pay, {"number": 1}, caller=ANA, workflow="wf")
        other = await gateway.call(pay, {"number": 2}, caller=ANA, workflow="wf")
        assert isinstance(held, PendingApproval)
        assert isinstance(other, PendingApproval)
        rows = {row.approval_id: row for row in await gateway.store.approvals(ApprovalFilter(open_only=True))}
        answer = await decide_approval(
            gateway,
            held.approval_id,
            "approve",
            voter=Caller("lea", {"lead"}, "acme"),
            reason="it is fine",
            digest=rows[other.approval_id].digest,
        )

    assert answer == "it changed since it was shown; look at it again"
