"""`approvers="caller"`: whoever asked confirms it and nobody else; beside any other demand that is worth nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import Field

from tests.approvals.desk import (
    ANN,
    ANN_AS_LEAD,
    BOB,
    LEA,
    approval_of,
    call_of,
    held,
    trail_of,
)
from tests.approvals.desk import ask as ask_for
from tests.machines.stage import approve, deny, sweep
from tests.people import decide_approval
from toolgate import (
    Approval,
    Caller,
    ContractError,
    Denied,
    ErrorType,
    NeedsApproval,
    PendingApproval,
    Refused,
    Succeeded,
    tool,
)
from toolgate.domain.approval import Requirement
from toolgate.domain.canonical import canonical_json
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.principal import Declined, Principal, Scope, in_person
from toolgate.operations.asked_contract import grantable_contract, grantable_tools
from toolgate.operations.confirm_own import confirm_own
from toolgate.operations.decide_approval import decide_approval as decide
from toolgate.operations.edit_approval import edit_approval, propose_edit
from toolgate.operations.grants import make_grant
from toolgate.operations.list_approvals import list_approvals
from toolgate.operations.review import Review
from toolgate.operations.review_approval import review_approval
from toolgate.ports import ApprovalFilter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.approvals.desk import Desk
    from tests.machines.stage import Stage
    from toolgate import Gateway

OWN = Approval(approvers="caller", expires_in="1h")
LEAD_ABOVE = Approval(approvers={"lead"}, when={"cents": {"gt": 1000}}, expires_in="1h", risk="high")
HELPER = Principal(caller=ANN, agent="helper", owner="dev", credential="tok_1")
OTHER = Principal(caller=ANN, agent="other", owner="dev", credential="tok_2")
ANNS_TOKEN = Principal(caller=ANN, credential="tok_3", granted=frozenset({Scope.CALL}))
CLIENT = "mcp: Claude Desktop 1.2"


async def confirm(
    gateway: Gateway,
    outcome: PendingApproval,
    by: Principal = HELPER,
    *,
    accepted: bool = True,
    digest: bytes | None = None,
) -> Review | Declined:
    """What a client says that its user said."""
    seen = (await approval_of(gateway, outcome)).digest if digest is None else digest
    return await gateway.operate(
        confirm_own, outcome.approval_id, by=by, accepted=accepted, through=CLIENT, digest=seen
    )


async def asked_by(gateway: Gateway, by: Principal, order: int = 1, **args: Any) -> PendingApproval:
    """A refund that ``by`` asks for, and that has to wait."""
    outcome = await gateway.request(
        "refund",
        {"order": order, **args},
        caller=by.caller,
        workflow=gateway.make_workflow("wf", agent=by.agent),
        actor=by,
    )
    assert isinstance(outcome, PendingApproval), outcome
    return outcome


async def ended(gateway: Gateway, outcome: PendingApproval) -> Any:
    """How the call stands after what was decided was picked up."""
    await sweep(gateway)
    return await gateway.get_call(outcome.call_id, caller=ANN)


# ------------------------------------------------------------------------------------------ the contract says it


@pytest.mark.req("M12.23")
def test_a_contract_says_it_by_name_and_not_as_a_role_nor_for_several_people() -> None:
    assert (OWN.own, OWN.who, OWN.approvers) == (True, "whoever asked", frozenset())
    assert OWN.described()["approvers"] == "caller"
    assert OWN.described() != Approval(approvers={"clerk"}, expires_in="1h").described()
    with pytest.raises(ContractError, match="whoever asks is one person"):
        Approval(approvers="caller", quorum=2)
    for roles in ({"caller"}, {"caller", "lead"}):
        with pytest.raises(ContractError, match="'caller' is no role"):
            Approval(approvers=roles)
    with pytest.raises(ContractError, match="or write 'caller'"):
        Approval(approvers="lead")


@pytest.mark.req("M12.23", "X2.9")
@pytest.mark.parametrize("other", [Requirement(reason="b", approvers=(frozenset({"lead"}),), quorum=2)])
def test_merged_with_a_demand_for_others_it_disappears_in_either_order(other: Requirement) -> None:
    own = Requirement(reason="a", approvers=(), risk="high", expires_in=60.0, own=True)

    for merged in (own.merged(other), other.merged(own)):
        assert (merged.own, merged.approvers, merged.quorum) == (False, other.approvers, 2)
        assert (merged.risk, merged.expires_in) == ("high", 60.0)
        assert merged.demands_more_than(own)
        assert Requirement.from_json(json.loads(canonical_json(merged.to_json()))) == merged
    assert own.merged(own) == own
    assert Requirement.from_json(json.loads(canonical_json(own.to_json()))) == own
    assert "own" not in other.to_json()


# ------------------------------------------------------------------------------------------ who confirms, and how


@pytest.mark.req("M12.23", "M12.24", "M12.2")
async def test_whoever_asked_confirms_in_person_and_it_runs_once(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await held(gateway, cents=900)
        assert desk.paid == []
        await approve(gateway, outcome.approval_id, ANN)
        answer = await ended(gateway, outcome)
        again = await ask_for(gateway, cents=900)

    assert outcome.message == (
        "Waiting for whoever asked to confirm it: whoever asks for this has to confirm it. Nothing ran."
    )
    assert isinstance(answer, Succeeded)
    assert (again.result, again.replayed) == (900, True)
    assert desk.paid == [(1, 900)]


@pytest.mark.req("M12.24", "M12.7")
async def test_through_a_client_the_trail_names_who_confirmed_and_which_program_showed_it(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await asked_by(gateway, HELPER, cents=900)
        review = await confirm(gateway, outcome)
        answer = await ended(gateway, outcome)
        events = await trail_of(gateway, outcome)

    assert isinstance(review, Review)
    assert review.state == "approved"
    assert isinstance(answer, Succeeded)
    (said,) = [event for event in events if event["toolgate.transition"] == "approval_approved"]
    assert (said["toolgate.actor"], said["toolgate.through"]) == ("ann", CLIENT)
    assert said["toolgate.reason"] == f"confirmed through {CLIENT}"
    assert [event["toolgate.approval.voters"] for event in events if "toolgate.approval.voters" in event] == [
        ["ann"]
    ]


@pytest.mark.req("M12.27", "X2.12")
async def test_a_decline_through_a_client_is_a_denial_by_whoever_asked_and_final(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await asked_by(gateway, HELPER, cents=900)
        review = await confirm(gateway, outcome, accepted=False)
        answer = await ended(gateway, outcome)
        again = await ask_for(gateway, cents=900)
        events = await trail_of(gateway, outcome)

    assert isinstance(review, Review)
    assert (review.state, review.row.ended_by) == ("denied", "ann")
    assert isinstance(answer, Refused)
    assert answer.error_type is again.error_type is ErrorType.APPROVAL_DENIED
    (said,) = [event for event in events if event["toolgate.transition"] == "approval_denied"]
    assert (said["toolgate.actor"], said["toolgate.through"]) == ("ann", CLIENT)
    assert desk.paid == []


@pytest.mark.req("M12.24")
async def test_whoever_confirms_in_person_need_not_say_why_and_others_still_do(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await held(gateway)
        by = in_person(ANN)
        review = await gateway.operate(decide, outcome.approval_id, "approve", by=by, reason=" ", digest=None)
    async with stage.gateway(desk.tool()) as gateway:
        other = await held(gateway, 2)
        lea = in_person(LEA)
        silent = await gateway.operate(decide, other.approval_id, "approve", by=lea, reason=" ", digest=None)

    assert isinstance(review, Review)
    assert [vote.reason for vote in review.votes] == ["confirmed in person"]
    assert isinstance(silent, Declined)
    assert silent.why == "invalid"


@pytest.mark.req("M12.23", "M12.24")
@pytest.mark.parametrize(
    "by",
    [
        in_person(BOB),
        in_person(LEA),
        in_person(Caller("ANN", {"clerk", "lead"}, "acme")),
        in_person(Caller("ann", {"clerk"}, "globex")),
        in_person(Caller("ops", {"operator", "admin", "lead"}, "acme")),
        HELPER,
        ANNS_TOKEN,
    ],
    ids=[
        "a colleague",
        "a lead",
        "another spelling",
        "another tenant",
        "an operator",
        "an agent",
        "no scope",
    ],
)
async def test_nobody_else_confirms_denies_or_reads_it_in_person(
    stage: Stage, desk: Desk, by: Principal
) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await asked_by(gateway, HELPER, card="4242424242424242")
        answers = [
            await gateway.operate(decide, outcome.approval_id, choice, by=by, reason="fine", digest=None)
            for choice in ("approve", "deny")
        ]
        row = await approval_of(gateway, outcome)
        now = await ended(gateway, outcome)

    assert all(isinstance(answer, Declined) for answer in answers), answers
    assert row.state is ApprovalState.PENDING
    assert isinstance(now, PendingApproval)
    assert desk.paid == []


@pytest.mark.req("M12.24")
@pytest.mark.parametrize(
    ("by", "why"),
    [
        (OTHER, "not_found"),
        (Principal(caller=BOB, agent="helper"), "not_found"),
        (Principal(caller=Caller("ann", {"clerk"}, "globex"), agent="helper"), "not_found"),
        (Principal(caller=Caller("Ann", {"clerk"}, "acme")), "not_found"),
        (Principal(caller=ANN, agent="helper", granted=frozenset({Scope.APPROVE})), "forbidden"),
    ],
    ids=["another agent", "another user", "another tenant", "another spelling", "a credential without call"],
)
async def test_a_program_confirms_only_what_it_asked_for_itself_for_this_very_user(
    stage: Stage, desk: Desk, by: Principal, why: str
) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await asked_by(gateway, HELPER)
        answer = await confirm(gateway, outcome, by)
        denied = await confirm(gateway, outcome, by, accepted=False)
        row = await approval_of(gateway, outcome)

    assert isinstance(answer, Declined)
    assert isinstance(denied, Declined)
    assert (answer.why, denied.why) == (why, why)
    assert row.state is ApprovalState.PENDING


@pytest.mark.req("M12.23")
async def test_an_approval_by_others_is_never_confirmed_through_a_client(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await asked_by(gateway, HELPER)
        answers = [await confirm(gateway, outcome, accepted=said) for said in (True, False)]
        row = await approval_of(gateway, outcome)

    assert [answer.why for answer in answers if isinstance(answer, Declined)] == ["forbidden", "forbidden"]
    assert row.state is ApprovalState.PENDING


@pytest.mark.req("M12.24", "X2.3")
async def test_a_word_about_something_else_than_was_shown_counts_for_nothing(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        first, second = await asked_by(gateway, HELPER, 1), await asked_by(gateway, HELPER, 2)
        other = (await approval_of(gateway, second)).digest
        answers = [await confirm(gateway, first, accepted=said, digest=other) for said in (True, False)]
        row = await approval_of(gateway, first)

    assert [answer.why for answer in answers if isinstance(answer, Declined)] == ["conflict", "conflict"]
    assert row.state is ApprovalState.PENDING


@pytest.mark.req("M12.24", "X2.7")
async def test_it_is_confirmed_once(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await asked_by(gateway, HELPER)
        await confirm(gateway, outcome)
        twice = await confirm(gateway, outcome)
        await sweep(gateway)
        late = await confirm(gateway, outcome)
        too_late = await confirm(gateway, outcome, accepted=False)

    assert [one.reason for one in (twice, late, too_late) if isinstance(one, Declined)] == [
        "it is approved already",
        "it is consumed already",
        "it is consumed already",
    ]
    assert desk.paid == [(1, 5000)]


@pytest.mark.req("M12.23", "X2.10")
async def test_its_time_runs_out_like_that_of_any_approval(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await asked_by(gateway, HELPER)
        stage.clock.advance(3600)
        answer = await confirm(gateway, outcome)
        now = await ended(gateway, outcome)

    assert isinstance(answer, Declined)
    assert isinstance(now, Refused)
    assert now.error_type is ErrorType.APPROVAL_EXPIRED
    assert desk.paid == []


@pytest.mark.req("M12.23", "M12.5")
async def test_it_stands_in_the_inbox_of_whoever_asked_and_of_nobody_else(stage: Stage, desk: Desk) -> None:
    async def inbox(by: Caller) -> int:
        page = await gateway.operate(list_approvals, by=in_person(by), wanted=ApprovalFilter())
        assert not isinstance(page, Declined)
        return len(page.rows)

    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await asked_by(gateway, HELPER)
        waiting = [await inbox(by) for by in (ANN, BOB, LEA)]
        review = await gateway.operate(review_approval, outcome.approval_id, by=in_person(ANN))
        hidden = await gateway.operate(review_approval, outcome.approval_id, by=in_person(LEA))

    assert waiting == [1, 0, 0]
    assert isinstance(review, Review)
    told = review.described()
    assert (told["own"], told["requires_role"], told["quorum"]) == (True, "whoever asked", 1)
    assert told["missing"] == "the confirmation of whoever asked"
    assert isinstance(hidden, Declined)


# ------------------------------------------------------------------------------------------ what stands beside it


@pytest.mark.req("M12.23", "X2.9")
async def test_beside_a_demand_for_others_the_callers_own_word_is_worth_nothing(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool(OWN.and_also(LEAD_ABOVE))) as gateway:
        small, big = (
            await asked_by(gateway, HELPER, 1, cents=900),
            await asked_by(gateway, HELPER, 2, cents=9000),
        )
        refused = await confirm(gateway, big)
        as_lead = await decide_approval(
            gateway, big.approval_id, "approve", voter=ANN_AS_LEAD, reason="mine anyway"
        )
        await confirm(gateway, small)
        await approve(gateway, big.approval_id, LEA)
        await sweep(gateway)

    assert isinstance(refused, Declined)
    assert as_lead == "whoever asked for a call may not approve it"
    assert sorted(desk.paid) == [(1, 900), (2, 9000)]
    # Nobody agreed with whoever asked but themself, so that the tool is told of nobody.
    told = {context.call_id: context.approval for context in desk.contexts}
    assert told[small.call_id] is None
    consent = told[big.call_id]
    assert consent is not None
    assert consent.approved_by == ("lea",)


@pytest.mark.req("M12.23", "X2.8")
async def test_a_demand_that_came_after_the_confirmation_still_has_to_be_met(
    stage: Stage, desk: Desk
) -> None:
    strict = False

    def when(context: Any, args: Any) -> str | None:
        return "a new rule" if strict else None

    both = OWN.and_also(Approval(approvers={"lead"}, when=when, expires_in="1h"))
    async with stage.gateway(desk.tool(both)) as gateway:
        outcome = await asked_by(gateway, HELPER, cents=900)
        await confirm(gateway, outcome)
        strict = True
        raised = await ended(gateway, outcome)
        nothing_ran = list(desk.paid)
        again = await confirm(gateway, outcome)
        await approve(gateway, outcome.approval_id, LEA)
        answer = await ended(gateway, outcome)

    assert isinstance(raised, PendingApproval)
    assert raised.message.startswith("Waiting for a person")
    assert nothing_ran == []
    assert isinstance(again, Declined)
    assert isinstance(answer, Succeeded)
    (context,) = desk.contexts
    assert context.approval is not None
    assert context.approval.approved_by == ("lea",)


@pytest.mark.req("M12.23")
async def test_what_was_asked_of_others_is_not_softened_when_only_the_caller_is_asked_later(
    stage: Stage, desk: Desk
) -> None:
    strict = True

    def when(context: Any, args: Any) -> str | None:
        return "for now" if strict else None

    both = OWN.and_also(Approval(approvers={"lead"}, when=when, expires_in="1h"))
    async with stage.gateway(desk.tool(both)) as gateway:
        outcome = await asked_by(gateway, HELPER, cents=900)
        strict = False
        refused = await confirm(gateway, outcome)
        waiting = await ended(gateway, outcome)

    assert isinstance(refused, Declined)
    assert isinstance(waiting, PendingApproval)
    assert desk.paid == []


@pytest.mark.req("M12.23", "X2.4")
async def test_rights_that_whoever_confirmed_lost_meanwhile_are_gone(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await asked_by(gateway, HELPER)
        await confirm(gateway, outcome)
        desk.forbidden.add("ann")
        await sweep(gateway)
        answer = await ended(gateway, outcome)

    assert isinstance(answer, Refused)
    assert answer.error_type is ErrorType.PERMISSION_DENIED
    assert desk.paid == []


@pytest.mark.req("M12.23", "M3.4")
@pytest.mark.parametrize("key", ["refund:{order}:{workflow_id}", None])
async def test_a_business_that_wants_a_person_is_asked_for_one_although_the_caller_confirmed(
    stage: Stage, desk: Desk, key: str | None
) -> None:
    desk.ends = [NeedsApproval("an unusual customer", approvers={"lead"})]
    async with stage.gateway(desk.tool(OWN, idempotency=key)) as gateway:
        outcome = await asked_by(gateway, HELPER, cents=900)
        await confirm(gateway, outcome)
        wished = await ended(gateway, outcome)
        assert isinstance(wished, PendingApproval)
        row = await call_of(gateway, outcome)
        mine = await confirm(gateway, wished)
        await approve(gateway, wished.approval_id, LEA)
        answer = await ended(gateway, wished)
        again = await ask_for(gateway, cents=900)

    assert wished.approval_id == row.approval_id != outcome.approval_id
    assert wished.call_id == outcome.call_id
    assert isinstance(mine, Declined)
    assert isinstance(answer, Succeeded)
    assert [context.approval is None for context in desk.contexts] == [True, False]
    assert desk.paid == [(1, 900)] or key is None
    assert again.call_id == outcome.call_id or key is None


@pytest.mark.req("M12.23", "M3.4")
async def test_a_wish_that_names_nobody_is_never_the_callers_own_to_grant(stage: Stage, desk: Desk) -> None:
    desk.ends = [NeedsApproval("somebody should look")]
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await asked_by(gateway, HELPER)
        await confirm(gateway, outcome)
        wished = await ended(gateway, outcome)
        assert isinstance(wished, PendingApproval)
        mine = await confirm(gateway, wished)
        # Whoever may call the tool, and did not ask.
        await approve(gateway, wished.approval_id, BOB)
        answer = await ended(gateway, wished)

    assert isinstance(mine, Declined)
    assert isinstance(answer, Succeeded)


# ------------------------------------------------------------------------------------------ what it is not


@pytest.mark.req("M12.23", "X2.5")
async def test_it_is_not_edited_by_anybody(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await asked_by(gateway, HELPER, cents=900)
        digest = (await approval_of(gateway, outcome)).digest
        change = {"cents": 1}
        answers: list[object] = []
        for by in (in_person(ANN), in_person(LEA)):
            answers += [
                await gateway.operate_near_tools(
                    edit_approval, outcome.approval_id, change, by=by, reason="less", digest=digest
                ),
                await gateway.operate_near_tools(propose_edit, outcome.approval_id, change, by=by),
            ]
        row = await approval_of(gateway, outcome)
        review = await gateway.operate(review_approval, outcome.approval_id, by=in_person(ANN))

    assert all(isinstance(answer, Declined) for answer in answers)
    assert isinstance(review, Review)
    assert (review.why_not_edit(in_person(ANN)) or "").startswith(
        "what waits for whoever asked is not edited"
    )
    assert (row.revision, row.state) == (1, ApprovalState.PENDING)


@pytest.mark.req("M12.23", "X7.2")
async def test_no_grant_stands_for_it(stage: Stage, desk: Desk) -> None:
    given: dict[str, Any] = {
        "tool": "refund",
        "bounds": {},
        "caller_id": None,
        "agent": "helper",
        "lasting": 3600.0,
        "uses": 5,
        "reason": "trust me",
    }
    async with stage.gateway(desk.tool(OWN)) as gateway:
        refused = [
            await gateway.operate(make_grant, by=in_person(by), **given) for by in (ANN, ANN_AS_LEAD, LEA)
        ]
        form = await gateway.operate(grantable_contract, "refund", by=in_person(LEA))
        offered = await gateway.operate(grantable_tools, by=in_person(LEA))

    assert [one.why for one in refused if isinstance(one, Declined)] == ["forbidden"] * 3
    assert isinstance(form, Declined)
    assert offered == ()


@pytest.mark.req("M12.23", "X7.2")
async def test_a_grant_for_the_calls_of_others_does_not_confirm_those_that_only_the_caller_is_asked_about(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool(OWN.and_also(LEAD_ABOVE))) as gateway:
        # Ann makes it herself, as a lead, for her own agent.
        grant = await gateway.operate(
            make_grant,
            by=in_person(ANN_AS_LEAD),
            tool="refund",
            bounds={},
            caller_id=None,
            agent="helper",
            lasting=3600.0,
            uses=5,
            reason="trust me",
        )
        small = await asked_by(gateway, HELPER, cents=900)

    assert not isinstance(grant, Declined)
    assert isinstance(small, PendingApproval)
    assert desk.paid == []


@pytest.mark.req("M12.23", "M12.21")
async def test_the_applications_own_rule_may_still_forbid_it_and_never_forbids_to_decline(
    stage: Stage, desk: Desk
) -> None:
    told: list[Mapping[str, Any]] = []

    def rule(person: Caller, facts: Mapping[str, Any]) -> bool | Denied:
        told.append({**facts, "by": person.id})
        return Denied("trainees confirm nothing") if person.id == "ann" else True

    async with stage.gateway(desk.tool(OWN), may_decide=rule) as gateway:
        outcome = await asked_by(gateway, HELPER)
        through = await confirm(gateway, outcome)
        in_the_console = await decide_approval(
            gateway, outcome.approval_id, "approve", voter=ANN, reason="mine"
        )
        declined = await confirm(gateway, outcome, accepted=False)

    assert through == Declined("forbidden", "trainees confirm nothing")
    assert in_the_console == "trainees confirm nothing"
    assert isinstance(declined, Review)
    assert [(facts["by"], facts["own"], facts["action"]) for facts in told] == [("ann", True, "approve")] * 2


@pytest.mark.req("M12.23", "M12.12")
async def test_what_is_masked_without_a_reason_has_to_be_revealed_before_it_is_confirmed(
    stage: Stage,
) -> None:
    @tool(effect="write", roles={"clerk"}, timeout=5, idempotency="note:{order}:{workflow_id}", approval=OWN)
    async def note(order: int, text: str = Field(max_length=80)) -> int:
        """Write a note to an order."""
        return order

    async with stage.gateway(note) as gateway:
        outcome = await gateway.call(
            "note", {"order": 1, "text": "AKIAIOSFODNN7EXAMPLE"}, caller=ANN, workflow="wf"
        )
        assert isinstance(outcome, PendingApproval)
        answer = await confirm(gateway, outcome, in_person(ANN))

    assert isinstance(answer, Declined)
    assert "reveal it first" in answer.reason


@pytest.mark.req("M12.24", "M11.5")
async def test_the_name_of_a_program_is_cut_and_keeps_no_secret_and_no_line_of_its_own(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await asked_by(gateway, HELPER)
        digest = (await approval_of(gateway, outcome)).digest
        name = "evil\n\x1b[2Japproved by lea AKIAIOSFODNN7EXAMPLE " + "x" * 500
        await gateway.operate(
            confirm_own, outcome.approval_id, by=HELPER, accepted=True, through=name, digest=digest
        )
        (said,) = [
            event
            for event in await trail_of(gateway, outcome)
            if event["toolgate.transition"] == "approval_approved"
        ]

    assert len(said["toolgate.through"]) <= 160
    assert said["toolgate.through"].isprintable()
    assert "AKIA" not in str(said)


@pytest.mark.req("M12.14")
async def test_a_denial_by_whoever_asked_in_person_ends_it(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(OWN)) as gateway:
        outcome = await held(gateway)
        await deny(gateway, outcome.approval_id, ANN)
        answer = await ended(gateway, outcome)

    assert isinstance(answer, Refused)
    assert answer.error_type is ErrorType.APPROVAL_DENIED
