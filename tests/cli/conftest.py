"""The command line as a test types it: words in, exit code and output back, beside a live gateway of the test."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.cli import desk
from toolgate import Caller, Gateway
from toolgate.cli.app import code
from toolgate.testing.clock import FakeClock

FAR = 4_102_444_800_000_000
"""The first of January 2100 in microseconds. The command line has the machine's clock, a test's gateway stands
later: the store never goes back before what it recorded, so both read the gateway's time."""

MAYA = Caller("u-maya", roles={"support"}, tenant="acme")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class Shop:
    """A folder with a toolgate.toml, its store, and the gateway of the test before it."""

    folder: Path
    clock: FakeClock

    @property
    def config(self) -> Path:
        return self.folder / "toolgate.toml"

    @property
    def database(self) -> Path:
        return self.folder / "gate.db"

    def write(self, extra: str = "") -> None:
        text = f'tools = ["tests.cli.desk:tools"]\nstore = "sqlite:///gate.db"\n{extra}'
        self.config.write_text(text, encoding="utf-8")

    def gateway(self, *, keeps_house: bool = False, lease: float = 10.0) -> Gateway:
        """A gateway that does its housekeeping when the test says ``sweep``, whether or not it claims to keep house."""
        return Gateway(
            desk.tools,
            store=f"sqlite:///{self.database}",
            clock=self.clock,
            housekeeping="24h" if keeps_house else None,
            lease=lease,
        )

    async def __call__(self, *words: str, token: str | None = None, stdin: str | None = None) -> Ran:
        """Run a command on this shop's configuration, in a thread, as the command line has a loop of its own."""
        return await asyncio.to_thread(run, *self.with_config(words), token=token, stdin=stdin)

    def with_config(self, words: tuple[str, ...]) -> list[str]:
        return [*words, "--config", str(self.config)]

    async def token(self, id: str, *roles: str, tenant: str = "acme") -> str:
        """A token's secret, made on the command line; it outlives the clock of any test."""
        made = await self(
            *("tokens", "create", "--id", id, "--tenant", tenant, "--expires-in", "40000d", "--json"),
            *(word for role in roles for word in ("--roles", role)),
        )
        assert made.code == 0, made.err
        secret: str = made.json["secret"]
        return secret


async def until(ready: Callable[[], Awaitable[bool]]) -> None:
    """Give way to the gateway's threads until ``ready``: the ledger's rows say when, and nothing else would."""
    while not await ready():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)


def run(*words: str, token: str | None = None, stdin: str | None = None) -> Ran:
    """Run the program in this process, at 80 columns."""
    with CliRunner().isolation(input=stdin, env={"TOOLGATE_TOKEN": token, "COLUMNS": "80"}) as streams:
        ended = code(list(words))
        return Ran(ended, streams[0].getvalue().decode(), streams[1].getvalue().decode())


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    desk.forget()
    made = Shop(tmp_path, FakeClock(now=FAR))
    made.write()
    yield made
    desk.mail_may_go.set()
