"""An operator with an empty folder and the command line: adds a server, reviews what is proposed, and pins it.

Not here: which servers, and what is expected of them.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATIENCE: Final = 100.0
_CLOSED: Final = "enabled = false\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Works in ``folder``, where ``toolgate.toml`` comes to stand."""

    folder: Path

    def __post_init__(self) -> None:
        self.config.write_text(f'store = "sqlite:///{self.folder / "gate.db"}"\n', "utf-8")

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "toolgate.toml"

    async def runs(self, *arguments: str) -> str:
        """What ``toolgate`` prints when it is called with ``arguments``. A failure shows all that it said."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "toolgate", *arguments),
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(PATIENCE):
            said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        return said.decode()

    def opens(self, upstream: str, tools: Mapping[str, str]) -> None:
        """Review the proposals: open ``tools`` for the role support, each with more keys of its own."""
        text = self.config.read_text("utf-8")
        for tool, more in tools.items():
            head = f"[upstreams.{upstream}.tools.{tool}]\n"
            before, proposed = text.split(head)
            section, _, rest = proposed.partition("\n\n")
            assert _CLOSED in section, section
            kept = [
                line
                for line in section.replace(_CLOSED, "").splitlines()
                if not any(re.match(rf"(# )?{key}\b", line) for key in ("roles", *_keys(more)))
            ]
            opened = "\n".join([*kept, 'roles = ["support"]', *more.splitlines()])
            text = f"{before}{head}{opened}\n\n{rest}"
        self.config.write_text(text, "utf-8")


def _keys(more: str) -> list[str]:
    """The keys that ``more`` says itself; a reason why nobody is asked takes the place of who is."""
    keys = [line.partition("=")[0].strip() for line in more.splitlines()]
    return [*keys, *(["approval"] if "approval_waiver" in keys else [])]
