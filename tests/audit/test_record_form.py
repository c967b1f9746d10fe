"""The bytes of a record are canonical, whatever its fields hold: they are written without the canonicaliser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolgate.domain.canonical import canonical_json
from toolgate.domain.rows import CallRow
from toolgate.domain.trail import FLAT_NAMES, call_record, flat_line

words = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)
maybe = st.none() | words
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | words | st.floats(-1e6, 1e6)


@st.composite
def calls(draw: st.DrawFn) -> CallRow:
    plain: dict[str, Any] = {
        name: draw(words)
        for name in ("call_id", "tenant", "tool", "version", "caller_id", "workflow_id", "surface", "status")
    }
    optional: dict[str, Any] = {
        name: draw(maybe) for name in ("agent", "model", "request_id", "trace", "error_type", "approval_id")
    }
    return CallRow(
        **plain,
        **optional,
        contract_digest="",
        effect="read",
        workflow_explicit=True,
        received_at=0,
        digest=b"",
        fingerprint=b"",
        key_mac=None,
        updated_at=0,
        effect_state=None,
        owner="boot",
        lease_until=0,
        duration_us=draw(st.integers(0, 10**12)),
        incident=None,
    )


@pytest.mark.req("X5.8", "M11.1")
@given(
    call=calls(),
    arguments=st.none() | st.dictionaries(words, scalars, max_size=4),
    reasons=st.lists(words, max_size=3),
    extra=st.none() | st.dictionaries(words.filter(lambda name: name not in FLAT_NAMES), scalars, max_size=2),
    attempts=st.integers(0, 10),
    approval_status=maybe,
)
def test_a_record_is_the_canonical_form_of_what_it_says(
    call: CallRow,
    arguments: dict[str, object] | None,
    reasons: list[str],
    extra: dict[str, object] | None,
    attempts: int,
    approval_status: str | None,
) -> None:
    record = call_record(
        call,
        transition="settled",
        at=1_767_225_600_000_000,
        decision="allow",
        effect="none",
        arguments=arguments,  # type: ignore[arg-type]
        reasons=tuple(reasons),
        approval_status=approval_status,
        attempts=attempts,
        extra=extra,  # type: ignore[arg-type]
    )

    said = json.loads(record)

    assert canonical_json(said) == record
    assert said["gen_ai.tool.name"] == call.tool
    assert said.get("gen_ai.agent.name") == call.agent
    assert said.get("toolgate.reasons", []) == reasons
    assert len(flat_line(said)) == len(said)
