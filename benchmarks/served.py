"""Servers in processes of their own on loopback: ``toolgate serve`` with a token, other programs, and what they cost.

Not here: what is asked of them (``office``, ``mcp``).
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psutil

from benchmarks import archive

ROOT: Final = Path(__file__).parent.parent
ROLES: Final = "billing_admin,operator,auditor,admin"
_START: Final = 30.0
"""Seconds until the server has to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that answers. ``token``: of somebody who may see and do everything."""

    url: str
    token: str
    process: psutil.Process

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        used = self.process.cpu_times()
        return float(used.user + used.system)


@asynccontextmanager
async def served(database: Path) -> AsyncIterator[Server]:
    """``toolgate serve`` on ``database``, with the tools of the office."""
    whose = ("--id", "olga", "--tenant", archive.TENANT, "--roles", ROLES)
    scopes = [word for scope in ("call", "approve", "operate", "admin") for word in ("--scope", scope)]
    async with gate(database, tools="benchmarks.archive:TOOLS", whose=(*whose, *scopes)) as server:
        yield server


@asynccontextmanager
async def gate(
    database: Path, *, tools: str, whose: tuple[str, ...], more: str = "", pins: str | None = None
) -> AsyncIterator[Server]:
    """``toolgate serve`` on ``database`` with ``tools`` (an import path) and ``more`` of configuration.

    ``whose``: options of ``toolgate tokens create``, for the token. ``pins``: an upstream whose tools are pinned first.
    """
    port = free_port()
    config = database.with_suffix(".toml")
    config.write_text(
        f'tools = ["{tools}"]\nstore = "sqlite:///{database.name}"\n\n'
        f'[server]\nlisten = "127.0.0.1:{port}"\n{more}'
    )
    token = await _token(config, whose)
    if pins is not None:
        pinning = await _start("toolgate", "upstreams", "pin", pins, "--yes", "--config", str(config))
        assert await pinning.wait() == 0, f"the tools of {pins} were not pinned"
    words = ("toolgate", "serve", "--config", str(config))
    async with program(*words, port=port, log=database.with_suffix(".log")) as process:
        yield Server(url=f"http://127.0.0.1:{port}", token=token, process=process)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@asynccontextmanager
async def program(*words: str, port: int, log: Path) -> AsyncIterator[psutil.Process]:
    """``python -m words``, from when it answers on ``port``; ended on leaving.

    Raises:
        RuntimeError: with the end of its ``log``, if it does not answer in time.
    """
    with log.open("wb") as complaints:
        process = await _start(*words, complaints=complaints)
    try:
        if not await _answers(port, process):
            said = await asyncio.to_thread(log.read_text)
            raise RuntimeError(f"the server did not start: {said[-2000:]}")
        yield psutil.Process(process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _start(
    *words: str,
    out: int = asyncio.subprocess.DEVNULL,
    complaints: IO[bytes] | int = asyncio.subprocess.DEVNULL,
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=out,
        stderr=complaints,
    )


async def _token(config: Path, whose: tuple[str, ...]) -> str:
    made = await _start(
        *("toolgate", "tokens", "create", *whose, "--config", str(config)),
        out=asyncio.subprocess.PIPE,
        complaints=asyncio.subprocess.PIPE,
    )
    said, complaints = await made.communicate()
    found = re.search(r"tgt_\S+", said.decode())
    assert found is not None, f"no token was made: {complaints.decode()}"
    return found[0]


async def _answers(port: int, process: asyncio.subprocess.Process) -> bool:
    """Whether it says anything in time, in HTTP: a socket may listen before there is anybody to answer."""
    until = time.monotonic() + _START
    while time.monotonic() < until and process.returncode is None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            answer = await reader.read()
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        if answer:
            return True
    return False
