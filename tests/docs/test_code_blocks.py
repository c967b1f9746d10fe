"""Every code block of the README and the docs runs: Python in order, page by page; commands with their exit code."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from toolgate.config import auth, notify, overrides, sections, server, telemetry
from toolgate.domain.retention import SHORTEST

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(?P<language>[a-z]*)(?P<note>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\s+# exit (\d+)$")
SHOWN_ONLY = {"text", "mermaid", "json"}
ELSEWHERE = ("make", "git", "pip", "python3 -m venv")
"""Commands of a fresh clone: what CI and the cold-clone check run."""

pytestmark = pytest.mark.req("M14.7")


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    body: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(match["language"], match["body"], text.count("\n", 0, match.start()) + 2)
        for match in FENCE.finditer(text)
    ]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def is_design(page: Path) -> bool:
    """The design shows signatures, not programs."""
    return name(page) == "docs/design.md"


@pytest.mark.parametrize("page", [page for page in PAGES if not is_design(page)], ids=name)
def test_the_code_of_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    program: list[str] = []
    for block in blocks(page):
        if block.language == "python":
            program.append(
                "\n" * max(0, block.line - 1 - sum(part.count("\n") for part in program)) + block.body
            )
        elif block.language == "toml":
            tomllib.loads(block.body)
        elif block.language == "console":
            assert all(line.startswith("$ ") or not line.startswith("$") for line in block.body.splitlines())
        else:
            assert block.language in SHOWN_ONLY, f"{name(page)}:{block.line}: say what this block is"
    if program:
        path = tmp_path / "page.py"
        path.write_text("".join(program), encoding="utf-8")
        ran = subprocess.run(
            [sys.executable, "-W", "error::DeprecationWarning", str(path)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            env=_env(),
            check=False,
        )
        assert ran.returncode == 0, f"{name(page)}:\n{ran.stderr}"


@pytest.mark.parametrize("page", [page for page in PAGES if not is_design(page)], ids=name)
def test_the_commands_of_a_page_end_as_it_says(page: Path, tmp_path: Path) -> None:
    try:
        _run_commands(page, tmp_path)
    finally:
        # A page that starts a server ends it; one that fails half-way leaves it to us.
        for left in tmp_path.glob("*.pid"):
            with suppress(ProcessLookupError):
                os.kill(int(left.read_text(encoding="utf-8")), signal.SIGTERM)


def _run_commands(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "toml" and block.body.startswith("# toolgate.toml"):
            (tmp_path / "toolgate.toml").write_text(block.body, encoding="utf-8")
        if block.language == "python" and (match := re.match(r"# (\w+\.py)\n", block.body)):
            (tmp_path / match[1]).write_text(block.body, encoding="utf-8")
        if block.language != "console":
            continue
        for line in block.body.splitlines():
            if line.startswith("$ ") and not line[2:].startswith(ELSEWHERE):
                _run(page, block, line[2:], tmp_path)


def _run(page: Path, block: Block, line: str, folder: Path) -> None:
    expected = int(match[1]) if (match := EXIT.search(line)) else 0
    command = EXIT.sub("", line)
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env=_env(),
        check=False,
    )
    where = f"{name(page)}:{block.line}: {shlex.quote(command)}"
    assert ran.returncode == expected, f"{where}\n{ran.stdout}\n{ran.stderr}"


def _env() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "100"}


def test_the_reference_is_what_the_code_says() -> None:
    ran = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "build.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        broken += [f"{name(page)}: {target}" for target in targets if not (page.parent / target).exists()]
    assert broken == []


def test_every_key_of_the_configuration_is_documented() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    keys = {
        *overrides.KEYWORDS,
        *overrides.AUTHORS,
        *sections.NOT_BUILT,
        *sections.SECTIONS,
        *sections.LIMITS,
        *SHORTEST,
        *(name.removeprefix("oidc.") for name in auth.READERS),
        *notify.KEYS,
        *server.KEYS,
        *telemetry.KEYS,
    }
    assert [key for key in sorted(keys) if f"{key}`" not in page and f"[{key}" not in page] == []
