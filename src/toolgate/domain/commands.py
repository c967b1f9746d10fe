"""What a store can be told, and what it answers. Each command is one transaction, each carries its audit event.

``subject`` names the rows that the decision needs; the decision itself is in ``ledger``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolgate.domain.rows import (
    ByApproval,
    ByApprovalAndKey,
    ByCall,
    ByGrant,
    ByJob,
    ByKey,
    ByNotice,
    ByToken,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.approval import Requirement
    from toolgate.domain.caller import Caller
    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.idempotency import KeyUse
    from toolgate.domain.lifecycle import ApprovalCause, EffectCause
    from toolgate.domain.principal import Why
    from toolgate.domain.rows import (
        ApprovalRow,
        CallRow,
        ClaimRow,
        DeliveryRow,
        Event,
        Found,
        GrantRow,
        JobRow,
        Resealed,
        SealedRow,
        Subject,
        TokenRow,
    )


class Done(NamedTuple):
    """Written. ``call`` and ``approval`` as they are now, where the command moved them."""

    call: CallRow | None = None
    approval: ApprovalRow | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """The key was used; nothing was written."""

    use: KeyUse
    found: Found


@dataclass(frozen=True, slots=True)
class Superseded:
    """The call is not in the state that the command expects; nothing was written."""

    call: CallRow | None


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """The command may not happen, and why; ``wrote`` where the refusal itself was an event (an expiry seen).

    ``why``: whether another person could, or nobody as things stand.
    """

    reason: str
    found: Found
    wrote: bool = False
    why: Why = "conflict"


Answer = Done | Taken | Superseded | NotAllowed

DONE = Done()


class Record(NamedTuple):
    """A call that is over at once: a read's result, or a refusal."""

    call: CallRow
    event: Event

    @property
    def subject(self) -> None:
        return None


class Append(NamedTuple):
    """Events that move nothing."""

    events: tuple[Event, ...]

    @property
    def subject(self) -> None:
        return None


class GrantUse(NamedTuple):
    """The grant that stands for a person's consent, and what it has to stand for."""

    grant_id: str
    requirement: Requirement
    contract_digest: str
    barred: tuple[str, ...] = ()


class Intend(NamedTuple):
    """Claim the key and write the intent: the permit to run, durable before anything does.

    With ``grant``, one use of it is spent in the same transaction, or nothing is written. With ``job`` it is no intent
    yet: the call is ``started`` and waits for a worker, which writes one (``BeginJob``).
    """

    call: CallRow
    claim: ClaimRow | None
    request: SealedRow
    event: Event
    grant: GrantUse | None = None
    job: JobRow | None = None

    @property
    def subject(self) -> Subject | None:
        key_mac = self.claim.key_mac if self.claim else None
        if self.grant is not None:
            return ByGrant(self.grant.grant_id, key_mac)
        return ByKey(key_mac) if key_mac is not None else None


class DraftHold(NamedTuple):
    """Claim the key and draft an approval. ``also``: keys that a call which is drafted anew had besides."""

    call: CallRow
    claim: ClaimRow
    approval: ApprovalRow
    request: SealedRow
    event: Event
    also: tuple[ClaimRow, ...] = ()

    @property
    def subject(self) -> Subject:
        return ByKey(self.claim.key_mac)


class Settle(NamedTuple):
    """The owner says how its intent ended. A call that others moved meanwhile is ``Superseded``."""

    call: CallRow
    cause: EffectCause
    result: SealedRow | None
    event: Event

    @property
    def subject(self) -> Subject:
        return ByCall(self.call.call_id)


class Rehold(NamedTuple):
    """The business wants a person: the intent settles as not applied and the same call is held.

    ``claim``: what a call without a key is found by when it is asked again.
    """

    call: CallRow
    approval: ApprovalRow
    claim: ClaimRow | None
    event: Event

    @property
    def subject(self) -> Subject:
        return ByCall(self.call.call_id)


class Dispatch(NamedTuple):
    """Consume the approval and write the intent, at once; with ``job``, put it into its queue instead."""

    call_id: str
    approval_id: str
    owner: str
    lease_until: int
    digest: bytes
    requirement: Requirement
    job: JobRow | None = None

    @property
    def subject(self) -> Subject:
        return ByApproval(self.approval_id)


class BeginJob(NamedTuple):
    """Take a queued job: the permit to run it, durable before anything does.

    Compare-and-set on the call: it is ``started`` and has no intent, its time has come, nobody wants it cancelled, and
    ``digest`` is what was asked for. ``started_at`` is written the first time, ``attempts`` counted each time.
    """

    call_id: str
    owner: str
    lease_until: int
    digest: bytes

    @property
    def subject(self) -> Subject:
        return ByJob(self.call_id)


class EndJob(NamedTuple):
    """A queued job that cannot run any more: refused with ``error_type`` and ``reasons``, or its deadline passed."""

    call_id: str
    actor: str
    error_type: str
    reasons: tuple[str, ...] = ()

    @property
    def subject(self) -> Subject:
        return ByJob(self.call_id)


class CancelJob(NamedTuple):
    """Somebody wants it to end. A queued job ends here; of a running one the wish is written for its owner to see."""

    call_id: str
    actor: str
    reason: str
    through: str | None = None

    @property
    def subject(self) -> Subject:
        return ByJob(self.call_id)


class MoveJob(NamedTuple):
    """How far its owner says it has come. No event: progress is no part of the trail."""

    call_id: str
    owner: str
    done: float
    total: float | None = None
    note: str | None = None

    @property
    def subject(self) -> Subject:
        return ByJob(self.call_id)


class DecideApproval(NamedTuple):
    """A person approves or denies what they saw (``digest``).

    ``through``: the program that showed it to them and says so, where they did not come in person.
    """

    approval_id: str
    decision: Literal["approve", "deny"]
    voter: Caller
    reason: str
    digest: bytes
    through: str | None = None

    @property
    def subject(self) -> Subject:
        return ByApproval(self.approval_id)


class EditApproval(NamedTuple):
    """A person changes the arguments of a held call: a new revision, every vote void.

    ``seen`` is the digest that the editor looked at. ``approval`` is the new revision; ``claim`` the key that the new
    arguments come to, where it is another. The edit is no vote, and whoever makes it may not approve any more.
    """

    approval_id: str
    editor: Caller
    reason: str
    seen: bytes
    resealed: Resealed
    approval: ApprovalRow
    claim: ClaimRow | None
    request: SealedRow
    redacted: Mapping[str, JsonValue]

    @property
    def subject(self) -> Subject:
        if self.claim is not None:
            return ByApprovalAndKey(self.approval_id, self.claim.key_mac)
        return ByApproval(self.approval_id)


class RevealMasked(NamedTuple):
    """An approver wants to see what is masked in the revision with ``digest``."""

    approval_id: str
    viewer: Caller
    reason: str
    digest: bytes

    @property
    def subject(self) -> Subject:
        return ByApproval(self.approval_id)


class PutGrant(NamedTuple):
    """Make a grant."""

    grant: GrantRow
    event: Event

    @property
    def subject(self) -> None:
        return None


class RevokeGrant(NamedTuple):
    """End a grant before its time."""

    grant_id: str
    actor: str
    reason: str

    @property
    def subject(self) -> Subject:
        return ByGrant(self.grant_id)


class PlanNotice(NamedTuple):
    """Say to which sinks a notice goes; once."""

    notice_id: str
    sinks: tuple[str, ...]

    @property
    def subject(self) -> Subject:
        return ByNotice(self.notice_id)


class MoveDelivery(NamedTuple):
    """Claim an attempt, or say how it ended. ``seen``: the attempts that whoever moves it knows of.

    ``event``: where a person moved it.
    """

    delivery: DeliveryRow
    seen: int
    event: Event | None = None

    @property
    def subject(self) -> Subject:
        return ByNotice(self.delivery.notice_id, self.delivery.sink)


class EndApproval(NamedTuple):
    """Expire or cancel; ``error_type`` is what the call then answers."""

    approval_id: str
    cause: ApprovalCause
    actor: str
    reason: str
    error_type: str

    @property
    def subject(self) -> Subject:
        return ByApproval(self.approval_id)


class Lapse(NamedTuple):
    """An intent whose lease ran out becomes unknown; a job that may run again goes back to its queue.

    ``gone``: the owner itself says so (``actor``), because it leaves; nobody has to wait for the lease then.
    """

    call_id: str
    actor: str
    gone: bool = False

    @property
    def subject(self) -> Subject:
        return ByJob(self.call_id)


class Resolve(NamedTuple):
    """Somebody or something knows how an unknown effect ended. ``reopen`` drafts the consumed approval anew."""

    call_id: str
    cause: EffectCause
    actor: str
    reason: str
    result: SealedRow | None = None
    status: str = "succeeded"
    reopen: DraftHold | None = None

    @property
    def subject(self) -> Subject:
        return ByCall(self.call_id)


class LateEvidence(NamedTuple):
    """An attempt that had been given up ended after all. ``applied`` None: it ended and proves nothing."""

    call_id: str
    owner: str
    applied: bool | None
    detail: str
    result: SealedRow | None
    error_type: str | None = None

    @property
    def subject(self) -> Subject:
        return ByCall(self.call_id)


class Renew(NamedTuple):
    """The owner's attempt is still running."""

    call_id: str
    owner: str
    lease_until: int

    @property
    def subject(self) -> Subject:
        return ByCall(self.call_id)


class PutToken(NamedTuple):
    """Make or revoke a token.

    ``once``: the token of this id is used up by it; where that was revoked already, nothing is written.
    """

    token: TokenRow
    event: Event
    once: str | None = None

    @property
    def subject(self) -> Subject | None:
        return None if self.once is None else ByToken(self.once)


Command = (
    Record
    | Append
    | Intend
    | DraftHold
    | Settle
    | Rehold
    | Dispatch
    | BeginJob
    | EndJob
    | CancelJob
    | MoveJob
    | DecideApproval
    | EditApproval
    | RevealMasked
    | PutGrant
    | RevokeGrant
    | PlanNotice
    | MoveDelivery
    | EndApproval
    | Lapse
    | Resolve
    | LateEvidence
    | Renew
    | PutToken
)
