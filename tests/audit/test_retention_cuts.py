"""What retention cut at the oldest end of a trail verifies; what anybody else cut does not, whatever is beside it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audit.test_chain import Chain, chain, head, kinds, linked
from toolgate.domain.audit import Break, Head, verify_chains
from toolgate.domain.retention import CUTS_PER_EVENT, TrailCut, pruned_events

pytestmark = pytest.mark.req("X5.30")

DAY = 86_400.0


def stated(chain_id: str, cuts: dict[str, Head], known: dict[str, Head] | None = None) -> Chain:
    """A chain whose second record says what was cut."""
    heads = {name: [seq, link.hex()] for name, (seq, link) in (known or {}).items()}
    opening = json.dumps({"event": "chain_opened", "known_heads": heads}).encode()
    events = pruned_events(TrailCut(cuts, {}, 1, 0, ""), now=1, kept=DAY)
    return linked(chain_id, [opening, *(event.record for event in events), b'{"event":"later"}'])


def at(of: Chain, seq: int) -> dict[str, Head]:
    return {of[0].chain_id: (seq, of[seq - 1].link_hash)}


@given(st.integers(1, 8), st.integers(0, 8), st.booleans())
def test_any_part_of_what_was_stated_may_be_gone_and_nothing_else(cut: int, gone: int, first: bool) -> None:
    old = chain("old", 8)
    new = stated("new", at(old, cut), dict([head(old)]))
    left = old[gone:]

    report = verify_chains([*new, *left] if first else [*left, *new], known_heads=dict([head(old)]))

    assert report.intact == (gone <= cut), report.problems
    assert report.removed_records == min(gone, cut)
    assert set(report.removed) == ({"old"} if gone else set())


@given(st.sets(st.integers(1, 6)))
def test_whatever_is_missing_before_the_cut_is_excused(missing: set[int]) -> None:
    old = chain("old", 8)
    left = [found for found in old if found.seq not in missing]

    assert verify_chains([*left, *stated("new", at(old, 6))]).intact


def test_without_a_statement_the_oldest_records_are_missed() -> None:
    old = chain("old", 8)

    assert kinds(verify_chains(old[3:])) == [(Break.DROPPED, "old", 1)]


def test_a_statement_with_another_hash_does_not_fit_what_follows() -> None:
    old = chain("old", 8)
    wrong = {"old": (3, bytes(32))}

    assert kinds(verify_chains([*old[3:], *stated("new", wrong)])) == [(Break.RELINKED, "old", 4)]
    assert kinds(verify_chains([*old, *stated("new", wrong)])) == [(Break.RELINKED, "old", 3)]


def test_a_statement_excuses_no_end_that_was_cut_off() -> None:
    old = chain("old", 8)
    new = stated("new", at(old, 4), dict([head(old)]))

    assert kinds(verify_chains([*old[4:6], *new])) == [(Break.TRUNCATED, "old", 6)]
    assert kinds(verify_chains([*old[:3], *stated("new", at(old, 8))])) == [(Break.TRUNCATED, "old", 3)]


def test_a_chain_that_went_as_a_whole_is_missed_unless_the_statement_covers_its_last_record() -> None:
    old = chain("old", 8)

    assert verify_chains(stated("new", at(old, 8), dict([head(old)]))).intact
    assert kinds(verify_chains(stated("new", at(old, 7), dict([head(old)])))) == [
        (Break.MISSING_CHAIN, "old", None)
    ]


def test_a_record_behind_the_cut_that_was_changed_is_found() -> None:
    old = chain("old", 8)
    left = [replace(old[5], record=b'{"event":"else"}') if found.seq == 6 else found for found in old[4:]]

    assert kinds(verify_chains([*left, *stated("new", at(old, 4))])) == [(Break.EDITED, "old", 6)]


def test_a_statement_can_be_smuggled_in_through_no_argument() -> None:
    old = chain("old", 4)
    claimed = {
        "event": "llm_tool_call",
        "arguments": {"event": "audit_pruned", "cuts": {"old": [3, "00" * 32]}},
    }
    text = {"event": "llm_tool_call", "note": '"event":"audit_pruned","cuts":{"old":[3,""]}'}
    contents = [b'{"event":"chain_opened","known_heads":{}}']
    contents += [json.dumps(value, separators=(",", ":")).encode() for value in (claimed, text)]

    assert kinds(verify_chains([*old[3:], *linked("new", contents)])) == [(Break.DROPPED, "old", 1)]


def test_a_statement_that_cannot_be_read_is_reported() -> None:
    contents = [
        b'{"event":"chain_opened","known_heads":{}}',
        b'{"event":"audit_pruned","cuts":{"old":[1,"x"]}}',
    ]

    assert kinds(verify_chains(linked("new", contents))) == [(Break.MALFORMED, "new", 2)]


def test_no_statement_grows_without_bound() -> None:
    cuts = {f"boot_{number}": (1, bytes(32)) for number in range(2 * CUTS_PER_EVENT + 1)}

    events = pruned_events(TrailCut(cuts, {}, 7, 0, ""), now=1, kept=DAY)

    said = [json.loads(event.record) for event in events]
    assert [len(record["cuts"]) for record in said] == [CUTS_PER_EVENT, CUTS_PER_EVENT, 1]
    assert [record["toolgate.records"] for record in said] == [7, 0, 0]
