"""The people of the demo, as callers, and the two hooks by which the gate meets the desk.

Belongs here: what an application's login would do, and what it opens for one call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType

from toolgate import Caller
from toolgate.examples.support_desk.desk import Desk
from toolgate.examples.support_desk.seed import USERS
from toolgate.examples.support_desk.world import current


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """One person of the demo. `part` says what they are there for."""

    name: str
    part: str
    caller: Caller


_PARTS = {
    "u-maya": "support agent",
    "u-priya": "support lead",
    "u-omar": "billing admin",
    "u-ines": "billing admin, the second",
    "u-tomas": "engineer",
    "u-ruth": "auditor, reads only",
    "u-felix": "works here, has no role",
    "u-dora": "support agent, left; her session is still open",
    "u-kenji": "support agent of the other tenant",
    "u-lena": "billing admin of the other tenant",
}

personas: Mapping[str, Persona] = MappingProxyType(
    {
        user_id.removeprefix("u-"): Persona(
            name=name, part=_PARTS[user_id], caller=Caller(user_id, roles=roles.split(), tenant=tenant)
        )
        for user_id, tenant, name, _, roles, _ in USERS
    }
)
"""Everybody, by first name: `personas["maya"].caller`."""


@asynccontextmanager
async def deps(caller: Caller) -> AsyncIterator[Desk]:
    """Open the desk of the caller's tenant for one call."""
    with current().desk(tenant=caller.tenant, user_id=caller.id) as desk:
        yield desk


async def callers(user_id: str, tenant: str) -> Caller | None:
    """Say what a user may do now, for a call that waited; None for one who is gone."""
    with current().desk(tenant=tenant, user_id=user_id) as desk:
        if desk.user is None or not desk.user.active:
            return None
        return Caller(user_id, roles=desk.user.roles, tenant=tenant)
