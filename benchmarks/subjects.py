"""What is measured: one function, bare, validated, in two other frameworks, and behind the gate.

The governed calls have every safeguard on: strict parsing, permission, rate limit, deadline, redaction,
idempotency and encryption where they write, and a durable trail (SQLite, ``synchronous=FULL``).
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from benchmarks.measure import Call
from toolgate import Caller, Gateway, Limits, ToolContext, tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class OrderInput(BaseModel):
    order_id: int = Field(gt=0, le=10**12)
    customer: str = Field(min_length=3, max_length=40)
    note: str = Field(default="", max_length=200)


class Order(BaseModel):
    order_id: int
    status: str
    total_cents: int


async def look_up(order_id: int, customer: str, note: str = "") -> Order:
    """Look up one order."""
    return Order(order_id=order_id, status="paid", total_cents=len(customer) * 100 + len(note))


@tool(
    effect="read", roles={"support"}, timeout=5.0, version="1", owner="orders", rate_limit="1000000000/second"
)
async def read_order(context: ToolContext[None], args: OrderInput) -> Order:
    """Look up one order."""
    return await look_up(args.order_id, args.customer, args.note)


@tool(
    effect="write",
    roles={"support"},
    timeout=5.0,
    version="1",
    owner="orders",
    rate_limit="1000000000/second",
    idempotency="order:{order_id}:{workflow_id}",
)
async def change_order(context: ToolContext[None], args: OrderInput) -> Order:
    """Change one order."""
    return await look_up(args.order_id, args.customer, args.note)


CALLER = Caller("u481", roles={"support"}, tenant="acme")


def arguments(number: int) -> dict[str, Any]:
    """What each subject is called with."""
    return {"order_id": number + 1, "customer": "c-ada-lovelace", "note": "called about the parcel"}


def bare() -> Call:
    """The function itself."""

    async def call(number: int) -> object:
        return await look_up(**arguments(number))

    return call


def validated() -> Call:
    """Pydantic in, the function, pydantic out: the least that any tool framework has to do."""

    async def call(number: int) -> object:
        args = OrderInput.model_validate(arguments(number), strict=True)
        found = await look_up(args.order_id, args.customer, args.note)
        return found.model_dump(mode="json")

    return call


def structured_tool() -> Call:
    """``langchain-core``'s ``StructuredTool.ainvoke``: ungoverned."""
    from langchain_core.tools import StructuredTool

    made = StructuredTool.from_function(coroutine=look_up, name="read_order", args_schema=OrderInput)

    async def call(number: int) -> object:
        return await made.ainvoke(arguments(number))

    return call


def function_tool() -> Call:
    """``openai-agents``' ``FunctionTool``: ungoverned."""
    from agents import function_tool as decorate
    from agents.tool_context import ToolContext as AgentContext

    made = decorate(look_up)

    async def call(number: int) -> object:
        given = json.dumps(arguments(number))
        context = AgentContext(
            context=None, tool_name=made.name, tool_call_id=str(number), tool_arguments=given
        )
        return await made.on_invoke_tool(context, given)

    return call


@asynccontextmanager
async def gate(folder: Path, *, extra_tools: int = 0, name: str = "bench") -> AsyncIterator[Gateway]:
    """A gateway on a real database with ``extra_tools`` more tools registered."""
    tools = [read_order, change_order, *(_another(number) for number in range(extra_tools))]
    limits = Limits(concurrency=4096)
    async with Gateway(tools, store=f"sqlite:///{folder}/{name}.db", limits=limits) as gateway:
        yield gateway


def _another(number: int) -> Any:
    @tool(name=f"tool_{number}", effect="read", roles={"support"}, timeout=5.0)
    async def another(context: ToolContext[None], args: OrderInput) -> Order:
        """Look up one order, under another name."""
        return await look_up(args.order_id, args.customer, args.note)

    return another


def governed_read(gateway: Gateway) -> Call:
    """A read through the whole pipeline, its trail row durable before the result is released."""
    flow = gateway.workflow("bench", caller=CALLER, agent="bench", model="none")

    async def call(number: int) -> object:
        outcome = await flow.call("read_order", arguments(number))
        assert outcome.ok, outcome
        return outcome

    return call


def governed_write(gateway: Gateway) -> Call:
    """A write through the whole pipeline: two durable commits, a fresh key each."""

    async def call(number: int) -> object:
        outcome = await gateway.call(
            "change_order",
            arguments(number),
            caller=CALLER,
            workflow=f"flow-{number}",
            agent="bench",
            model="none",
        )
        assert outcome.ok, outcome
        return outcome

    return call
