"""MCP over HTTP: the gate beside servers that govern nothing, and as a proxy beside another proxy and no proxy.

Every server is a process of its own on loopback, run by uvicorn over h11 with the same settings; the load is the same
bytes over the same kept connections. The gate is ``toolgate serve`` with everything on: a bearer token looked up for
each call, roles, limits, deadline, redaction, a durable trail, and for writes a key and two commits. Not here: the
other servers (``mcp_ungoverned``, ``mcp_fastmcp``), the load (``wire``), and how rounds are taken (``turns``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks import subjects
from benchmarks.mcp_tools import SIZES
from benchmarks.served import free_port, gate, program
from benchmarks.turns import Asked, Subject, taking_turns
from benchmarks.wire import HANDSHAKE, MODERN, Peer

CONNECTIONS: Final = 32
GATE: Final = "gate"
SDK: Final = "mcp low-level, ungoverned"
FASTMCP: Final = "FastMCP 4, ungoverned"
PROXY: Final = "FastMCP 4 create_proxy"
RAW: Final = "the upstream itself"
_WHOSE: Final = (
    *("--id", "u481", "--tenant", "acme", "--roles", "support", "--scope", "call"),
    *("--agent", "bench", "--owner", "boss"),
)
_ROOMY: Final = "\n[limits]\nconcurrency = 4096\n"
_UPSTREAM: Final = """
[upstreams.orders]
url = "{url}"
defaults = {{ roles = ["support"], timeout = "10s", owner = "orders" }}

[upstreams.orders.tools.read_order]
effect = "read"

[upstreams.orders.tools.change_order]
effect = "write"
idempotency = "{{order_id}}:{{workflow_id}}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that answers."""

    url: str
    process: psutil.Process
    token: str | None = None

    def subject(self, asked: Asked, *, calls: int, protocol: str = MODERN) -> Subject:
        """It, asked this."""
        peer = Peer(self.url, token=self.token, protocol=protocol)
        return Subject(peer=peer, process=self.process, asked=asked, calls=calls)


async def served(folder: Path, *, quick: bool, note: Callable[[str], None]) -> dict[str, Any]:
    """``tools/call`` and ``tools/list`` of servers of ten and of fifty tools."""
    found: dict[str, Any] = {}
    for size in SIZES:
        async with AsyncExitStack() as running:
            note(f"starting servers of {size} tools")
            ours = await running.enter_async_context(_gate(folder, f"mcp-{size}", f"TOOLS_{size}"))
            sdk = await running.enter_async_context(_other(folder, "mcp_ungoverned", str(size)))
            other = await running.enter_async_context(_other(folder, "mcp_fastmcp", str(size)))
            calls, rounds = (300, 3) if quick else (2_000, 7)
            slow = calls // 4
            beside = {
                "tools/call": {
                    f"{GATE}, a read": ours.subject(called("read_order"), calls=calls),
                    SDK: sdk.subject(called("read_order"), calls=calls),
                    FASTMCP: other.subject(called("read_order"), calls=slow),
                    f"{GATE}, a keyed write": ours.subject(called("change_order"), calls=calls),
                },
                "tools/list": {
                    GATE: ours.subject(listed, calls=slow),
                    SDK: sdk.subject(listed, calls=slow),
                    FASTMCP: other.subject(listed, calls=slow),
                },
                "tools/call, handshake wire": {
                    f"{GATE}, a read": ours.subject(called("read_order"), calls=calls, protocol=HANDSHAKE),
                    SDK: sdk.subject(called("read_order"), calls=calls, protocol=HANDSHAKE),
                    FASTMCP: other.subject(called("read_order"), calls=slow, protocol=HANDSHAKE),
                },
            }
            for title, group in beside.items():
                found[f"{title}, {size} tools"] = await taking_turns(
                    group, connections=CONNECTIONS, rounds=rounds, note=note
                )
                for subject in group.values():
                    subject.peer.close()
    return found


async def proxied(folder: Path, *, quick: bool, note: Callable[[str], None]) -> dict[str, Any]:
    """``tools/call`` of one upstream over HTTP: through the gate, through another proxy, and without any."""
    async with AsyncExitStack() as running:
        note("starting the upstream and what stands before it")
        raw = await running.enter_async_context(_other(folder, "mcp_ungoverned", "10"))
        overlay = _UPSTREAM.format(url=raw.url)
        ours = await running.enter_async_context(_gate(folder, "proxy", "NONE", more=overlay, pins="orders"))
        other = await running.enter_async_context(_other(folder, "mcp_fastmcp", "proxy", raw.url))
        calls, rounds = (200, 3) if quick else (1_000, 7)
        beside = {
            f"{GATE}, a read": ours.subject(called("orders_read_order"), calls=calls),
            PROXY: other.subject(called("read_order"), calls=max(calls // 20, CONNECTIONS)),
            RAW: raw.subject(called("read_order"), calls=calls),
            f"{GATE}, a keyed write": ours.subject(called("orders_change_order"), calls=calls),
        }
        sampled = await taking_turns(beside, connections=CONNECTIONS, rounds=rounds, note=note)
        for subject in beside.values():
            subject.peer.close()
    return {"tools/call of an upstream": sampled}


def called(name: str) -> Asked:
    """Calls of ``name``, each in a workflow of its own, so that each write is another action."""

    def asked(number: int) -> tuple[str, dict[str, Any]]:
        meta = {"dev.toolgate/workflow_id": f"flow-{number}"}
        return "tools/call", {"name": name, "arguments": subjects.arguments(number), "_meta": meta}

    return asked


def listed(_number: int) -> tuple[str, dict[str, Any]]:
    """All tools."""
    return "tools/list", {}


@asynccontextmanager
async def _gate(
    folder: Path, name: str, tools: str, *, more: str = "", pins: str | None = None
) -> AsyncIterator[Running]:
    where = f"benchmarks.mcp_tools:{tools}"
    async with gate(
        folder / f"{name}.db", tools=where, whose=_WHOSE, more=_ROOMY + more, pins=pins
    ) as server:
        yield Running(url=f"{server.url}/mcp", process=server.process, token=server.token)


@asynccontextmanager
async def _other(folder: Path, module: str, *words: str) -> AsyncIterator[Running]:
    port = free_port()
    command = (f"benchmarks.{module}", str(port), *words)
    async with program(*command, port=port, log=folder / f"{module}-{port}.log") as process:
        yield Running(url=f"http://127.0.0.1:{port}/mcp", process=process)
