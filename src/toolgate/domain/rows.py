"""The ledger's rows as they lie in every store. What may become of them is decided in ``ledger``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from toolgate.domain.approval import Vote

if TYPE_CHECKING:
    from toolgate.domain.lifecycle import ApprovalState, EffectState

RUNNING = "running"


class CallRow(NamedTuple):
    """One call. Times in microseconds since the epoch, UTC; ``status`` is an outcome's, or ``running``."""

    call_id: str
    tenant: str
    tool: str
    version: str
    contract_digest: str
    effect: str
    caller_id: str
    agent: str | None
    model: str | None
    workflow_id: str
    workflow_explicit: bool
    request_id: str | None
    trace: str | None
    surface: str
    received_at: int
    digest: bytes
    fingerprint: bytes
    key_mac: bytes | None
    updated_at: int
    status: str
    effect_state: EffectState | None
    error_type: str | None
    owner: str
    lease_until: int
    approval_id: str | None
    duration_us: int
    incident: str | None


_MOVED_AT = CallRow._fields.index("updated_at")
MOVED_FIELDS = CallRow._fields[_MOVED_AT:]
"""What may change of a call; the rest is written once."""


def moved(row: CallRow, changed: CallRow) -> CallRow:
    """``row`` as a store keeps it after ``CallChanged(changed)``."""
    return CallRow._make((*row[:_MOVED_AT], *changed[_MOVED_AT:]))


class ClaimRow(NamedTuple):
    """Who holds a key, and with which arguments. ``attach_only``: made for a hold of a call without a key."""

    key_mac: bytes
    call_id: str
    caller_id: str
    fingerprint: bytes
    attach_only: bool


class ApprovalRow(NamedTuple):
    """One request for consent. ``shown`` is the canonical JSON of what an approver sees, redacted."""

    approval_id: str
    call_id: str
    tenant: str
    tool: str
    caller_id: str
    revision: int
    state: ApprovalState
    requirement: bytes
    digest: bytes
    shown: bytes
    requested_at: int
    expires_at: int
    updated_at: int
    reason: str | None


class SealedRow(NamedTuple):
    """Encrypted bytes that belong to a call: ``kind`` is ``request`` or ``result``."""

    call_id: str
    kind: str
    sealed: bytes


class TokenRow(NamedTuple):
    """A credential for people and programs: only its hash is kept."""

    token_id: str
    token_hash: str
    caller_id: str
    tenant: str
    roles: frozenset[str]
    created_at: int
    expires_at: int
    revoked_at: int | None


class Event(NamedTuple):
    """One audit event, canonical, before the writer chains it."""

    call_id: str | None
    at: int
    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The rows around one subject, as they are inside the transaction."""

    claim: ClaimRow | None = None
    call: CallRow | None = None
    approval: ApprovalRow | None = None
    votes: tuple[Vote, ...] = ()


NOTHING = Found()


class ByKey(NamedTuple):
    """The rows around a claim."""

    key_mac: bytes


class ByCall(NamedTuple):
    """The rows around a call."""

    call_id: str


class ByApproval(NamedTuple):
    """The rows around an approval."""

    approval_id: str


Subject = ByKey | ByCall | ByApproval


class NewCall(NamedTuple):
    """A call to insert."""

    row: CallRow


class CallChanged(NamedTuple):
    """A call whose changing columns moved."""

    row: CallRow


Row = NewCall | CallChanged | ClaimRow | ApprovalRow | Vote | SealedRow | TokenRow | Event
