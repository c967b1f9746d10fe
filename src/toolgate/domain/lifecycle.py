"""THE transition tables of a call: the only place that says which state may follow which.

Two machines, tied at one point: consuming an approval and writing the intent are one transition of
one transaction. The documentation's diagrams are drawn from these tables; ``EffectState`` is what the
ledger knows of the world, ``ApprovalState`` what people have said. A call whose business service asks for a
person settles as not applied and is held: it has no effect state again until its approval is consumed.

The third table is that of a job: when its call has an intent and when it has none yet. Its states are read off the
call (``jobs.state_of``) and kept nowhere else.

Not here: who may cause a transition (gates, operations) and how it is stored (adapters).
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType


class EffectState(StrEnum):
    """What the ledger knows about the effect of a call that may have one."""

    INTENDED = "intended"
    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"


class EffectCause(StrEnum):
    """Why an effect changes state."""

    SETTLED_APPLIED = "settled as applied"
    SETTLED_NOT_APPLIED = "settled as not applied"
    IN_DOUBT = "deadline passed, reply lost, or owner died"
    RECONCILED_APPLIED = "reconciled: it happened"
    RECONCILED_NOT_APPLIED = "reconciled: it did not happen"
    LATE_APPLIED = "a late result says that it happened"
    LATE_NOT_APPLIED = "a late failure says that nothing happened"
    RESOLVED_APPLIED = "a person says that it happened"
    RESOLVED_NOT_APPLIED = "a person says that it did not"
    CORRECTED_APPLIED = "after an incident a person says that it happened"
    CORRECTED_NOT_APPLIED = "after an incident a person says that it did not"


class ApprovalState(StrEnum):
    """Where a request for a person's consent stands."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    CONSUMED = "consumed"


class ApprovalCause(StrEnum):
    """Why an approval changes state."""

    QUORUM_REACHED = "enough people approved"
    EDITED = "edited: a new revision, every vote void"
    DENIED = "a person denied"
    LAPSED = "its time ran out"
    WITHDRAWN = "withdrawn, or the contract changed"
    DISPATCHED = "the call was dispatched"


class JobState(StrEnum):
    """Where a call that runs as a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "pending_approval"
    ENDED = "ended"


class JobCause(StrEnum):
    """Why a job changes state."""

    BEGUN = "a worker begins it: the intent"
    SETTLED = "it ended, or nobody knows how"
    REQUEUED = "its worker died, and its contract allows another run"
    LOST = "its worker died, and it may not run again"
    HELD = "the business wants a person, and nothing happened"
    APPROVED = "people agreed"
    WITHHELD = "people did not agree in time"
    CANCELLED = "cancelled before it began"
    REFUSED = "it may not run any more, or its deadline passed"


_CORRECTED = MappingProxyType(
    {
        EffectCause.CORRECTED_APPLIED: EffectState.APPLIED,
        EffectCause.CORRECTED_NOT_APPLIED: EffectState.NOT_APPLIED,
    }
)
"""Two witnesses contradicted each other, and a person looked: the only way out of what was settled."""

EFFECT_TRANSITIONS = MappingProxyType(
    {
        EffectState.INTENDED: MappingProxyType(
            {
                EffectCause.SETTLED_APPLIED: EffectState.APPLIED,
                EffectCause.SETTLED_NOT_APPLIED: EffectState.NOT_APPLIED,
                EffectCause.IN_DOUBT: EffectState.UNKNOWN,
            }
        ),
        EffectState.UNKNOWN: MappingProxyType(
            {
                EffectCause.RECONCILED_APPLIED: EffectState.APPLIED,
                EffectCause.RECONCILED_NOT_APPLIED: EffectState.NOT_APPLIED,
                EffectCause.LATE_APPLIED: EffectState.APPLIED,
                EffectCause.LATE_NOT_APPLIED: EffectState.NOT_APPLIED,
                EffectCause.RESOLVED_APPLIED: EffectState.APPLIED,
                EffectCause.RESOLVED_NOT_APPLIED: EffectState.NOT_APPLIED,
            }
        ),
        EffectState.APPLIED: _CORRECTED,
        EffectState.NOT_APPLIED: _CORRECTED,
    }
)

APPROVAL_TRANSITIONS = MappingProxyType(
    {
        ApprovalState.PENDING: MappingProxyType(
            {
                ApprovalCause.QUORUM_REACHED: ApprovalState.APPROVED,
                ApprovalCause.EDITED: ApprovalState.PENDING,
                ApprovalCause.DENIED: ApprovalState.DENIED,
                ApprovalCause.LAPSED: ApprovalState.EXPIRED,
                ApprovalCause.WITHDRAWN: ApprovalState.CANCELLED,
            }
        ),
        ApprovalState.APPROVED: MappingProxyType(
            {
                ApprovalCause.DISPATCHED: ApprovalState.CONSUMED,
                ApprovalCause.LAPSED: ApprovalState.EXPIRED,
                ApprovalCause.WITHDRAWN: ApprovalState.CANCELLED,
            }
        ),
        ApprovalState.DENIED: MappingProxyType({}),
        ApprovalState.EXPIRED: MappingProxyType({}),
        ApprovalState.CANCELLED: MappingProxyType({}),
        ApprovalState.CONSUMED: MappingProxyType({}),
    }
)

JOB_TRANSITIONS = MappingProxyType(
    {
        JobState.QUEUED: MappingProxyType(
            {
                JobCause.BEGUN: JobState.RUNNING,
                JobCause.CANCELLED: JobState.ENDED,
                JobCause.REFUSED: JobState.ENDED,
            }
        ),
        JobState.RUNNING: MappingProxyType(
            {
                JobCause.SETTLED: JobState.ENDED,
                JobCause.REQUEUED: JobState.QUEUED,
                JobCause.LOST: JobState.ENDED,
                JobCause.HELD: JobState.WAITING,
            }
        ),
        JobState.WAITING: MappingProxyType(
            {JobCause.APPROVED: JobState.QUEUED, JobCause.WITHHELD: JobState.ENDED}
        ),
        JobState.ENDED: MappingProxyType({}),
    }
)
"""A job that is asked for under an approval begins as ``QUEUED`` once that is consumed; before, it is a held call."""


def next_effect(state: EffectState, cause: EffectCause) -> EffectState | None:
    """The state after ``cause``, or None where the table has no such transition."""
    return EFFECT_TRANSITIONS[state].get(cause)


def next_approval(state: ApprovalState, cause: ApprovalCause) -> ApprovalState | None:
    """The state after ``cause``, or None where the table has no such transition."""
    return APPROVAL_TRANSITIONS[state].get(cause)


def next_job(state: JobState, cause: JobCause) -> JobState | None:
    """The state after ``cause``, or None where the table has no such transition."""
    return JOB_TRANSITIONS[state].get(cause)


def is_settled(state: EffectState) -> bool:
    """Whether the ledger is sure of what happened: nothing follows but a person's word on an incident."""
    return EFFECT_TRANSITIONS[state] is _CORRECTED


def is_open(state: ApprovalState) -> bool:
    """Whether somebody or the clock can still move it."""
    return bool(APPROVAL_TRANSITIONS[state])


def diagrams() -> dict[str, str]:
    """The machines as Mermaid ``stateDiagram-v2`` text, for the documentation."""
    return {
        "effect": _mermaid("intended", {s: dict(t) for s, t in EFFECT_TRANSITIONS.items()}),
        "approval": _mermaid("pending", {s: dict(t) for s, t in APPROVAL_TRANSITIONS.items()}),
        "job": _mermaid("queued", {s: dict(t) for s, t in JOB_TRANSITIONS.items()}),
    }


def _mermaid(
    start: str,
    table: dict[EffectState, dict[EffectCause, EffectState]]
    | dict[ApprovalState, dict[ApprovalCause, ApprovalState]]
    | dict[JobState, dict[JobCause, JobState]],
) -> str:
    lines = ["stateDiagram-v2", f"    [*] --> {start}"]
    for state, exits in table.items():
        lines += [f"    {state} --> {after}: {cause}" for cause, after in exits.items()]
        lines += [f"    {state} --> [*]"] if not exits or exits == dict(_CORRECTED) else []
    return "\n".join(lines)
