"""A key whose call is contradicted by late evidence is in doubt: nothing runs under it again by itself."""

from __future__ import annotations

import pytest

from tests.ledger import rows as make
from toolgate.domain.commands import Done, Lapse
from toolgate.domain.idempotency import KeyUse, judge_claim
from toolgate.domain.ledger import decide
from toolgate.domain.lifecycle import EffectState
from toolgate.domain.rows import ClaimRow, Found


@pytest.mark.req("X1.10", "M9.11")
@pytest.mark.parametrize("state", [EffectState.APPLIED, EffectState.NOT_APPLIED])
def test_a_key_with_an_incident_never_runs_again(state: EffectState) -> None:
    call = make.call_row(effect_state=state, incident="a late result says otherwise")
    claim = ClaimRow(b"k" * 32, call.call_id, call.caller_id, b"f" * 32, attach_only=False)

    use = judge_claim(Found(claim=claim, call=call), caller_id=call.caller_id, fingerprint=b"f" * 32)

    assert use is KeyUse.UNKNOWN


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
