"""A shelf: a real upstream in a process of its own, its tools in a file, and a gateway in front of it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from toolgate import Caller, Gateway
from toolgate.adapters.clock import SystemClock
from toolgate.bootstrap.upstreams import lock_path, look, read_lock, write_lock
from toolgate.config import load_settings
from toolgate.domain.upstream.lock import PinnedTool
from toolgate.testing import FakeClock

SERVER = Path(__file__).with_name("shelf.py")
ANN = Caller("u-ann", roles={"reader", "librarian"}, tenant="acme")
FIND: dict[str, Any] = {
    "name": "find_book",
    "description": "Find a book by its title.",
    "inputSchema": {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]},
    "annotations": {"readOnlyHint": True},
}
LEND: dict[str, Any] = {
    "name": "lend-book",
    "description": "Lend a book to a reader.",
    "inputSchema": {
        "type": "object",
        "properties": {"book": {"type": "string", "maxLength": 20}, "copies": {"type": "integer"}},
        "required": ["book"],
    },
}
COUNT: dict[str, Any] = {
    "name": "count",
    "description": "Count the books.",
    "inputSchema": {"type": "object"},
    "outputSchema": {
        "type": "object",
        "properties": {"books": {"$ref": "#/definitions/n"}},
        "required": ["books"],
        "definitions": {"n": {"type": "integer"}},
    },
}
OVERLAYS = """
[upstreams.shelf.tools.find_book]
effect = "read"
roles = ["reader"]

[upstreams.shelf.tools.lend-book]
effect = "write"
roles = ["librarian"]
idempotency = "lend:{book}:{workflow_id}"

[upstreams.shelf.tools.count]
effect = "read"
roles = ["reader"]
"""


class Shelf:
    """The folder of one shelf, with a configuration beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "toolgate.toml"
        self.offer(FIND, LEND, COUNT)
        self.configure(OVERLAYS)

    @property
    def section(self) -> str:
        return (
            f"[upstreams.shelf]\ncommand = {json.dumps(sys.executable)}\n"
            f"args = {json.dumps([str(SERVER), str(self.folder)])}\n"
        )

    def configure(self, overlays: str, *, head: str = 'store = "sqlite:///gate.db"\n') -> None:
        self.config.write_text(f"{head}{self.section}{overlays}", encoding="utf-8")

    def offer(self, *tools: dict[str, Any]) -> None:
        """What it lists from now on. Put there whole, since the server may be reading."""
        draft = self.folder / "tools.draft"
        draft.write_text(json.dumps(tools))
        draft.replace(self.folder / "tools.json")

    def answer(self, **answers: Any) -> None:
        (self.folder / "answers.json").write_text(json.dumps(answers))

    def ran(self) -> list[dict[str, Any]]:
        """The calls that reached it."""
        log = self.folder / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def close(self) -> None:
        (self.folder / "down").touch()

    def reopen(self) -> None:
        (self.folder / "down").unlink()

    async def pin(self) -> None:
        """As `toolgate upstreams pin --yes` does, without its words."""
        settings = load_settings(self.config)
        (upstream,) = settings.upstreams
        seen = await look(upstream, SystemClock())
        assert seen.down is None, seen.down
        tools = [
            PinnedTool(definition=seen.definitions[name])
            for name in upstream.overlays
            if name in seen.definitions
        ]
        path = lock_path(settings)
        write_lock(path, read_lock(path).with_tools("shelf", tools))

    @asynccontextmanager
    async def gateway(
        self, clock: FakeClock | None = None, *, lazily: bool = False
    ) -> AsyncIterator[Gateway]:
        gateway = Gateway.from_config(
            self.config, clock=clock or FakeClock(), housekeeping=None if lazily else "1s"
        )
        async with gateway:
            yield gateway


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


async def until(ready: Callable[[], bool]) -> None:
    """Give way to the gateway's threads until ``ready``; the time-out of the test is the only clock."""
    while not ready():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)


async def call(gateway: Gateway, tool: str, arguments: dict[str, Any], **more: Any) -> Any:
    return await gateway.call(tool, arguments, caller=ANN, **{"workflow": "w1", **more})
