"""A gate with an issuer before it, and principals of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from tests.auth.fake_issuer import FakeIssuer
from toolgate import Approval, Caller, Gateway, tool
from toolgate.domain.principal import Principal, Scope
from toolgate.operations.authenticate import authenticate
from toolgate.operations.tokens import SCOPES, NewToken, create_token
from toolgate.testing import FakeClock


@tool(effect="read", roles={"support"}, timeout=5.0)
async def read_order(order_id: Annotated[int, Field(gt=0)]) -> int:
    """Read one order."""
    return order_id


@tool(
    effect="write",
    roles={"support"},
    timeout=5.0,
    idempotency="ship:{order_id}",
    approval=Approval(approvers={"lead"}),
)
async def ship(order_id: Annotated[int, Field(gt=0)]) -> int:
    """Ship one order."""
    return order_id


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def issuer(clock: FakeClock) -> FakeIssuer:
    return FakeIssuer(clock)


@pytest.fixture(params=["memory", "sqlite"])
async def gate(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock, issuer: FakeIssuer
) -> AsyncIterator[Gateway]:
    """A gate on each store in turn."""
    side = issuer.gate_side()
    store = None if request.param == "memory" else f"sqlite:///{tmp_path / 'gate.db'}"
    tools = [read_order] if store is None else [read_order, ship]
    gateway = Gateway(
        tools,
        store=store,
        clock=clock,
        housekeeping=None,
        issuer=side,
        sign_in=side,
        agents={"support_assistant": "u7"},
    )
    async with gateway:
        yield gateway


async def token(
    gate: Gateway,
    id: str = "u-maya",
    *roles: str,
    tenant: str = "acme",
    lasting: float = 86_400.0,
    scopes: Iterable[Scope] = SCOPES,
    agent: str | None = None,
    owner: str | None = None,
) -> NewToken:
    """A token as the key holder makes it."""

    async def made(world: object) -> NewToken:
        return await create_token(
            gate.store,
            gate.world.keys,
            gate.world.ids,
            caller=Caller(id, roles=roles, tenant=tenant),
            lasting=lasting,
            by="keyholder:test",
            scopes=scopes,
            agent=agent,
            owner=owner,
        )

    return await gate.operate(made)


async def principal(gate: Gateway, secret: str) -> Principal:
    """Whom ``secret`` stands for, who must be somebody."""
    found = await gate.operate(authenticate, secret)
    assert isinstance(found, Principal)
    return found


async def agent_token(gate: Gateway, *, tenant: str = "acme", lasting: float = 86_400.0) -> NewToken:
    return await token(
        gate, "svc-assistant", tenant=tenant, agent="support_assistant", owner="u7", lasting=lasting
    )
