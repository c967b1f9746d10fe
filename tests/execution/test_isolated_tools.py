"""Tools in a process of their own: what crosses, what comes back, and that the end is the end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.execution import isolated_tools as isolated
from tests.execution.stage import ANN, PATIENCE, Ledger, drive, flights_over, row, stage, until
from tests.people import decide_approval
from toolgate import (
    Caller,
    ContractError,
    Failed,
    Gateway,
    Limits,
    PendingApproval,
    Refused,
    Succeeded,
    Unknown,
    tool,
)
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M6.6")


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "book"
    path.touch()
    monkeypatch.setenv("TOOLGATE_TEST_BOOK", str(path))
    return path


def alive(pid: int) -> bool:
    """Whether any of its threads runs; a zombie does not, but its last thread may still hold the pipes open."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def lines_now(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def lines(path: Path, count: int = 1) -> list[str]:
    await until(lambda: len(lines_now(path)) >= count)
    return lines_now(path)


@pytest.mark.parametrize("tool_", [isolated.report_async, isolated.report_sync], ids=lambda tool: tool.name)
async def test_a_child_runs_the_tool_with_everything_it_was_told(
    tool_: Any, clock: FakeClock, book: Path
) -> None:
    async with stage(tool_, clock=clock, deps=isolated.desk) as gateway:
        outcome = await gateway.call(tool_, {"words": ["über", "🦊"]}, caller=ANN)

    report = outcome.unwrap()
    assert isinstance(report, isolated.Report)
    assert report.parent == os.getpid()
    assert report.words == ["über", "🦊"]
    assert (report.caller, report.roles, report.tenant) == ("ann", ["support"], "acme")
    assert report.desk == "desk of ann"
    assert report.attempt == 1
    assert report.has_time


@pytest.mark.req("M4.11")
async def test_the_deps_of_an_isolated_tool_are_entered_in_its_child_alone(
    clock: FakeClock, book: Path
) -> None:
    async with stage(isolated.report_async, clock=clock, deps=isolated.desk) as gateway:
        outcome = await gateway.call(isolated.report_async, {"words": []}, caller=ANN)

    assert lines_now(book) == [f"entered {outcome.unwrap().pid} for ann", "left"]


async def test_a_predicate_of_an_isolated_tool_has_deps_in_the_gateway(clock: FakeClock, book: Path) -> None:
    async with stage(isolated.guarded_report, clock=clock, deps=isolated.desk) as gateway:
        outcome = await gateway.call(isolated.guarded_report, {"words": []}, caller=ANN)

    written = lines_now(book)
    assert f"entered {os.getpid()} for ann" in written
    assert f"entered {outcome.unwrap().pid} for ann" in written


async def test_a_child_is_kept_warm_for_the_next_call(clock: FakeClock) -> None:
    async with stage(isolated.report_async, isolated.report_sync, clock=clock) as gateway:
        first = await gateway.call(isolated.report_async, {"words": []}, caller=ANN)
        second = await gateway.call(isolated.report_sync, {"words": []}, caller=ANN)

    assert first.unwrap().pid == second.unwrap().pid


async def test_a_closed_gateway_leaves_no_child(clock: FakeClock) -> None:
    async with stage(isolated.report_async, clock=clock) as gateway:
        outcome = await gateway.call(isolated.report_async, {"words": []}, caller=ANN)

    assert not alive(outcome.unwrap().pid)


@pytest.mark.req("M10.3")
async def test_at_the_deadline_the_child_dies_with_all_that_it_started(
    clock: FakeClock, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    async with stage(isolated.never_return, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call("never_return", {"started": str(started)}, caller=ANN))
        child, grandchild = map(int, (await lines(started))[0].split())
        clock.advance(61)
        outcome = await call
        await flights_over(gateway)

        assert isinstance(outcome, Unknown)
        assert outcome.effect == "unknown"
        assert not alive(child)
        await until(lambda: not alive(grandchild))
        # Nothing may still be running, so that a person may say what became of it.
        assert (await row(gateway, outcome.call_id)).lease_until <= clock.now()


async def test_after_a_killed_child_the_next_call_gets_a_fresh_one(clock: FakeClock, tmp_path: Path) -> None:
    started = tmp_path / "started"
    async with stage(
        isolated.never_return, isolated.report_async, clock=clock, limits=Limits(processes=1)
    ) as gateway:
        call = asyncio.create_task(gateway.call("never_return", {"started": str(started)}, caller=ANN))
        await lines(started)
        clock.advance(61)
        await call
        await flights_over(gateway)
        outcome = await gateway.call(isolated.report_async, {"words": ["again"]}, caller=ANN)

    assert outcome.unwrap().words == ["again"]


@pytest.mark.req("M6.5")
async def test_when_every_process_is_busy_the_next_call_is_refused(clock: FakeClock, tmp_path: Path) -> None:
    started, file = tmp_path / "started", tmp_path / "go"
    args = {"started": str(started), "file": str(file)}
    async with stage(isolated.wait_for_file, clock=clock, limits=Limits(processes=1)) as gateway:
        first = asyncio.create_task(gateway.call("wait_for_file", args, caller=ANN))
        await lines(started)
        second = await gateway.call("wait_for_file", args, caller=ANN)
        file.touch()

        assert isinstance(second, Refused)
        assert second.error_type == "overloaded"
        assert (await first).unwrap() == "seen"
        assert len(lines_now(started)) == 1


@pytest.mark.req("M10.5")
@pytest.mark.parametrize(
    ("word", "code", "said"),
    [
        ("declined", "card_declined", "The card was declined by its bank."),
        ("rule", "sunday", "Not on a Sunday."),
        ("transient", "transient", "Busy."),
    ],
)
async def test_a_declared_error_arrives_as_it_was_declared(
    word: str, code: str, said: str, clock: FakeClock
) -> None:
    async with stage(isolated.raise_in_child, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call("raise_in_child", {"word": word}, caller=ANN))
        outcome = await drive(call, clock)

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.message, outcome.effect) == (code, said, "none")


@pytest.mark.req("M8.4")
async def test_a_transient_failure_in_a_child_is_tried_again(clock: FakeClock, tmp_path: Path) -> None:
    count = tmp_path / "count"
    async with stage(isolated.raise_in_child, clock=clock) as gateway:
        call = asyncio.create_task(
            gateway.call("raise_in_child", {"word": "transient", "count": str(count)}, caller=ANN)
        )
        await drive(call, clock)

    assert lines_now(count) == ["attempt 1", "attempt 2", "attempt 3"]


@pytest.mark.req("M3.4")
async def test_a_wish_for_a_person_crosses_and_so_does_the_approval(clock: FakeClock) -> None:
    async with stage(isolated.raise_in_child, clock=clock) as gateway:
        held = await gateway.call("raise_in_child", {"word": "approval"}, caller=ANN)
        assert isinstance(held, PendingApproval)
        assert "More than a person may spend." in held.message
        boss = Caller("eve", roles={"boss"}, tenant="acme")
        assert not isinstance(
            await decide_approval(gateway, held.approval_id, "approve", voter=boss, reason="seen"), str
        )
        await gateway.sweep()
        await flights_over(gateway)
        outcome = await gateway.get_call(held.call_id, caller=ANN)

    assert outcome.unwrap() == "approved by eve"


@pytest.mark.req("M10.6", "M10.11")
@pytest.mark.parametrize("word", ["undeclared", "exit", "cancelled", "connection", "timeout", "die", "crash"])
async def test_what_a_child_does_not_declare_leaves_a_write_in_doubt_and_tells_nothing(
    word: str, clock: FakeClock
) -> None:
    async with stage(isolated.raise_in_child, isolated.report_async, clock=clock) as gateway:
        outcome = await gateway.call("raise_in_child", {"word": word}, caller=ANN)
        after = await gateway.call(isolated.report_async, {"words": []}, caller=ANN)

    assert isinstance(outcome, Unknown)
    assert "secret" not in str(outcome)
    assert "10.0.0.7" not in str(outcome)
    assert isinstance(after, Succeeded)


async def test_a_child_killed_from_outside_is_a_lost_connection(clock: FakeClock, tmp_path: Path) -> None:
    started = tmp_path / "started"
    args = {"started": str(started), "file": str(tmp_path / "never")}
    async with stage(isolated.wait_for_file, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call("wait_for_file", args, caller=ANN))
        os.kill(int((await lines(started))[0]), signal.SIGKILL)
        outcome = await call

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect, outcome.advice) == ("upstream_unavailable", "none", "retry")


@pytest.mark.req("M10.6")
async def test_an_idle_child_that_died_meanwhile_is_replaced_and_leaves_no_doubt(clock: FakeClock) -> None:
    async with stage(isolated.report_async, isolated.raise_in_child, clock=clock) as gateway:
        first = await gateway.call(isolated.report_async, {"words": []}, caller=ANN)
        os.kill(first.unwrap().pid, signal.SIGKILL)
        await until(lambda: not alive(first.unwrap().pid))
        outcome = await gateway.call("raise_in_child", {"word": "fine"}, caller=ANN)

    assert outcome.unwrap() == "fine"


async def test_what_a_tool_prints_is_no_answer(clock: FakeClock, capfd: pytest.CaptureFixture[str]) -> None:
    async with stage(isolated.shout, clock=clock) as gateway:
        outcome = await gateway.call(
            isolated.shout, {"words": '{"kind":"returned"}\x00\x00\x00\x02{}'}, caller=ANN
        )

    assert outcome.unwrap() == "calm"
    assert capfd.readouterr() == ("", "")


@pytest.mark.req("M6.7")
async def test_a_long_result_of_a_child_is_cut_and_a_huge_one_never_leaves_it(clock: FakeClock) -> None:
    async with stage(isolated.long_text, clock=clock) as gateway:
        cut = await gateway.call(isolated.long_text, {"size": 10_000}, caller=ANN)
        huge = await gateway.call(isolated.long_text, {"size": 10_000_000}, caller=ANN)

    assert isinstance(cut, Succeeded)
    assert cut.truncated
    assert len(cut.result) == 10_000
    assert isinstance(huge, Failed)
    assert huge.error_type == "invalid_result"


@pytest.mark.req("M10.8")
async def test_a_wrong_result_of_a_child_after_a_write_is_applied_and_withheld(clock: FakeClock) -> None:
    async with stage(isolated.lie, clock=clock) as gateway:
        outcome = await gateway.call("lie", {"word": "three"}, caller=ANN)

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect) == ("invalid_result", "applied")


async def test_a_task_that_a_tool_left_behind_does_not_run_in_the_next_call(
    clock: FakeClock, tmp_path: Path
) -> None:
    file = tmp_path / "haunted"
    file.touch()
    async with stage(isolated.leave_a_task_behind, isolated.report_async, clock=clock) as gateway:
        await gateway.call("leave_a_task_behind", {"file": str(file)}, caller=ANN)
        before = lines_now(file)
        for _ in range(20):
            await gateway.call(isolated.report_async, {"words": []}, caller=ANN)

    assert lines_now(file) == before


@pytest.mark.req("M4.11")
async def test_deps_that_cannot_be_entered_in_the_child_leave_no_doubt(clock: FakeClock) -> None:
    async with stage(isolated.raise_in_child, clock=clock, deps=isolated.broken_desk) as gateway:
        outcome = await gateway.call("raise_in_child", {"word": "fine"}, caller=ANN)

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect) == ("internal_error", "none")
    assert "secret" not in str(outcome)


@pytest.mark.req("M10.10")
async def test_deps_that_fail_on_leaving_in_the_child_leave_a_write_in_doubt(clock: FakeClock) -> None:
    async with stage(isolated.raise_in_child, clock=clock, deps=isolated.sticky_desk) as gateway:
        outcome = await gateway.call("raise_in_child", {"word": "fine"}, caller=ANN)

    assert isinstance(outcome, Unknown)


@pytest.mark.req("M4.11")
async def test_deps_in_the_child_are_told_how_the_tool_ended(clock: FakeClock, book: Path) -> None:
    async with stage(isolated.raise_in_child, clock=clock, deps=isolated.desk) as gateway:
        await gateway.call("raise_in_child", {"word": "declined"}, caller=ANN)

    assert lines_now(book)[-1] == "left with CardDeclined"


PARENT = """
import asyncio, sys
from tests.execution import isolated_tools as isolated
from toolgate import Caller, Gateway

async def main():
    async with Gateway([isolated.wait_for_file]) as gateway:
        await gateway.call("wait_for_file", {"started": sys.argv[1], "file": sys.argv[2]},
                           caller=Caller("ann", roles={"support"}))

asyncio.run(main())
"""


async def test_a_child_does_not_outlive_a_gateway_that_is_killed(tmp_path: Path) -> None:
    started = tmp_path / "started"
    parent = subprocess.Popen(  # noqa: ASYNC220 - started once, and killed
        [sys.executable, "-c", PARENT, str(started), str(tmp_path / "never")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        child = int((await lines(started))[0])
        assert alive(child)
    finally:
        parent.kill()
        parent.wait(PATIENCE)
    await until(lambda: not alive(child))


# ------------------------------------------------------------------------------------- refused when the gate is made


def local_tool() -> Any:
    @tool(effect="read", roles={"support"}, isolation="process")
    def inner(word: isolated.Word) -> str:
        """Hidden in a function."""
        return word

    return inner


hidden = tool(effect="read", roles={"support"}, isolation="process", name="nameless")(lambda: "x")


def letter() -> str:
    """A function whose tool is kept under no name."""
    return "a"


def digit() -> int:
    """A function whose tool has another name than itself."""
    return 1


made_of_digit = tool(effect="read", roles={"support"}, isolation="process")(digit)


@pytest.mark.req("M6.13")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (local_tool(), "move the function to the top of its module"),
        (hidden, "write the function with def"),
        (
            tool(effect="read", roles={"support"}, isolation="process")(letter),
            "keep what @tool returns under a name of its module",
        ),
    ],
)
def test_a_tool_that_no_child_can_import_is_refused_when_the_gateway_is_made(given: Any, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        Gateway([given], store=Ledger(FakeClock()))


@pytest.mark.req("M6.13")
async def test_a_tool_under_another_name_than_its_function_is_found(clock: FakeClock) -> None:
    async with stage(made_of_digit, clock=clock) as gateway:
        assert (await gateway.call(made_of_digit, {}, caller=ANN)).unwrap() == 1


@asynccontextmanager
async def good_deps(caller: Caller) -> Any:
    yield None


@pytest.mark.req("M6.13")
def test_deps_that_no_child_can_import_are_refused_beside_an_isolated_tool() -> None:
    @asynccontextmanager
    async def local_deps(caller: Caller) -> Any:
        yield None

    with pytest.raises(ContractError, match="move deps to the top of its module"):
        Gateway([isolated.shout], deps=local_deps)
    with pytest.raises(ContractError, match="lambda"):
        Gateway([isolated.shout], deps=lambda caller: good_deps(caller))  # noqa: PLW0108 - a lambda is what is tested
    Gateway([isolated.shout], deps=good_deps)


@pytest.mark.req("M6.13")
def test_a_script_run_as_a_file_is_told_to_become_a_module(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from toolgate import Gateway, tool\n"
        "@tool(effect='read', roles={'support'}, isolation='process')\n"
        "def now() -> int:\n"
        "    'Tell.'\n"
        "    return 1\n"
        "Gateway([now])\n"
    )
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert "start the program with python -m" in ran.stderr


@pytest.mark.req("M6.13")
def test_a_program_started_with_python_m_may_isolate_its_own_tools(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "from toolgate import Caller, Gateway, tool\n"
        "@tool(effect='read', roles={'support'}, isolation='process')\n"
        "def one() -> int:\n"
        "    'Tell.'\n"
        "    return 1\n"
        "if __name__ == '__main__':\n"
        "    with Gateway([one]) as gateway:\n"
        "        print(gateway.call_sync(one, {}, caller=Caller('ann', roles={'support'})).unwrap())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "program"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "1\n", "")
