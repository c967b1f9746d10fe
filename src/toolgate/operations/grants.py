"""Consent given beforehand: who may give it, for what, and who sees and ends it.

A grant stands for the vote of the person who makes it, so only somebody whose vote would count makes one. Not here:
what it is worth for one call (``domain.ledger.grants``), and which one covers it (``gateway.granted``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from toolgate.domain.approval import Approval, check_condition, person, spoken
from toolgate.domain.canonical import JsonValue, UnfitJson, canonical_json, check_json
from toolgate.domain.commands import PutGrant, RevokeGrant
from toolgate.domain.contract import is_argument
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import ContractError, StoreInDoubt, StoreUnavailable
from toolgate.domain.ledger.grants import CLOCK, MADE, described, ended
from toolgate.domain.masked import covers
from toolgate.domain.names import name_problem
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.domain.redaction import redact_text
from toolgate.domain.rows import ByGrant, Event, GrantRow
from toolgate.domain.trail import plain_record
from toolgate.operations.answers import declined
from toolgate.operations.decide_approval import SAY_WHY, said
from toolgate.operations.may_decide import forbidden_by_rule
from toolgate.operations.review_approval import NO_SUCH_APPROVAL, find_review

if TYPE_CHECKING:
    from toolgate.domain.contract import Contract
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World

LONGEST: Final = 30 * 86_400.0
"""Seconds that a grant may last: what is needed for longer is the contract's to say."""
MOST_USES: Final = 10_000
OPERATORS: Final = frozenset({"gt", "ge", "lt", "le", "eq", "in"})
"""What a bound may say. It says what is inside; ``ne`` would leave everything else in."""
NO_SUCH_GRANT = Declined("not_found", "there is no such grant")


class GrantPage(NamedTuple):
    """Grants, newest first; ``next`` is the cursor from which to go on, None at the end. ``now``: the store's time."""

    rows: tuple[GrantRow, ...]
    next: str | None
    now: int


async def make_grant(
    world: World,
    *,
    by: Principal,
    tool: str,
    bounds: Mapping[str, Any],
    caller_id: str | None,
    agent: str | None,
    lasting: float,
    uses: int,
    reason: str,
    approval_id: str | None = None,
) -> GrantRow | Declined:
    """Agree beforehand to calls of ``tool`` within ``bounds``.

    Args:
        world: the gateway's.
        tool: its name; the grant is for its contract as it is now.
        reason: why; the trail keeps it.
        by: a person whose approval such a call would need.
        bounds: a condition as ``Approval.when`` has it, over arguments that are not sensitive; empty for any.
        caller_id: whose calls, exactly; None for anybody's, and then ``agent`` says by which program.
        agent: calls of which program; None for any.
        lasting: seconds, at most thirty days.
        uses: how many calls, 1 to 10 000.
        approval_id: the held call that it was made from, for the trail. That call itself is not approved by it.
    """
    if why := forbids(by, Action.GRANT):
        return Declined("forbidden", why)
    if not (text := said(reason)):
        return SAY_WHY
    registered = world.registry.get(tool)
    if registered is None or not registered.contract.enabled:
        return Declined("invalid", "there is no such tool")
    contract = registered.contract
    if refused := _unfit(contract, by, bounds, caller_id=caller_id, agent=agent, lasting=lasting, uses=uses):
        return refused
    facts = {
        "action": "grant",
        "tool": tool,
        "tenant": by.tenant,
        "bounds": _plain(bounds),
        "requester": caller_id,
        "agent": agent,
        "seconds": lasting,
        "uses": uses,
    }
    if why := await forbidden_by_rule(world, by, facts):
        return Declined("forbidden", why)
    if approval_id is not None and await find_review(world, approval_id, tenant=by.tenant) is None:
        return NO_SUCH_APPROVAL
    now = await world.store.now()
    grant = GrantRow(
        grant_id=world.ids.new("grnt"),
        tenant=by.tenant,
        tool=tool,
        contract_digest=contract.digest,
        bounds=canonical_json(_plain(bounds)),
        caller_id=caller_id,
        agent=agent,
        until=now + round(lasting * MICRO),
        max_uses=uses,
        uses=0,
        granted_by=by.id,
        roles=by.caller.roles,
        reason=text,
        created_at=now,
        approval_id=approval_id,
        revoked_at=None,
        revoked_by=None,
    )
    told = {**described(grant), "toolgate.actor": by.id, "toolgate.reason": text}
    await world.store.execute(
        PutGrant(grant, Event(grant.grant_id, now, plain_record(MADE, at=now, fields=told)))
    )
    return grant


async def revoke_grant(world: World, grant_id: str, *, by: Principal, reason: str) -> GrantRow | Declined:
    """End a grant before its time: by whoever made it, by one who could make it, or by an operator."""
    if not (text := said(reason)):
        return SAY_WHY
    grant = await find_grant(world, grant_id, tenant=by.tenant)
    if grant is None:
        return NO_SUCH_GRANT
    if why := _may_not_revoke(world, grant, by):
        return Declined("forbidden", why)
    answer = await world.store.execute(RevokeGrant(grant_id, by.id, text))
    if (refused := declined(answer, "it has ended already")) is not None:
        return refused
    return await _revoked(world, grant_id, tenant=by.tenant)


async def list_grants(
    world: World, *, by: Principal, active: bool = True, before: str | None = None, limit: int = 50
) -> GrantPage | Declined:
    """The grants of the tenant, newest first; ``active``: only those that could still be used.

    Whoever sees every call sees every grant; an approver those that they made, and those of tools that they may decide
    about. What they may not see takes its place on a page all the same: a page may be short and have a ``next``.
    """
    sees_all = forbids(by, Action.SEE_ALL_CALLS) is None
    if (why := forbids(by, Action.GRANT)) and not sees_all:
        return Declined("forbidden", why)
    now = await world.store.now()
    rows = tuple(
        await world.store.grants(
            tenant=by.tenant, active_at=now if active else None, before=before, limit=limit
        )
    )
    seen = rows if sees_all else tuple(row for row in rows if _concerns(world, row, by))
    return GrantPage(seen, rows[-1].grant_id if len(rows) == limit else None, now)


async def find_grant(world: World, grant_id: str, *, tenant: str) -> GrantRow | None:
    """One grant, within ``tenant``."""
    found = (await world.store.find(ByGrant(grant_id))).grant if grant_id.isascii() else None
    return found if found is not None and found.tenant == tenant else None


async def _revoked(world: World, grant_id: str, *, tenant: str) -> GrantRow | Declined:
    try:
        return await find_grant(world, grant_id, tenant=tenant) or NO_SUCH_GRANT
    except StoreUnavailable as fault:
        raise StoreInDoubt("it was revoked, and cannot be read now") from fault


async def expire_grants(world: World) -> int:
    """Write down which grants the clock has ended. They are good for nothing without this, too."""
    over = await world.store.lapsed_grants()
    for row in over:
        await world.store.execute(RevokeGrant(row.grant_id, CLOCK, "its time ran out"))
    return len(over)


def state_of(world: World, grant: GrantRow, now: int) -> str:
    """``active``, or why it is good for nothing any more."""
    if (why := ended(grant, now)) is not None:
        return why.removeprefix("the grant ").removeprefix("the grant's ")
    registered = world.registry.get(grant.tool)
    if registered is None or registered.contract.digest != grant.contract_digest:
        return "its contract changed"
    return "active"


def bounds_in_words(grant: GrantRow) -> str:
    """``amount_cents ≤ 5000 and currency = "EUR"``, or ``any arguments``."""
    return spoken(json.loads(grant.bounds)) or "any arguments"


def _unfit(
    contract: Contract,
    by: Principal,
    bounds: Mapping[str, Any],
    *,
    caller_id: str | None,
    agent: str | None,
    lasting: float,
    uses: int,
) -> Declined | None:
    if (why := _may_not_grant(contract, by)) is not None:
        return Declined("forbidden", why)
    if caller_id is None and agent is None:
        return Declined("invalid", "say for whom: a caller, an agent, or both")
    for of, name in (("the caller", caller_id), ("the agent", agent)):
        if name is not None and (problem := name_problem(name, of=of)):
            return Declined("invalid", problem)
    if caller_id is not None and person(caller_id) == person(by.id):
        return Declined("forbidden", "whoever asks for a call may not approve it, nor beforehand")
    if not 0 < lasting <= LONGEST:
        return Declined("invalid", f"a grant lasts more than 0 and at most {LONGEST:g} seconds (30 days)")
    if not 1 <= uses <= MOST_USES:
        return Declined("invalid", f"a grant is for 1 to {MOST_USES} calls")
    return _unfit_bounds(contract, bounds)


def _may_not_grant(contract: Contract, by: Principal) -> str | None:
    approval = contract.approval
    if approval is None:
        return "no call of this tool needs a person, so there is nothing to agree to beforehand"
    if all(part.own for part in approval.parts):
        return "each call of this tool is confirmed by whoever asks for it, and by nobody beforehand"
    if all(part.quorum > 1 or part.own for part in approval.parts):
        return "each call of this tool needs several people, whom no grant of one replaces"
    if not any(_counts(part, by) for part in approval.parts):
        roles = " or ".join(sorted(role for part in approval.parts for role in part.approvers))
        return f"agreeing beforehand needs the role {roles}"
    return None


def _counts(part: Approval, by: Principal) -> bool:
    return bool(part.approvers & by.caller.roles)


def _unfit_bounds(contract: Contract, bounds: Mapping[str, Any]) -> Declined | None:
    if not bounds:
        return None
    try:
        check_json(_plain(bounds))
        check_condition(bounds)
    except (ContractError, UnfitJson) as unfit:
        return Declined("invalid", str(unfit).replace("approval.when", "bounds"))
    for path, tests in bounds.items():
        if unknown := set(tests) - OPERATORS:
            return Declined(
                "invalid", f"bounds.{path}: {min(unknown)} is none of {', '.join(sorted(OPERATORS))}"
            )
        steps = tuple(path.split("."))
        if not is_argument(contract.input_schema, path):
            return Declined("invalid", f"bounds.{path}: this is no argument of the tool")
        if any(covers(rule, steps) or covers(steps, rule) for rule in contract.sensitive):
            return Declined("invalid", f"bounds.{path}: what is sensitive stands in no grant: many read them")
        if redact_text(json.dumps(tests)) != json.dumps(tests):
            return Declined("invalid", f"bounds.{path}: this looks like a secret, which no grant may hold")
    return None


def _concerns(world: World, grant: GrantRow, by: Principal) -> bool:
    if person(grant.granted_by) == person(by.id):
        return True
    registered = world.registry.get(grant.tool)
    approval = None if registered is None else registered.contract.approval
    return approval is not None and any(_counts(part, by) for part in approval.parts)


def _may_not_revoke(world: World, grant: GrantRow, by: Principal) -> str | None:
    if forbids(by, Action.STOP) is None:
        return None
    if why := forbids(by, Action.GRANT):
        return why
    if person(grant.granted_by) == person(by.id):
        return None
    registered = world.registry.get(grant.tool)
    return None if registered is None else _may_not_grant(registered.contract, by)


def _plain(bounds: Mapping[str, Any]) -> dict[str, JsonValue]:
    return {
        path: {name: list(value) if isinstance(value, tuple) else value for name, value in tests.items()}
        if isinstance(tests, Mapping)
        else tests
        for path, tests in bounds.items()
    }
