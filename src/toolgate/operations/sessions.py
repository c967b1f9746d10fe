"""A person at the console: a session opened by a credential, kept for some hours, ended with that credential.

A session ends at the first of these: eight hours after it was opened (``[auth] session``), thirty minutes without a
request (``[auth] idle``), the end of the credential that opened it, or ``end_session``. The absolute end is kept in the
row. The last request is not, because a write for every page would cost a commit: it travels with the session's secret,
as a mark that only the keys make (``shown_again``), so that every process on the store knows it, and a restart forgets
nothing. What a process has seen itself counts beside it, and so does the opening.

An agent never has a session: only people decide. Not here: cookies, and how an issuer's sign-in is done (``sign_in``).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toolgate.domain.caller import Caller
from toolgate.domain.commands import Done, PutToken
from toolgate.domain.duration import MICRO
from toolgate.domain.principal import ADMIN, AUDITOR, EVERY_SCOPE, OPERATOR, Declined, Principal
from toolgate.operations.authenticate import look_up, refused, stands_for
from toolgate.operations.tokens import NewToken, mint, revoke_token, token_event

if TYPE_CHECKING:
    from toolgate.domain.rows import TokenRow
    from toolgate.gateway.world import World

SESSION: Final = "session"
LINK: Final = "link"
LINK_LIFE: Final = 600.0
"""Seconds for which a one-time link opens a session."""
_OPENS: Final = frozenset({"api", LINK})
_MANY: Final = 1_000
_LONGEST_MOMENT: Final = 18
"""Digits."""


async def open_session(world: World, credential: str) -> NewToken | Declined:
    """A session for whoever shows an API token of their own, or a one-time link, which it uses up.

    It holds the credential's roles and scopes, and ends with it. Of two who show one link at once, one gets in.
    """
    row = await look_up(world.store, world.keys, credential, kinds=_OPENS)
    if isinstance(row, str):
        return refused(row)
    if row.agent is not None:
        return refused(f"{row.token_id} is an agent's, and only people sign in")
    used_up = row.token_id if row.kind == LINK else None
    made = await _made(world, stands_for(row, {}), parents=() if used_up else (row.token_id,))
    event = token_event("session_opened", made.row, made.row.created_at, row.token_id)
    answer = await world.store.execute(PutToken(made.row, event, once=used_up))
    if not isinstance(answer, Done):
        return refused(f"{row.token_id} was used already")
    return made


async def open_session_of(world: World, signed_in: Principal) -> NewToken | Declined:
    """A session for somebody whom an issuer just vouched for. It does not end when the issuer's own session does."""
    if signed_in.agent is not None:
        return refused("an agent signed in, and only people do")
    made = await _made(world, signed_in, parents=())
    event = token_event("session_opened", made.row, made.row.created_at, signed_in.credential)
    await world.store.execute(PutToken(made.row, event))
    return made


async def session(world: World, shown: str) -> Principal | Declined:
    """Whose session this is. Each look counts as a sign of life. ``shown``: its secret, or that with its mark.

    Raises:
        StoreUnavailable: if the ledger cannot be read.
    """
    row = await look_up(world.store, world.keys, bare(shown), kinds=frozenset({SESSION}))
    if isinstance(row, str):
        return refused(row)
    if _was_idle(world, row, shown):
        await revoke_token(world.store, row.token_id, by="clock")
        return refused(f"{row.token_id} was idle for too long")
    return stands_for(row, {})


async def peek_session(world: World, shown: str) -> Principal | Declined:
    """As ``session``, and no sign of life: for what an open page asks by itself, which keeps nobody signed in.

    Raises:
        StoreUnavailable: if the ledger cannot be read.
    """
    row = await look_up(world.store, world.keys, bare(shown), kinds=frozenset({SESSION}))
    if isinstance(row, str):
        return refused(row)
    return refused(f"{row.token_id} is idle") if _is_idle(world, row, shown) else stands_for(row, {})


@dataclass(frozen=True, slots=True)
class Shown:
    """What a browser shows: the session's secret, and a mark of its last request. ``lasts``: seconds at most."""

    text: str = field(repr=False)
    lasts: int


async def shown_again(world: World, shown: str, *, ends: int) -> Shown:
    """What is to be shown from now on, of a session that ``ends`` then (microseconds since the epoch)."""
    secret, now = bare(shown), world.clock.now()
    return Shown(f"{secret}.{now}.{_mark(world, secret, now)}", max(1, (ends - now) // MICRO))


def bare(shown: str) -> str:
    """The secret alone."""
    return shown.partition(".")[0]


async def end_session(world: World, shown: str) -> None:
    """Sign out. A session that ended already is left as it is."""
    row = await look_up(world.store, world.keys, bare(shown), kinds=frozenset({SESSION}))
    if not isinstance(row, str):
        await revoke_token(world.store, row.token_id, by=row.caller_id)


async def one_time_link(
    world: World, *, id: str = "admin", tenant: str = "default", roles: Iterable[str] | None = None
) -> NewToken:
    """A secret that opens one session within ten minutes, for whoever started the server where nobody can sign in yet.

    Without ``roles`` it is an admin, operator and auditor who may decide whatever the tools ask: whoever starts the
    server can read its key file, and so could make such a token anyhow.
    """
    now = await world.store.now()
    made = mint(
        world.keys,
        world.ids,
        caller=Caller(id, roles=_every_role(world) if roles is None else roles, tenant=tenant),
        now=now,
        expires_at=now + round(LINK_LIFE * MICRO),
        kind=LINK,
        scopes=EVERY_SCOPE,
    )
    await world.store.execute(PutToken(made.row, token_event("link_made", made.row, now, "server")))
    return made


async def csrf_of(world: World, shown: str) -> str:
    """What a form of this session has to send back: it cannot be guessed without the keys, nor from another session."""
    return world.keys.token_hash(f"csrf:{bare(shown)}")


async def _made(world: World, principal: Principal, *, parents: tuple[str, ...]) -> NewToken:
    now = await world.store.now()
    ends = now + round(world.session_life * MICRO)
    if parents and principal.expires_at is not None:
        ends = min(ends, principal.expires_at)
    return mint(
        world.keys,
        world.ids,
        caller=principal.caller,
        now=now,
        expires_at=ends,
        kind=SESSION,
        scopes=principal.scopes,
        parents=parents,
    )


def _is_idle(world: World, row: TokenRow, shown: str) -> bool:
    """Whether the last sign of life is too long ago."""
    now = world.clock.now()
    ages = [(now - row.created_at) / MICRO]
    if (marked := _marked(world, shown)) is not None:
        ages.append((now - marked) / MICRO)
    if row.token_id in world.sessions_seen:
        last, _ = world.sessions_seen[row.token_id]
        ages.append(world.clock.monotonic() - last)
    return min(ages) >= world.session_idle


def _marked(world: World, shown: str) -> int | None:
    """The moment that the mark names; None where there is none of ours."""
    secret, _, mark = shown.partition(".")
    said, _, proof = mark.partition(".")
    if not (said.isascii() and said.isdigit() and len(said) <= _LONGEST_MOMENT):
        return None
    ours = hmac.compare_digest(proof.encode(), _mark(world, secret, int(said)).encode())
    return int(said) if ours else None


def _mark(world: World, secret: str, now: int) -> str:
    return world.keys.token_hash(f"seen:{now}:{secret}")


def _was_idle(world: World, row: TokenRow, shown: str) -> bool:
    """Whether the last sign of life is too long ago; if not, this is the next one."""
    if _is_idle(world, row, shown):
        return True
    seen = world.sessions_seen
    if len(seen) >= _MANY and row.token_id not in seen:
        # Only what is over anyhow is forgotten: to forget a live session would be to forget that it was idle.
        over = [token_id for token_id, (_, ends) in seen.items() if ends <= world.clock.now()]
        for token_id in over:
            del seen[token_id]
    seen[row.token_id] = (world.clock.monotonic(), row.expires_at)
    return False


def _every_role(world: World) -> frozenset[str]:
    """The gate's own roles, and those that any tool's approval asks for."""
    asked = (entry.contract.approval for entry in world.registry.values())
    return frozenset({ADMIN, OPERATOR, AUDITOR}).union(
        *(approval.approvers for approval in asked if approval is not None)
    )
