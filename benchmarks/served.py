"""The real server in a process of its own: ``toolgate serve`` over loopback, its token, and what it costs.

Not here: what is asked of it (``office``).
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

import httpx
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
    """``toolgate serve`` on ``database``."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = database.with_name("office.toml")
    config.write_text(
        f'tools = ["benchmarks.archive:TOOLS"]\nstore = "sqlite:///{database.name}"\n\n'
        f'[server]\nlisten = "127.0.0.1:{port}"\n'
    )
    token = await _token(config)
    said = database.with_name("serve.log")
    with said.open("wb") as log:
        process = await _start("serve", "--config", str(config), complaints=log)
    try:
        url = f"http://127.0.0.1:{port}"
        if not await _answers(url, process):
            raise RuntimeError(f"the server did not start: {said.read_text()[-2000:]}")
        yield Server(url=url, token=token, process=psutil.Process(process.pid))
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
        *(sys.executable, "-m", "toolgate", *words),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=out,
        stderr=complaints,
    )


async def _token(config: Path) -> str:
    made = await _start(
        *("tokens", "create", "--id", "olga", "--tenant", archive.TENANT, "--roles", ROLES),
        *(word for scope in ("call", "approve", "operate", "admin") for word in ("--scope", scope)),
        *("--config", str(config)),
        out=asyncio.subprocess.PIPE,
        complaints=asyncio.subprocess.PIPE,
    )
    said, complaints = await made.communicate()
    found = re.search(r"tgt_\S+", said.decode())
    assert found is not None, f"no token was made: {complaints.decode()}"
    return found[0]


async def _answers(url: str, process: asyncio.subprocess.Process) -> bool:
    until = time.monotonic() + _START
    async with httpx.AsyncClient(base_url=url) as client:
        while time.monotonic() < until and process.returncode is None:
            try:
                if (await client.get("/healthz")).is_success:
                    return True
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    return False
