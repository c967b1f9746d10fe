"""A trail that somebody tampered with says which record broke, and how."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolgate.domain.audit import GENESIS, Break, ChainReport, Head, StoredRecord, link_hash, verify_chains
from toolgate.domain.merkle import leaf_hash

Chain = list[StoredRecord]


def record(chain_id: str, seq: int, prev: bytes, content: bytes) -> StoredRecord:
    leaf = leaf_hash(content)
    link = link_hash(prev, chain_id, seq, leaf)
    return StoredRecord(chain_id=chain_id, seq=seq, record=content, leaf_hash=leaf, link_hash=link)


def chain(chain_id: str, length: int, known: dict[str, Head] | None = None) -> Chain:
    heads = {name: [seq, link.hex()] for name, (seq, link) in (known or {}).items()}
    contents: list[Any] = [{"event": "chain_opened", "known_heads": heads}]
    contents += [{"event": "llm_tool_call", "n": n, "chain": chain_id} for n in range(2, length + 1)]
    return linked(chain_id, [json.dumps(content).encode() for content in contents])


def linked(chain_id: str, contents: Sequence[bytes]) -> Chain:
    made: Chain = []
    for seq, content in enumerate(contents, start=1):
        made.append(record(chain_id, seq, made[-1].link_hash if made else GENESIS, content))
    return made


def head(of: Chain) -> tuple[str, Head]:
    return of[-1].chain_id, (of[-1].seq, of[-1].link_hash)


def kinds(report: ChainReport) -> list[tuple[Break, str, int | None]]:
    return [(problem.kind, problem.chain_id, problem.seq) for problem in report.problems]


# --- a trail that nobody touched ------------------------------------------------------------------------------


@pytest.mark.req("X5.1")
@given(st.lists(st.integers(1, 8), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_an_untouched_trail_is_intact_in_whatever_order_its_chains_are_read(
    lengths: list[int], random: Any
) -> None:
    chains = boots(*lengths)
    outside = dict(head(each) for each in chains)
    turns = [each[0].chain_id for each in chains for _ in each]
    random.shuffle(turns)
    waiting = {each[0].chain_id: iter(each) for each in chains}
    mixed = [next(waiting[turn]) for turn in turns]

    report = verify_chains(mixed, known_heads=outside)

    assert report.intact, report.problems
    assert report.records == sum(lengths)
    assert report.heads == outside


def boots(*lengths: int) -> list[Chain]:
    """Chains one after the other, each naming the heads of all before it."""
    made: list[Chain] = []
    for number, length in enumerate(lengths):
        made.append(chain(f"boot{number}", length, dict(head(each) for each in made)))
    return made


@pytest.mark.req("X5.10")
def test_two_writers_at_once_name_each_other_where_they_stood_and_both_verify() -> None:
    long = chain("a", 6)
    late = chain("b", 3, {"a": (4, long[3].link_hash)})

    assert verify_chains(long + late).intact, "a list is read again for the head that had gone by"
    assert verify_chains(iter(late + long)).intact, "newest first needs no second reading"
    assert verify_chains(iter(long[:4] + late + long[4:])).intact, (
        "nor does the order in which they were written"
    )

    unsure = verify_chains(iter(long + late))
    assert kinds(unsure) == [(Break.UNCHECKED, "a", 4)]
    assert "newest chain first" in unsure.problems[0].message


@pytest.mark.req("X5.1")
def test_progress_is_told_every_thousand_records_and_at_the_end() -> None:
    told: list[int] = []

    verify_chains(chain("a", 2_500), progress=told.append)

    assert told == [1_000, 2_000, 2_500]


@pytest.mark.req("X5.1")
def test_no_records_are_an_intact_trail_unless_somebody_remembers_some() -> None:
    assert verify_chains([]).intact
    assert verify_chains([], known_heads={"a": (0, GENESIS)}).intact
    assert kinds(verify_chains([], known_heads={"a": (3, b"x" * 32)})) == [(Break.MISSING_CHAIN, "a", None)]


# --- one change, named ----------------------------------------------------------------------------------------


def edit(of: Chain, index: int) -> None:
    of[index] = replace(of[index], record=of[index].record.replace(b"n", b"m", 1))


def edit_with_leaf(of: Chain, index: int) -> None:
    content = of[index].record.replace(b"n", b"m", 1)
    of[index] = replace(of[index], record=content, leaf_hash=leaf_hash(content))


def rewrite(of: Chain, index: int) -> None:
    prev = of[index - 1].link_hash if index else GENESIS
    of[index] = record(of[index].chain_id, of[index].seq, prev, of[index].record.replace(b"n", b"m", 1))


def change_link(of: Chain, index: int) -> None:
    of[index] = replace(of[index], link_hash=sha256(of[index].link_hash).digest())


def drop(of: Chain, index: int) -> None:
    del of[index]


def drop_and_renumber(of: Chain, index: int) -> None:
    del of[index]
    of[index:] = [replace(each, seq=each.seq - 1) for each in of[index:]]


def swap_in_the_stream(of: Chain, index: int) -> None:
    of[index], of[index + 1] = of[index + 1], of[index]


def swap_in_the_store(of: Chain, index: int) -> None:
    first, second = of[index : index + 2]
    of[index : index + 2] = [replace(second, seq=first.seq), replace(first, seq=second.seq)]


def double(of: Chain, index: int) -> None:
    of.insert(index + 1, of[index])


def double_later(of: Chain, index: int) -> None:
    of.append(of[index])


def spoil_hash(of: Chain, index: int) -> None:
    of[index] = replace(of[index], link_hash=b"short")


def spoil_record(of: Chain, index: int) -> None:
    content = b"not JSON"
    of[index] = replace(of[index], record=content, leaf_hash=leaf_hash(content))


@pytest.mark.req("X5.2")
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (edit, [(Break.EDITED, "boot0", 3)]),
        (edit_with_leaf, [(Break.RELINKED, "boot0", 3)]),
        (rewrite, [(Break.RELINKED, "boot0", 4)]),
        (change_link, [(Break.RELINKED, "boot0", 3)]),
        (drop, [(Break.DROPPED, "boot0", 3)]),
        (swap_in_the_stream, [(Break.REORDERED, "boot0", 3)]),
        (swap_in_the_store, [(Break.RELINKED, "boot0", 3), (Break.REORDERED, "boot0", 4)]),
        (double, [(Break.DUPLICATED, "boot0", 3)]),
        (double_later, [(Break.DUPLICATED, "boot0", 3)]),
        (spoil_hash, [(Break.MALFORMED, "boot0", 3), (Break.DROPPED, "boot0", 3)]),
        (spoil_record, [(Break.MALFORMED, "boot0", 3), (Break.RELINKED, "boot0", 3)]),
    ],
)
def test_one_change_is_named_with_its_record_and_its_kind(
    change: Callable[[Chain, int], None], found: list[tuple[Break, str, int]]
) -> None:
    first, second = boots(6, 4)
    change(first, 2)

    report = verify_chains(first + second)

    assert kinds(report) == found
    assert not report.intact
    assert all(problem.message for problem in report.problems)


ANY_CHANGE = [
    *(edit, edit_with_leaf, rewrite, change_link, drop, drop_and_renumber, swap_in_the_store),
    *(swap_in_the_stream, double, double_later, spoil_hash, spoil_record),
]


@pytest.mark.req("X5.2")
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.sampled_from(ANY_CHANGE), st.data())
def test_no_single_change_anywhere_goes_unseen_by_someone_who_kept_the_heads(
    lengths: list[int], change: Callable[[Chain, int], None], data: st.DataObject
) -> None:
    chains = boots(*lengths)
    kept = dict(head(each) for each in chains)
    chosen = data.draw(st.sampled_from(chains))
    swaps = change in {swap_in_the_store, swap_in_the_stream}
    if swaps and len(chosen) == 1:
        chosen += [record(chosen[0].chain_id, 2, chosen[0].link_hash, b'{"n":2}')]
        kept[chosen[0].chain_id] = head(chosen)[1]
    index = data.draw(st.integers(0, len(chosen) - (2 if swaps else 1)))

    change(chosen, index)

    assert not verify_chains([each for part in chains for each in part], known_heads=kept).intact


@pytest.mark.req("X5.2")
@given(st.integers(1, 8), st.data())
def test_a_tail_that_was_cut_shows_against_a_head_that_was_kept(length: int, data: st.DataObject) -> None:
    whole = chain("a", length)
    left = data.draw(st.integers(0, length - 1))

    report = verify_chains(whole[:left], known_heads=dict([head(whole)]))

    expected = (Break.TRUNCATED, "a", left) if left else (Break.MISSING_CHAIN, "a", None)
    assert kinds(report) == [expected]


@pytest.mark.req("X5.2")
def test_a_chain_that_grew_since_its_head_was_kept_is_intact() -> None:
    whole = chain("a", 5)

    assert verify_chains(whole, known_heads=dict([head(whole[:3])])).intact


@pytest.mark.req("X5.2")
def test_a_chain_written_anew_with_sound_hashes_shows_against_a_kept_head_and_the_next_opening() -> None:
    first, second = boots(4, 2)
    forged = linked("boot0", [first[0].record, *(b'{"forged":%d}' % n for n in range(8))])

    assert kinds(verify_chains(forged, known_heads=dict([head(first)]))) == [(Break.RELINKED, "boot0", 4)]
    assert kinds(verify_chains(forged + second)) == [(Break.RELINKED, "boot0", 4)]
    assert kinds(verify_chains(second + forged)) == [(Break.RELINKED, "boot0", 4)]


@pytest.mark.req("X5.3")
@given(st.lists(st.integers(1, 5), min_size=2, max_size=5), st.data())
def test_a_chain_that_was_removed_is_missed_by_every_later_one(
    lengths: list[int], data: st.DataObject
) -> None:
    chains = boots(*lengths)
    gone = data.draw(st.integers(0, len(chains) - 2))
    cut = data.draw(st.integers(0, lengths[gone] - 1))
    name = chains[gone][0].chain_id
    chains[gone] = chains[gone][:cut]

    report = verify_chains([each for part in chains for each in part])

    expected = (Break.TRUNCATED, name, cut) if cut else (Break.MISSING_CHAIN, name, None)
    assert kinds(report) == [expected]
    assert "the opening of chain boot" in report.problems[0].message


@pytest.mark.req("X5.3")
@pytest.mark.parametrize(
    "opening",
    [
        b'{"event":"llm_tool_call"}',
        b'{"event":"chain_opened"}',
        b'{"event":"chain_opened","known_heads":[]}',
        b'{"event":"chain_opened","known_heads":{"x":[1]}}',
        b'{"event":"chain_opened","known_heads":{"x":[true,"' + b"0" * 64 + b'"]}}',
        b'{"event":"chain_opened","known_heads":{"x":[1,"abc"]}}',
        b'{"event":"chain_opened","known_heads":{"x":[0,"' + b"1" * 64 + b'"]}}',
        b"{]}",
    ],
)
def test_a_chain_that_does_not_begin_by_naming_heads_is_malformed(opening: bytes) -> None:
    report = verify_chains(linked("a", [opening, b'{"n":2}']))

    assert [problem.kind for problem in report.problems] == [Break.MALFORMED]


@pytest.mark.req("X5.2")
@pytest.mark.parametrize("seq", [0, -3])
def test_a_number_that_no_record_has_is_malformed(seq: int) -> None:
    whole = chain("a", 2)

    assert kinds(verify_chains([*whole, replace(whole[1], seq=seq)])) == [(Break.MALFORMED, "a", seq)]


@pytest.mark.req("X5.2")
def test_thousands_of_breaks_are_counted_and_the_first_thousand_told() -> None:
    whole = [replace(each, record=b"{}") for each in chain("a", 1_500)]

    report = verify_chains(whole)

    assert len(report.problems) == 1_000
    assert report.problem_count == 1_501, "1500 edits, and an opening that names no heads"


@pytest.mark.req("X5.2")
def test_thousands_of_gaps_are_all_told() -> None:
    report = verify_chains(chain("a", 4_401)[::2])

    assert report.problem_count == 2_200
    assert {problem.kind for problem in report.problems} == {Break.DROPPED}


# --- the hashes -----------------------------------------------------------------------------------------------


@pytest.mark.req("X5.1")
@given(
    st.tuples(
        st.binary(min_size=32, max_size=32),
        st.text(),
        st.integers(0, 2**64 - 1),
        st.binary(min_size=32, max_size=32),
    ),
    st.tuples(
        st.binary(min_size=32, max_size=32),
        st.text(),
        st.integers(0, 2**64 - 1),
        st.binary(min_size=32, max_size=32),
    ),
)
def test_two_links_are_equal_only_if_everything_in_them_is(
    one: tuple[bytes, str, int, bytes], other: tuple[bytes, str, int, bytes]
) -> None:
    assert (link_hash(*one) == link_hash(*other)) == (one == other)


@pytest.mark.req("X5.1")
@pytest.mark.parametrize(("prev", "leaf"), [(b"", bytes(32)), (bytes(32), bytes(31))])
def test_a_link_takes_whole_hashes_alone(prev: bytes, leaf: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        link_hash(prev, "a", 1, leaf)
