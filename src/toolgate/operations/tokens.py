"""Credentials of people and programs: random, shown once, kept as a hash, each standing for one Caller.

Two doors. Whoever holds the key file makes any token (``create_token``, ``revoke_token``). Whoever acts over a surface
is judged: ``make_token``, ``revoke`` and ``list_tokens`` reach the tenant of the principal alone. There an ``admin``
may give any role, also one of their own choosing to themselves, since whoever names who may do what could do it by
another name anyhow; but no scope that the credential in their hand lacks, so that a narrow credential never makes a
wide one. One's own tokens may always be revoked. Not here: what a token opens (``authenticate``), and the kinds that
are made from another credential (``sessions``, ``exchange_token``).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toolgate.domain.caller import Caller
from toolgate.domain.canonical import JsonValue
from toolgate.domain.commands import PutToken
from toolgate.domain.duration import MICRO
from toolgate.domain.names import name_problem
from toolgate.domain.principal import Action, Declined, Principal, Scope, forbids
from toolgate.domain.rows import ByToken, Event, TokenRow
from toolgate.domain.trail import plain_record

if TYPE_CHECKING:
    from toolgate.gateway.world import World
    from toolgate.ports import Ids, Keys, Store

PREFIX: Final = "tgt_"
SCOPES: Final = frozenset({Scope.CALL, Scope.APPROVE, Scope.OPERATE})
"""What a credential may be used for where nobody says; ``admin`` is always said aloud."""
AGENT_SCOPES: Final = frozenset({Scope.CALL})
MAX_LABEL: Final = 100
LONGEST: Final = 366 * 86_400.0
"""Seconds that a token made over a surface lasts at most."""
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made. ``secret`` is shown once and kept nowhere."""

    row: TokenRow
    secret: str = field(repr=False)

    def __repr__(self) -> str:
        return f"NewToken({self.row.token_id})"


def mint(
    keys: Keys,
    ids: Ids,
    *,
    caller: Caller,
    now: int,
    expires_at: int,
    kind: str,
    scopes: Iterable[Scope],
    agent: str | None = None,
    owner: str | None = None,
    label: str = "",
    parents: Sequence[str] = (),
) -> NewToken:
    """A token that is written nowhere yet. Times in microseconds since the epoch."""
    secret = PREFIX + secrets.token_urlsafe(_BYTES)
    row = TokenRow(
        token_id=ids.new("tok"),
        token_hash=keys.token_hash(secret),
        caller_id=caller.id,
        tenant=caller.tenant,
        roles=caller.roles,
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
        kind=kind,
        scopes=frozenset(scope.value for scope in scopes),
        agent=agent,
        owner=owner,
        label=label,
        parent=" ".join(parents) or None,
    )
    return NewToken(row, secret)


async def create_token(
    store: Store,
    keys: Keys,
    ids: Ids,
    *,
    caller: Caller,
    lasting: float,
    by: str,
    scopes: Iterable[Scope] = SCOPES,
    agent: str | None = None,
    owner: str | None = None,
    label: str = "",
) -> NewToken:
    """A token for ``caller`` that lasts ``lasting`` seconds, made by whoever holds the keys.

    With ``agent`` it is that program's, which ``owner`` answers for, and good for calls alone.
    """
    now = await store.now()
    made = mint(
        keys,
        ids,
        caller=caller,
        now=now,
        expires_at=now + round(lasting * MICRO),
        kind="api",
        scopes=scopes if agent is None else AGENT_SCOPES,
        agent=agent,
        owner=owner,
        label=label,
    )
    await store.execute(PutToken(made.row, token_event("token_created", made.row, now, by)))
    return made


async def revoke_token(store: Store, token_id: str, *, by: str) -> TokenRow | None:
    """The revoked token, or None if there is none of this id. What was made from it ends with it."""
    row = (await store.find(ByToken(token_id))).token
    if row is None or row.revoked_at is not None:
        return row
    now = await store.now()
    revoked = row._replace(revoked_at=now)
    await store.execute(PutToken(revoked, token_event("token_revoked", revoked, now, by)))
    return revoked


async def make_token(
    world: World,
    *,
    by: Principal,
    caller_id: str,
    roles: Iterable[str],
    lasting: float,
    scopes: Iterable[Scope | str] = SCOPES,
    agent: str | None = None,
    owner: str | None = None,
    label: str = "",
) -> NewToken | Declined:
    """A token of the maker's own tenant, for ``caller_id``, that lasts ``lasting`` seconds (at most 366 days).

    ``owner`` of an agent may be left out where the configuration names one (``[agents.NAME]``).
    """
    if (why := forbids(by, Action.MANAGE_TOKENS)) is not None:
        return Declined("forbidden", why)
    named = agent_problem(agent, owner, world.agents)
    if named is not None:
        return Declined("invalid", named)
    try:
        caller = Caller(caller_id, roles=roles, tenant=by.tenant)
        wanted = AGENT_SCOPES if agent is not None else frozenset(Scope(scope) for scope in scopes)
    except (TypeError, ValueError) as refused:
        return Declined("invalid", str(refused))
    if not wanted or not 0 < lasting <= LONGEST:
        return Declined("invalid", "a token has at least one scope and lasts for at most 366 days")
    if (problem := label_problem(label)) is not None:
        return Declined("invalid", problem)
    if lacking := sorted(scope.value for scope in wanted - by.scopes):
        return Declined("forbidden", f"this credential lacks the scope {lacking[0]}, and so cannot give it")
    return await create_token(
        world.store,
        world.keys,
        world.ids,
        caller=caller,
        lasting=lasting,
        by=by.id,
        scopes=wanted,
        agent=agent,
        owner=None if agent is None else world.agents.get(agent, owner),
        label=label,
    )


async def revoke(world: World, token_id: str, *, by: Principal) -> TokenRow | Declined:
    """The token as it is revoked. An admin ends any token of the tenant, everybody else their own.

    An agent ends the credential that it holds, and no other of its user's.
    """
    row = (await world.store.find(ByToken(token_id))).token
    if row is None or row.tenant != by.tenant or not _may_end(row, by):
        return Declined("not_found", "there is no such token")
    revoked = await revoke_token(world.store, token_id, by=by.id)
    assert revoked is not None
    return _shown(revoked)


async def list_tokens(
    world: World, *, by: Principal, everything: bool = False
) -> tuple[TokenRow, ...] | Declined:
    """Tokens without their hashes, newest first: an admin's whole tenant, everybody else's own.

    Sessions, links and exchanged tokens come and go; those that ended are left out unless ``everything`` is wanted.
    """
    if by.agent is not None:
        return Declined("forbidden", "an agent may only ask; a person has to do this")
    now = await world.store.now()
    admin = forbids(by, Action.MANAGE_TOKENS) is None
    return tuple(
        _shown(row)
        for row in await world.store.tokens(tenant=by.tenant, live_at=None if everything else now)
        if admin or row.caller_id == by.id
    )


def token_state(row: TokenRow, now: int) -> str:
    """``works``, ``expired`` or ``revoked``, by its own row; what it was made from may have ended it too."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if now >= row.expires_at else "works"


def agent_problem(agent: str | None, owner: str | None, agents: Mapping[str, str]) -> str | None:
    """Why a token cannot be this agent's, in words for whoever makes it; ``agents`` are the owners that are set."""
    if agent is None:
        return None if owner is None else "only an agent has an owner; name the agent too"
    for of, value in (("the agent", agent), ("the owner", owner)):
        if value is not None and (problem := name_problem(value, of=of)):
            return problem
    known = agents.get(agent)
    if known is None and owner is None:
        return (
            "name the owner, who answers for the agent and may not approve what it asks for: here, "
            f"or as [agents.{agent}] owner in the configuration"
        )
    if known is not None and owner not in {None, known}:
        return f"the configuration says that {known} answers for this agent"
    return None


def label_problem(label: str) -> str | None:
    """Why ``label`` cannot stand in a list; None where it can. It may be empty."""
    if len(label) <= MAX_LABEL and (not label or label.isprintable()):
        return None
    return f"a label is at most {MAX_LABEL} printable characters"


def token_event(event: str, row: TokenRow, now: int, by: str) -> Event:
    """What the trail says of a token: everything but its hash."""
    fields: dict[str, JsonValue] = {
        "toolgate.token.id": row.token_id,
        "toolgate.token.kind": row.kind,
        "toolgate.token.scopes": list[JsonValue](sorted(row.scopes)),
        "toolgate.token.expires_at": row.expires_at,
        "user.id": row.caller_id,
        "toolgate.tenant": row.tenant,
        "toolgate.roles": list[JsonValue](sorted(row.roles)),
        "toolgate.actor": by,
    }
    optional = {
        "gen_ai.agent.name": row.agent,
        "toolgate.token.owner": row.owner,
        "toolgate.token.label": row.label or None,
        "toolgate.token.parent": row.parent,
    }
    fields.update({name: value for name, value in optional.items() if value is not None})
    return Event(None, now, plain_record(event, at=now, fields=fields))


def _may_end(row: TokenRow, by: Principal) -> bool:
    if by.agent is not None:
        return row.token_id == by.credential
    return row.caller_id == by.id or forbids(by, Action.MANAGE_TOKENS) is None


def _shown(row: TokenRow) -> TokenRow:
    return row._replace(token_hash="")
