"""The walls of the house: they stand, and each of them would notice what it is there to keep out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.req("M5.6")

ROOT = Path(__file__).parent.parent
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run the walls of this project over the package in `tree`."""
    return subprocess.run(
        [sys.executable, "-c", LINT, "--config", str(ROOT / ".importlinter"), "--no-cache", "--no-logo"],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree / "src"), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the house that a test may spoil."""
    shutil.copytree(
        ROOT / "src" / "toolgate",
        tmp_path / "src" / "toolgate",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return tmp_path


def test_every_wall_stands() -> None:
    result = lint_imports(ROOT)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line", "wall"),
    [
        ("domain/verdict.py", "import toolgate.ports", "imports point inward"),
        ("gateway/spine.py", "import toolgate.operations", "imports point inward"),
        ("operations/__init__.py", "import toolgate.adapters", "imports point inward"),
        ("adapters/__init__.py", "import toolgate.config", "imports point inward"),
        ("bootstrap.py", "import toolgate.cli", "imports point inward"),
        ("extras/__init__.py", "", "imports point inward"),
        ("domain/verdict.py", "import toolgate", "nothing inside imports through the front door"),
        (
            "gateway/gates/planted.py",
            "import toolgate.gateway.gates.approval",
            "gates do not know each other",
        ),
        ("adapters/runners/planted.py", "import toolgate.adapters.stores", "adapters do not know each other"),
        ("adapters/stores/memory/planted.py", "import toolgate.adapters.stores.sqlite", "stores do not know"),
        ("surfaces/planted.py", "import toolgate.gateway.spine", "surfaces reach the gateway through"),
        ("operations/planted.py", "import sqlite3", "only adapters import drivers"),
        ("domain/verdict.py", "import time", "the domain is pure"),
        ("domain/verdict.py", "from asyncio import sleep", "the domain is pure"),
    ],
)
def test_a_wall_notices_what_it_keeps_out(tree: Path, module: str, line: str, wall: str) -> None:
    planted = tree / "src" / "toolgate" / module
    planted.parent.mkdir(exist_ok=True)
    before = planted.read_text("utf-8") if planted.exists() else ""
    planted.write_text(f"{before}\n{line}\n", "utf-8")

    result = lint_imports(tree)

    assert result.returncode == 1
    broken = [row for row in result.stdout.splitlines() if " BROKEN" in row]
    assert [row for row in broken if row.startswith(wall)], result.stdout
