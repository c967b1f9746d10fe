"""An agent acts for a user: both show who they are, and get one short-lived token for the two of them (RFC 8693).

The user's token and the agent's own token become a token of the user's rights and the agent's name, good for calls
alone, for at most an hour and never beyond either of the two, with both of which it ends. The agent's name comes from
its token: no header and no body can name one. An agent's token alone acts for the caller that it was made for.

Not taken: an agent's token as the user's, a session of a browser, an exchanged token as either (agents of agents are
not exchanged here; an issuer's own ``act`` claim may tell of them), and anything signed as the actor's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolgate.domain.commands import PutToken
from toolgate.domain.duration import MICRO
from toolgate.domain.principal import Declined, Principal, Scope
from toolgate.operations.authenticate import authenticate, look_up, refused, stands_for
from toolgate.operations.tokens import AGENT_SCOPES, PREFIX, NewToken, mint, token_event

if TYPE_CHECKING:
    from toolgate.domain.rows import TokenRow
    from toolgate.gateway.world import World

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name (RFC 8693, 3)
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
LIFE: Final = 3600.0
"""Seconds that an exchanged token lasts at most."""
_OWN: Final = frozenset({"api"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What was asked, under the names of RFC 8693, section 2.1. The tokens are not part of the repr."""

    grant_type: str
    subject_token: str
    subject_token_type: str
    actor_token: str
    actor_token_type: str
    requested_token_type: str | None = None
    scope: str | None = None
    audience: str | None = None
    resource: str | None = None

    def __repr__(self) -> str:
        return "Exchange(<hidden>)"


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A token of the two. ``response`` is the body that RFC 8693, section 2.2.1 asks for."""

    token: NewToken

    @property
    def response(self) -> dict[str, str | int]:
        """For the client, once, with ``Cache-Control: no-store``."""
        row = self.token.row
        return {
            "access_token": self.token.secret,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": (row.expires_at - row.created_at) // MICRO,
            "scope": Scope.CALL.value,
        }


async def exchange_token(world: World, asked: Exchange) -> Exchanged | Declined:
    """The token of the two; ``Declined`` as ``invalid`` is an ``invalid_request`` of RFC 6749, section 5.2.

    Tokens that do not work, or do not go together, are answered in one way whichever of them it is.

    Raises:
        StoreUnavailable: if the ledger cannot be read or written.
    """
    if (problem := _malformed(asked)) is not None:
        return Declined("invalid", problem)
    actor = await look_up(world.store, world.keys, asked.actor_token, kinds=_OWN)
    if isinstance(actor, str):
        return refused(f"the actor: {actor}")
    subject = await _subject(world, asked.subject_token)
    if isinstance(subject, Declined):
        return subject
    if (mismatch := _apart(subject, actor)) is not None:
        return refused(mismatch)
    return await _together(world, subject, actor)


async def _subject(world: World, token: str) -> Principal | Declined:
    if not token.startswith(PREFIX):
        return await authenticate(world, token)
    row = await look_up(world.store, world.keys, token, kinds=_OWN)
    return refused(f"the subject: {row}") if isinstance(row, str) else stands_for(row, world.agents)


def _malformed(asked: Exchange) -> str | None:
    """What is wrong with the form of the request, in words for the integrator."""
    if asked.grant_type != GRANT_TYPE:
        return f"grant_type is {GRANT_TYPE}"
    if asked.subject_token_type not in {ACCESS_TOKEN, JWT}:
        return f"subject_token_type is {ACCESS_TOKEN}, or {JWT}"
    if asked.actor_token_type != ACCESS_TOKEN:
        return f"actor_token_type is {ACCESS_TOKEN}: the agent's own token, from `toolgate tokens create --agent`"
    if asked.requested_token_type not in {None, "", ACCESS_TOKEN}:
        return f"requested_token_type can only be {ACCESS_TOKEN}"
    if asked.scope is not None and set(asked.scope.split()) - AGENT_SCOPES:
        return "scope can only be call: what acts through an agent may only ask"
    if asked.audience or asked.resource:
        return "audience and resource are not understood here: the token is for this gate alone"
    return None


def _apart(subject: Principal, actor: TokenRow) -> str | None:
    """Why the two do not go together, for the log."""
    if actor.agent is None:
        return f"the actor: {actor.token_id} is no agent's"
    if subject.agent is not None:
        return "the subject is an agent, and acts for somebody already"
    if subject.tenant != actor.tenant:
        return f"the subject is of another tenant than {actor.token_id}"
    if Scope.CALL not in subject.scopes:
        return "the subject's credential lacks the scope call"
    if Scope.CALL.value not in actor.scopes:
        return f"{actor.token_id} lacks the scope call"
    return None


async def _together(world: World, subject: Principal, actor: TokenRow) -> Exchanged | Declined:
    now = await world.store.now()
    assert actor.agent is not None
    ends = [now + round(LIFE * MICRO), actor.expires_at]
    if subject.expires_at is not None:
        ends.append(subject.expires_at)
    if min(ends) - now < MICRO:
        return refused("one of the two tokens ends within a second")
    parents = (subject.credential,) if subject.credential.startswith("tok_") else ()
    made = mint(
        world.keys,
        world.ids,
        caller=subject.caller,
        now=now,
        expires_at=min(ends),
        kind="exchanged",
        scopes=AGENT_SCOPES,
        agent=actor.agent,
        owner=world.agents.get(actor.agent, actor.owner),
        parents=(*parents, actor.token_id),
    )
    await world.store.execute(
        PutToken(made.row, token_event("token_exchanged", made.row, now, actor.token_id))
    )
    return Exchanged(made)
