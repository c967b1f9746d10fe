"""Consent given beforehand: made, spent together with the intent, ended.

A grant stands for the vote of whoever made it, and for no more: where two people are required, or a role that its
maker did not hold, it is as if there were none. Not here: which grant covers a call (``gateway.granted``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.approval import Vote, person, tally
from toolgate.domain.canonical import JsonValue
from toolgate.domain.commands import Done, NotAllowed
from toolgate.domain.ledger.decision import Decision, said
from toolgate.domain.rows import Event, GrantRow
from toolgate.domain.trail import plain_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.commands import GrantUse, RevokeGrant
    from toolgate.domain.rows import CallRow, Found


MADE = "grant_made"
CLOCK = "clock"
"""Who ends a grant whose time ran out. Nobody is called so: a person who is may not end one before its time."""


def spend(use: GrantUse, grant: GrantRow | None, call: CallRow, now: int) -> GrantRow | str:
    """The grant with one use less, or why it does not stand for this call."""
    if grant is None or grant.tenant != call.tenant:
        return "there is no such grant"
    if (why := ended(grant, now)) is not None:
        return why
    if (grant.tool, grant.contract_digest) != (call.tool, use.contract_digest):
        return "the grant is for another contract"
    if grant.caller_id is not None and grant.caller_id != call.caller_id:
        return "the grant is for another caller"
    if grant.agent is not None and grant.agent != call.agent:
        return "the grant is for another agent"
    if use.requirement.own:
        # Also not one that whoever asks made themself for their agent: they are to be asked about each call.
        return "no grant stands for the confirmation of whoever asks"
    vote = Vote(
        approval_id=grant.grant_id,
        revision=1,
        voter=grant.granted_by,
        roles=grant.roles,
        reason=grant.reason,
        at=grant.created_at,
    )
    counted = tally(use.requirement, (vote,), revision=1, requester=call.caller_id, barred=use.barred)
    if not counted.enough:
        return f"the grant does not suffice: {counted.missing}"
    return grant._replace(uses=grant.uses + 1)


def ended(grant: GrantRow, now: int) -> str | None:
    """Why the grant is good for nothing any more, or None."""
    if grant.revoked_at is not None:
        return "the grant was revoked" if grant.revoked_by != CLOCK else "the grant's time ran out"
    if now >= grant.until:
        return "the grant's time ran out"
    if grant.uses >= grant.max_uses:
        return "the grant is used up"
    return None


def agrees(grant: GrantRow, record: Mapping[str, JsonValue]) -> bool:
    """Whether ``record`` is the event of making this very grant: nothing but its uses may have changed since."""
    as_made = described(grant._replace(uses=0))
    return record.get("event") == MADE and all(record.get(name) == value for name, value in as_made.items())


def revoke_grant(command: RevokeGrant, found: Found, now: int) -> Decision:
    """End it, by a person or by the clock."""
    grant = found.grant
    if grant is None:
        return Decision(NotAllowed("there is no such grant", found, why="not_found"))
    if grant.revoked_at is not None:
        return Decision(NotAllowed("it has ended already", found))
    if person(command.actor) == CLOCK and now < grant.until:
        return Decision(NotAllowed("its time has not come", found))
    after = grant._replace(revoked_at=now, revoked_by=command.actor)
    event = "grant_expired" if command.actor == CLOCK else "grant_revoked"
    record = plain_record(event, at=now, fields={**described(after), **said(command.actor, command.reason)})
    return Decision(Done(), (after, Event(after.grant_id, now, record)))


def described(grant: GrantRow) -> dict[str, JsonValue]:
    """The grant as the trail tells it. Its bounds name no argument that is sensitive: none such is made."""
    return {
        "toolgate.grant.id": grant.grant_id,
        "toolgate.tenant": grant.tenant,
        "gen_ai.tool.name": grant.tool,
        "toolgate.grant.bounds": grant.bounds.decode(),
        "user.id": grant.caller_id,
        "gen_ai.agent.name": grant.agent,
        "toolgate.grant.until": grant.until,
        "toolgate.grant.max_uses": grant.max_uses,
        "toolgate.grant.uses": grant.uses,
        "toolgate.grant.granted_by": grant.granted_by,
        "toolgate.grant.roles": list[JsonValue](sorted(grant.roles)),
        "toolgate.grant.contract": grant.contract_digest,
        "toolgate.approval.id": grant.approval_id,
    }
