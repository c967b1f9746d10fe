"""Who may decide on a held call, how votes count, and what a decision, or none, comes to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.approvals.desk import (
    ANN,
    ANN_AS_LEAD,
    BOB,
    BOSS,
    EVE,
    LEA,
    MAX,
    Desk,
    approval_of,
    ask,
    held,
    trail_of,
    transitions,
)
from tests.machines.stage import Stage, approve, deny, sweep
from tests.people import decide_approval
from toolgate import Advice, Approval, Caller, ErrorType, PendingApproval, Refused, Succeeded
from toolgate.adapters.keys import Keyring
from toolgate.domain.approval import RISKS, Requirement, Vote, tally
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.rows import ByApproval
from toolgate.domain.verdict import Deny, Hold
from toolgate.gateway import spine
from toolgate.ports import ApprovalFilter

Decision = Literal["approve", "deny"]

TWO = Approval(approvers={"lead"}, quorum=2, expires_in="1h")


# -------------------------------------------------------------------------------------------- who may


@pytest.mark.req("M12.6")
@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_only_one_with_the_role_may_decide(stage: Stage, desk: Desk, decision: Decision) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        refused = await decide_approval(gateway, outcome.approval_id, decision, voter=BOB, reason="fine")
        row = await approval_of(gateway, outcome)
        done = await decide_approval(gateway, outcome.approval_id, decision, voter=LEA, reason="fine")

    assert refused == "deciding needs the role lead"
    assert row.state is ApprovalState.PENDING
    assert not isinstance(done, str), done


@pytest.mark.req("X2.8")
async def test_whoever_asked_cannot_approve_whatever_their_roles(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway, caller=ANN_AS_LEAD)
        refused = await decide_approval(
            gateway, outcome.approval_id, "approve", voter=ANN_AS_LEAD, reason="me"
        )
        row = await approval_of(gateway, outcome)

    assert refused == "whoever asked for a call may not approve it"
    assert row.state is ApprovalState.PENDING


@pytest.mark.req("X2.8", "M4.7")
@pytest.mark.parametrize("voter", [EVE, Caller("lea", {"lead"}, "globex")], ids=["stranger", "namesake"])
@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_another_tenants_approver_finds_no_such_approval(
    stage: Stage, desk: Desk, voter: Caller, decision: Decision
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        theirs = await decide_approval(gateway, outcome.approval_id, decision, voter=voter, reason="sure")
        nobodys = await decide_approval(gateway, "appr_none", decision, voter=voter, reason="sure")
        row = await approval_of(gateway, outcome)

    assert theirs == nobodys == "there is no such approval"
    assert row.state is ApprovalState.PENDING


@pytest.mark.req("M12.7")
async def test_each_decision_records_who_decided_and_why(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(TWO)) as gateway:
        outcome = await held(gateway)
        await approve(gateway, outcome.approval_id, LEA, reason="saw the parcel")
        await approve(gateway, outcome.approval_id, MAX, reason="so did I")
        events = await trail_of(gateway, outcome)
        votes = (await gateway.store.find(ByApproval(outcome.approval_id))).votes

    said = [(event["toolgate.actor"], event["toolgate.reason"]) for event in events[1:]]
    assert said == [("lea", "saw the parcel"), ("max", "so did I")]
    assert [event["toolgate.approval.status"] for event in events] == ["pending", "pending", "approved"]
    assert [(vote.voter, vote.reason) for vote in votes] == said


@pytest.mark.req("M12.7")
async def test_a_denial_records_who_and_why_too(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        await decide_approval(gateway, outcome.approval_id, "deny", voter=LEA, reason="no parcel came")
        event = (await trail_of(gateway, outcome))[-1]
        row = await approval_of(gateway, outcome)

    assert (event["toolgate.actor"], event["toolgate.reason"]) == ("lea", "no parcel came")
    assert event["toolgate.transition"] == "approval_denied"
    assert row.reason == "no parcel came"


@pytest.mark.req("M12.7")
@pytest.mark.parametrize("reason", ["", "   ", "\n\t"])
async def test_a_decision_without_a_reason_is_refused(stage: Stage, desk: Desk, reason: str) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        refused = await decide_approval(gateway, outcome.approval_id, "approve", voter=LEA, reason=reason)
        row = await approval_of(gateway, outcome)

    assert isinstance(refused, str)
    assert "say why" in refused
    assert row.state is ApprovalState.PENDING


@pytest.mark.req("M12.7")
async def test_a_secret_in_a_reason_is_not_kept(stage: Stage, desk: Desk) -> None:
    token = f"ghp_{'q' * 36}"
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        row = await approve(gateway, outcome.approval_id, LEA, reason=f"used {token}")
        votes = (await gateway.store.find(ByApproval(outcome.approval_id))).votes
        trail = json.dumps(await trail_of(gateway, outcome))

    assert row.state is ApprovalState.APPROVED
    assert token not in trail + votes[0].reason


# --------------------------------------------------------------------------------------------- quorum


@pytest.mark.req("X2.9")
async def test_a_quorum_counts_distinct_people(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(TWO)) as gateway:
        outcome = await held(gateway)
        await approve(gateway, outcome.approval_id, LEA)
        twice = await decide_approval(gateway, outcome.approval_id, "approve", voter=LEA, reason="again")
        other_roles = Caller("lea", {"lead", "boss"}, "acme")
        thrice = await decide_approval(
            gateway, outcome.approval_id, "approve", voter=other_roles, reason="me"
        )
        await sweep(gateway)
        half = await approval_of(gateway, outcome)
        ran_at_half = list(desk.paid)
        await approve(gateway, outcome.approval_id, MAX)
        await sweep(gateway)

    assert twice == thrice == "you approved it already; another person is needed"
    assert half.state is ApprovalState.PENDING
    assert ran_at_half == []
    assert desk.paid == [(1, 5000)]


@pytest.mark.req("X2.9")
async def test_one_refusal_ends_it(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(TWO)) as gateway:
        outcome = await held(gateway)
        await approve(gateway, outcome.approval_id, LEA)
        await deny(gateway, outcome.approval_id, MAX)
        late = await decide_approval(gateway, outcome.approval_id, "approve", voter=BOSS, reason="but I")
        changed_mind = await decide_approval(gateway, outcome.approval_id, "approve", voter=MAX, reason="yes")
        await sweep(gateway)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)

    assert late == changed_mind == "it is denied already"
    assert isinstance(answer, Refused)
    assert (answer.error_type, answer.advice) == (ErrorType.APPROVAL_DENIED, Advice.STOP)
    assert desk.contexts == []


@pytest.mark.req("X2.9")
async def test_what_was_approved_is_not_decided_twice(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        await approve(gateway, outcome.approval_id, LEA)
        again = await decide_approval(gateway, outcome.approval_id, "approve", voter=MAX, reason="me too")
        await sweep(gateway)
        after = await decide_approval(gateway, outcome.approval_id, "approve", voter=MAX, reason="me too")

    assert again == "it is approved already"
    assert after == "it is consumed already"
    assert desk.paid == [(1, 5000)]


people = st.sampled_from(["ann", "bob", "cleo", "dan"])
role_sets = st.frozensets(st.sampled_from(["lead", "boss", "audit"]), max_size=3)
requirements = st.builds(
    Requirement,
    reason=st.sampled_from(["amount", "amount; policy", "policy"]),
    approvers=st.lists(role_sets.filter(bool), min_size=1, max_size=3).map(tuple),
    risk=st.sampled_from(RISKS),
    expires_in=st.floats(1, 1000),
    quorum=st.integers(1, 4),
)
votes = st.lists(
    st.builds(
        Vote,
        approval_id=st.just("appr_1"),
        revision=st.sampled_from([1, 2]),
        voter=people,
        roles=role_sets,
        reason=st.just("fine"),
        at=st.just(0),
    ),
    max_size=8,
)


@pytest.mark.req("X2.9")
@given(requirement=requirements, votes=votes, requester=people)
def test_votes_suffice_only_with_enough_people_and_each_role(
    requirement: Requirement, votes: list[Vote], requester: str
) -> None:
    counted = tally(requirement, votes, revision=1, requester=requester)

    last = {vote.voter: vote.roles for vote in votes if vote.revision == 1 and vote.voter != requester}
    enough = len(last) >= requirement.quorum and all(
        any(roles & held_roles for held_roles in last.values()) for roles in requirement.approvers
    )
    assert counted.enough == enough
    assert bool(counted.missing) is not enough


@pytest.mark.req("M5.4")
@given(one=requirements, other=requirements, votes=votes, requester=people)
def test_what_suffices_for_two_requirements_merged_suffices_for_each(
    one: Requirement, other: Requirement, votes: list[Vote], requester: str
) -> None:
    merged = one.merged(other)

    def enough(requirement: Requirement) -> bool:
        return tally(requirement, votes, revision=1, requester=requester).enough

    assert not enough(merged) or (enough(one) and enough(other))
    assert merged.quorum == max(one.quorum, other.quorum)
    assert merged.expires_in == min(one.expires_in, other.expires_in)
    assert RISKS.index(merged.risk) == max(RISKS.index(one.risk), RISKS.index(other.risk))
    assert merged.merged(one) == merged.merged(other) == merged
    assert Requirement.from_json(json.loads(json.dumps(merged.to_json()))) == merged


def asking(requirement: Requirement) -> Any:
    """A stand-in for a second source of holds: a gate of its own."""

    async def judge(world: Any, flight: Any, sealed: Any) -> Hold:
        return Hold(requirement)

    return judge


async def denying(world: Any, flight: Any, sealed: Any) -> Deny:
    return Deny(error_type=ErrorType.PERMISSION_DENIED, reason="not on a Sunday")


BY_POLICY = Requirement(
    reason="policy", approvers=(frozenset({"boss"}),), risk="high", expires_in=600.0, quorum=2
)


@pytest.mark.req("M5.4")
async def test_two_holds_merge_to_the_strictest(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spine, "GATES", (*spine.GATES, asking(BY_POLICY)))
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        row = await approval_of(gateway, outcome)
        await approve(gateway, outcome.approval_id, LEA, MAX)
        two_leads = await approval_of(gateway, outcome)
        await approve(gateway, outcome.approval_id, BOSS)
        await sweep(gateway)

    wanted = json.loads(row.requirement)
    assert sorted(wanted["approvers"]) == [["boss"], ["lead"]]
    assert (wanted["quorum"], wanted["risk"]) == (2, "high")
    assert row.expires_at - row.requested_at == 600 * 1_000_000
    assert two_leads.state is ApprovalState.PENDING
    assert desk.paid == [(1, 5000)]


@pytest.mark.req("M5.4")
@pytest.mark.parametrize("first", [True, False])
async def test_a_denial_beats_every_hold(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    gates = (*spine.GATES, denying) if first else (*spine.GATES[:-1], denying, spine.GATES[-1])
    monkeypatch.setattr(spine, "GATES", (asking(BY_POLICY), *gates))
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await ask(gateway)
        waiting = await gateway.store.approvals(ApprovalFilter(open_only=False))

    assert isinstance(outcome, Refused)
    assert outcome.error_type is ErrorType.PERMISSION_DENIED
    assert list(waiting) == []


# --------------------------------------------------------------------------------------- what was shown


@pytest.mark.req("X2.2")
@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_a_decision_on_something_else_than_what_waits_is_refused(
    stage: Stage, desk: Desk, decision: Decision
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        one = await approval_of(gateway, await held(gateway, 1))
        other = await approval_of(gateway, await held(gateway, 2))
        refused = await decide_approval(
            gateway, one.approval_id, decision, voter=LEA, reason="fine", digest=other.digest
        )
        as_shown = await decide_approval(
            gateway, one.approval_id, decision, voter=LEA, reason="fine", digest=one.digest
        )

    assert refused == "it changed since it was shown; look at it again"
    assert not isinstance(as_shown, str), as_shown


@pytest.mark.req("X2.2")
@pytest.mark.parametrize(
    "change",
    [
        {"caller": BOB},
        {"caller": Caller("ann", {"clerk"}, "globex")},
        {"agent": "another"},
        {"workflow": "another"},
        {"order": 2},
        {"cents": 6},
        {"version": "2"},
    ],
    ids=["caller", "tenant", "agent", "workflow", "order", "cents", "version"],
)
async def test_whatever_an_approver_agrees_to_is_bound_by_the_digest(
    tmp_path: Path, desk: Desk, change: dict[str, Any]
) -> None:
    given: dict[str, Any] = {
        "caller": ANN,
        "agent": "helper",
        "workflow": "wf",
        "order": 1,
        "cents": 5,
        "version": "1",
    }
    digests = []
    keys = Keyring.ephemeral()
    for asked in (given, given, given | change):
        # A ledger for each, so that one does not answer for another.
        stage = Stage(kind="memory", folder=tmp_path, keys=keys)
        async with stage.gateway(desk.tool(version=asked["version"])) as gateway:
            outcome = await gateway.call(
                "refund",
                {"order": asked["order"], "cents": asked["cents"]},
                caller=asked["caller"],
                workflow=asked["workflow"],
                agent=asked["agent"],
            )
            assert isinstance(outcome, PendingApproval)
            digests.append((await approval_of(gateway, outcome)).digest)

    assert digests[0] == digests[1] != digests[2]


# ----------------------------------------------------------------------------------------------- time


@pytest.mark.req("X2.7")
async def test_a_late_decision_is_refused_and_the_expiry_written(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        stage.clock.advance(3600)
        refused = await decide_approval(gateway, outcome.approval_id, "approve", voter=LEA, reason="yes")
        row = await approval_of(gateway, outcome)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)
        await sweep(gateway)
        said = await transitions(gateway, outcome)

    assert refused == "it is expired: its time ran out"
    assert row.state is ApprovalState.EXPIRED
    assert isinstance(answer, Refused)
    assert answer.error_type is ErrorType.APPROVAL_EXPIRED
    assert said == ["held", "approval_expired"]
    assert desk.contexts == []


@pytest.mark.req("X2.7")
async def test_a_decision_a_moment_before_the_end_counts(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        stage.clock.advance(3599.999)
        await approve(gateway, outcome.approval_id, LEA)
        await sweep(gateway)

    assert desk.paid == [(1, 5000)]


@pytest.mark.req("X2.7")
async def test_what_was_approved_and_not_run_in_time_does_not_run(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        await approve(gateway, outcome.approval_id, LEA)
        stage.clock.advance(3600)
        await sweep(gateway)
        row = await approval_of(gateway, outcome)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)

    assert row.state is ApprovalState.EXPIRED
    assert isinstance(answer, Refused)
    assert desk.contexts == []


@pytest.mark.req("X2.7")
@pytest.mark.parametrize("approved", [True, False])
async def test_nobody_is_told_to_wait_for_what_the_clock_has_ended(
    stage: Stage, desk: Desk, approved: bool
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        if approved:
            await approve(gateway, outcome.approval_id, LEA)
        stage.clock.advance(3600)
        looked_up = await gateway.get_call(outcome.call_id, caller=ANN)
        said = await transitions(gateway, outcome)

    assert isinstance(looked_up, Refused)
    assert looked_up.error_type is ErrorType.APPROVAL_EXPIRED
    assert said[-1] == "approval_expired"


@pytest.mark.req("X2.7", "X1.23")
async def test_an_expiry_that_was_seen_is_not_undone_by_a_clock_set_back(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        stage.clock.advance(3600)
        await sweep(gateway)
        stage.clock.set_back(3000)
        refused = await decide_approval(gateway, outcome.approval_id, "approve", voter=LEA, reason="yes")
        await sweep(gateway)

    assert refused == "it is expired already"
    assert desk.contexts == []


# --------------------------------------------------------------------------------------- asking anew


@pytest.mark.req("M9.10")
async def test_a_denial_is_final_for_its_key(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        await deny(gateway, outcome.approval_id, LEA)
        again = await ask(gateway)
        stage.clock.advance(7 * 86_400)
        await sweep(gateway)
        next_week = await ask(gateway)
        other_work = await ask(gateway, workflow="another")

    for answer in (again, next_week):
        assert isinstance(answer, Refused)
        assert (answer.error_type, answer.call_id) == (ErrorType.APPROVAL_DENIED, outcome.call_id)
        assert answer.replayed
    assert isinstance(other_work, PendingApproval)
    assert desk.contexts == []


@pytest.mark.req("M9.10")
@pytest.mark.parametrize("swept", [True, False])
async def test_what_expired_may_be_asked_for_anew(stage: Stage, desk: Desk, swept: bool) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        first = await held(gateway)
        stage.clock.advance(3600)
        if swept:
            await sweep(gateway)
        else:
            await gateway.get_call(first.call_id, caller=ANN)
        second = await held(gateway)
        await approve(gateway, second.approval_id, LEA)
        await sweep(gateway)
        answer = await ask(gateway)

    assert second.call_id != first.call_id
    assert not second.replayed
    assert isinstance(answer, Succeeded)
    assert answer.call_id == second.call_id
    assert desk.paid == [(1, 5000)]


@pytest.mark.req("M9.10", "X2.7")
async def test_asking_again_after_the_end_never_answers_pending_for_the_old_draft(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        first = await held(gateway)
        stage.clock.advance(3600)
        again = await ask(gateway)
        third = await held(gateway) if isinstance(again, Refused) else again

    assert not (isinstance(again, PendingApproval) and again.call_id == first.call_id)
    assert third.call_id != first.call_id


@pytest.mark.req("M9.10")
async def test_what_was_cancelled_may_be_asked_for_anew(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(version="1")) as gateway:
        first = await held(gateway)
        await approve(gateway, first.approval_id, LEA)
    async with stage.gateway(desk.tool(version="2")) as gateway:
        await sweep(gateway)
        row = await approval_of(gateway, first)
        second = await held(gateway)

    assert row.state is ApprovalState.CANCELLED
    assert second.call_id != first.call_id
