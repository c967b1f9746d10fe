"""The real program over real pipes: several cases in one process, measured by the same ones on one gate in this one.

``test_every_surface`` puts every case to the same code without a process. Here: that the program wires it so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

import tests
from tests.surfaces.business import SECRET
from tests.surfaces.by_sdk import UNSAID, called
from tests.surfaces.measured import Left
from tests.surfaces.over_cli import configured, typed
from tests.surfaces.over_mcp import HANDSHAKE, INITIALIZED, MODERN, initialize_message
from tests.surfaces.over_stdio import PATIENCE, Line, talking
from tests.surfaces.stage import FAR, Heard, audited, comparable, money, opened, play, surfaces
from tests.surfaces.table import CASES, Asked
from tests.surfaces.ways import REFERENCE
from toolgate import Gateway
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("X3.3", "X3.41")

TOLD: Final = (
    *("good", "replayed", "the same key with something else", "a read", "a picture", "bad argument"),
    *("a key twice", "not a number", "half a character", "no object", "oversize", "unknown tool"),
    *("denied by a predicate", "a deadline", "unknown", "unknown, asked again", "an error that it declared"),
    *("a result that is none", "a secret where it belongs", "a key that needs a workflow, and none is given"),
)
"""By one caller, one after another."""
SAID: Final = tuple(case for case in TOLD if case not in UNSAID)
ITS_CLOCK: Final = frozenset({"expires_at"})
_ROOT: Final = Path(tests.__file__).parents[1]


def sequence(cases: Sequence[str]) -> list[Asked]:
    """The cases, and a hold in a piece of work of its own, whose key nothing before has used."""
    return [CASES[case] for case in cases] + [replace(CASES["held, asked again"], workflow="another")]


async def measured(cases: Sequence[str], folder: Path) -> Left:
    told: list[Heard] = []
    await asyncio.to_thread(folder.mkdir)
    async with opened(folder) as stage:
        for asked in sequence(cases):
            async with REFERENCE.open(stage, asked) as ask:
                told += await play(stage, asked, ask)
        return await left_in(stage.gateway, folder, told)


async def left_in(gateway: Gateway, folder: Path, told: list[Heard]) -> Left:
    store = gateway.store
    return Left(told=told, trail=await audited(store), surfaces=await surfaces(store), money=money(folder))


async def looked_at(folder: Path, told: list[Heard]) -> Left:
    """What a process left that has ended."""
    store, clock = f"sqlite:///{folder / 'gate.db'}", FakeClock(now=FAR)
    async with Gateway([], store=store, clock=clock, housekeeping=None) as gateway:
        return await left_in(gateway, folder, told)


def assert_alike(left: Left, here: Left) -> None:
    for said, expected in zip(left.told, here.told, strict=True):
        assert expected.outcome is not None
        if said.outcome is None:
            assert expected.outcome["error_type"] == "unknown_tool"
        else:
            assert comparable(said.outcome, ITS_CLOCK) == comparable(expected.outcome, ITS_CLOCK)
    assert left.trail == here.trail
    assert left.money == here.money
    assert left.surfaces == {"mcp-stdio"}
    assert SECRET not in json.dumps(left.trail)


def prepared(folder: Path) -> dict[str, str]:
    """The folder with a configuration, and the environment of a process that speaks for Ann."""
    folder.mkdir()
    words = ["tokens", "create", "--id", "ann", "--tenant", "acme", "--roles", "clerk", "--json"]
    made = json.loads(typed([*words, "--config", str(configured(folder))]))
    return {"TOOLGATE_TOKEN": made["secret"], "PYTHONPATH": str(_ROOT)}


PROGRAM: Final = (sys.executable, "-m", "toolgate")


@asynccontextmanager
async def program(folder: Path) -> AsyncIterator[Line]:
    """``toolgate serve --stdio`` for Ann, until the block ends; then it has left by itself."""
    environment = os.environ | await asyncio.to_thread(prepared, folder)
    with subprocess.Popen(  # noqa: ASYNC220 - it only starts it
        [*PROGRAM, "serve", "--stdio"],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Line(process.stdin, process.stdout)
            assert await asyncio.to_thread(process.wait, PATIENCE) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def test_the_program_tells_and_writes_what_a_call_in_process_does(tmp_path: Path) -> None:
    here = await measured(TOLD, tmp_path / "measure")
    told: list[Heard] = []
    async with program(tmp_path / "way") as line:
        await line.tell(initialize_message())
        assert (await line.hear())["result"]["protocolVersion"] == HANDSHAKE
        await line.tell(INITIALIZED)
        async with talking(line, envelope=False) as say:
            for asked in sequence(TOLD):
                told += [await say(asked, arguments) for arguments in asked.arguments]
    assert_alike(await looked_at(tmp_path / "way", told), here)


async def test_the_sdk_s_client_hears_the_same_of_a_program_that_it_started(tmp_path: Path) -> None:
    here = await measured(SAID, tmp_path / "measure")
    folder, told = tmp_path / "way", []
    environment = await asyncio.to_thread(prepared, folder)
    parameters = StdioServerParameters(
        command=PROGRAM[0], args=[*PROGRAM[1:], "serve", "--stdio"], env=environment, cwd=folder
    )
    async with Client(parameters, mode=MODERN, read_timeout_seconds=PATIENCE) as client:
        for asked in sequence(SAID):
            told += [await called(client, asked, arguments) for arguments in asked.arguments]
    assert_alike(await looked_at(folder, told), here)
