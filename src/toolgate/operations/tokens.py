"""Credentials of people and programs: random, shown once, kept as a hash, each standing for one Caller."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolgate.domain.caller import Caller
from toolgate.domain.commands import PutToken
from toolgate.domain.duration import MICRO
from toolgate.domain.rows import Event, TokenRow
from toolgate.domain.trail import plain_record

if TYPE_CHECKING:
    from toolgate.ports import Ids, Keys, Store

PREFIX = "tgt_"


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made. ``secret`` is shown once and kept nowhere."""

    row: TokenRow
    secret: str

    def __repr__(self) -> str:
        return f"NewToken({self.row.token_id})"


async def create_token(
    store: Store, keys: Keys, ids: Ids, *, caller: Caller, lasting: float, by: str
) -> NewToken:
    """A token for ``caller`` that lasts ``lasting`` seconds."""
    secret = PREFIX + secrets.token_urlsafe(32)
    now = await store.now()
    row = TokenRow(
        token_id=ids.new("tok"),
        token_hash=keys.token_hash(secret),
        caller_id=caller.id,
        tenant=caller.tenant,
        roles=caller.roles,
        created_at=now,
        expires_at=now + round(lasting * MICRO),
        revoked_at=None,
    )
    await store.execute(PutToken(row, _event("token_created", row, now, by)))
    return NewToken(row, secret)


async def revoke_token(store: Store, token_id: str, *, by: str) -> TokenRow | None:
    """The revoked token, or None if there is none of this id."""
    row = next((row for row in await store.tokens() if row.token_id == token_id), None)
    if row is None or row.revoked_at is not None:
        return row
    now = await store.now()
    revoked = row._replace(revoked_at=now)
    await store.execute(PutToken(revoked, _event("token_revoked", revoked, now, by)))
    return revoked


async def caller_of(store: Store, keys: Keys, secret: str) -> Caller | None:
    """Whom a token stands for; None for one that is unknown, expired or revoked."""
    row = await store.token(keys.token_hash(secret))
    if row is None or row.revoked_at is not None or await store.now() >= row.expires_at:
        return None
    return Caller(row.caller_id, row.roles, row.tenant)


def _event(event: str, row: TokenRow, now: int, by: str) -> Event:
    fields = {
        "toolgate.token.id": row.token_id,
        "user.id": row.caller_id,
        "toolgate.tenant": row.tenant,
        "toolgate.roles": list[str](sorted(row.roles)),
        "toolgate.actor": by,
    }
    return Event(None, now, plain_record(event, at=now, fields=fields))  # type: ignore[arg-type]
