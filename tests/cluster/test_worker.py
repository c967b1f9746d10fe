"""`toolgate worker` as somebody types it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from toolgate.cli.app import code

pytestmark = pytest.mark.req("X3.61")

PATIENCE = 60.0
TOOLS = '''
from pathlib import Path
from typing import Annotated
from pydantic import Field
from toolgate import Approval, tool

@tool(
    effect="write",
    roles={"support"},
    timeout="30s",
    idempotency="ship:{order_id}",
    approval=Approval(approvers={"lead"}),
)
def ship(order_id: Annotated[int, Field(gt=0, le=9)]) -> int:
    """Ship an order, once somebody agrees; it takes as long as the test says."""
    Path("shipped").open("w").close()
    Path("may_end").open().close()
    return order_id

tools = [ship]
'''


class Working:
    """A worker in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], said: str) -> None:
        self.process = process
        self.said = said
        found = re.search(r"health   (http://[^/]+)/healthz, /readyz, /metrics\n", said)
        assert found, said
        self.base = found[1]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.base}{path}", timeout=PATIENCE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(TOOLS)
    (tmp_path / "toolgate.toml").write_text('tools = ["shop:tools"]\nstore = "sqlite:///gate.db"\n')
    for name in ("shipped", "may_end"):
        os.mkfifo(tmp_path / name)
    return tmp_path


@contextmanager
def working(folder: Path) -> Iterator[Working]:
    process = subprocess.Popen(
        [sys.executable, "-m", "toolgate", "worker", "--listen", "127.0.0.1:0"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("Stop it with"):
                break
        else:
            assert process.stderr is not None
            pytest.fail(process.stderr.read())
        yield Working(process, said)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def toolgate(*words: str, folder: Path, token: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "toolgate", *words],
        cwd=folder,
        env=os.environ | {"TOOLGATE_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode in {0, 4}, done.stderr
    return done.stdout


def test_a_worker_answers_probers_and_nobody_else(folder: Path) -> None:
    with working(folder) as worker:
        answers = {
            path: worker.get(path).status_code
            for path in (
                "/healthz",
                "/readyz",
                "/metrics",
                "/",
                "/console",
                "/mcp",
                "/v1/tools",
                "/openapi.json",
            )
        }

    assert answers == {
        "/healthz": 200,
        "/readyz": 200,
        "/metrics": 200,
        **dict.fromkeys(("/", "/console", "/mcp", "/v1/tools", "/openapi.json"), 404),
    }
    assert "toolgate works for 1 tool (0 are jobs)" in worker.said
    assert "store    gate.db" in worker.said


def test_a_worker_runs_what_people_agreed_to_and_settles_it_before_it_ends(folder: Path) -> None:
    ana = toolgate("tokens", "create", "--id", "ana", "--roles", "support", folder=folder).split()[0]
    lea = toolgate("tokens", "create", "--id", "lea", "--roles", "lead", folder=folder).split()[0]
    toolgate("call", "ship", "--args", '{"order_id": 1}', "--workflow", "w1", folder=folder, token=ana)
    listed = toolgate("approvals", "list", "--json", folder=folder, token=lea)
    found = re.search(r"appr_\w+", listed)
    assert found, listed
    with working(folder) as worker:
        toolgate("approvals", "approve", found[0], "--reason", "it is due", "--yes", folder=folder, token=lea)
        (folder / "shipped").open().close()
        worker.process.send_signal(signal.SIGTERM)
        (folder / "may_end").open("w").close()
        out, err = worker.process.communicate(timeout=PATIENCE)

    assert worker.process.returncode == 0, err
    assert "toolgate has stopped" in out
    assert "Traceback" not in out + err
    assert '"succeeded"' in toolgate("calls", "list", "--json", folder=folder)


def test_a_worker_of_a_store_in_memory_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "toolgate.toml"
    file.write_text('tools = ["tests.http.desk:TOOLS"]\n')

    assert code(["worker", "--config", str(file)]) == 2
    assert "a worker would find nothing there; configure store" in capsys.readouterr().err


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1:99999"])
def test_what_is_no_address_is_told_what_one_looks_like(
    folder: Path, listen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code(["worker", "--config", str(folder / "toolgate.toml"), "--listen", listen]) == 2
    assert "write HOST:PORT" in capsys.readouterr().err


def test_without_a_login_a_worker_answers_this_machine_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code(["worker", "--config", str(folder / "toolgate.toml"), "--listen", "0.0.0.0:0"]) == 2
    assert "the server listens on this machine alone" in capsys.readouterr().err
