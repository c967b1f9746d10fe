"""No command, whatever the rows it meets, moves a call or an approval along a way that the tables do not have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger import rows as make
from tests.ledger.drawing import COMMANDS
from toolgate.domain.commands import (
    BeginJob,
    CancelJob,
    Dispatch,
    Done,
    EndJob,
    Intend,
    Lapse,
    NotAllowed,
    Rehold,
    Superseded,
    Taken,
)
from toolgate.domain.jobs import STARTED, state_of
from toolgate.domain.ledger import decide
from toolgate.domain.lifecycle import (
    APPROVAL_TRANSITIONS,
    EFFECT_TRANSITIONS,
    JOB_TRANSITIONS,
    ApprovalCause,
    ApprovalState,
    EffectCause,
    EffectState,
    JobCause,
    JobState,
    diagrams,
    is_open,
    is_settled,
    next_approval,
    next_effect,
)
from toolgate.domain.rows import (
    ApprovalRow,
    ByApproval,
    ByApprovalAndKey,
    ByCall,
    ByGrant,
    ByJob,
    ByKey,
    ByNotice,
    ByToken,
    CallChanged,
    CallRow,
    ClaimRow,
    Event,
    Found,
    JobRow,
    NewCall,
)

if TYPE_CHECKING:
    from toolgate.domain.commands import Command
    from toolgate.domain.ledger import Decision

pytestmark = pytest.mark.req("M5.12")

NOT_INTENDED = None
"""A call without an intent: a read, a refusal, or a hold that nobody consumed yet."""


@st.composite
def rows_around(draw: st.DrawFn, command: Command) -> Found:
    """Rows that the command may meet: a call in any state, with or without an approval in any state."""
    subject = command.subject
    if subject is None or draw(st.integers(0, 7)) == 0:
        return Found()
    match subject:
        case ByKey():
            call_id = "call_9"
        case ByCall(call_id) | ByJob(call_id):
            pass
        case ByApproval(approval_id) | ByApprovalAndKey(approval_id, _):
            call_id = approval_id.removeprefix("appr_")
        case ByGrant() | ByToken() | ByNotice():
            return Found()
        case _:
            assert_never(subject)
    held = draw(st.booleans()) or isinstance(subject, ByApproval | ByApprovalAndKey)
    state = draw(st.sampled_from([NOT_INTENDED, *EffectState]))
    call = make.call_row(
        call_id,
        effect_state=state,
        owner=draw(st.sampled_from([make.OWNER, "boot_b"])),
        lease_until=draw(st.sampled_from([0, make.NOW, make.LEASE])),
        approval_id=f"appr_{call_id}" if held else None,
        incident=draw(st.sampled_from([None, "an earlier one"])),
        effect=draw(st.sampled_from(["read", "write"])),
    )
    job = None
    if draw(st.booleans()):
        call = call._replace(status=draw(st.sampled_from([STARTED, "pending_approval", "succeeded"])))
        job = _job(draw, call_id) if isinstance(subject, ByJob) else None
    approval = make.approval_row(
        call_id,
        state=draw(st.sampled_from(ApprovalState)),
        required=make.requirement(draw(st.integers(1, 2))),
    )
    votes = draw(
        st.lists(st.sampled_from([make.vote(call_id=call_id), make.vote("u-cid", call_id)]), unique=True)
    )
    claim = make.claim_row(subject.key_mac, call_id) if isinstance(subject, ByKey) else None
    return Found(
        claim=claim,
        call=call,
        approval=approval if held else None,
        votes=tuple(votes) if held else (),
        job=job,
    )


def _job(draw: st.DrawFn, call_id: str) -> JobRow:
    begun = draw(st.sampled_from([None, make.NOW - 90 * make.SECOND, make.NOW]))
    return make.job_row(
        call_id,
        rerun=draw(st.booleans()),
        not_before=draw(st.sampled_from([make.NOW, make.LEASE])),
        started_at=begun,
        attempts=0 if begun is None else 1,
        cancel_at=draw(st.sampled_from([None, make.NOW])),
    )


MET = COMMANDS.flatmap(lambda command: st.tuples(st.just(command), rows_around(command)))
TIMES = st.sampled_from([make.NOW, make.LEASE, make.EXPIRY])


def effect_moves(decision: Decision, found: Found) -> list[tuple[EffectState | None, EffectState | None]]:
    moves = []
    for row in decision.rows:
        if isinstance(row, CallChanged):
            assert found.call is not None
            assert row.row.call_id == found.call.call_id
            moves.append((found.call.effect_state, row.row.effect_state))
    return [(before, after) for before, after in moves if before is not after]


def approval_moves(decision: Decision, found: Found) -> list[tuple[ApprovalState | None, ApprovalState]]:
    moves = []
    for row in decision.rows:
        if isinstance(row, ApprovalRow):
            known = found.approval is not None and found.approval.approval_id == row.approval_id
            moves.append((found.approval.state if known and found.approval else None, row.state))
    return [(before, after) for before, after in moves if before is not after]


@given(met=MET, now=TIMES)
@settings(max_examples=200)
def test_an_effect_moves_only_along_its_table(met: tuple[Command, Found], now: int) -> None:
    command, found = met
    decision = decide(command, found, now)

    for before, after in effect_moves(decision, found):
        if before is NOT_INTENDED and isinstance(command, BeginJob | EndJob | CancelJob):
            assert found.call is not None
            assert found.call.status == STARTED
            assert (after is EffectState.INTENDED) <= isinstance(command, BeginJob)
        elif before is NOT_INTENDED:
            # The intent of a held call and the consumption of its approval are one transition.
            assert isinstance(command, Dispatch)
            assert after is EffectState.INTENDED
            assert (ApprovalState.APPROVED, ApprovalState.CONSUMED) in approval_moves(decision, found)
        elif after is NOT_INTENDED:
            # The business asked for a person before any effect: the intent ends, and the call is held. Or it is a
            # job whose worker died, and that may run again.
            again = isinstance(command, Lapse) and found.job is not None and found.job.rerun
            assert isinstance(command, Rehold) or again
            assert before is EffectState.INTENDED
        else:
            assert after in EFFECT_TRANSITIONS[before].values()
            assert not is_settled(before) or (found.call is not None and found.call.incident is not None)


@pytest.mark.req("M7.7")
@given(met=MET, now=TIMES)
@settings(max_examples=400)
def test_a_job_moves_only_along_its_table(met: tuple[Command, Found], now: int) -> None:
    command, found = met
    if found.job is None or found.call is None:
        return
    before = state_of(found.call)

    for row in decide(command, found, now).rows:
        if isinstance(row, CallChanged) and state_of(row.row) is not before:
            assert state_of(row.row) in JOB_TRANSITIONS[before].values()
            assert before is not JobState.ENDED


@pytest.mark.req("M7.7")
@given(met=MET, now=TIMES)
@settings(max_examples=400)
def test_a_job_runs_again_only_where_its_contract_allows_it(met: tuple[Command, Found], now: int) -> None:
    command, found = met
    if found.job is None or found.call is None:
        return

    for row in decide(command, found, now).rows:
        if isinstance(row, CallChanged) and row.row.status == STARTED:
            assert found.job.rerun
            assert isinstance(command, Lapse)


@given(met=MET, now=TIMES)
@settings(max_examples=200)
def test_an_approval_moves_only_along_its_table(met: tuple[Command, Found], now: int) -> None:
    command, found = met

    for before, after in approval_moves(decide(command, found, now), found):
        if before is None:
            assert after is ApprovalState.PENDING
        elif not isinstance(command, Rehold):
            assert after in APPROVAL_TRANSITIONS[before].values()


@pytest.mark.req("M11.3")
@given(met=MET, now=TIMES)
@settings(max_examples=200)
def test_every_durable_transition_leaves_one_event_of_its_call(met: tuple[Command, Found], now: int) -> None:
    command, found = met
    decision = decide(command, found, now)

    moved = {row.row.call_id for row in decision.rows if isinstance(row, NewCall)}
    moved |= {row.call_id for row in decision.rows if isinstance(row, ApprovalRow)}
    if effect_moves(decision, found) and found.call is not None:
        moved.add(found.call.call_id)
    events = [row.call_id for row in decision.rows if isinstance(row, Event) and row.call_id is not None]
    assert sorted(events) == sorted(set(events))
    assert moved <= set(events)


@given(met=MET, now=TIMES)
@settings(max_examples=200)
def test_an_answer_that_says_that_nothing_was_written_is_true(met: tuple[Command, Found], now: int) -> None:
    command, found = met
    answer, rows = decide(command, found, now)

    match answer:
        case Done():
            assert rows
        case NotAllowed(wrote=wrote):
            assert bool(rows) is wrote
        case Taken() | Superseded():
            assert rows == ()


@pytest.mark.req("M9.17")
@given(met=MET, now=TIMES)
@settings(max_examples=200)
def test_a_claim_is_written_with_its_call_and_never_beside_a_live_one(
    met: tuple[Command, Found], now: int
) -> None:
    command, found = met
    rows = decide(command, found, now).rows

    for claim in (row for row in rows if isinstance(row, ClaimRow)):
        assert claim.call_id in {row.row.call_id for row in rows if isinstance(row, NewCall)}
        if isinstance(command, Intend) and found.call is not None:
            assert found.call.effect_state in {NOT_INTENDED, EffectState.NOT_APPLIED}


@given(met=MET, now=TIMES)
@settings(max_examples=150)
def test_what_a_call_is_about_never_changes(met: tuple[Command, Found], now: int) -> None:
    command, found = met
    if isinstance(command, Rehold) or found.call is None:
        return
    written_once = CallRow._fields[: CallRow._fields.index("updated_at")]

    for row in decide(command, found, now).rows:
        if isinstance(row, CallChanged) and type(command).__name__ != "Settle":
            assert all(getattr(row.row, name) == getattr(found.call, name) for name in written_once)


# --- the tables -----------------------------------------------------------------------------------------------


def test_nothing_follows_what_the_ledger_is_sure_of() -> None:
    assert {state for state in EffectState if is_settled(state)} == {
        EffectState.APPLIED,
        EffectState.NOT_APPLIED,
    }
    assert {state for state in ApprovalState if is_open(state)} == {
        ApprovalState.PENDING,
        ApprovalState.APPROVED,
    }


@pytest.mark.req("X1.4", "X1.7", "X1.9")
def test_unknown_is_left_only_by_reconcile_evidence_or_a_person() -> None:
    assert EFFECT_TRANSITIONS[EffectState.UNKNOWN].keys() == {
        EffectCause.RECONCILED_APPLIED,
        EffectCause.RECONCILED_NOT_APPLIED,
        EffectCause.LATE_APPLIED,
        EffectCause.LATE_NOT_APPLIED,
        EffectCause.RESOLVED_APPLIED,
        EffectCause.RESOLVED_NOT_APPLIED,
    }
    assert next_effect(EffectState.UNKNOWN, EffectCause.SETTLED_APPLIED) is None


@pytest.mark.req("X1.10")
@pytest.mark.parametrize("state", [EffectState.APPLIED, EffectState.NOT_APPLIED])
def test_what_is_settled_is_left_only_by_a_person_s_word_on_an_incident(state: EffectState) -> None:
    assert EFFECT_TRANSITIONS[state].keys() == {
        EffectCause.CORRECTED_APPLIED,
        EffectCause.CORRECTED_NOT_APPLIED,
    }


@pytest.mark.req("X1.4")
def test_recovery_moves_an_intent_only_to_unknown() -> None:
    assert next_effect(EffectState.INTENDED, EffectCause.IN_DOUBT) is EffectState.UNKNOWN
    assert not [cause for cause in EFFECT_TRANSITIONS[EffectState.INTENDED] if cause.name.startswith("RE")]


@pytest.mark.req("X2.6", "X2.7")
def test_only_an_approved_request_is_consumed_and_nothing_revives_an_ended_one() -> None:
    consumed_from = [
        state for state in ApprovalState if next_approval(state, ApprovalCause.DISPATCHED) is not None
    ]
    assert consumed_from == [ApprovalState.APPROVED]
    for state in (
        ApprovalState.DENIED,
        ApprovalState.EXPIRED,
        ApprovalState.CANCELLED,
        ApprovalState.CONSUMED,
    ):
        assert not APPROVAL_TRANSITIONS[state]


def test_every_state_can_be_reached_and_every_cause_has_a_use() -> None:
    assert {after for exits in EFFECT_TRANSITIONS.values() for after in exits.values()} == set(
        EffectState
    ) - {EffectState.INTENDED}
    # An edit leads back to pending: nothing else does.
    assert {after for exits in APPROVAL_TRANSITIONS.values() for after in exits.values()} == set(
        ApprovalState
    )
    assert [
        (state, cause)
        for state, exits in APPROVAL_TRANSITIONS.items()
        for cause, after in exits.items()
        if after is ApprovalState.PENDING
    ] == [(ApprovalState.PENDING, ApprovalCause.EDITED)]
    assert {cause for exits in EFFECT_TRANSITIONS.values() for cause in exits} == set(EffectCause)
    assert {cause for exits in APPROVAL_TRANSITIONS.values() for cause in exits} == set(ApprovalCause)
    assert {cause for exits in JOB_TRANSITIONS.values() for cause in exits} == set(JobCause)
    assert {after for exits in JOB_TRANSITIONS.values() for after in exits.values()} == set(JobState)


@pytest.mark.parametrize(
    ("name", "start", "table"),
    [
        ("effect", "intended", EFFECT_TRANSITIONS),
        ("approval", "pending", APPROVAL_TRANSITIONS),
        ("job", "queued", JOB_TRANSITIONS),
    ],
)
def test_the_diagram_has_the_transitions_of_its_table_and_no_other(
    name: str, start: str, table: dict[str, dict[str, str]]
) -> None:
    first, *lines = diagrams()[name].splitlines()

    drawn = {match.groups() for line in lines if (match := re.fullmatch(r"    (\w+) --> (\w+): (.+)", line))}
    ends = {match[1] for line in lines if (match := re.fullmatch(r"    (\w+) --> \[\*\]", line))}
    assert first == "stateDiagram-v2"
    assert f"    [*] --> {start}" in lines
    assert drawn == {
        (str(before), str(after), str(cause))
        for before, exits in table.items()
        for cause, after in exits.items()
    }
    corrections = {EffectCause.CORRECTED_APPLIED, EffectCause.CORRECTED_NOT_APPLIED}
    assert ends == {str(state) for state, exits in table.items() if exits.keys() <= corrections}
    assert len(lines) == 1 + len(drawn) + len(ends)
