"""The public face under two type checkers: what is right passes, and each marked mistake is found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.req("M1.11")

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "tests" / "typing").glob("*.py"))
MARK = re.compile(r"#\s*error\s*$")
MYPY_ERROR = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: (?P<text>.*)$", re.MULTILINE)

Reports = dict[tuple[str, int], str]
"""What a checker says, by file name and line."""


def run(*command: str, **environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, *command, *(path.relative_to(ROOT).as_posix() for path in EXAMPLES)],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    # 0 is clean and 1 is "found something" for both; anything else means that the checker itself failed.
    assert ran.returncode in {0, 1}, ran.stdout + ran.stderr
    return ran.stdout


def mypy() -> Reports:
    output = run(
        "-m",
        "mypy",
        # What an author's own project would say: nothing of our settings and no plugin.
        "--config-file=",
        "--strict",
        "--no-pretty",
        "--no-error-summary",
        "--hide-error-context",
        # Beside the cache of `make check`, which may be running.
        "--cache-dir=.cache/mypy-examples",
        MYPYPATH="src",
    )
    return {
        (Path(found["file"]).name, int(found["line"])): found["text"] for found in MYPY_ERROR.finditer(output)
    }


def pyright() -> Reports:
    output = run(
        "-m",
        "pyright",
        "--outputjson",
        f"--pythonpath={sys.executable}",
        # The Node that the lock brings, whatever else this machine has, and no look at what is newer.
        PYRIGHT_PYTHON_GLOBAL_NODE="0",
        PYRIGHT_PYTHON_IGNORE_WARNINGS="1",
    )
    return {
        (Path(found["file"]).name, found["range"]["start"]["line"] + 1): found["message"]
        for found in json.loads(output)["generalDiagnostics"]
    }


def marked() -> set[tuple[str, int]]:
    return {
        (path.name, number)
        for path in EXAMPLES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if MARK.search(line)
    }


@pytest.mark.parametrize("checker", [mypy, pyright], ids=lambda checker: checker.__name__)
def test_a_checker_reports_every_marked_line_and_no_other(checker: Callable[[], Reports]) -> None:
    reports = checker()

    missed = [f"{name}:{line}: marked, and not reported" for name, line in marked() - reports.keys()]
    unasked = [
        f"{name}:{line}: not marked: {text}"
        for (name, line), text in reports.items()
        if (name, line) not in marked()
    ]
    if missed or unasked:
        pytest.fail("\n".join(sorted(missed + unasked)), pytrace=False)


def test_good_examples_hold_no_mark_and_each_bad_one_does() -> None:
    with_marks = {name for name, _line in marked()}

    assert {path.name for path in EXAMPLES if path.name.startswith("bad_")} == with_marks
    assert all(path.name.startswith(("good_", "bad_")) for path in EXAMPLES)


def test_no_example_silences_a_checker() -> None:
    for path in EXAMPLES:
        text = path.read_text("utf-8")
        assert "type: ignore" not in text, path.name
        assert "pyright:" not in text, path.name
        assert "Any" not in text, path.name
