"""``/mcp`` without a network: one gateway behind it, requests as bytes, and either way of answering them.

Not here: what is expected of any of it; each test says that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field

from toolgate import Approval, Caller, Denied, Gateway, Tool, ToolContext, tool
from toolgate.operations.tokens import create_token
from toolgate.surfaces.http.office import open_office
from toolgate.surfaces.http.settings import ServerSettings
from toolgate.surfaces.mcp.http import McpHttp
from toolgate.testing import CountedIds, FakeClock

MODERN: Final = "2026-07-28"
ENVELOPE: Final = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
SETTINGS: Final = ServerSettings(
    host="127.0.0.1",
    port=1,
    public_url="http://127.0.0.1:1",
    names=frozenset({"127.0.0.1:1"}),
    local=True,
)
ANN: Final = Caller("ann", {"clerk"}, "acme")
NIL: Final = Caller("nil", set(), "acme")
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def kind(self) -> str:
        """The media type; empty where there is none."""
        return self.headers.get("content-type", "").split(";")[0]

    @property
    def message(self) -> Any:
        """The JSON; of a stream, that of its last event."""
        body = self.body
        if self.kind == "text/event-stream":
            body = [line for line in body.split(b"\r\n") if line.startswith(b"data: ")][-1][6:]
        return json.loads(body)


class Door:
    """Asks one ``McpHttp``."""

    def __init__(self, gateway: Gateway, mcp: McpHttp) -> None:
        self.gateway = gateway
        self.mcp = mcp
        self.token = ""

    async def token_of(self, caller: Caller) -> str:
        """A credential of ``caller``."""
        world = self.gateway.world
        made = await create_token(
            world.store, world.keys, world.ids, caller=caller, lasting=3600.0, by="setup"
        )
        return made.secret

    async def post(
        self,
        headers: Headers,
        body: bytes,
        *,
        hang_up: asyncio.Event | None = None,
        on_body: Callable[[bytes], object] = lambda _: None,
    ) -> Answer:
        """One request. Its sender stays until the answer is there, or hangs up."""
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/mcp",
            "headers": [(b"authorization", f"Bearer {self.token}".encode()), *headers],
            "query_string": b"",
            "client": ("127.0.0.1", 1),
        }
        told, answer = False, Answer()

        async def receive() -> dict[str, Any]:
            nonlocal told
            if not told:
                told = True
                return {"type": "http.request", "body": body, "more_body": False}
            await (hang_up or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.body += message.get("body", b"")
                on_body(answer.body)

        await self.mcp(scope, receive, send)
        return answer

    async def ask(self, name: str, arguments: Any, **more: Any) -> Answer:
        """A plain call."""
        return await self.post(plain_headers("tools/call", name), call(name, arguments), **more)


class Doors:
    """Two gateways of the same tools, ids and clock: what is asked of one is asked of the other."""

    def __init__(self) -> None:
        self._opened = AsyncExitStack()

    async def open(self, folder: Path) -> Self:
        """Behind ``with_sdk`` everything goes through the SDK."""
        self.direct = await self._opened.enter_async_context(opened(folder / "direct.db", direct=True))
        self.with_sdk = await self._opened.enter_async_context(opened(folder / "sdk.db", direct=False))
        return self

    async def close(self) -> None:
        """Both."""
        await self._opened.aclose()


@asynccontextmanager
async def opened(
    ledger: Path, *, offered: Iterable[Tool[Any, Any]] | None = None, direct: bool = True, sdk: bool = True
) -> AsyncIterator[Door]:
    """``sdk``: whether the SDK takes messages; without it only what needs none of it is answered."""
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            Gateway(
                tools() if offered is None else offered,
                store=f"sqlite:///{ledger}",
                clock=clock,
                ids=CountedIds(),
                housekeeping=None,
            )
        )
        mcp = McpHttp(open_office(gateway, SETTINGS), direct=direct)
        if sdk:
            await stack.enter_async_context(mcp.running())
        door = Door(gateway, mcp)
        door.token = await door.token_of(ANN)
        yield door


def tools() -> list[Tool[Any, Any]]:
    """One for each way in which a call may be answered."""
    return [_notes(), _pay(), _send(), _refuse(), _break(), _mirror(), _hidden()]


def _notes() -> Tool[Any, Any]:
    @tool(effect="read", roles={"clerk"}, timeout=5)
    async def notes(customer: Annotated[str, Field(min_length=1, max_length=64)]) -> dict[str, str | None]:
        """Read what is noted about a customer."""
        return {"about": f"{customer} – kind, “quoted”\n", "more": None}

    return notes


def _pay() -> Tool[Any, Any]:
    @tool(effect="write", roles={"clerk"}, timeout=5, idempotency="pay:{order}:{workflow_id}")
    async def pay(order: Annotated[int, Field(ge=1, le=9)]) -> float:
        """Pay an order."""
        return order / 3

    return pay


def _send() -> Tool[Any, Any]:
    @tool(
        effect="write",
        roles={"clerk"},
        timeout=5,
        idempotency="send:{to}:{workflow_id}",
        approval=Approval(approvers={"lead"}),
    )
    async def send(to: Annotated[str, Field(max_length=20)]) -> str:
        """Send something."""
        return to

    return send


def _refuse() -> Tool[Any, Any]:
    async def no(context: ToolContext[Any], args: Any) -> bool | Denied:
        return Denied("nobody may", message="You may not.")

    @tool(effect="read", roles={"clerk"}, timeout=5, authorize=no)
    async def refuse() -> str:
        """Never allowed."""
        return "never"

    return refuse


def _break() -> Tool[Any, Any]:
    @tool(name="break", effect="read", roles={"clerk"}, timeout=5)
    async def broken() -> str:
        """Fail."""
        raise RuntimeError("a secret")

    return broken


def _mirror() -> Tool[Any, Any]:
    @tool(effect="read", roles={"clerk"}, timeout=5)
    async def mirror(
        region: Annotated[str, Field(max_length=20, json_schema_extra={"x-mcp-header": "Region"})],
    ) -> str:
        """Has an argument that intermediaries read in a header."""
        return region

    return mirror


def _hidden() -> Tool[Any, Any]:
    @tool(effect="read", roles={"lead"}, timeout=5)
    async def hidden() -> str:
        """For others."""
        return "hidden"

    return hidden


def plain_headers(method: str, name: str | None = None) -> list[tuple[bytes, bytes]]:
    """What a well-behaved client sends beside a message."""
    named = [] if name is None else [(b"mcp-name", name.encode())]
    return [
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
        (b"mcp-protocol-version", MODERN.encode()),
        (b"mcp-method", method.encode()),
        *named,
    ]


def call(name: str, arguments: Any, beside: dict[str, Any] | None = None) -> bytes:
    """The bytes of a well-formed call."""
    said = {**ENVELOPE, "dev.toolgate/workflow_id": "wf", **(beside or {})}
    params = {"name": name, "arguments": arguments, "_meta": said}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


def listing() -> bytes:
    """The bytes of a well-formed request for the list."""
    params = {"_meta": ENVELOPE}
    return json.dumps({"jsonrpc": "2.0", "id": "l", "method": "tools/list", "params": params}).encode()
