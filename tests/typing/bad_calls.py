"""Mistakes around a call that an editor shows before anything runs."""

from __future__ import annotations

from typing import assert_never

from pydantic import BaseModel, Field

from toolgate import Caller, Gateway, Outcome, PendingApproval, Refused, Succeeded, tool, validate


class OrderInput(BaseModel):
    order_id: int = Field(gt=0)


class CustomerInput(BaseModel):
    customer_id: int = Field(gt=0)


class Order(BaseModel):
    order_id: int


@tool(effect="read", roles={"support"}, timeout=2.0)
async def read_order(args: OrderInput) -> Order:
    """Read one order."""
    return Order(order_id=args.order_id)


def forgets_what_else_may_come(outcome: Outcome[Order]) -> int:
    match outcome:
        case Succeeded(result=order):
            return order.order_id
        case PendingApproval() | Refused():
            return 0
        case _:
            assert_never(outcome)  # error


def takes_success_for_granted(outcome: Outcome[Order]) -> int:
    return outcome.result.order_id  # error


async def day(gateway: Gateway) -> None:
    caller = Caller("u481", roles={"support"})
    flow = gateway.workflow("req_123", caller=caller)
    await flow.call(read_order, CustomerInput(customer_id=1))  # error
    await flow.call(read_order, 7)  # error
    await gateway.call(read_order, OrderInput(order_id=1))  # error
    await gateway.call(read_order, OrderInput(order_id=1), caller="u481")  # error
    wrong: Outcome[int] = await flow.call(read_order, OrderInput(order_id=1))  # error
    gateway.workflow("req_123")  # error
    await flow.call(read_order, OrderInput(order_id=1), caller=caller)  # error
    outcome = await flow.call(read_order, OrderInput(order_id=1))
    outcome.call_id = "call_other"  # error
    await gateway.call(read_order, CustomerInput(customer_id=1), caller=caller)  # error
    await gateway.call("read_order", OrderInput(order_id=1), caller=caller)  # error
    await gateway.call(read_order.function, {"order_id": 1}, caller=caller)  # error
    also_wrong: Outcome[int] = await gateway.call(read_order, {"order_id": 1}, caller=caller)  # error
    flow.caller = Caller("u-other")  # error
    outcome.unwrap().order  # error


def without_a_loop(gateway: Gateway) -> None:
    caller = Caller("u481", roles={"support"})
    flow = gateway.workflow("req_123", caller=caller)
    gateway.call_sync(read_order, CustomerInput(customer_id=1), caller=caller)  # error
    gateway.call_sync(read_order, OrderInput(order_id=1))  # error
    flow.call_sync(read_order, CustomerInput(customer_id=1))  # error
    wrong: Outcome[int] = flow.call_sync(read_order, OrderInput(order_id=1))  # error
    validate("read_order", {"order_id": 1})  # error
    validate(read_order, {"order_id": 1}).message  # error


def forgets_that_a_failure_has_no_result(outcome: Outcome[Order]) -> Order:
    if not outcome.ok:
        return outcome.result  # error
    return outcome.unwrap()
