"""The demo, played once as a user would, and read."""

from __future__ import annotations

import importlib
import io
import os
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from toolgate import Gateway
from toolgate.domain.audit import verify_chains
from toolgate.examples.support_desk import books
from toolgate.examples.support_desk import day as day_of_the_demo
from toolgate.examples.support_desk.actions import Day
from toolgate.examples.support_desk.day import CONFIGURATION, LEDGER, run_demo
from toolgate.examples.support_desk.scenes import SCENES
from toolgate.examples.support_desk.stage import Stage
from toolgate.examples.support_desk.tools import callers, deps, tools
from toolgate.examples.support_desk.world import DEFAULT_NAME, World
from toolgate.ports import ApprovalFilter

pytestmark = pytest.mark.req("M14.5")


@dataclass(frozen=True)
class Played:
    code: int
    text: str
    folder: Path


def _console(width: int = 80) -> tuple[Console, io.StringIO]:
    paper = io.StringIO()
    return Console(file=paper, width=width), paper


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("demo") / "day"
    console, paper = _console()
    code = run_demo(keep=folder, console=console)
    return Played(code, paper.getvalue(), folder)


def test_every_check_of_the_demo_holds(played: Played) -> None:
    assert played.code == 0, played.text
    assert "NOT SO" not in played.text


def test_the_demo_shows_every_scene_and_fits_eighty_columns_without_colour(played: Played) -> None:
    for number in range(1, len(SCENES) + 3):
        assert f"\n{number}. " in played.text
    assert "\x1b" not in played.text
    assert max(len(line) for line in played.text.splitlines() if not line.startswith(("  cd ", "  . "))) <= 80


@pytest.mark.req("M11.6")
def test_nothing_sensitive_is_shown_on_the_terminal(played: Played) -> None:
    assert "card_last4=****" in played.text
    assert "card_last4=4" not in played.text
    assert '"4242"' not in played.text
    assert "nora.bright@example.com" not in played.text


@pytest.mark.req("M14.6")
async def test_what_is_kept_can_be_opened_again_with_work_left_for_people(played: Played) -> None:
    configured = tomllib.loads((played.folder / CONFIGURATION).read_text(encoding="utf-8"))
    assert configured["store"] == f"sqlite:///{LEDGER}"
    with World(played.folder / DEFAULT_NAME).use() as world:
        store = f"sqlite:///{played.folder / LEDGER}"
        async with Gateway(
            tools, store=store, deps=deps, callers=callers, housekeeping=None, jobs=False
        ) as gateway:
            await gateway.sweep()
            pending = await gateway.store.approvals(ApprovalFilter(open_only=True))
            unknown = [call for call in await books.all_calls(gateway.store) if call.status == "unknown"]
            assert [row.tool for row in pending] == ["delete_customer"]
            assert [call.tool for call in unknown] == ["send_email"]
            assert all(row.agrees for row in await books.balances(gateway.store, world))
            records = [record async for record in gateway.store.records()]
            assert verify_chains(records).intact


@pytest.mark.req("M14.6", "M13.6")
def test_every_command_that_the_demo_prints_works(played: Played, tmp_path: Path) -> None:
    printed = [line.strip() for line in played.text.splitlines()]
    commands = [line for line in printed if line.startswith(("toolgate ", "export ", "cd ", "--"))]
    assert len(commands) > 10
    served = commands.pop(commands.index("toolgate serve --tenant acme"))
    toolgate = (
        f"toolgate() {{ {shlex.quote(sys.executable)} -c 'from toolgate.cli import main; main()' \"$@\"; }}"
    )
    script = "\n".join(["set -e", toolgate, f"cp -R {shlex.quote(str(played.folder))}/. .", *commands[1:]])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "100"}
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert commands[0] == f"cd {played.folder}"
    with World(tmp_path / DEFAULT_NAME).use() as world:
        assert books.erasures(world) == 1
    assert "/console/sign-in#" in _link_of(served, tmp_path, environment)


def _link_of(command: str, folder: Path, environment: dict[str, str]) -> str:
    """The line with the link that the server prints; then it is asked to end, and does."""
    given = [*shlex.split(command)[1:], "--listen", "127.0.0.1:0"]
    serve = [sys.executable, "-c", "from toolgate.cli import main; main()", *given]
    with subprocess.Popen(
        serve, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        try:
            link = next((line for line in server.stdout if "sign in" in line), "")
        finally:
            server.terminate()
    assert server.returncode == 0
    return link


@pytest.mark.req("M14.6")
def test_the_demo_touches_no_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        run_demo(keep=tmp_path, console=_console()[0])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_demo_that_shows_what_is_not_so_says_so_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def a_lie(day: Day) -> None:
        await SCENES[0](day)
        day.stage.check("the moon is made of cheese", holds=False)

    monkeypatch.setattr(day_of_the_demo, "SCENES", (a_lie,))
    console, paper = _console()
    assert run_demo(keep=None, console=console) == 1
    assert "NOT SO, scene 1: the moon is made of cheese" in paper.getvalue()


def test_a_check_that_does_not_hold_is_shown_and_counted() -> None:
    console, paper = _console()
    stage = Stage(console=console)
    stage.scene("A claim", "Somebody says so.")
    stage.check("the moon is there", holds=True)
    stage.check("the moon is made of cheese", holds=False)
    assert (stage.checks, stage.failed) == (2, ["scene 1: the moon is made of cheese"])
    assert "NOT SO the moon is made of cheese" in paper.getvalue()


def test_the_package_offers_the_names_that_a_configuration_needs() -> None:
    desk = importlib.import_module("toolgate.examples.support_desk")
    assert desk.tools is tools
    assert (desk.deps, desk.callers) == (deps, callers)
