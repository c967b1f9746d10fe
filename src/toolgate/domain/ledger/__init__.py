"""The pure decision that each command of the ledger comes to.

A store loads what a command is about (``Command.subject`` → ``Found``), asks ``decide`` and writes the
rows, all in one transaction of one writer; so every store decides alike, and a decision can be tested
without one. No transition without its audit event.

Not here: SQL, encryption (rows carry sealed bytes), and what a gate would say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.commands import (
    DONE,
    Append,
    BeginJob,
    CancelJob,
    Command,
    DecideApproval,
    Dispatch,
    DraftHold,
    EditApproval,
    EndApproval,
    EndJob,
    Intend,
    Lapse,
    LateEvidence,
    MoveDelivery,
    MoveJob,
    PlanNotice,
    PutGrant,
    PutToken,
    Record,
    Rehold,
    Renew,
    Resolve,
    RevealMasked,
    RevokeGrant,
    Settle,
    Superseded,
)
from toolgate.domain.ledger import approvals, grants, intents, jobs, notices
from toolgate.domain.ledger.approvals import NO_OWN_EDIT
from toolgate.domain.ledger.decision import Decision, stored_requirement
from toolgate.domain.ledger.intents import claim_use
from toolgate.domain.rows import Event, Found, NewCall
from toolgate.domain.trail import CHAIN_OPENED, plain_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.canonical import JsonValue

__all__ = ["NO_OWN_EDIT", "Decision", "chain_opened_event", "claim_use", "decide", "stored_requirement"]


def decide(command: Command, found: Found, now: int) -> Decision:  # noqa: C901, PLR0912 - one line a command
    """What ``command`` comes to, given the rows it is about and the store's time (µs)."""
    match command:
        case Record(call, event):
            return Decision(DONE, (NewCall(call), event))
        case Append(events):
            return Decision(DONE, events)
        case Intend():
            return intents.intend(command, found, now)
        case Settle():
            return intents.settle(command, found)
        case Lapse():
            return intents.lapse(command, found, now)
        case Resolve():
            return intents.resolve(command, found, now)
        case LateEvidence():
            return intents.late_evidence(command, found, now)
        case Renew():
            return intents.renew(command, found)
        case DraftHold():
            return approvals.draft_hold(command, found, now)
        case Rehold():
            return approvals.rehold(command, found, now)
        case Dispatch():
            return approvals.dispatch(command, found, now)
        case BeginJob():
            return jobs.begin_job(command, found, now)
        case EndJob():
            return jobs.end_job(command, found, now)
        case CancelJob():
            return jobs.cancel_job(command, found, now)
        case MoveJob():
            return jobs.move_job(command, found, now)
        case DecideApproval():
            return approvals.decide_approval(command, found, now)
        case EditApproval():
            return approvals.edit_approval(command, found, now)
        case RevealMasked():
            return approvals.reveal_masked(command, found, now)
        case EndApproval():
            return approvals.end_approval(command, found, now)
        case PutGrant(grant, event):
            return Decision(DONE, (grant, event))
        case RevokeGrant():
            return grants.revoke_grant(command, found, now)
        case PlanNotice():
            return notices.plan_notice(command, found, now)
        case MoveDelivery():
            return notices.move_delivery(command, found)
        case PutToken():
            return _put_token(command, found, now)


def _put_token(command: PutToken, found: Found, now: int) -> Decision:
    """A token, for which another may have to be used up."""
    if command.once is None:
        return Decision(DONE, (command.token, command.event))
    used = found.token
    if used is None or used.revoked_at is not None or now >= used.expires_at:
        return Decision(Superseded(None))
    return Decision(DONE, (used._replace(revoked_at=now), command.token, command.event))


def chain_opened_event(
    *, at: int, known_heads: Mapping[str, tuple[int, str]], boot: Mapping[str, JsonValue]
) -> Event:
    """The first event of a boot's chain: it names every head known, so that a dropped chain shows."""
    heads: dict[str, JsonValue] = {chain: [seq, link] for chain, (seq, link) in sorted(known_heads.items())}
    return Event(None, at, plain_record(CHAIN_OPENED, at=at, fields={"known_heads": heads, **boot}))
