"""The chain of the audit trail: how a record is linked to the one before it, and how a stranger checks that.

Here: the hashes and the verification of chains. Not here: what a record says, where it is stored, who signs a root
(`merkle` holds the tree).

A writer begins a chain at each start. Its first record is `chain_opened` and names the head of every chain that was
known by then, so that a chain that is later removed, or cut, is missed by the next one. Retention cuts chains at their
oldest end, and says so first in a record of its own (`audit_pruned`, with the head of what goes): what such a record
covers may be missing, anything else may not. What this cannot show: a writer that lies before it hashes, the end of the
newest chain cut off when nobody kept a head of it, and a whole trail written anew. Heads kept off the host
(`known_heads`) close the last two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from toolgate.domain.canonical import JsonValue, UnfitJson, parse_json
from toolgate.domain.merkle import HASH_SIZE, inclusion_proof, leaf_hash, merkle_root, verify_inclusion
from toolgate.domain.trail import AUDIT_PRUNED, CHAIN_OPENED

__all__ = [
    "FIRST_SEQ",
    "GENESIS",
    "Break",
    "ChainProblem",
    "ChainReport",
    "Head",
    "StoredRecord",
    "inclusion_proof",
    "leaf_hash",
    "link_hash",
    "merkle_root",
    "verify_chains",
    "verify_inclusion",
]

GENESIS: Final = bytes(HASH_SIZE)
"""What the first record of a chain is linked to."""

FIRST_SEQ: Final = 1
"""The number of a chain's first record; a head `(0, GENESIS)` is that of a chain without records."""

PROGRESS_EVERY: Final = 1_000
"""Records between two reports of progress."""

Head: TypeAlias = tuple[int, bytes]
"""A record's number in its chain, and its link hash."""

_LINK_DOMAIN: Final = b"toolgate audit link v1\x00"
_LENGTH_AND_SEQ: Final = Struct(">IQ")
_MAX_OPENING: Final = 64 * 1024 * 1024
_MAX_GAPS: Final = 1_000
_MAX_PROBLEMS: Final = 1_000
_PRUNED_MARK: Final = f'"event":"{AUDIT_PRUNED}"'.encode()
"""What stands in each such record, as canonical JSON writes it: any other record need not be parsed."""


def link_hash(prev_link: bytes, chain_id: str, seq: int, leaf: bytes) -> bytes:
    """SHA-256 over a label, the previous link, the chain's name with its length, the number and the leaf.

    Every part has a fixed or a stated length, so no two different inputs are encoded alike. Raises `ValueError`
    unless both hashes have 32 bytes, `struct.error` for a `seq` outside of 0 … 2^64-1.
    """
    if len(prev_link) != HASH_SIZE or len(leaf) != HASH_SIZE:
        msg = f"a link and a leaf have {HASH_SIZE} bytes"
        raise ValueError(msg)
    name = chain_id.encode()
    return sha256(_LINK_DOMAIN + _LENGTH_AND_SEQ.pack(len(name), seq) + name + prev_link + leaf).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A record as it was found: nothing in it is believed before it is checked."""

    chain_id: str
    seq: int
    record: bytes
    leaf_hash: bytes
    link_hash: bytes


class Break(StrEnum):
    """How a trail was broken."""

    EDITED = "edited"
    DROPPED = "dropped"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    RELINKED = "relinked"
    TRUNCATED = "truncated"
    MISSING_CHAIN = "missing_chain"
    MALFORMED = "malformed"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainProblem:
    """One break: where, how, and in words."""

    kind: Break
    chain_id: str
    seq: int | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What a verification found. `heads` are worth keeping off the host: they are the next run's `known_heads`.

    `problems` holds the first thousand; `problem_count` counts them all. `removed` is what retention took away, by a
    record that says so: chain -> the last record that is gone; `removed_records` counts them.
    """

    records: int
    heads: Mapping[str, Head]
    problems: tuple[ChainProblem, ...]
    problem_count: int
    removed: Mapping[str, Head] = field(default_factory=dict)
    removed_records: int = 0

    @property
    def intact(self) -> bool:
        """True if every record and every known head was found and fits."""
        return self.problem_count == 0


def verify_chains(
    records: Iterable[StoredRecord],
    *,
    known_heads: Mapping[str, Head] | None = None,
    kept_heads: Iterable[tuple[str, Head]] = (),
    progress: Callable[[int], None] | None = None,
) -> ChainReport:
    """Check every record, every link, every head that an opening record names, and every head in `known_heads`.

    `kept_heads` are more of those, several of one chain among them: what earlier runs reported and somebody kept.

    `records` may mix chains. It is read once, and memory grows with the number of chains alone. One order needs
    more: if an opening names a record that has gone by in a chain that went on, `records` is read a second time,
    and if it is an iterator that head is reported as `unchecked`. Newest chain first never needs it.
    """
    check = _Check()
    for chain_id, head in (*(known_heads or {}).items(), *kept_heads):
        check.expect(chain_id, head, "a head that was kept outside")
    count = 0
    for count, record in enumerate(records, start=1):
        check.read(record)
        if progress is not None and count % PROGRESS_EVERY == 0:
            progress(count)
    check.look_again(records)
    if progress is not None:
        progress(count)
    return check.report(count)


# --- the state of a verification ------------------------------------------------------------------------------


class _Gap(NamedTuple):
    """Numbers that are not there, and the record behind them."""

    missing: range
    leaf: bytes
    link: bytes


@dataclass(slots=True)
class _Chain:
    """What is remembered of one chain: its end, its gaps, and where its links first stopped fitting."""

    seq: int = FIRST_SEQ - 1
    link: bytes | None = GENESIS  # None after a gap: what the next record must be linked to is unknown
    other_link: bytes | None = None  # a second candidate for that, where the last link did not fit
    vacant: Head | None = None  # the number that got a wrong record, and the link that the right one follows
    leaf: bytes = b""
    gaps: list[_Gap] = field(default_factory=list)


class _Check:
    __slots__ = ("chains", "cuts", "expected", "passed", "problem_count", "problems")

    def __init__(self) -> None:
        self.chains: dict[str, _Chain] = {}
        self.cuts: dict[str, Head] = {}  # chain -> the last record that retention says it removed
        self.expected: dict[str, dict[int, dict[bytes, str]]] = {}  # chain, seq, link -> who says so
        self.passed: list[tuple[str, Head, str]] = []
        self.problems: list[ChainProblem] = []
        self.problem_count = 0

    def problem(self, kind: Break, chain_id: str, seq: int | None, message: str) -> None:
        self.problem_count += 1
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(ChainProblem(kind=kind, chain_id=chain_id, seq=seq, message=message))

    # --- one record -------------------------------------------------------------------------------------------

    def read(self, found: StoredRecord) -> None:
        if complaint := _malformed(found):
            self.problem(Break.MALFORMED, found.chain_id, found.seq, complaint)
            if (
                len(found.link_hash) != HASH_SIZE
                or len(found.leaf_hash) != HASH_SIZE
                or found.seq < FIRST_SEQ
            ):
                return
        if leaf_hash(found.record) != found.leaf_hash:
            self.problem(Break.EDITED, found.chain_id, found.seq, "the record is not what was hashed")
        chain = self.chains.setdefault(found.chain_id, _Chain())
        self._compare_with_expected(found)
        if found.seq <= chain.seq:
            self._seen_late(chain, found)
            return
        if found.seq > chain.seq + 1:
            self._open_gap(chain, found)
        self._check_link(chain, found)
        chain.seq, chain.link, chain.leaf = found.seq, found.link_hash, found.leaf_hash
        if found.seq == FIRST_SEQ:
            self._read_opening(found)
        elif _PRUNED_MARK in found.record:
            self._read_cuts(found)

    def _seen_late(self, chain: _Chain, found: StoredRecord) -> None:
        """A number that should have come earlier: it fills a gap, or it is there twice."""
        for position, gap in enumerate(chain.gaps):
            if found.seq in gap.missing:
                before = _Gap(range(gap.missing.start, found.seq), found.leaf_hash, found.link_hash)
                behind = gap._replace(missing=range(found.seq + 1, gap.missing.stop))
                chain.gaps[position : position + 1] = [part for part in (before, behind) if part.missing]
                self.problem(Break.REORDERED, found.chain_id, found.seq, f"comes after record {chain.seq}")
                return
        same = found.seq == chain.seq and (found.leaf_hash, found.link_hash) == (chain.leaf, chain.link)
        how = "stands twice, word for word" if same else "is a number that two records claim"
        self.problem(Break.DUPLICATED, found.chain_id, found.seq, how)

    def _open_gap(self, chain: _Chain, found: StoredRecord) -> None:
        chain.gaps.append(_Gap(range(chain.seq + 1, found.seq), found.leaf_hash, found.link_hash))
        chain.link = chain.other_link = None
        if len(chain.gaps) > _MAX_GAPS:  # too many to wait for all of them
            self._report_gap(found.chain_id, chain.gaps.pop(0))

    def _check_link(self, chain: _Chain, found: StoredRecord) -> None:
        if chain.link is None:
            return
        name, seq, leaf = found.chain_id, found.seq, found.leaf_hash
        right = link_hash(chain.link, name, seq, leaf)
        if found.link_hash == right:
            chain.other_link = None
        elif chain.other_link and found.link_hash == link_hash(chain.other_link, name, seq, leaf):
            chain.other_link = None  # the break lies in what came before, and was reported there
        elif chain.vacant and found.link_hash == link_hash(chain.vacant[1], name, chain.vacant[0], leaf):
            self.problem(Break.REORDERED, name, seq, f"is the record that belongs at {chain.vacant[0]}")
            chain.other_link, chain.vacant = chain.link, None
        else:
            why = "does not follow from the record before it: one of the two was replaced, moved or left out"
            self.problem(Break.RELINKED, name, seq, why)
            chain.other_link, chain.vacant = right, chain.vacant or (seq, chain.link)

    # --- heads that somebody remembers ------------------------------------------------------------------------

    def expect(self, chain_id: str, head: Head, source: str) -> None:
        """Remember that `source` saw `head`; judged when its record comes, or at the end if it never does."""
        seq, link = head
        chain = self.chains.get(chain_id)
        if seq < FIRST_SEQ:
            if link != GENESIS:
                self.problem(Break.MALFORMED, chain_id, seq, f"{source} names a head that no chain can have")
        elif chain is None or chain.seq < seq:
            self.expected.setdefault(chain_id, {}).setdefault(seq, {}).setdefault(link, source)
        elif chain.seq == seq and chain.link is not None:
            self._compare(chain_id, seq, chain.link, {link: source})
        else:
            self.passed.append((chain_id, head, source))

    def _compare_with_expected(self, found: StoredRecord) -> None:
        heads = self.expected.get(found.chain_id)
        if heads and (links := heads.pop(found.seq, None)):
            self._compare(found.chain_id, found.seq, found.link_hash, links)

    def _compare(self, chain_id: str, seq: int, link: bytes, links: Mapping[bytes, str]) -> None:
        for expected, source in links.items():
            if expected != link:
                why = f"is not the record that {source} saw: the chain was written anew up to here"
                self.problem(Break.RELINKED, chain_id, seq, why)

    def _read_opening(self, found: StoredRecord) -> None:
        try:
            heads = tuple(_heads_named_by(found.record))
        except UnfitJson as fault:
            self.problem(Break.MALFORMED, found.chain_id, found.seq, f"is no chain_opened record: {fault}")
            return
        for chain_id, head in heads:
            self.expect(chain_id, head, f"the opening of chain {found.chain_id}")

    def _read_cuts(self, found: StoredRecord) -> None:
        """What retention said that it removes. The record at a cut is compared wherever it is still there."""
        try:
            cuts = tuple(_cuts_named_by(found.record))
        except UnfitJson as fault:
            self.problem(Break.MALFORMED, found.chain_id, found.seq, f"is no audit_pruned record: {fault}")
            return
        for chain_id, head in cuts:
            self.expect(chain_id, head, f"the retention recorded in chain {found.chain_id}")
            if head[0] > self.cuts.get(chain_id, (0, GENESIS))[0]:
                self.cuts[chain_id] = head

    def look_again(self, records: Iterable[StoredRecord]) -> None:
        """Find the heads that an opening named after their record had gone by, where `records` can be read twice."""
        passed, self.passed = self.passed, []
        if not passed:
            return
        if isinstance(records, Iterator):
            for chain_id, (seq, _), source in passed:
                why = f"is named by {source} after it had gone by; read the newest chain first, or a list"
                self.problem(Break.UNCHECKED, chain_id, seq, why)
            return
        for chain_id, (seq, link), source in passed:
            self.expected.setdefault(chain_id, {}).setdefault(seq, {}).setdefault(link, source)
        for found in records:
            self._compare_with_expected(found)

    # --- the end ----------------------------------------------------------------------------------------------

    def report(self, count: int) -> ChainReport:
        removed = self._removed()
        for chain_id, chain in self.chains.items():
            for gap in chain.gaps:
                self._report_gap(chain_id, gap)
        for chain_id, heads in self.expected.items():
            for seq, links in heads.items():
                self._report_lost_head(chain_id, seq, next(iter(links.values())))
        heads_found = {
            chain_id: (chain.seq, chain.link)
            for chain_id, chain in self.chains.items()
            if chain.link is not None and chain.seq >= FIRST_SEQ
        }
        return ChainReport(
            records=count,
            heads=heads_found,
            problems=tuple(self.problems),
            problem_count=self.problem_count,
            removed={chain_id: head for chain_id, (head, _) in removed.items()},
            removed_records=sum(count for _, count in removed.values()),
        )

    def _removed(self) -> dict[str, tuple[Head, int]]:
        """What is missing and was said to be removed: chain -> the last of it, and how many records."""
        found: dict[str, tuple[Head, int]] = {}
        for chain_id, (seq, link) in self.cuts.items():
            chain = self.chains.get(chain_id)
            if chain is None:
                found[chain_id] = (seq, link), seq
                continue
            gone = [range(gap.missing.start, min(gap.missing.stop, seq + 1)) for gap in chain.gaps]
            if count := sum(len(missing) for missing in gone):
                last = max(missing[-1] for missing in gone if missing)
                found[chain_id] = (last, link if last == seq else b""), count
        return found

    def _report_gap(self, chain_id: str, gap: _Gap) -> None:
        cut_seq, cut_link = self.cuts.get(chain_id, (0, GENESIS))
        gone = range(max(gap.missing.start, cut_seq + 1), gap.missing.stop)
        if gone:
            which = f"record {gone.start}" if len(gone) == 1 else f"records {gone.start} to {gone.stop - 1}"
            self.problem(Break.DROPPED, chain_id, gone.start, f"{which} of the chain: not there")
        elif gap.missing.stop == cut_seq + 1 and gap.link != link_hash(
            cut_link, chain_id, gap.missing.stop, gap.leaf
        ):
            why = f"does not follow from record {cut_seq}, which retention says was the last that it removed"
            self.problem(Break.RELINKED, chain_id, gap.missing.stop, why)

    def _report_lost_head(self, chain_id: str, seq: int, source: str) -> None:
        chain = self.chains.get(chain_id)
        if seq <= self.cuts.get(chain_id, (0, GENESIS))[0] and (chain is None or chain.seq >= seq):
            return
        if chain is None:
            self.problem(Break.MISSING_CHAIN, chain_id, None, f"no record is left; {source} saw {seq}")
        elif seq > chain.seq:
            why = f"the chain ends at record {chain.seq}; {source} saw {seq}"
            self.problem(Break.TRUNCATED, chain_id, chain.seq, why)


def _malformed(found: StoredRecord) -> str | None:
    if found.seq < FIRST_SEQ:
        return f"has a number below {FIRST_SEQ}"
    if len(found.leaf_hash) != HASH_SIZE or len(found.link_hash) != HASH_SIZE:
        return f"has a hash that is not {HASH_SIZE} bytes long"
    if not (found.record.startswith(b"{") and found.record.endswith(b"}")):
        return "is no JSON object"
    return None


def _heads_named_by(opening: bytes) -> Iterator[tuple[str, Head]]:
    """The heads in a `chain_opened` record. Raises `UnfitJson` if it is none, or says them in another shape."""
    value = parse_json(opening, max_bytes=_MAX_OPENING, max_nodes=_MAX_OPENING)
    if not isinstance(value, dict) or value.get("event") != CHAIN_OPENED:
        raise UnfitJson("event", "the first record of a chain is chain_opened")
    yield from _heads_in(value, "known_heads")


def _cuts_named_by(record: bytes) -> Iterator[tuple[str, Head]]:
    """The cuts in an `audit_pruned` record; none in one of another event. Raises `UnfitJson` for another shape."""
    value = parse_json(record, max_bytes=_MAX_OPENING, max_nodes=_MAX_OPENING)
    if isinstance(value, dict) and value.get("event") == AUDIT_PRUNED:
        yield from _heads_in(value, "cuts")


def _heads_in(record: Mapping[str, JsonValue], name: str) -> Iterator[tuple[str, Head]]:
    named = record.get(name)
    if not isinstance(named, dict):
        raise UnfitJson(name, "an object of chain to [number, hash]")
    for chain_id, head in named.items():
        match head:
            case [int(seq), str(text)] if not isinstance(seq, bool) and _is_hash(text):
                yield chain_id, (seq, bytes.fromhex(text))
            case _:
                raise UnfitJson(name, "each head is [number, hash in hexadecimal]")


def _is_hash(text: str) -> bool:
    return len(text) == 2 * HASH_SIZE and not set(text) - set("0123456789abcdef")
