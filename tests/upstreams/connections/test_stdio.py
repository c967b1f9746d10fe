"""Upstreams that are child processes: what they answer, and what they do instead."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import pytest

from tests.upstreams.connections.conftest import PATIENCE, Opened, call, evil, good, living, text, until
from toolgate.adapters.upstreams.connection import (
    ABSENT,
    Connection,
    ConnectionFailure,
    Lost,
    NoAnswer,
    NotSent,
    RpcError,
    UpstreamDown,
)
from toolgate.domain.upstream.settings import StdioSettings
from toolgate.testing import FakeClock


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def failure_of(connection: Connection, tool: str, *, seconds: float = PATIENCE) -> ConnectionFailure:
    with pytest.raises(ConnectionFailure) as caught:
        await call(connection, tool, seconds=seconds)
    return caught.value


# --- what is right ------------------------------------------------------------------------------------------------


@pytest.mark.req("M6.20")
@pytest.mark.parametrize(
    ("settings", "version"),
    [(evil("legacy"), "2025-06-18"), (evil("modern"), "2026-07-28"), (good(), "2026-07-28")],
    ids=["legacy", "modern", "sdk"],
)
async def test_the_newest_version_that_both_speak_is_agreed_on(
    opened: Opened, settings: StdioSettings, version: str
) -> None:
    connection = await opened.ready(settings)

    assert connection.state().version == version
    assert connection.state().connected == 1


@pytest.mark.req("M6.20")
async def test_an_old_server_that_never_answers_a_probe_is_greeted_the_old_way(opened: Opened) -> None:
    connection = await opened.ready(evil("mute-probe", connect_timeout=2.0))

    assert connection.state().version == "2025-06-18"
    assert text(await call(connection, "ok")) == "ok"


@pytest.mark.req("M6.20")
async def test_one_handshake_serves_many_calls(opened: Opened) -> None:
    connection = await opened.ready(evil())
    for _ in range(5):
        await call(connection, "ok")

    heard = (await call(connection, "heard")).structured

    assert heard.count("initialize") == 1
    assert heard.count("tools/call") == 6


@pytest.mark.req("M6.20")
async def test_all_pages_of_a_list_are_read(opened: Opened) -> None:
    connection = await opened.ready(good())

    names = [tool["name"] for tool in await connection.tools()]

    assert names == ["echo", "measure", "steps", "wait", "cancelled", "fail", "meta"]


@pytest.mark.req("M6.21")
async def test_calls_at_the_same_time_each_get_their_own_answer(opened: Opened) -> None:
    connection = await opened.ready(good())
    words = [f"word {number}" for number in range(50)]

    answers = await asyncio.gather(*(call(connection, "echo", text=word) for word in words))

    assert [text(answer) for answer in answers] == words


@pytest.mark.req("M6.21")
async def test_structured_content_an_error_of_a_tool_and_neither_are_told_apart(opened: Opened) -> None:
    connection = await opened.ready(good())

    measured, failed = await call(connection, "measure", text="four"), await call(connection, "fail")

    assert measured.structured == {"length": 4}
    assert not measured.is_error
    assert (failed.is_error, failed.structured) == (True, ABSENT)


@pytest.mark.req("M6.21")
async def test_progress_reaches_the_caller_that_asked_for_it(opened: Opened) -> None:
    connection = await opened.ready(good())
    steps: list[tuple[float, float | None, str | None]] = []

    await connection.call("steps", {}, seconds=PATIENCE, meta={}, progress=lambda *step: steps.append(step))

    assert steps == [(1.0, 3.0, "step 1"), (2.0, 3.0, "step 2"), (3.0, 3.0, "step 3")]


@pytest.mark.req("M6.21")
async def test_a_call_that_is_cancelled_is_cancelled_at_the_upstream(opened: Opened) -> None:
    connection = await opened.ready(good())
    waiting = asyncio.ensure_future(call(connection, "wait"))
    # Its answer shows that the server has read what was written before.
    await call(connection, "echo", text="now")

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert text(await call(connection, "cancelled")) == "1"


@pytest.mark.req("M6.21")
async def test_meta_is_passed_on_and_cannot_forge_the_envelope(opened: Opened) -> None:
    connection = await opened.ready(good())
    forged = {"traceparent": "00-1", "io.modelcontextprotocol/protocolVersion": "1999-01-01"}

    seen = (await connection.call("meta", {}, seconds=PATIENCE, meta=forged, progress=None)).structured

    assert seen["traceparent"] == "00-1"
    assert seen["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert seen["io.modelcontextprotocol/clientCapabilities"] == {}


@pytest.mark.req("M6.21")
async def test_what_an_upstream_asks_of_us_is_refused_and_a_ping_answered(opened: Opened) -> None:
    connection = await opened.ready(evil())

    answers = {each["id"]: each for each in (await call(connection, "ask")).structured}

    assert [answers[id]["error"]["code"] for id in ("q1", "q2", 3)] == [-32601] * 3
    assert answers[4]["result"] == {}


@pytest.mark.req("M6.21")
async def test_a_changed_list_is_told_of(opened: Opened) -> None:
    connection = await opened.ready(evil())
    assert opened.changes == 1

    await call(connection, "change")

    await until(lambda: opened.changes == 2)
    assert [tool["name"] for tool in await connection.tools()] == ["ok", "dup", "new2"]


# --- answers that are none ----------------------------------------------------------------------------------------


@pytest.mark.req("M6.21")
@pytest.mark.parametrize(("tool", "strays"), [("dup", 1), ("garbage", 1), ("wrong-id", 3)])
async def test_what_belongs_to_no_call_is_counted_and_the_true_answer_believed(
    opened: Opened, tool: str, strays: int
) -> None:
    connection = await opened.ready(evil())

    assert text(await call(connection, tool)) == "ok"
    assert text(await call(connection, "ok", text="next")) == "next"
    assert connection.state().strays == strays


@pytest.mark.req("M6.22")
@pytest.mark.parametrize("tool", ["contradict", "no-result"])
async def test_an_answer_that_cannot_be_believed_is_lost(opened: Opened, tool: str) -> None:
    connection = await opened.ready(evil())

    assert type(await failure_of(connection, tool)) is Lost


@pytest.mark.req("M6.22")
async def test_a_request_for_input_that_we_never_offered_is_an_error(opened: Opened) -> None:
    connection = await opened.ready(evil("modern"))

    failure = await failure_of(connection, "input")

    assert isinstance(failure, RpcError)
    assert failure.code == -32021


@pytest.mark.req("M6.22")
async def test_an_error_of_the_protocol_keeps_its_code_and_words(opened: Opened) -> None:
    connection = await opened.ready(evil())

    failure = await failure_of(connection, "no such tool")

    assert isinstance(failure, RpcError)
    assert (failure.code, failure.message) == (-32602, "Unknown tool: no such tool")


@pytest.mark.req("M6.22")
async def test_no_answer_in_time_is_lost_and_a_late_one_is_not_believed(opened: Opened) -> None:
    clock = FakeClock()
    connection = await opened.ready(evil(), clock=clock)
    hanging = asyncio.ensure_future(failure_of(connection, "hang", seconds=7.0))
    await call(connection, "ok")

    clock.advance(7.0)

    assert type(await hanging) is NoAnswer
    assert "notifications/cancelled" in (await call(connection, "heard")).structured


@pytest.mark.req("M6.22")
async def test_arguments_without_a_json_form_are_not_sent(opened: Opened) -> None:
    connection = await opened.ready(evil())

    with pytest.raises(NotSent):
        await connection.call("ok", {"text": {1, 2}}, seconds=PATIENCE, meta={}, progress=None)

    assert text(await call(connection, "ok")) == "ok"


@pytest.mark.req("M6.22")
@pytest.mark.parametrize(
    ("tool", "says"),
    [("exit", "status 3"), ("garbage-and-exit", "status 1"), ("close-output", "closed its output")],
)
async def test_a_process_that_ends_in_the_midst_of_a_call_has_lost_it(
    opened: Opened, tool: str, says: str
) -> None:
    connection = await opened.ready(evil())

    failure = await failure_of(connection, tool)

    assert type(failure) is Lost
    assert says in failure.reason


@pytest.mark.req("M6.22")
async def test_an_answer_written_before_the_end_is_believed(opened: Opened) -> None:
    connection = await opened.ready(evil())

    assert text(await call(connection, "answer-and-exit")) == "ok"


@pytest.mark.req("M6.22")
async def test_whoever_does_not_read_is_sent_no_more(opened: Opened) -> None:
    connection = await opened.ready(evil("legacy", "deaf"))
    big = "x" * (20 << 20)
    first = asyncio.ensure_future(call(connection, "ok", text=big))
    await asyncio.sleep(0)

    with pytest.raises(NotSent, match="does not read"):
        await call(connection, "ok")

    first.cancel()
    await asyncio.wait([first])


# --- harm and its bounds ------------------------------------------------------------------------------------------


@pytest.mark.req("M6.23", "M6.26")
@pytest.mark.parametrize(
    ("tool", "settings", "says"),
    [
        ("one-endless-line", {"message_limit": 1 << 20}, "one message of more than"),
        ("many-lines", {"output_limit": 1 << 20}, "answer nothing"),
        ("stderr-flood", {"output_limit": 1 << 20}, "answer nothing"),
        ("grow", {"memory_limit": 256 << 20}, "its process"),
    ],
)
async def test_a_flood_ends_its_own_upstream_and_nothing_else(
    opened: Opened, tool: str, settings: dict[str, int], says: str
) -> None:
    sick = await opened.ready(evil(**settings))
    other = await opened.ready(evil())
    group = sick.state().pid
    assert group is not None

    failing = asyncio.ensure_future(failure_of(sick, tool))
    words = [text(await call(other, "ok", text=str(number))) for number in range(20)]
    failure = await failing

    assert words == [str(number) for number in range(20)]
    assert type(failure) is Lost
    assert says in failure.reason
    await until(lambda: not living(group))


@pytest.mark.req("M6.23")
async def test_an_upstream_that_hangs_holds_up_neither_another_nor_its_own_other_calls(
    opened: Opened,
) -> None:
    sick, other = await opened.ready(evil()), await opened.ready(evil())
    hanging = asyncio.ensure_future(failure_of(sick, "hang", seconds=0.5))

    assert text(await call(other, "ok")) == "ok"
    assert text(await call(sick, "ok")) == "ok"
    assert type(await hanging) is NoAnswer


@pytest.mark.req("M6.23", "M6.24")
@pytest.mark.parametrize(
    ("how", "says"),
    [("die", "no configuration found"), ("stack", "Error: Cannot find module"), ("hang", "no answer")],
)
async def test_an_upstream_that_cannot_start_is_down_with_its_reason(
    opened: Opened, how: str, says: str
) -> None:
    connection = opened(evil("legacy", how, connect_timeout=0.5 if how == "hang" else PATIENCE))

    await until(lambda: connection.state().phase == "down")
    state = connection.state()

    assert state.reason is not None
    assert says in state.reason
    assert state.next_try is not None
    with pytest.raises(NotSent, match="unavailable"):
        await call(connection, "ok")
    with pytest.raises(UpstreamDown, match="unavailable"):
        await connection.tools()


@pytest.mark.req("M6.24")
async def test_a_program_that_is_not_there_is_told_by_its_name(opened: Opened) -> None:
    connection = opened(StdioSettings(command="no-such-program-anywhere"))

    await until(lambda: connection.state().phase == "down")

    assert "cannot start no-such-program-anywhere" in (connection.state().reason or "")


@pytest.mark.req("M6.24")
async def test_it_comes_back_by_itself_and_meanwhile_calls_fail_at_once(opened: Opened) -> None:
    clock = FakeClock()
    connection = await opened.ready(evil(), clock=clock, jitter=lambda: 1.0)
    await failure_of(connection, "exit")
    await until(lambda: connection.state().phase == "down")

    assert type(await failure_of(connection, "ok")) is NotSent
    state = connection.state()
    assert state.next_try == clock.now() + 1_000_000
    clock.advance(1.0)
    await until(lambda: connection.state().phase == "ready")

    assert text(await call(connection, "ok")) == "ok"
    assert connection.state().connected == 2
    assert opened.changes == 2


@pytest.mark.req("M6.24")
async def test_waits_double_up_to_a_minute(opened: Opened) -> None:
    clock = FakeClock()
    connection = opened(evil("legacy", "die"), clock=clock, jitter=lambda: 1.0)
    waits = []
    for _ in range(4):
        await until(lambda: connection.state().phase == "down")
        waits.append(((connection.state().next_try or 0) - clock.now()) / 1e6)
        clock.advance(waits[-1])
        await until(lambda: connection.state().phase != "down")

    assert waits == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.req("M6.24")
async def test_after_a_minute_of_health_waits_begin_anew(opened: Opened) -> None:
    clock = FakeClock()
    connection = await opened.ready(evil(), clock=clock, jitter=lambda: 1.0)
    wait = 0.0
    for healthy in (0.0, 0.0, 61.0):
        clock.advance(healthy)
        await failure_of(connection, "exit")
        await until(lambda: connection.state().phase == "down")
        wait = ((connection.state().next_try or 0) - clock.now()) / 1e6
        clock.advance(wait)
        await until(lambda: connection.state().phase == "ready")

    assert wait == 1.0


# --- processes ----------------------------------------------------------------------------------------------------


@pytest.mark.req("M6.25")
@pytest.mark.parametrize("how", ["", "stubborn"])
async def test_closing_leaves_no_process(opened: Opened, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolgate.adapters.upstreams.process.GRACE", 0.2)
    connection = await opened.ready(evil("legacy", how))
    group = connection.state().pid
    assert group is not None
    assert len(living(group)) == 2  # the program and its guard

    await connection.close()

    await until(lambda: not living(group))
    assert type(await failure_of(connection, "ok")) is NotSent


@pytest.mark.req("M6.25")
@pytest.mark.parametrize("then", ["close", "exit"])
async def test_what_an_upstream_started_ends_with_it(opened: Opened, then: str) -> None:
    connection = await opened.ready(evil())
    group = connection.state().pid
    assert group is not None
    grandchild = int(text(await call(connection, "grandchild")))
    assert grandchild in living(group)

    if then == "exit":
        await failure_of(connection, "exit")
    else:
        await connection.close()

    await until(lambda: not living(group))


@pytest.mark.req("M6.25")
async def test_a_gateway_that_is_killed_takes_its_upstreams_with_it(tmp_path: Path) -> None:
    script = Path(__file__).with_name("doomed_gateway.py")
    gateway = await asyncio.create_subprocess_exec(
        *(sys.executable, str(script)), stdout=asyncio.subprocess.PIPE
    )
    assert gateway.stdout is not None
    group, grandchild = map(int, (await gateway.stdout.readline()).split())
    assert {group, grandchild} <= set(living(group))

    gateway.kill()
    await gateway.wait()

    await until(lambda: not living(group))


@pytest.mark.req("M6.25")
async def test_an_opening_that_is_closed_at_once_leaves_nothing(opened: Opened) -> None:
    connection = opened(evil("legacy", "hang"))
    before = open_files()
    await asyncio.sleep(0)

    await connection.close()

    assert connection.state().phase == "down"
    await until(lambda: open_files() <= before)


@pytest.mark.req("M6.26")
async def test_a_child_sees_the_configured_environment_and_none_of_ours(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "of the gateway")
    connection = await opened.ready(evil(env={"GREETING": "hello"}, cwd=str(tmp_path)))

    seen = (await call(connection, "env")).structured

    assert seen["GREETING"] == "hello"
    assert "PATH" in seen
    assert "DATABASE_PASSWORD" not in seen
    assert text(await call(connection, "where")) == str(tmp_path)


@pytest.mark.req("M6.26")
async def test_error_output_is_kept_for_the_reason_without_its_secrets(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "toolgate")
    connection = await opened.ready(evil())

    await failure_of(connection, "exit")
    await until(lambda: connection.state().phase == "down")

    reason = connection.state().reason or ""
    assert "out of luck" in reason
    assert "out of luck" in caplog.text
    assert "sk-live-abcdefghijklmnop1234" not in reason + caplog.text


@pytest.mark.req("M6.28")
def test_settings_do_not_show_what_may_be_secret() -> None:
    settings = StdioSettings(command="npx", args=("--key=s3cret",), env={"TOKEN": "s3cret"})

    assert "s3cret" not in repr(settings)


@pytest.mark.req("M6.26", "X3.21")
async def test_what_an_upstream_was_given_in_confidence_is_in_no_reason_and_no_error_of_it(
    opened: Opened,
) -> None:
    connection = opened(evil("legacy", "tell-password", env={"PASSWORD": "correct horse battery"}))
    await until(lambda: connection.state().phase == "down")
    assert "correct horse" not in (connection.state().reason or "")
    assert "could not log in as [redacted" in (connection.state().reason or "")

    well = await opened.ready(evil(env={"PASSWORD": "correct horse battery"}))
    failed = await call(well, "tell-password")
    with pytest.raises(RpcError) as caught:
        await call(well, "tell-password-as-error")
    assert failed.is_error
    assert "correct horse" not in f"{failed} {caught.value}"
