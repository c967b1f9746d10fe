"""What each command comes to, where the answer is worth a sentence of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.ledger import rows as make
from toolgate.domain.approval import Requirement
from toolgate.domain.canonical import canonical_json
from toolgate.domain.commands import DONE, Append, Done, Lapse, NotAllowed, Renew, Superseded, Taken
from toolgate.domain.idempotency import KeyUse
from toolgate.domain.ledger import Decision, chain_opened_event, decide, stored_requirement
from toolgate.domain.lifecycle import ApprovalCause, ApprovalState, EffectCause, EffectState
from toolgate.domain.rows import ApprovalRow, CallChanged, CallRow, Event, Found, NewCall, SealedRow

UNKNOWN = {"effect_state": EffectState.UNKNOWN, "status": "unknown"}


def moved(decision: Decision) -> CallRow:
    (row,) = [row.row for row in decision.rows if isinstance(row, CallChanged)]
    return row


def begun(decision: Decision) -> CallRow:
    (row,) = [row.row for row in decision.rows if isinstance(row, NewCall)]
    return row


def approval_in(decision: Decision) -> ApprovalRow:
    (row,) = [row for row in decision.rows if isinstance(row, ApprovalRow)]
    return row


def said(decision: Decision) -> dict[str, Any]:
    (event,) = [row for row in decision.rows if isinstance(row, Event)]
    record: dict[str, Any] = json.loads(event.record)
    return record


def held(
    state: ApprovalState = ApprovalState.PENDING, *, quorum: int = 1, voters: tuple[str, ...] = ()
) -> Found:
    return Found(
        call=make.held_row(),
        approval=make.approval_row(state=state, required=make.requirement(quorum)),
        votes=tuple(make.vote(voter) for voter in voters),
    )


# --- intents and outcomes -------------------------------------------------------------------------------------


@pytest.mark.req("X1.13")
def test_an_owner_that_lost_its_intent_settles_nothing() -> None:
    taken_over = Found(call=make.call_row(owner="boot_b"))

    assert decide(make.settle(), taken_over, make.NOW) == Decision(Superseded(taken_over.call))


@pytest.mark.req("X1.13")
def test_an_intent_that_lapsed_is_not_settled_by_its_owner_any_more() -> None:
    lapsed = Found(call=make.call_row(**UNKNOWN))

    assert decide(make.settle(), lapsed, make.NOW) == Decision(Superseded(lapsed.call))


@pytest.mark.req("M5.12")
def test_an_outcome_that_contradicts_its_cause_is_not_written() -> None:
    command = make.settle(cause=EffectCause.SETTLED_APPLIED, effect_state=EffectState.NOT_APPLIED)

    assert isinstance(decide(command, Found(call=make.call_row()), make.NOW).answer, Superseded)


@pytest.mark.req("X1.8", "X1.17")
def test_settling_in_doubt_never_cuts_a_lease_that_was_renewed() -> None:
    renewed = Found(call=make.call_row(lease_until=make.LEASE + 9))

    decision = decide(make.settle(cause=EffectCause.IN_DOUBT, result=None), renewed, make.NOW)

    assert moved(decision).lease_until == make.LEASE + 9
    assert decision.answer == Done(moved(decision))


@pytest.mark.req("X1.8", "X1.23")
def test_a_lease_is_counted_from_the_stores_time_where_the_clocks_are_apart() -> None:
    hour = 3600 * make.SECOND

    late = begun(decide(make.intend(), Found(), make.NOW + hour))
    close = begun(decide(make.intend(), Found(), make.NOW + 1000))

    assert late.lease_until == make.LEASE + hour
    assert close.lease_until == make.LEASE


@pytest.mark.req("X1.4")
def test_a_lapse_says_why_and_leaves_the_lease() -> None:
    decision = decide(Lapse("call_1", "boot_b"), Found(call=make.call_row()), make.LEASE)

    record = said(decision)
    assert (record["toolgate.transition"], record["toolgate.effect"]) == ("lapsed", "unknown")
    assert record["toolgate.actor"] == "boot_b"
    assert "lease ran out" in record["toolgate.reason"]


@pytest.mark.req("X1.17")
def test_only_the_owner_renews() -> None:
    found = Found(call=make.call_row())

    assert moved(decide(Renew("call_1", make.OWNER, make.LEASE + 1), found, 0)).lease_until == make.LEASE + 1
    assert decide(Renew("call_1", "boot_b", make.LEASE + 1), found, 0) == Decision(Superseded(found.call))
    assert decide(Renew("call_1", make.OWNER, 1), Found(), 0) == Decision(Superseded(None))


# --- unknown effects ------------------------------------------------------------------------------------------


@pytest.mark.req("X1.8")
@pytest.mark.parametrize("cause", [EffectCause.RESOLVED_NOT_APPLIED, EffectCause.RECONCILED_NOT_APPLIED])
def test_not_applied_is_refused_while_an_attempt_may_still_be_running(cause: EffectCause) -> None:
    found = Found(call=make.call_row(**UNKNOWN))

    early = decide(make.resolve(cause=cause), found, make.LEASE - 1)
    late = decide(make.resolve(cause=cause), found, make.LEASE)

    assert isinstance(early.answer, NotAllowed)
    assert "may still be running" in early.answer.reason
    assert moved(late).effect_state is EffectState.NOT_APPLIED


@pytest.mark.req("X1.7", "X1.8")
def test_applied_may_be_said_at_any_time() -> None:
    decision = decide(make.resolve(), Found(call=make.call_row(**UNKNOWN)), make.NOW)

    assert moved(decision).effect_state is EffectState.APPLIED
    record = said(decision)
    assert (record["toolgate.actor"], record["toolgate.reason"]) == ("u-ops", "looked it up")


@pytest.mark.req("X1.7")
@pytest.mark.parametrize("state", [EffectState.INTENDED, EffectState.APPLIED, EffectState.NOT_APPLIED])
def test_only_an_unknown_effect_is_resolved(state: EffectState) -> None:
    answer = decide(make.resolve(), Found(call=make.call_row(effect_state=state)), make.EXPIRY).answer

    assert isinstance(answer, NotAllowed)
    assert answer.reason == f"the effect is {state.value}, not unknown"


@pytest.mark.req("X1.7")
def test_a_call_without_an_effect_cannot_be_resolved() -> None:
    for found in (Found(), Found(call=make.held_row())):
        assert isinstance(decide(make.resolve(), found, make.EXPIRY).answer, NotAllowed)


@pytest.mark.req("X1.8", "X1.9")
def test_an_attempt_that_ended_without_proof_only_ends_its_lease() -> None:
    found = Found(call=make.call_row(**UNKNOWN))

    decision = decide(make.evidence(applied=None), found, make.NOW)

    assert moved(decision).effect_state is EffectState.UNKNOWN
    assert moved(decision).lease_until == make.NOW
    assert isinstance(
        decide(
            make.resolve(cause=EffectCause.RESOLVED_NOT_APPLIED), Found(call=moved(decision)), make.NOW
        ).answer,
        Done,
    )


@pytest.mark.req("X1.9")
def test_a_late_success_brings_its_result() -> None:
    decision = decide(make.evidence(result=b"late"), Found(call=make.call_row(**UNKNOWN)), make.NOW)

    assert (moved(decision).effect_state, moved(decision).status) == (EffectState.APPLIED, "succeeded")
    assert make.sealed_row(kind="result", sealed=b"late") in decision.rows


@pytest.mark.req("X1.9")
def test_evidence_settles_an_intent_whose_outcome_could_not_be_written() -> None:
    for applied, state in ((True, EffectState.APPLIED), (False, EffectState.NOT_APPLIED)):
        decision = decide(make.evidence(applied=applied), Found(call=make.call_row()), make.NOW)

        assert moved(decision).effect_state is state


@pytest.mark.req("X1.10")
@pytest.mark.parametrize(
    ("state", "applied"), [(EffectState.NOT_APPLIED, True), (EffectState.APPLIED, False)]
)
def test_evidence_against_a_resolution_is_an_incident_and_changes_no_state(
    state: EffectState, applied: bool
) -> None:
    decision = decide(make.evidence(applied=applied), Found(call=make.call_row(effect_state=state)), make.NOW)

    assert moved(decision).effect_state is state
    assert moved(decision).incident is not None
    assert state.value in moved(decision).incident  # type: ignore[operator]
    assert said(decision)["toolgate.transition"] == "incident"
    assert not [row for row in decision.rows if isinstance(row, SealedRow)]


@pytest.mark.req("X1.10")
def test_evidence_that_agrees_is_no_incident_and_does_not_hide_an_earlier_one() -> None:
    known = Found(call=make.call_row(effect_state=EffectState.APPLIED, incident="an earlier one"))

    decision = decide(make.evidence(applied=True), known, make.NOW)

    assert moved(decision).incident == "an earlier one"
    assert said(decision)["toolgate.transition"] == "late_evidence"


# --- keys -----------------------------------------------------------------------------------------------------


@pytest.mark.req("M9.9", "M9.10", "M9.11", "M9.2", "M9.5", "M9.3", "M9.4")
@pytest.mark.parametrize(
    ("call", "approval", "use"),
    [
        (make.call_row(), None, KeyUse.IN_FLIGHT),
        (make.call_row(effect_state=EffectState.APPLIED), None, KeyUse.REPLAY),
        (make.call_row(**UNKNOWN), None, KeyUse.UNKNOWN),
        (make.call_row(effect_state=EffectState.NOT_APPLIED), None, KeyUse.FREE),
        (make.held_row(), ApprovalState.PENDING, KeyUse.PENDING),
        (make.held_row(), ApprovalState.APPROVED, KeyUse.PENDING),
        (make.held_row(), ApprovalState.DENIED, KeyUse.DENIED),
        (make.held_row(), ApprovalState.EXPIRED, KeyUse.FREE),
        (make.held_row(), ApprovalState.CANCELLED, KeyUse.FREE),
    ],
)
@pytest.mark.parametrize("write", [make.intend, make.draft])
def test_what_a_claimed_key_means_for_the_next_call(
    write: Any, call: CallRow, approval: ApprovalState | None, use: KeyUse
) -> None:
    row = None if approval is None else make.approval_row(state=approval)
    found = Found(claim=make.claim_row(), call=call, approval=row)
    command = write("call_2", b"key")

    for changed, expected in (
        ({}, use),
        ({"fingerprint": b"other"}, KeyUse.CONFLICT),
        ({"caller_id": "u-eve"}, KeyUse.CONFLICT),
    ):
        asked = command._replace(claim=command.claim._replace(**changed))
        answer = decide(asked, found, make.NOW).answer
        assert isinstance(answer, Done) if expected is KeyUse.FREE else answer == Taken(expected, found)


# --- approvals ------------------------------------------------------------------------------------------------


@pytest.mark.req("X2.2")
def test_an_approval_of_something_else_runs_nothing() -> None:
    found = held(ApprovalState.APPROVED, voters=("u-ben",))

    decision = decide(make.dispatch(digest=b"other"), found, make.NOW)

    assert decision == Decision(NotAllowed("what would run is not what was approved", found))


@pytest.mark.req("X2.10")
def test_a_quorum_raised_while_waiting_counts_and_the_votes_are_kept() -> None:
    found = held(ApprovalState.APPROVED, voters=("u-ben",))
    raised = decide(make.dispatch(required=make.requirement(2)), found, make.NOW)

    assert isinstance(raised.answer, NotAllowed)
    assert raised.answer.wrote
    kept = approval_in(raised)
    assert (kept.state, stored_requirement(kept).quorum) == (ApprovalState.APPROVED, 2)
    second = decide(
        make.approve(voter=make.person("u-ann")),
        Found(call=found.call, approval=kept, votes=found.votes),
        make.NOW,
    )
    assert isinstance(second.answer, Done)
    both = Found(call=found.call, approval=approval_in(second), votes=(*found.votes, make.vote("u-ann")))
    assert isinstance(decide(make.dispatch(required=make.requirement(2)), both, make.NOW).answer, Done)


@pytest.mark.req("X2.10")
def test_a_requirement_that_was_raised_is_written_once() -> None:
    found = held(ApprovalState.APPROVED, voters=("u-ben",))
    kept = approval_in(decide(make.dispatch(required=make.requirement(2)), found, make.NOW))

    again = decide(
        make.dispatch(required=make.requirement(2)),
        Found(call=found.call, approval=kept, votes=found.votes),
        make.NOW,
    )

    assert again.rows == ()
    assert isinstance(again.answer, NotAllowed)


@pytest.mark.req("X2.7")
@pytest.mark.parametrize("command", [make.approve(), make.deny(), make.dispatch()])
def test_from_the_moment_that_it_expires_nothing_but_expiry_happens(command: Any) -> None:
    state = ApprovalState.APPROVED if command == make.dispatch() else ApprovalState.PENDING
    found = held(state, voters=("u-ben",))

    decision = decide(command, found, make.EXPIRY)

    assert isinstance(decision.answer, NotAllowed)
    assert approval_in(decision).state is ApprovalState.EXPIRED
    assert (moved(decision).status, moved(decision).error_type) == ("refused", "approval_expired")


@pytest.mark.req("X2.7")
def test_the_clock_ends_nothing_early() -> None:
    decision = decide(make.end(cause=ApprovalCause.LAPSED), held(), make.EXPIRY - 1)

    assert decision == Decision(Superseded(held().call))


@pytest.mark.req("M12.6", "X2.8", "X2.2")
@pytest.mark.parametrize(
    ("command", "why"),
    [
        (make.approve(voter=make.person(make.REQUESTER)), "may not approve it"),
        (make.deny(voter=make.person(make.REQUESTER)), "may not approve it"),
        (make.approve(voter=make.person(roles="support")), "needs the role billing"),
        (make.approve(voter=make.person(tenant="globex")), "another tenant"),
        (make.approve(digest=b"stale"), "changed since it was shown"),
        (make.deny(digest=b"stale"), "changed since it was shown"),
    ],
)
def test_who_may_not_decide_changes_nothing_and_is_told_why(command: Any, why: str) -> None:
    found = held(quorum=2)

    decision = decide(command, found, make.NOW)

    assert isinstance(decision.answer, NotAllowed)
    assert why in decision.answer.reason
    assert decision.rows == ()


@pytest.mark.req("X2.9")
def test_what_is_over_is_not_decided_again() -> None:
    for state in (
        ApprovalState.DENIED,
        ApprovalState.EXPIRED,
        ApprovalState.CANCELLED,
        ApprovalState.CONSUMED,
    ):
        for command in (make.approve(), make.deny()):
            answer = decide(command, held(state), make.NOW).answer
            assert isinstance(answer, NotAllowed)
            assert answer.reason == f"it is {state.value} already"


@pytest.mark.req("M12.7")
def test_a_decision_is_in_the_trail_with_its_author_and_reason() -> None:
    for command, transition in ((make.approve(), "approval_approved"), (make.deny(), "approval_denied")):
        record = said(decide(command, held(), make.NOW))

        assert record["toolgate.transition"] == transition
        assert record["toolgate.actor"] == "u-ben"
        assert record["toolgate.reason"] == command.reason


@pytest.mark.req("X2.6", "M11.3")
def test_consumption_and_intent_are_one_decision_that_names_the_voters() -> None:
    decision = decide(make.dispatch(), held(ApprovalState.APPROVED, voters=("u-ben",)), make.NOW)

    assert approval_in(decision).state is ApprovalState.CONSUMED
    assert (moved(decision).effect_state, moved(decision).owner) == (EffectState.INTENDED, make.OWNER)
    assert said(decision)["toolgate.approval.voters"] == ["u-ben"]


@pytest.mark.req("X2.6")
@pytest.mark.parametrize(
    "found",
    [
        Found(),
        held(ApprovalState.PENDING),
        held(ApprovalState.CONSUMED),
        Found(
            call=make.held_row(approval_id="appr_other"),
            approval=make.approval_row(state=ApprovalState.APPROVED),
        ),
        Found(call=make.held_row(**UNKNOWN), approval=make.approval_row(state=ApprovalState.APPROVED)),
    ],
)
def test_what_is_not_approved_or_ran_already_is_not_dispatched(found: Found) -> None:
    decision = decide(make.dispatch(), found, make.NOW)

    assert decision == Decision(Superseded(found.call))


# --- the rest -------------------------------------------------------------------------------------------------


@pytest.mark.req("M11.2")
def test_events_alone_are_written_as_they_are() -> None:
    events = (make.note("one"), make.note("two"))

    assert decide(Append(events), Found(), make.NOW) == Decision(DONE, events)


@pytest.mark.req("X5.3")
def test_a_chain_opens_by_naming_the_heads_that_it_knows() -> None:
    event = chain_opened_event(
        at=make.NOW, known_heads={"b": (2, "bb"), "a": (1, "aa")}, boot={"toolgate.boot": "c"}
    )

    assert json.loads(event.record)["known_heads"] == {"a": [1, "aa"], "b": [2, "bb"]}


@pytest.mark.req("X2.10")
def test_what_was_demanded_is_read_as_it_was_written() -> None:
    wanted = Requirement(
        reason="why", approvers=(frozenset({"a", "b"}),), risk="high", expires_in=60.0, quorum=3
    )

    assert stored_requirement(make.approval_row(requirement=canonical_json(wanted.to_json()))) == wanted
