"""Take back what waits: one call, or everything at once."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, NamedTuple

from toolgate.domain.approval import person
from toolgate.domain.commands import Done, EndApproval, RevokeGrant
from toolgate.domain.lifecycle import ApprovalCause
from toolgate.domain.outcome import ErrorType
from toolgate.domain.principal import Action, Declined, Scope, forbids
from toolgate.operations.decide_approval import SAY_WHY, said
from toolgate.operations.review_approval import NO_SUCH_APPROVAL, find_review
from toolgate.ports import ApprovalFilter

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.domain.rows import ApprovalRow, GrantRow
    from toolgate.gateway.world import World
    from toolgate.operations.review import Review

_AT_ONCE = 200


class Stopped(NamedTuple):
    """How much was ended."""

    approvals: int
    grants: int


async def withdraw(world: World, approval_id: str, *, by: Principal, reason: str) -> Review | Declined:
    """Cancel a held call: by whoever asked for it, who has a say in it, or an operator. It may be asked for again."""
    if not (text := said(reason)):
        return SAY_WHY
    review = await find_review(world, approval_id, tenant=by.tenant)
    if review is None:
        return NO_SUCH_APPROVAL
    if (why := _may_not(review, by)) is not None:
        return why
    answer = await world.store.execute(_ended(review.row, by, text))
    if not isinstance(answer, Done):
        return Declined("conflict", "it was decided meanwhile")
    after = await find_review(world, approval_id, tenant=by.tenant)
    return NO_SUCH_APPROVAL if after is None else after


async def stop_all(
    world: World,
    *,
    by: Principal,
    reason: str,
    tool: str | None = None,
    agent: str | None = None,
    caller_id: str | None = None,
) -> Stopped | Declined:
    """The kill switch: cancel everything that waits or is approved and has not begun, and end every grant.

    ``tool``, ``agent`` and ``caller_id`` narrow it. What runs already is not called back.
    """
    if why := forbids(by, Action.STOP):
        return Declined("forbidden", why)
    if not (text := said(reason)):
        return SAY_WHY
    # Grants first: what they let through would not wait to be cancelled.
    grants = await _end_grants(world, by, text, tool=tool, agent=agent, caller_id=caller_id)
    ended, after = 0, None
    while True:
        wanted = ApprovalFilter(tenant=by.tenant, tool=tool, caller_id=caller_id, after=after, limit=_AT_ONCE)
        rows = await world.store.approvals(wanted)
        chosen = [row for row in rows if agent is None or json.loads(row.shown)["agent"] == agent]
        answers = await asyncio.gather(*(world.store.execute(_ended(row, by, text)) for row in chosen))
        ended += sum(isinstance(answer, Done) for answer in answers)
        if len(rows) < _AT_ONCE:
            return Stopped(ended, grants)
        after = rows[-1].approval_id


async def _end_grants(
    world: World,
    by: Principal,
    reason: str,
    *,
    tool: str | None,
    agent: str | None,
    caller_id: str | None,
) -> int:
    now, before, ended = await world.store.now(), None, 0
    while True:
        rows = await world.store.grants(
            tenant=by.tenant, tool=tool, active_at=now, before=before, limit=_AT_ONCE
        )
        chosen = [row for row in rows if _meant(row, agent=agent, caller_id=caller_id)]
        answers = await asyncio.gather(
            *(world.store.execute(RevokeGrant(row.grant_id, by.id, reason)) for row in chosen)
        )
        ended += sum(isinstance(answer, Done) for answer in answers)
        if len(rows) < _AT_ONCE:
            return ended
        before = rows[-1].grant_id


def _meant(grant: GrantRow, *, agent: str | None, caller_id: str | None) -> bool:
    """A grant that would let the agent or caller through: one that names nobody lets everybody through."""
    return (agent is None or grant.agent in {None, agent}) and (
        caller_id is None or grant.caller_id in {None, caller_id}
    )


def _ended(row: ApprovalRow, by: Principal, reason: str) -> EndApproval:
    error = ErrorType.APPROVAL_EXPIRED.value
    return EndApproval(row.approval_id, ApprovalCause.WITHDRAWN, by.id, reason, error)


def _may_not(review: Review, by: Principal) -> Declined | None:
    mine = person(review.row.caller_id) == person(by.id) and Scope.CALL in by.scopes
    if mine or review.may_look(by) is None or forbids(by, Action.STOP) is None:
        return None
    return (
        NO_SUCH_APPROVAL
        if forbids(by, Action.SEE_ALL_CALLS)
        else Declined(
            "forbidden", "only whoever asked for it, has a say in it, or is an operator may withdraw it"
        )
    )
