"""What an agent's author writes: a gateway, a workflow, and an outcome that is typed by its tool."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import assert_never

from pydantic import BaseModel, Field

from toolgate import (
    Annotations,
    Caller,
    Content,
    EmbeddedResource,
    Failed,
    Gateway,
    ImageBlock,
    Outcome,
    PendingApproval,
    Refused,
    ResourceLink,
    Started,
    Succeeded,
    TextBlock,
    TextResource,
    ToolContext,
    Unknown,
    tool,
    validate,
)


@dataclass(frozen=True)
class Deps:
    names: dict[int, str]


class OrderInput(BaseModel):
    order_id: int = Field(gt=0)


class Order(BaseModel):
    order_id: int
    status: str


@tool(effect="read", roles={"support"}, timeout=2.0)
async def read_order(context: ToolContext[Deps], args: OrderInput) -> Order:
    """Read one order."""
    return Order(order_id=args.order_id, status=context.deps.names[args.order_id])


@tool(effect="read", roles={"support"}, timeout=2.0)
def draw_order(context: ToolContext[Deps], args: OrderInput) -> Content:
    """Draw one order."""
    context.progress(1)
    context.progress(1, 3, note="half of it")
    return Content(
        content=[
            TextBlock(text=context.deps.names[args.order_id], annotations=Annotations(priority=1)),
            ImageBlock.of(b"...", "image/png"),
            ImageBlock(data="YQ==", mimeType="image/png"),
            ResourceLink(uri="https://shop.example/1", name="The order"),
            EmbeddedResource(resource=TextResource(uri="file:///1", text="one")),
        ]
    )


@asynccontextmanager
async def deps(caller: Caller) -> AsyncGenerator[Deps, None]:
    yield Deps(names={1: caller.id})


def told(outcome: Outcome[Order]) -> str:
    match outcome:
        case Succeeded(result=order):
            return order.status
        case PendingApproval(approval_id=approval):
            return approval
        case Started():
            return "running"
        case Refused() | Failed() | Unknown():
            return outcome.message
        case _:
            assert_never(outcome)


async def day() -> None:
    caller = Caller("u481", roles={"support"}, tenant="acme")
    async with Gateway([read_order], store="sqlite:///toolgate.db", deps=deps) as gateway:
        flow = gateway.workflow(
            "req_123", caller=caller, agent="support_assistant", user_input="Where is it?"
        )
        typed: Outcome[Order] = await flow.call(read_order, OrderInput(order_id=1))
        waited: Outcome[Order] = await flow.wait(typed, timeout="10m")
        order: Order = waited.unwrap()
        by_name = await flow.call("read_order", {"order_id": order.order_id})
        by_bytes = await gateway.call("read_order", b'{"order_id": 1}', caller=caller, workflow="req_123")
        direct: Outcome[Order] = await gateway.call(read_order, OrderInput(order_id=1), caller=caller)
        by_mapping: Outcome[Order] = await gateway.call(read_order, {"order_id": 1}, caller=caller)
        by_text: Outcome[Order] = await flow.call(
            read_order, '{"order_id": 1}', request_id="r-1", rationale="asked to"
        )
        told(direct)
        told(by_mapping)
        told(by_text)
        again = await gateway.get_call(direct.call_id, caller=caller)
        again.to_model()
        by_name.to_model()
        by_bytes.to_mcp()


def heard(done: float, total: float | None, note: str | None) -> None:
    print(done, total or 0.0, note or "")


async def watched() -> list[str]:
    caller = Caller("u481", roles={"support"}, tenant="acme")
    ids: list[str] = []
    async with Gateway([draw_order], deps=deps) as gateway:
        flow = gateway.workflow("req_123", caller=caller)
        drawn: Outcome[Content] = await flow.call(draw_order, OrderInput(order_id=1), progress=heard)
        direct = await gateway.call("draw_order", {"order_id": 1}, caller=caller, progress=heard)
        asked = await gateway.request(
            "draw_order", {"order_id": 1}, caller=caller, workflow=flow.workflow, on_received=ids.append
        )
        gateway.cancel(asked.call_id)
        direct.to_mcp()
        return [block.type for block in drawn.unwrap().content]


def without_a_loop() -> Order:
    caller = Caller("u481", roles={"support"})
    with Gateway([read_order], deps=deps) as gateway:
        outcome: Outcome[Order] = gateway.call_sync(read_order, OrderInput(order_id=1), caller=caller)
        return outcome.unwrap()


def with_a_flow_and_without_a_loop() -> str:
    caller = Caller("u481", roles={"support"})
    with Gateway([read_order], deps=deps) as gateway:
        flow = gateway.workflow("req_1", caller=caller)
        typed: Outcome[Order] = flow.call_sync(read_order, OrderInput(order_id=1), request_id="r-1")
        mapped: Outcome[Order] = gateway.call_sync(read_order, {"order_id": 1}, caller=caller)
        by_name = gateway.call_sync("read_order", b"{}", caller=caller, rationale="asked to")
        by_name.to_mcp()
        return told(typed) + told(mapped)


def before_a_call() -> str | None:
    refusal: Refused | None = validate(read_order, OrderInput(order_id=1))
    if refusal is None:
        refusal = (
            validate(read_order, {"order_id": 0}) or validate(read_order, b"{}") or validate(read_order, "")
        )
    return None if refusal is None else refusal.message


def reads(outcome: Outcome[Order]) -> tuple[str, str, str, bool, tuple[str, ...]]:
    return outcome.call_id, outcome.effect.value, outcome.advice.value, outcome.replayed, outcome.reasons
