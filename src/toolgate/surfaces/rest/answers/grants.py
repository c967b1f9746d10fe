"""Grants, as answers tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from toolgate.surfaces.rest.answers.content import Content, Json, Next, Time, rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from toolgate.domain.rows import GrantRow


class GrantInfo(Content):
    """Consent given beforehand."""

    grant_id: str
    tool: str
    bounds: Json
    caller_id: str | None
    agent: str | None
    until: Time
    uses: int
    max_uses: int
    granted_by: str
    roles: list[str]
    reason: str
    created_at: Time
    approval_id: str | None
    revoked_at: Time | None
    revoked_by: str | None

    @classmethod
    def of(cls, row: GrantRow, bounds: Json) -> Self:
        """``row``, its bounds as the object that they are."""
        return cls(
            grant_id=row.grant_id,
            tool=row.tool,
            bounds=bounds,
            caller_id=row.caller_id,
            agent=row.agent,
            until=rfc3339(row.until),
            uses=row.uses,
            max_uses=row.max_uses,
            granted_by=row.granted_by,
            roles=sorted(row.roles),
            reason=row.reason,
            created_at=rfc3339(row.created_at),
            approval_id=row.approval_id,
            revoked_at=rfc3339_or_none(row.revoked_at),
            revoked_by=row.revoked_by,
        )


class GrantList(Content):
    """A page of grants, newest first."""

    grants: list[GrantInfo]
    next: Next
