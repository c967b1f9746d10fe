"""One tool for each way in which a call may end, as plain functions and as contracts over them.

The functions stand apart from the contracts, so that an MCP server without any rule can offer the same business, and
the same contracts can be given to it from outside. They are the module's, so that a configuration can name them, in
this process or in another one. Not here: what is expected of any of it.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from toolgate import Approval, BusinessRule, Content, Denied, Sensitive, Tool, ToolContext, ToolError, tool
from toolgate.domain.content import ImageBlock, TextBlock

CLOSED = 999_999
"""The order that nobody may refund."""
SECRET = "4242424242424242"
"""What must stand in no trail."""
PAID = "paid.txt"
"""In a stage's folder: a line for each time that money went out, whichever process paid it."""
BLINK = 0.05
"""Seconds until a tool that never comes back is given up."""

Order = Annotated[int, Field(ge=1, le=1_000_000)]
Customer = Annotated[str, Field(min_length=1, max_length=64)]


class Refund(BaseModel):
    """What is paid back."""

    order: Order
    cents: int = Field(ge=1, le=1_000_000)


class Paid(BaseModel):
    """What was paid back."""

    cents: int


class Said(BaseModel):
    """A text."""

    text: str


class CardDeclined(ToolError):
    """The bank says no, and moved nothing."""

    code = "card_declined"
    effect = "none"


class Business:
    """What the tools do, one stage after another.

    Attributes:
        folder: where the money goes out.
        entered: set once a tool that waits has begun.
        proceed: cleared by a test, so that refunds wait.
    """

    def __init__(self) -> None:
        self.begin(Path())

    def begin(self, folder: Path) -> None:
        """A new stage."""
        self.folder = folder
        self.entered = threading.Event()
        self.proceed = threading.Event()
        self.proceed.set()

    def pay(self, line: str) -> None:
        """Let money go out."""
        with (self.folder / PAID).open("a") as file:
            file.write(line + "\n")

    async def refund(self, order: int, cents: int) -> Paid:
        """Pay an order back."""
        self.entered.set()
        await asyncio.to_thread(self.proceed.wait, 30)
        self.pay(f"{order} {cents}")
        return Paid(cents=cents)

    async def move(self, order: int, card: str) -> Said:
        """Pay an order back to another card."""
        self.pay(f"{order} to a card of {len(card)} digits")
        return Said(text="moved")

    async def notes(self, customer: str) -> Said:
        """Read what is noted about a customer."""
        return Said(text=f"{customer} is kind")

    async def look(self, customer: str, depth: int = 3) -> Said:
        """Look for a customer."""
        return Said(text=f"{customer}, {depth} deep")

    async def never(self) -> Said:
        """Never come back."""
        self.entered.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def stuck(self, order: int) -> Said:
        """Never come back from doing something."""
        return await self.never()

    async def lost(self, order: int) -> Said:
        """Lose the answer of what it called."""
        raise RuntimeError("the connection broke")

    async def closed(self, order: int) -> Said:
        """Be refused by the business."""
        raise BusinessRule("the customer is closed")

    async def charge(self, order: int) -> Said:
        """Charge a card that is declined."""
        raise CardDeclined("the card was declined")

    async def broken(self) -> Said:
        """Fail in a way that its contract does not know."""
        raise RuntimeError(f"no such file: /srv/{SECRET}")

    async def wrong(self) -> Any:
        """Answer with something else than its contract says."""
        return {"text": 1}

    async def wrongly(self, order: int) -> Any:
        """Do it, and answer with something else than its contract says."""
        self.pay(f"{order} wrongly")
        return {"text": 1}

    async def big(self) -> Said:
        """Answer with more than a model may see."""
        return Said(text="x" * 5000)

    async def leaky(self) -> Said:
        """Answer with what looks like a key."""
        return Said(text="the key is AKIAIOSFODNN7EXAMPLE")

    async def picture(self) -> Content:
        """Show a picture."""
        return Content(content=[TextBlock(text="a point"), ImageBlock.of(b"point", "image/png")])

    async def film(self) -> Content:
        """Show more pictures than a model may see."""
        return Content(content=[TextBlock(text="a line"), ImageBlock.of(b"line" * 1000, "image/png")])

    async def survey(self, customer: str) -> Said:
        """Take long. No worker runs on a stage, so nobody waits for it."""
        return Said(text=f"{customer} was asked")

    async def restock(self, order: int, cents: int) -> Paid:
        """Take long, and pay at last."""
        self.pay(f"restock {order} {cents}")
        return Paid(cents=cents)

    async def rarely(self) -> Said:
        """Be asked twice a minute."""
        return Said(text="here")


business = Business()
"""The one that all tools of this process work in."""


def is_open(context: ToolContext[Any], args: Refund) -> bool | Denied:
    """Whether the order may be refunded."""
    return args.order != CLOSED or Denied("the order is closed")


@tool(
    effect="write",
    roles={"clerk"},
    authorize=is_open,
    timeout=5,
    idempotency="refund:{order}:{workflow_id}",
    approval=Approval(approvers={"lead"}, when={"cents": {"gt": 1000}}, expires_in="1h", risk="high"),
)
async def refund(args: Refund) -> Paid:
    """Pay an order back."""
    return await business.refund(args.order, args.cents)


@tool(effect="write", roles={"clerk"}, timeout=5, idempotency="move:{order}")
async def move(order: Order, card: Annotated[str, Sensitive(), Field(max_length=19)]) -> Said:
    """Pay an order back to another card."""
    return await business.move(order, card)


@tool(effect="write", roles={"clerk"}, timeout=5, idempotency="lost:{order}")
async def lost(order: Order) -> Said:
    """Lose the answer of what it called."""
    return await business.lost(order)


@tool(effect="write", roles={"clerk"}, timeout=BLINK, idempotency="stuck:{order}")
async def stuck(order: Order) -> Said:
    """Never come back from doing something."""
    return await business.stuck(order)


@tool(effect="write", roles={"clerk"}, timeout=5, idempotency="closed:{order}", raises={BusinessRule})
async def closed(order: Order) -> Said:
    """Be refused by the business."""
    return await business.closed(order)


@tool(effect="write", roles={"clerk"}, timeout=5, idempotency="charge:{order}", raises={CardDeclined})
async def charge(order: Order) -> Said:
    """Charge a card that is declined."""
    return await business.charge(order)


@tool(effect="write", roles={"clerk"}, timeout=5, idempotency="wrongly:{order}")
async def wrongly(order: Order) -> Said:
    """Do it, and answer with something else than its contract says."""
    answer: Said = await business.wrongly(order)
    return answer


@tool(effect="read", roles={"clerk"}, timeout=5)
async def notes(customer: Customer) -> Said:
    """Read what is noted about a customer."""
    return await business.notes(customer)


@tool(effect="read", roles={"clerk"}, timeout=5)
async def look(customer: Customer, depth: Annotated[int, Field(ge=1, le=9)] = 3) -> Said:
    """Look for a customer."""
    return await business.look(customer, depth)


@tool(effect="read", roles={"clerk"}, timeout=BLINK)
async def never() -> Said:
    """Never come back."""
    return await business.never()


@tool(effect="read", roles={"clerk"}, timeout=5)
async def broken() -> Said:
    """Fail in a way that its contract does not know."""
    return await business.broken()


@tool(effect="read", roles={"clerk"}, timeout=5)
async def wrong() -> Said:
    """Answer with something else than its contract says."""
    answer: Said = await business.wrong()
    return answer


@tool(effect="read", roles={"clerk"}, timeout=5, result_size=1000)
async def big() -> Said:
    """Answer with more than a model may see."""
    return await business.big()


@tool(effect="read", roles={"clerk"}, timeout=5)
async def leaky() -> Said:
    """Answer with what looks like a key."""
    return await business.leaky()


@tool(effect="read", roles={"clerk"}, timeout=5)
async def picture() -> Content:
    """Show a picture."""
    return await business.picture()


@tool(effect="read", roles={"clerk"}, timeout=5, result_size=1000)
async def film() -> Content:
    """Show more pictures than a model may see."""
    return await business.film()


@tool(effect="read", roles={"clerk"}, timeout=5, rate_limit="2/minute")
async def rarely() -> Said:
    """Be asked twice a minute."""
    return await business.rarely()


@tool(effect="read", roles={"clerk"}, timeout=60, job=True)
async def survey(customer: Customer) -> Said:
    """Ask a customer everything."""
    return await business.survey(customer)


@tool(
    effect="write",
    roles={"clerk"},
    timeout=60,
    job=True,
    idempotency="restock:{order}:{workflow_id}",
    approval=Approval(approvers={"lead"}, when={"cents": {"gt": 1000}}, expires_in="1h"),
)
async def restock(args: Refund) -> Paid:
    """Buy what an order took."""
    return await business.restock(args.order, args.cents)


TOOLS: list[Tool[Any, Any]] = [
    *(refund, move, lost, stuck, closed, charge, wrongly),
    *(notes, look, never, broken, wrong, big, leaky, picture, film, rarely),
    *(survey, restock),
]
