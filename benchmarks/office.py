"""People at work on an old ledger: how long each page and endpoint takes, how soon fifty watchers hear of a decision.

What is measured is what a client waits, body read to its end. Not here: the ledger it is measured on (``archive``),
the server (``served``), and how figures are shown (``report``).
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks import archive
from benchmarks.served import Server, served

ROOT: Final = Path(__file__).parent.parent
WATCHERS: Final = 50
PEOPLE: Final = 5
"""Whose pages they are: nobody may have all of them open."""
_PATIENCE: Final = 10.0
"""Seconds after the last decision in which every watcher has to have heard of it."""

PAGES: Final = {
    "inbox": "/console/inbox",
    "inbox, others'": "/console/inbox?view=others",
    "inbox, decided": "/console/inbox?view=decided",
    "one approval": "/console/approvals/{approval}",
    "changing one": "/console/approvals/{approval}/edit",
    "grants": "/console/grants",
    "overview": "/console/overview",
    "overview, 30 days": "/console/overview?range=30d",
    "calls": "/console/calls",
    "calls of a tool": "/console/calls?tool=refund_03",
    "calls of a caller": "/console/calls?caller=u17",
    "calls of an agent": "/console/calls?agent=ops_assistant",
    "calls of an agent that never asked": "/console/calls?agent=nobody",
    "calls that were refused": "/console/calls?status=refused",
    "calls of a workflow": "/console/calls?workflow=case-1000",
    "one call": "/console/calls/{call}",
    "unresolved": "/console/unresolved",
    "tools": "/console/tools",
    "one tool": "/console/tools/refund_03",
    "audit": "/console/audit",
    "audit of a caller": "/console/audit?caller=u17",
    "audit of nobody": "/console/audit?caller=nobody",
    "tokens": "/console/tokens",
    "notifications": "/console/notifications",
}
ENDPOINTS: Final = {
    path: path
    for path in (
        "/v1/approvals",
        "/v1/approvals?for_me=false",
        "/v1/approvals?open=false",
        "/v1/approvals/{approval}",
        "/v1/approvals/{approval}/evidence",
        "/v1/calls",
        "/v1/calls?tool=refund_03&since=2026-01-01T00:00:00Z",
        "/v1/calls?caller=u17",
        "/v1/calls?status=failed",
        "/v1/calls?unresolved=true",
        "/v1/calls/{call}",
        "/v1/calls/{call}/story",
        "/v1/grants",
        "/v1/tools",
        "/v1/audit",
        "/v1/audit?caller=u17",
        "/v1/tokens",
        "/v1/notifications",
        "/openapi.json",
        "/metrics",
        "/healthz",
        "/readyz",
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One address, asked again and again. Milliseconds; ``status`` of the last answer."""

    path: str
    status: int
    median_ms: float
    slowest_ms: float
    bytes: int


async def office(folder: Path, *, quick: bool, note: Callable[[str], None]) -> dict[str, Any]:
    """Everything, on a copy of the archive."""
    calls, pending = (50_000, 1_000) if quick else (1_000_000, 10_000)
    kept = await asyncio.to_thread(
        archive.provide, ROOT / ".cache" / "office", calls=calls, pending=pending, note=note
    )
    note("copying the ledger")
    database = await asyncio.to_thread(archive.copy, kept, folder)
    rounds = 7 if quick else 15
    async with served(database) as server, signed_in(server) as browser, bearing(server) as program:
        ids = await some_ids(program)
        pages = {name: path.format(**ids) for name, path in PAGES.items()}
        endpoints = {name: path.format(**ids) for name, path in ENDPOINTS.items()}
        return {
            "calls": calls,
            "pending": pending,
            "pages": await ask_all(browser, pages, rounds, note),
            "endpoints": await ask_all(program, endpoints, rounds, note),
            "watchers": await watch(server, program, decisions=10 if quick else 40, note=note),
        }


@asynccontextmanager
async def bearing(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A program with a token."""
    headers = {"Authorization": f"Bearer {server.token}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:
        yield client


@asynccontextmanager
async def signed_in(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A browser with a session."""
    async with httpx.AsyncClient(base_url=server.url, follow_redirects=True, timeout=60) as client:
        form = (await client.get("/console/sign-in")).text
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
        answer = await client.post(
            "/console/sign-in", data={**hidden, "token": server.token}, headers={"Origin": server.url}
        )
        assert answer.is_success, answer.status_code
        assert "sign-in" not in answer.url.path, answer.text
        yield client


async def some_ids(program: httpx.AsyncClient) -> dict[str, str]:
    """An approval and a call to look at."""
    found = (await program.get("/v1/approvals")).raise_for_status().json()
    first = next(rows for rows in found.values() if isinstance(rows, list))[0]
    return {"approval": first["approval_id"], "call": first["call_id"]}


async def ask_all(
    client: httpx.AsyncClient, paths: dict[str, str], rounds: int, note: Callable[[str], None]
) -> dict[str, Answered]:
    """Every path in turn, round after round, so that a noisy moment hits all of them alike."""
    taken: dict[str, list[float]] = {name: [] for name in paths}
    last: dict[str, httpx.Response] = {}
    for number in range(rounds + 1):
        note(f"pages and endpoints, round {number}/{rounds}")
        for name, path in paths.items():
            began = time.perf_counter()
            last[name] = await client.get(path)
            # The first round warms caches, and does not count.
            if number:
                taken[name].append((time.perf_counter() - began) * 1000)
    return {
        name: Answered(
            path=path,
            status=last[name].status_code,
            median_ms=statistics.median(taken[name]),
            slowest_ms=max(taken[name]),
            bytes=len(last[name].content),
        )
        for name, path in paths.items()
    }


class _Watcher:
    """One open stream, and when it heard of which approval. ``progress`` is set each time anybody hears of one."""

    def __init__(self, progress: asyncio.Event) -> None:
        self.heard: dict[str, float] = {}
        self.open = asyncio.Event()
        self._progress = progress

    async def listen(self, client: httpx.AsyncClient, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with client.stream("GET", "/v1/events", headers=headers, timeout=None) as stream:
            stream.raise_for_status()
            self.open.set()
            async for line in stream.aiter_lines():
                for found in re.findall(r"appr_[0-9A-Z]{26}", line):
                    self.heard.setdefault(found, time.perf_counter())
                    self._progress.set()


async def watch(
    server: Server,
    program: httpx.AsyncClient,
    *,
    decisions: int,
    note: Callable[[str], None],
) -> dict[str, Any]:
    """Fifty open pages: what they cost while nothing happens, and how soon all of them hear of a decision."""
    async with AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=WATCHERS)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=server.url, limits=limits))
        progress = asyncio.Event()
        watchers = [_Watcher(progress) for _ in range(WATCHERS)]
        tokens = [await _token_of(program, f"watcher{number}") for number in range(PEOPLE)]
        tasks = [
            asyncio.create_task(watcher.listen(client, tokens[number % PEOPLE]))
            for number, watcher in enumerate(watchers)
        ]
        await asyncio.wait_for(asyncio.gather(*(watcher.open.wait() for watcher in watchers)), 60)
        note("fifty watchers, nothing happens")
        idle_from, began = server.cpu(), time.perf_counter()
        await asyncio.sleep(5)
        idle = (server.cpu() - idle_from) / (time.perf_counter() - began)
        note("fifty watchers, somebody decides")
        before = server.cpu()
        sent = await _decide(program, decisions)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while not all(sent.keys() <= one.heard.keys() for one in watchers):
                    progress.clear()
                    await progress.wait()
        spent = server.cpu() - before
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    delays = [(one.heard[id] - at) * 1000 for one in watchers for id, at in sent.items() if id in one.heard]
    return {
        "watchers": WATCHERS,
        "decisions": len(sent),
        "heard": len(delays),
        "expected": len(sent) * WATCHERS,
        "idle_cpu_percent": round(idle * 100, 2),
        "cpu_ms_per_decision": round(spent / max(len(sent), 1) * 1000, 1),
        "median_ms": round(statistics.median(delays), 1) if delays else None,
        "p95_ms": round(statistics.quantiles(delays, n=20)[-1], 1) if delays else None,
    }


async def _token_of(program: httpx.AsyncClient, name: str) -> str:
    """The token of somebody who sees every call."""
    body = {"caller_id": name, "roles": ["operator"], "scopes": ["operate"], "lasting": "1h"}
    answer = await program.post("/v1/tokens", json=body)
    return str(answer.raise_for_status().json()["secret"])


async def _decide(program: httpx.AsyncClient, decisions: int) -> dict[str, float]:
    """Deny some, one after another; each id with the moment at which its decision was sent."""
    sent: dict[str, float] = {}
    found = (await program.get("/v1/approvals", params={"limit": decisions})).raise_for_status().json()
    for row in next(rows for rows in found.values() if isinstance(rows, list))[:decisions]:
        approval_id = row["approval_id"]
        sent[approval_id] = time.perf_counter()
        body = {"decision": "deny", "reason": "measured", "digest": row["digest"]}
        answer = await program.post(f"/v1/approvals/{approval_id}/decision", json=body)
        answer.raise_for_status()
        await asyncio.sleep(0.1)
    return sent
