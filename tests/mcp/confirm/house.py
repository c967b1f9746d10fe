"""A house whose tools ask whoever calls, behind the server that ships, and a user at a client who answers.

Not here: what is expected of any of it; each test says that.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import mcp_types as types
from pydantic import BaseModel, Field

from tests.mcp.server.desk import Desk, meta, opened
from tests.rest.desk import ANN
from toolgate import Approval, Sensitive, Tool, ToolContext, tool
from toolgate.domain.rows import ByApproval
from toolgate.surfaces.mcp.confirm import Confirming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from mcp import Client

    from toolgate.domain.rows import ApprovalRow
    from toolgate.surfaces.mcp.handlers import Around

OWN: Final = Approval(approvers="caller", expires_in="1h")
LEAD_ABOVE: Final = Approval(approvers={"lead"}, when={"cents": {"gt": 1000}}, expires_in="1h")
CLIENT: Final = types.Implementation(name="Reading Room", version="4.2")


class Pay(BaseModel):
    """What is paid."""

    order: int = Field(ge=1, le=1_000_000)
    cents: int = Field(default=500, ge=1, le=1_000_000)
    card: Annotated[str, Sensitive()] = Field(default="0000", max_length=19)
    note: str = Field(default="", max_length=20_000)


@dataclass(slots=True)
class Business:
    """What happened."""

    paid: list[tuple[int, int]] = field(default_factory=list)
    slow: threading.Event | None = None
    entered: threading.Event = field(default_factory=threading.Event)

    def tools(self) -> list[Tool[Any, Any]]:
        """One that asks its caller, and one that asks others too where it is much."""

        def shown(context: ToolContext[Any], args: Pay) -> str:
            return f"Pay {args.cents} cents to order {args.order}"

        @tool(
            effect="write",
            roles={"clerk"},
            timeout=60,
            idempotency="pay:{order}:{workflow_id}",
            approval=OWN,
            preview=shown,
        )
        async def pay(context: ToolContext[Any], args: Pay) -> int:
            """Pay an order."""
            self.entered.set()
            if self.slow is not None:
                await asyncio.to_thread(self.slow.wait, 30)
            self.paid.append((args.order, args.cents))
            return args.cents

        @tool(
            effect="write",
            roles={"clerk"},
            timeout=60,
            idempotency="grand:{order}:{workflow_id}",
            approval=OWN.and_also(LEAD_ABOVE),
        )
        async def pay_more(context: ToolContext[Any], args: Pay) -> int:
            """Pay an order, whatever it is."""
            self.paid.append((args.order, args.cents))
            return args.cents

        return [pay, pay_more]


@dataclass(slots=True)
class User:
    """Somebody at a client: says what they were told to say, and keeps what they were shown."""

    says: Any
    shown: list[types.ElicitRequestFormParams] = field(default_factory=list)

    async def __call__(self, context: Any, params: types.ElicitRequestParams) -> Any:
        """The client's elicitation callback."""
        assert isinstance(params, types.ElicitRequestFormParams)
        self.shown.append(params)
        return self.says() if callable(self.says) else self.says


YES: Final = types.ElicitResult(action="accept", content={"confirm": True})
NO: Final = types.ElicitResult(action="decline")
NOTHING: Final[tuple[types.ElicitResult, ...]] = (
    types.ElicitResult(action="cancel"),
    types.ElicitResult(action="accept", content={"confirm": False}),
    types.ElicitResult(action="accept", content={"confirm": "true"}),
    types.ElicitResult(action="accept", content={"confirm": 1}),
    types.ElicitResult(action="accept", content={"yes": True}),
    types.ElicitResult(action="accept"),
    types.ElicitResult(action="cancel", content={"confirm": True}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The desk, and the business behind it."""

    desk: Desk
    business: Business

    @asynccontextmanager
    async def client(self, mode: str, user: User | None = None, **given: Any) -> AsyncIterator[Client]:
        """A client of Ann's, or of whoever is given; without a user it shows no questions."""
        caller = given.pop("caller", ANN)
        async with self.desk.client(
            caller, mode, client_info=CLIENT, elicitation_callback=user, **given
        ) as client:
            yield client

    async def approval(self, approval_id: str) -> ApprovalRow:
        """The approval as it lies in the ledger."""
        row = (await self.desk.gateway.store.find(ByApproval(approval_id))).approval
        assert row is not None
        return row

    async def said(self) -> list[dict[str, Any]]:
        """What the trail tells of what people said."""
        words = ("approval_approved", "approval_denied")
        return [event for event in await self.desk.trail() if event["toolgate.transition"] in words]


@asynccontextmanager
async def house(
    folder: Path,
    *,
    confirming: Around | None = None,
    tools: Iterable[Tool[Any, Any]] = (),
    **settings: Any,
) -> AsyncIterator[House]:
    """The house over ``folder/gate.db``."""
    business = Business()
    async with opened(
        folder, around=confirming or Confirming(), tools=[*business.tools(), *tools], **settings
    ) as desk:
        try:
            yield House(desk=desk, business=business)
        finally:
            if business.slow is not None:
                business.slow.set()


def beside(workflow: str) -> types.RequestParamsMeta:
    """The `_meta` of a call."""
    said: Any = meta(workflow)
    return cast("types.RequestParamsMeta", said)


async def call(client: Client, name: str = "pay", workflow: str = "wf", **args: Any) -> dict[str, Any]:
    """What the model is told, after whatever the client does on the way."""
    result = await client.call_tool(name, {"order": 1, **args}, meta=beside(workflow))
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def asked(
    client: Client, name: str = "pay", workflow: str = "wf", **args: Any
) -> types.InputRequiredResult:
    """The question that a call of the modern era is answered with."""
    result = await client.session.call_tool(
        name,
        {"order": 1, **args},
        meta=beside(workflow),
        allow_input_required=True,
    )
    assert isinstance(result, types.InputRequiredResult), result
    return result


async def again(
    client: Client,
    state: str | None,
    says: Any = YES,
    *,
    key: str = "confirm",
    name: str = "pay",
    workflow: str = "wf",
    **args: Any,
) -> dict[str, Any]:
    """What the second request of the modern era answers."""
    result = await client.session.call_tool(
        name,
        {"order": 1, **args},
        input_responses=None if says is None else {key: says},
        request_state=state,
        meta=beside(workflow),
        allow_input_required=True,
    )
    assert isinstance(result, types.CallToolResult), result
    assert isinstance(result.structured_content, dict)
    return result.structured_content
