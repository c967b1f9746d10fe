"""A gate with one read and one write of every shape, whose effects are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import BaseModel, Field

from tests.small_gate import opened
from toolgate import Sensitive, tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from toolgate import Gateway


class Item(BaseModel):
    sku: str = Field(max_length=20)
    count: int = Field(ge=1, le=99)


class Order(BaseModel):
    customer: str = Field(min_length=1, max_length=40)
    items: list[Item] = Field(max_length=5)
    notes: dict[str, str] = Field(default_factory=dict)
    ratio: float = 0.5
    card: Annotated[str, Sensitive()] = Field(default="", max_length=20)


RAN: list[Any] = []


@tool(effect="write", roles={"support"}, idempotency="order:{customer}:{workflow_id}")
async def place_order(args: Order) -> int:
    """Place an order."""
    RAN.append(args)
    return len(args.items)


@tool(effect="read", roles={"support"})
def look_up(args: Order) -> str:
    """Look an order up."""
    RAN.append(args)
    return args.customer


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    RAN.clear()
    async with opened([place_order, look_up], tmp_path) as gateway:
        yield gateway
