"""Who shows this credential? A token of ours, or one that a configured issuer signed.

Whatever does not work is answered in the same words, so that nobody learns from an answer which tokens exist; the log
gets the true reason, without the secret. A secret is looked up by its keyed hash, so no comparison takes longer the
nearer it comes. Not here: how a signature is checked (``adapters.identity``), and sessions of a browser (``sessions``),
which a header never opens.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from toolgate.domain.caller import Caller
from toolgate.domain.principal import Declined, Principal, Scope
from toolgate.domain.rows import ByToken
from toolgate.operations.tokens import PREFIX, token_state

if TYPE_CHECKING:
    from toolgate.domain.rows import TokenRow
    from toolgate.gateway.world import World
    from toolgate.ports import Keys, Store

_log = logging.getLogger("toolgate")

REFUSED: Final = Declined(
    "forbidden", "the credential is unknown, expired or revoked; sign in again, or ask for another"
)
"""The one answer to a credential that does not work. Over HTTP it is a 401."""
CANNOT_TELL: Final = Declined(
    "conflict", "the issuer of this credential cannot be asked now; try again in some seconds"
)
"""The answer where no key of the issuer is known: it opens nothing, and is no failure of whoever asked."""
BEARERS: Final = frozenset({"api", "exchanged"})
"""The kinds of token that a header may carry. A session's secret belongs into a cookie, a link's into one sign-in."""
MAX_SECRET: Final = 128
MAX_BEARER: Final = 16_384
_DEEPEST: Final = 4
"""Credentials behind a credential: a session of a token, an exchanged token of two. More is no chain of ours."""


async def authenticate(world: World, bearer: str) -> Principal | Declined:
    """Whom ``bearer`` stands for: an API token, an exchanged one, or a JWT of the configured issuer.

    Raises:
        StoreUnavailable: if the ledger cannot be read.
    """
    if bearer.startswith(PREFIX):
        found = await look_up(world.store, world.keys, bearer, kinds=BEARERS)
        return refused(found) if isinstance(found, str) else stands_for(found, world.agents)
    if world.issuer is None:
        return refused("it is no token of this gate, and no issuer is configured ([auth.oidc])")
    if not bearer or len(bearer) > MAX_BEARER:
        return refused(f"it is empty, or longer than {MAX_BEARER} characters")
    principal = await world.issuer.principal(bearer)
    if isinstance(principal, Declined):
        answer = refused(principal.reason)
        return CANNOT_TELL if principal.why == "conflict" else answer
    return principal


async def look_up(store: Store, keys: Keys, secret: str, *, kinds: frozenset[str]) -> TokenRow | str:
    """The token of this secret, if it is of one of ``kinds`` and works; else why not, for the log alone."""
    if not secret.startswith(PREFIX) or len(secret) > MAX_SECRET:
        return "it is no token of this gate"
    row = await store.token(keys.token_hash(secret))
    if row is None:
        return "there is no such token"
    if row.kind not in kinds:
        return f"{row.token_id} is a {row.kind} token, and is not shown here"
    return await why_ended(store, row, await store.now()) or row


async def why_ended(store: Store, row: TokenRow, now: int, *, depth: int = 0) -> str | None:
    """Why a token does not work any more: by itself, or because what it was made from ended. None while it works."""
    state = token_state(row, now)
    if state != "works":
        return f"{row.token_id} is {state}"
    if row.parent is None:
        return None
    if depth == _DEEPEST:
        return f"{row.token_id} has more credentials behind it than can be"
    for token_id in row.parent.split(" "):
        parent = (await store.find(ByToken(token_id))).token
        if parent is None:
            return f"{token_id}, from which {row.token_id} was made, is gone"
        if (why := await why_ended(store, parent, now, depth=depth + 1)) is not None:
            return f"{why}, and {row.token_id} was made from it"
    return None


def stands_for(row: TokenRow, agents: Mapping[str, str]) -> Principal:
    """The principal of a token. What the configuration says about an agent's owner counts more than the token."""
    return Principal(
        caller=Caller(row.caller_id, row.roles, row.tenant),
        agent=row.agent,
        owner=row.owner if row.agent is None else agents.get(row.agent, row.owner),
        credential=row.token_id,
        # A scope of a later version opens nothing here.
        granted=frozenset(scope for scope in Scope if scope.value in row.scopes),
        expires_at=row.expires_at,
    )


def refused(why: str) -> Declined:
    """The one answer, and the true reason in the log."""
    _log.info("a credential was refused: %s", why)
    return REFUSED
