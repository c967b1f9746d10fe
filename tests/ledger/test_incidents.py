"""A key whose call is contradicted by late evidence is in doubt: nothing runs under it again by itself."""

from __future__ import annotations

import json

import pytest

from tests.ledger import rows as make
from toolgate.domain.commands import Done, Lapse, NotAllowed, Resolve
from toolgate.domain.idempotency import KeyUse, judge_claim
from toolgate.domain.ledger import decide
from toolgate.domain.lifecycle import EffectCause, EffectState
from toolgate.domain.rows import ClaimRow, Event, Found


@pytest.mark.req("X1.10", "M9.11")
@pytest.mark.parametrize("state", [EffectState.APPLIED, EffectState.NOT_APPLIED])
def test_a_key_with_an_incident_never_runs_again(state: EffectState) -> None:
    call = make.call_row(effect_state=state, incident="a late result says otherwise")
    claim = ClaimRow(b"k" * 32, call.call_id, call.caller_id, b"f" * 32, attach_only=False)

    use = judge_claim(Found(claim=claim, call=call), caller_id=call.caller_id, fingerprint=b"f" * 32)

    assert use is KeyUse.UNKNOWN


CORRECTIONS = [
    (EffectCause.CORRECTED_APPLIED, EffectState.APPLIED, "succeeded"),
    (EffectCause.CORRECTED_NOT_APPLIED, EffectState.NOT_APPLIED, "failed"),
]


@pytest.mark.req("X1.10")
@pytest.mark.parametrize("state", [EffectState.APPLIED, EffectState.NOT_APPLIED])
@pytest.mark.parametrize(("cause", "after", "status"), CORRECTIONS)
def test_an_incident_is_closed_by_a_person_who_says_how_it_ended(
    state: EffectState, cause: EffectCause, after: EffectState, status: str
) -> None:
    call = make.call_row(effect_state=state, incident="a late result says otherwise", lease_until=make.NOW)

    decision = decide(Resolve(call.call_id, cause, "u-ann", "the bank shows it"), Found(call=call), make.NOW)

    assert isinstance(decision.answer, Done)
    moved = decision.answer.call
    assert moved is not None
    assert (moved.effect_state, moved.status, moved.incident) == (after, status, None)
    (event,) = [row for row in decision.rows if isinstance(row, Event)]
    said = json.loads(event.record)
    assert said["toolgate.actor"] == "u-ann"
    assert said["toolgate.cause"] == cause.value


@pytest.mark.req("X1.10", "X1.7")
@pytest.mark.parametrize("cause", [cause for cause, _, _ in CORRECTIONS])
@pytest.mark.parametrize("state", list(EffectState))
def test_without_an_incident_nobody_corrects_anything(state: EffectState, cause: EffectCause) -> None:
    call = make.call_row(effect_state=state)

    decision = decide(Resolve(call.call_id, cause, "u-ann", "I think so"), Found(call=call), make.NOW)

    assert isinstance(decision.answer, NotAllowed)
    assert decision.rows == ()


@pytest.mark.req("X1.4")
def test_a_read_whose_owner_died_did_nothing_and_leaves_no_doubt() -> None:
    row = make.call_row(
        effect="read", effect_state=EffectState.INTENDED, status="running", lease_until=make.NOW - 1
    )

    decision = decide(Lapse(row.call_id, "another"), Found(call=row), make.NOW)

    assert isinstance(decision.answer, Done)
    assert decision.answer.call is not None
    assert decision.answer.call.effect_state is EffectState.NOT_APPLIED
    assert decision.answer.call.status == "failed"
