"""What may be removed, and when: pure rules over a call and what lies around it, and what a store is told to remove.

Nothing that is open is ever removed: whatever somebody, the clock or a late result can still move stays, however old.
A key outlives its result: when a call's row goes and its key does not, a tombstone answers that it was applied.

Not here: finding the rows (the stores), and when a round is made (``operations.retention``, ``bootstrap``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from toolgate.domain.duration import MICRO
from toolgate.domain.idempotency import KeyUse, judge_claim
from toolgate.domain.jobs import STARTED
from toolgate.domain.lifecycle import EffectState, is_open
from toolgate.domain.rows import RUNNING, CallRow, ClaimRow, Event, Found
from toolgate.domain.trail import AUDIT_PRUNED, plain_record

if TYPE_CHECKING:
    from toolgate.domain.audit import Head
    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.rows import ApprovalRow

HOUR: Final = 3_600.0
DAY: Final = 24 * HOUR
SHORTEST: Final[Mapping[str, float]] = {
    "audit": DAY,
    "calls": HOUR,
    "arguments": HOUR,
    "idempotency": HOUR,
    "sessions": HOUR,
    "notices": HOUR,
}
"""Seconds below which a retention is refused: a retry, a late result or a reader may come so long after the end."""
CUTS_PER_EVENT: Final = 1_000
"""Chains that one ``audit_pruned`` event names at most, so that no record grows without bound."""
_WAITS: Final = frozenset({RUNNING, STARTED, "pending_approval"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are kept after their end, in seconds; None for ever.

    Attributes:
        audit: records of the trail, from when they were written.
        calls: a call's row with its approval, votes and job, from when it last moved.
        arguments: its encrypted arguments and result. They go with the call at the latest.
        idempotency: its key, from when it last moved. Then the key is free again.
        sessions: sign-ins, one-time links and exchanged tokens, from when they ended.
        notices: delivered notifications. Those that were given up stay as long as calls do.
    """

    audit: float | None = None
    calls: float | None = None
    arguments: float | None = None
    idempotency: float | None = None
    sessions: float | None = 7 * DAY
    notices: float | None = 30 * DAY

    def before(self, name: str, now: int) -> int | None:
        """What ended by this moment (µs) has been kept long enough; None where it is kept for ever."""
        kept: float | None = getattr(self, name)
        return None if kept is None else now - round(kept * MICRO)


NOTHING_SAID: Final = Retention()


class Around(NamedTuple):
    """A call with its approval, the keys that it holds and whether encrypted bytes of it are kept."""

    call: CallRow
    approval: ApprovalRow | None
    claims: tuple[ClaimRow, ...]
    sealed: bool


class Removal(NamedTuple):
    """What goes of one call now.

    ``freed`` are keys that are forgotten. ``tombstones`` are keys that stay although their call goes; ``ended_at`` is
    the moment (µs) from which their own retention is counted.
    """

    call_id: str
    approval_id: str | None
    call: bool
    sealed: bool
    freed: tuple[bytes, ...]
    tombstones: tuple[bytes, ...]
    ended_at: int


def has_ended(call: CallRow, approval: ApprovalRow | None, now: int) -> bool:
    """Whether nobody and nothing can move it any more, but for a person's word on what is settled."""
    if call.incident is not None or call.effect_state in {EffectState.INTENDED, EffectState.UNKNOWN}:
        return False
    if approval is not None and is_open(approval.state):
        return False
    # An attempt that was given up may still be running, and its late word is evidence.
    return call.lease_until <= now and (call.status not in _WAITS or call.effect_state is not None)


def removal(kept: Retention, around: Around, now: int) -> Removal | None:
    """What goes of a call at ``now`` (µs); None if nothing does."""
    call, approval = around.call, around.approval
    if not has_ended(call, approval, now):
        return None
    free, settled = _keys(kept, around, now)
    # What was refused for good, or did something and failed, cannot be told by a tombstone: its row stays with its key.
    gone = _over(kept.calls, call, now) and (
        not settled or (call.effect_state is EffectState.APPLIED and call.status == "succeeded")
    )
    sealed = around.sealed and (gone or _over(kept.arguments, call, now))
    if not gone:
        free = free if _over(kept.idempotency, call, now) else ()
    if not (gone or sealed or free):
        return None
    return Removal(
        call_id=call.call_id,
        approval_id=call.approval_id,
        call=gone,
        sealed=sealed,
        freed=free,
        tombstones=settled if gone else (),
        ended_at=call.updated_at,
    )


def removals(kept: Retention, found: Iterable[Around], now: int) -> list[Removal]:
    """What goes of each."""
    return [gone for around in found if (gone := removal(kept, around, now)) is not None]


def _keys(kept: Retention, around: Around, now: int) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The keys that may be forgotten, and those that still have to answer for what the call came to."""
    forgotten = _over(kept.idempotency, around.call, now)
    free: list[bytes] = []
    settled: list[bytes] = []
    for claim in around.claims:
        use = judge_claim(
            Found(claim=claim, call=around.call, approval=around.approval),
            caller_id=claim.caller_id,
            fingerprint=claim.fingerprint,
        )
        # A claim that only attaches means nothing once nobody waits any more.
        means_nothing = use is KeyUse.FREE or claim.attach_only
        (free if forgotten or means_nothing else settled).append(claim.key_mac)
    return tuple(free), tuple(settled)


def _over(kept: float | None, call: CallRow, now: int) -> bool:
    return kept is not None and call.updated_at + round(kept * MICRO) <= now


# --- what a store is told ---------------------------------------------------------------------------------------


Walk = Literal["sealed", "claims", "calls"]
"""Which table is walked in the order of call ids: only what can have something to remove is looked at."""
WALKS: Final[tuple[tuple[Walk, str], ...]] = (
    ("sealed", "arguments"),
    ("claims", "idempotency"),
    ("calls", "calls"),
)
"""Each walk with the retention that it serves."""


class PruneCalls(NamedTuple):
    """Look at the next ``limit`` calls behind ``after`` of one walk, and remove what may go of them."""

    by: Walk
    kept: Retention
    after: str = ""
    limit: int = 100

    @property
    def serves(self) -> str:
        """The retention that this walk serves."""
        return dict(WALKS)[self.by]


class PruneTombstones(NamedTuple):
    """Forget keys whose call ended by ``before`` (µs) and whose row is gone."""

    before: int
    limit: int = 500


class PruneTokens(NamedTuple):
    """Remove sessions, links and exchanged tokens that had ended by ``before`` (µs)."""

    before: int
    limit: int = 500


class PruneNotices(NamedTuple):
    """Remove notices all of whose deliveries ended: delivered by ``before`` (µs), given up by ``dead_before``."""

    before: int
    dead_before: int | None
    limit: int = 500


class PruneTrail(NamedTuple):
    """Remove the records that ``cut`` names, whose heads were recorded at ``stated_at`` (µs)."""

    cut: TrailCut
    stated_at: int
    limit: int = 1_000


Prune = PruneCalls | PruneTombstones | PruneTokens | PruneNotices | PruneTrail


class Pruned(NamedTuple):
    """What one batch removed (or would remove), by name. ``after``: where the next batch begins; None at the end."""

    counts: Mapping[str, int] = {}
    after: str | None = None


class TrailCut(NamedTuple):
    """The oldest records, as far as they may go, in one bounded step.

    Attributes:
        heads: chain → the last record of it that goes.
        restated: chain → what was cut before, by an event that is itself so old that it may go now.
        records: how many go.
        until: all of them were written by then (µs).
        place: the store's own name for where they end.
    """

    heads: Mapping[str, Head]
    restated: Mapping[str, Head]
    records: int
    until: int
    place: str


@dataclass(slots=True)
class Tally:
    """What a round removed, by name."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, counts: Mapping[str, int]) -> None:
        """Count these too."""
        for name, count in counts.items():
            if count:
                self.counts[name] = self.counts.get(name, 0) + count


def counted(gone: Iterable[Removal]) -> dict[str, int]:
    """How many of each kind ``gone`` names."""
    tally = {"calls": 0, "arguments": 0, "keys": 0}
    for one in gone:
        tally["calls"] += one.call
        tally["arguments"] += one.sealed
        tally["keys"] += len(one.freed)
    return tally


def pruned_events(cut: TrailCut, *, now: int, kept: float) -> tuple[Event, ...]:
    """What the trail says before records of it are removed: which chains end where from now on, at their oldest end."""
    heads = sorted({**cut.restated, **cut.heads}.items())
    parts = [heads[at : at + CUTS_PER_EVENT] for at in range(0, len(heads), CUTS_PER_EVENT)]
    return tuple(
        _pruned_event(dict(part), cut if place == 0 else cut._replace(records=0), now=now, kept=kept)
        for place, part in enumerate(parts)
    )


def _pruned_event(heads: Mapping[str, Head], cut: TrailCut, *, now: int, kept: float) -> Event:
    cuts: dict[str, JsonValue] = {chain: [seq, link.hex()] for chain, (seq, link) in heads.items()}
    fields: dict[str, JsonValue] = {
        "cuts": cuts,
        "toolgate.records": cut.records,
        "toolgate.until": cut.until,
        "toolgate.retention_s": round(kept),
    }
    return Event(None, now, plain_record(AUDIT_PRUNED, at=now, fields=fields))
