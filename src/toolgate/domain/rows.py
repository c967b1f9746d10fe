"""The ledger's rows as they lie in every store. What may become of them is decided in ``ledger``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

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
    barred: tuple[str, ...] = ()
    must_reveal: bool = False
    ended_by: str | None = None


class RevisionRow(NamedTuple):
    """What an edit replaced: the revision as it was shown, who changed it and why. Redacted, as ``shown`` is."""

    approval_id: str
    revision: int
    digest: bytes
    shown: bytes
    replaced_at: int
    editor: str
    reason: str


class Reveal(NamedTuple):
    """Somebody looked at what is masked in one revision."""

    approval_id: str
    revision: int
    viewer: str
    at: int


class GrantRow(NamedTuple):
    """Consent given beforehand: one tool, within bounds, for one caller or agent, until a time, so many times.

    ``bounds`` is the canonical JSON of a condition over the arguments. ``contract_digest``: the contract that was
    looked at; under another one the grant covers nothing. ``granted_by`` and ``roles``: whose vote it stands for.
    """

    grant_id: str
    tenant: str
    tool: str
    contract_digest: str
    bounds: bytes
    caller_id: str | None
    agent: str | None
    until: int
    max_uses: int
    uses: int
    granted_by: str
    roles: frozenset[str]
    reason: str
    created_at: int
    approval_id: str | None
    revoked_at: int | None
    revoked_by: str | None


class JobRow(NamedTuple):
    """What a job is besides its call: where it waits, how often it began, how far it came, and who wants it to end.

    Its state is that of the call (``jobs.state_of``) and is not kept here. Times in microseconds since the epoch, UTC;
    ``timeout_us`` counts from ``started_at`` over all runs. ``queue`` is the tool and the tenant. ``rerun``: a run
    whose worker died may be followed by another. ``done``, ``total`` and ``note`` are the tool's own words.
    """

    job_id: str
    call_id: str
    tenant: str
    tool: str
    caller_id: str
    queue: str
    priority: int
    not_before: int
    created_at: int
    timeout_us: int
    rerun: bool
    started_at: int | None = None
    attempts: int = 0
    done: float | None = None
    total: float | None = None
    note: str | None = None
    progress_at: int | None = None
    cancel_at: int | None = None
    cancelled_by: str | None = None
    cancel_reason: str | None = None


class SealedRow(NamedTuple):
    """Encrypted bytes that belong to a call: ``kind`` is ``request`` or ``result``.

    The recorded steps of a job are sealed likewise, as ``step``, and lie with the job engine.
    """

    call_id: str
    kind: str
    sealed: bytes


GIVEN_OUT = "api"
"""The kind of token that a person makes for somebody. All others come and go by themselves."""


class TokenRow(NamedTuple):
    """A credential for people and programs: only its hash is kept.

    ``kind``: ``api`` is given out by a person, ``session`` is a console's login, ``exchanged`` an agent's for a user,
    ``link`` opens one session and no second. ``agent`` and ``owner``: which program acts with it, and who answers for
    that program. ``parent``: the credential that it was made from, and with which it ends; an exchanged one has two,
    with a space between.
    """

    token_id: str
    token_hash: str
    caller_id: str
    tenant: str
    roles: frozenset[str]
    created_at: int
    expires_at: int
    revoked_at: int | None
    kind: str = "api"
    scopes: frozenset[str] = frozenset({"call", "approve", "operate"})
    agent: str | None = None
    owner: str | None = None
    label: str = ""
    parent: str | None = None


class NoticeRow(NamedTuple):
    """Something that people outside may want to hear of, written with what it tells. ``body`` is canonical JSON.

    It holds no arguments: what leaves the house says that somebody has to look, and where.
    """

    notice_id: str
    tenant: str
    topic: str
    risk: str | None
    at: int
    body: bytes
    planned: bool = False


class DeliveryRow(NamedTuple):
    """One notice on its way to one sink. ``state``: pending, delivered, or dead."""

    notice_id: str
    sink: str
    state: str
    attempts: int
    next_at: int
    updated_at: int
    last_error: str | None


class Event(NamedTuple):
    """One audit event, canonical, before the writer chains it. ``call_id``: the call or grant that it is found by."""

    call_id: str | None
    at: int
    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The rows around one subject, as they are inside the transaction.

    ``holder``: the rows around another key that the subject names, where it is claimed. ``job`` is looked up for
    ``ByJob`` alone.
    """

    claim: ClaimRow | None = None
    call: CallRow | None = None
    approval: ApprovalRow | None = None
    votes: tuple[Vote, ...] = ()
    reveals: tuple[Reveal, ...] = ()
    grant: GrantRow | None = None
    token: TokenRow | None = None
    notice: NoticeRow | None = None
    delivery: DeliveryRow | None = None
    holder: Found | None = None
    job: JobRow | None = None


NOTHING = Found()


class ByKey(NamedTuple):
    """The rows around a claim."""

    key_mac: bytes


class ByCall(NamedTuple):
    """The rows around a call."""

    call_id: str


class ByJob(NamedTuple):
    """The rows around a call, and its job where it is one.

    ``with_job`` tells it from ``ByCall``: two named tuples of the same values are equal, and stores key by subjects.
    """

    call_id: str
    with_job: Literal[True] = True


class ByApproval(NamedTuple):
    """The rows around an approval."""

    approval_id: str


class ByApprovalAndKey(NamedTuple):
    """The rows around an approval, and the claim of another key, if there is one."""

    approval_id: str
    key_mac: bytes


class ByGrant(NamedTuple):
    """A grant, and the rows around a claim where there is one."""

    grant_id: str
    key_mac: bytes | None = None


class ByToken(NamedTuple):
    """A token."""

    token_id: str


class ByNotice(NamedTuple):
    """A notice, and its way to one sink if one is named."""

    notice_id: str
    sink: str | None = None


Subject = ByKey | ByCall | ByJob | ByApproval | ByApprovalAndKey | ByGrant | ByToken | ByNotice


class NewCall(NamedTuple):
    """A call to insert."""

    row: CallRow


class CallChanged(NamedTuple):
    """A call whose changing columns moved."""

    row: CallRow


class NewJob(NamedTuple):
    """A job to insert. One that was there before, whose call was held in between, is replaced."""

    row: JobRow


class JobMoved(NamedTuple):
    """A job whose row changed."""

    row: JobRow


class Resealed(NamedTuple):
    """A held call that was edited: what is bound to its arguments is written anew."""

    call_id: str
    digest: bytes
    fingerprint: bytes
    key_mac: bytes | None


def resealed(row: CallRow, changed: Resealed) -> CallRow:
    """``row`` as a store keeps it after an edit."""
    return row._replace(digest=changed.digest, fingerprint=changed.fingerprint, key_mac=changed.key_mac)


Row = (
    NewCall
    | CallChanged
    | NewJob
    | JobMoved
    | Resealed
    | ClaimRow
    | ApprovalRow
    | RevisionRow
    | Reveal
    | Vote
    | GrantRow
    | SealedRow
    | TokenRow
    | NoticeRow
    | DeliveryRow
    | Event
)
