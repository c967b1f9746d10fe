"""The command line: ``toolgate call``, with the arguments on standard input and the answer as JSON.

Each command opens the store for itself, beside the gate of the stage, which keeps the clock and lets people decide. Not
here: what a person reads without ``--json``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from click.testing import CliRunner

from tests.surfaces.calling import MODEL, RATIONALE
from tests.surfaces.stage import Ask, Heard, Stage
from tests.surfaces.table import Asked
from toolgate.cli.app import code

_TWO_CLOCKS: Final = "a command has the machine's clock, and whoever decides has the one of the stage"
UNSAID: Final = {
    "too often": "limits of SQLite are a process's, and each command is a process of its own",
    "the same thing twice at once": "a command has one standard output, and this process runs one after another",
    "larger than a message may be": "of standard input 1 MiB is read, and that is refused as too long",
    "held, asked again": _TWO_CLOCKS,
    "held, approved, asked again": _TWO_CLOCKS,
    "held, denied, asked again": _TWO_CLOCKS,
    "a job with effects, asked again": _TWO_CLOCKS,
    "a job that people agreed to, asked again": _TWO_CLOCKS,
    "a job that people refused, asked again": _TWO_CLOCKS,
}


@asynccontextmanager
async def commands(stage: Stage, asked: Asked) -> AsyncIterator[Ask]:
    """Somebody who types, with their token in the environment."""
    token = await stage.token(asked.caller, asked.agent)
    words = ["call", "--args", "-", "--json", "--model", MODEL, "--rationale", RATIONALE]
    if asked.workflow is not None:
        words += ["--workflow", asked.workflow]
    words += ["--config", str(configured(stage.folder)), "--", asked.tool]

    async def ask(arguments: str) -> Heard:
        said = await asyncio.to_thread(typed, words, stdin=arguments, token=token)
        return Heard(outcome=json.loads(said))

    yield ask


def configured(folder: Path) -> Path:
    """A configuration of the business's own tools, over the store of the stage."""
    config = folder / "toolgate.toml"
    config.write_text('tools = ["tests.surfaces.business:TOOLS"]\nstore = "sqlite:///gate.db"\n')
    return config


def typed(words: list[str], *, stdin: str | None = None, token: str | None = None) -> str:
    """What the program prints for these words, run in this process."""
    with CliRunner().isolation(input=stdin, env={"TOOLGATE_TOKEN": token, "COLUMNS": "80"}) as streams:
        code(words)
        said: str = streams[0].getvalue().decode()
        return said
