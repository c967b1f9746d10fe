"""Take back what waits: one call, or everything at once."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, NamedTuple

from toolgate.domain.commands import Done, EndApproval, RevokeGrant
from toolgate.domain.errors import GateFault, StoreInDoubt, StoreUnavailable
from toolgate.domain.lifecycle import ApprovalCause
from toolgate.domain.outcome import ErrorType
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.decide_approval import SAY_WHY, said
from toolgate.operations.list_calls import is_own_call
from toolgate.operations.review_approval import NO_SUCH_APPROVAL, find_review, written_review
from toolgate.ports import ApprovalFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    return await written_review(world, approval_id, tenant=by.tenant)


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
    ending = _Ending(world)
    try:
        # Grants first: what they let through would not wait to be cancelled.
        await _end_grants(ending, by, text, tool=tool, agent=agent, caller_id=caller_id)
        await _end_approvals(ending, by, text, tool=tool, agent=agent, caller_id=caller_id)
        ending.complain()
    except StoreUnavailable as fault:
        if not any(ending.ended.values()):
            raise
        raise StoreInDoubt("some of it was ended and some could not be; ask again for the rest") from fault
    return Stopped(ending.ended[EndApproval], ending.ended[RevokeGrant])


class _Ending:
    """How far a kill switch came. What the store refuses keeps nothing else from being ended."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ended: dict[type, int] = {EndApproval: 0, RevokeGrant: 0}
        self._faults: list[GateFault] = []

    async def execute(self, commands: Iterable[EndApproval | RevokeGrant]) -> None:
        work = [(type(command), self.world.store.execute(command)) for command in commands]
        answers = await asyncio.gather(*(answer for _, answer in work), return_exceptions=True)
        for (kind, _), answer in zip(work, answers, strict=True):
            if isinstance(answer, GateFault):
                self._faults.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                self.ended[kind] += isinstance(answer, Done)

    def complain(self) -> None:
        """Raise what the store refused; doubt before a plain refusal, for that says less."""
        for fault in sorted(self._faults, key=lambda fault: not isinstance(fault, StoreInDoubt)):
            raise fault


async def _end_approvals(
    ending: _Ending,
    by: Principal,
    reason: str,
    *,
    tool: str | None,
    agent: str | None,
    caller_id: str | None,
) -> None:
    after = None
    while True:
        wanted = ApprovalFilter(tenant=by.tenant, tool=tool, caller_id=caller_id, after=after, limit=_AT_ONCE)
        rows = await ending.world.store.approvals(wanted)
        chosen = [row for row in rows if agent is None or json.loads(row.shown)["agent"] == agent]
        await ending.execute(_ended(row, by, reason) for row in chosen)
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1].approval_id


async def _end_grants(
    ending: _Ending,
    by: Principal,
    reason: str,
    *,
    tool: str | None,
    agent: str | None,
    caller_id: str | None,
) -> None:
    store, before = ending.world.store, None
    now = await store.now()
    while True:
        rows = await store.grants(tenant=by.tenant, tool=tool, active_at=now, before=before, limit=_AT_ONCE)
        chosen = [row for row in rows if _meant(row, agent=agent, caller_id=caller_id)]
        await ending.execute(RevokeGrant(row.grant_id, by.id, reason) for row in chosen)
        if len(rows) < _AT_ONCE:
            return
        before = rows[-1].grant_id


def _meant(grant: GrantRow, *, agent: str | None, caller_id: str | None) -> bool:
    """A grant that would let the agent or caller through: one that names nobody lets everybody through."""
    return (agent is None or grant.agent in {None, agent}) and (
        caller_id is None or grant.caller_id in {None, caller_id}
    )


def _ended(row: ApprovalRow, by: Principal, reason: str) -> EndApproval:
    error = ErrorType.APPROVAL_EXPIRED.value
    return EndApproval(row.approval_id, ApprovalCause.WITHDRAWN, by.id, reason, error)


def may_withdraw(review: Review, by: Principal) -> bool:
    """Whether ``by`` asked for it, has a say in it, or is an operator."""
    return is_own_call(review.call, by) or review.may_look(by) is None or forbids(by, Action.STOP) is None


def _may_not(review: Review, by: Principal) -> Declined | None:
    if may_withdraw(review, by):
        return None
    return (
        NO_SUCH_APPROVAL
        if forbids(by, Action.SEE_ALL_CALLS)
        else Declined(
            "forbidden", "only whoever asked for it, has a say in it, or is an operator may withdraw it"
        )
    )
