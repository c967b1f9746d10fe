"""Credentials, as answers tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from toolgate.surfaces.rest.answers.content import Content, Time, rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from toolgate.domain.rows import TokenRow


class TokenInfo(Content):
    """A credential, without its secret."""

    token_id: str
    kind: str
    caller_id: str
    roles: list[str]
    scopes: list[str]
    agent: str | None
    owner: str | None
    label: str
    created_at: Time
    expires_at: Time
    revoked_at: Time | None

    @classmethod
    def of(cls, row: TokenRow) -> Self:
        """``row``; its hash stays where it is."""
        return cls(
            token_id=row.token_id,
            kind=row.kind,
            caller_id=row.caller_id,
            roles=sorted(row.roles),
            scopes=sorted(row.scopes),
            agent=row.agent,
            owner=row.owner,
            label=row.label,
            created_at=rfc3339(row.created_at),
            expires_at=rfc3339(row.expires_at),
            revoked_at=rfc3339_or_none(row.revoked_at),
        )


class TokenList(Content):
    """Tokens, newest first."""

    tokens: list[TokenInfo]


class MadeToken(Content):
    """A token that was just made. `secret` is told this once and kept nowhere."""

    token: TokenInfo
    secret: str


class ExchangedBody(Content):
    """A token of a user and an agent (RFC 8693, section 2.2.1)."""

    access_token: str
    issued_token_type: str
    token_type: str
    expires_in: Annotated[int, Field(description="seconds")]
    scope: str
