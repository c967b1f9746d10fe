"""What a store can be told, and what it answers. Each command is one transaction, each carries its audit event.

``subject`` names the rows that the decision needs; the decision itself is in ``ledger``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolgate.domain.rows import ByApproval, ByCall, ByKey

if TYPE_CHECKING:
    from toolgate.domain.approval import Requirement
    from toolgate.domain.caller import Caller
    from toolgate.domain.idempotency import KeyUse
    from toolgate.domain.lifecycle import ApprovalCause, EffectCause
    from toolgate.domain.rows import (
        ApprovalRow,
        CallRow,
        ClaimRow,
        Event,
        Found,
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
    """The command may not happen, and why; ``wrote`` where the refusal itself was an event (an expiry seen)."""

    reason: str
    found: Found
    wrote: bool = False


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


class Intend(NamedTuple):
    """Claim the key and write the intent: the permit to run, durable before anything does."""

    call: CallRow
    claim: ClaimRow | None
    request: SealedRow
    event: Event

    @property
    def subject(self) -> Subject | None:
        return ByKey(self.claim.key_mac) if self.claim else None


class DraftHold(NamedTuple):
    """Claim the key and draft an approval."""

    call: CallRow
    claim: ClaimRow
    approval: ApprovalRow
    request: SealedRow
    event: Event

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
    """Consume the approval and write the intent, at once."""

    call_id: str
    approval_id: str
    owner: str
    lease_until: int
    digest: bytes
    requirement: Requirement

    @property
    def subject(self) -> Subject:
        return ByApproval(self.approval_id)


class DecideApproval(NamedTuple):
    """A person approves or denies what they saw (``digest``)."""

    approval_id: str
    decision: Literal["approve", "deny"]
    voter: Caller
    reason: str
    digest: bytes

    @property
    def subject(self) -> Subject:
        return ByApproval(self.approval_id)


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
    """An intent whose lease ran out becomes unknown."""

    call_id: str
    actor: str

    @property
    def subject(self) -> Subject:
        return ByCall(self.call_id)


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
    """Make or revoke a token."""

    token: TokenRow
    event: Event

    @property
    def subject(self) -> None:
        return None


Command = (
    Record
    | Append
    | Intend
    | DraftHold
    | Settle
    | Rehold
    | Dispatch
    | DecideApproval
    | EndApproval
    | Lapse
    | Resolve
    | LateEvidence
    | Renew
    | PutToken
)
