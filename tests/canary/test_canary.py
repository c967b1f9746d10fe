"""A secret that is handled in every way it can be mishandled is nowhere afterwards but encrypted."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.canary import business
from tests.canary.business import ANA, CANARY, KEY, NUMBER, arguments
from tests.small_gate import opened, trail
from toolgate import PendingApproval
from toolgate.domain.rows import ByApproval

pytestmark = pytest.mark.req("M11.6", "M11.5", "M10.11")

ROOT = Path(__file__).parents[2]
FORMS = {
    CANARY.encode(),
    CANARY.lower().encode(),
    CANARY[:10].encode(),
    base64.b64encode(CANARY.encode()).rstrip(b"=")[:-1],
    CANARY.encode().hex().encode(),
    CANARY.encode("utf-16-le"),
    str(NUMBER).encode(),
}


def found_in(raw: bytes) -> set[bytes]:
    return {form for form in FORMS if form in raw}


def leaking_files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and found_in(path.read_bytes())]


@pytest.mark.req("M11.7", "M11.27")
@pytest.mark.parametrize("debug", [[], ["debug"]], ids=["plain", "asyncio debug"])
def test_the_secret_is_in_no_file_no_log_and_on_no_terminal(tmp_path: Path, debug: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-m", "tests.canary.business", str(tmp_path), *debug],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "src:."},
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr.decode()[-3000:]
    assert ran.stdout.decode() == "the day is over\n"
    assert found_in(ran.stdout) == set()
    lines = [line for line in ran.stderr.splitlines() if found_in(line)]
    assert lines == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "gate.db" for path in files)
    assert sum(path.stat().st_size for path in files) > 100_000
    assert (tmp_path / "spans.json").read_text(encoding="utf-8").count('"name": "execute_tool pay"') > 20
    assert "toolgate_calls_total" in (tmp_path / "metrics.txt").read_text(encoding="utf-8")
    assert "gen_ai.execute_tool.duration" in (tmp_path / "numbers.json").read_text(encoding="utf-8")
    assert leaking_files(tmp_path) == []


async def test_while_the_gate_is_open_the_secret_is_in_no_file_and_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    tools = [business.pay, business.look, business.hidden]
    with caplog.at_level(logging.DEBUG):
        async with opened(tools, tmp_path, deps=business.deps) as gateway:
            for name in ("pay", "look", "hidden"):
                for mode in business.MODES:
                    await gateway.call(name, arguments(mode), caller=ANA, workflow="w", rationale=KEY)
                for given in business.misfits():
                    await gateway.call(name, given, caller=ANA, workflow="w")
            assert leaking_files(tmp_path) == []
    for record in caplog.records:
        assert found_in(f"{record.getMessage()} {record.exc_info} {record.args}".encode()) == set()
    printed = capfd.readouterr()
    assert found_in((printed.out + printed.err).encode()) == set()


async def test_an_approver_is_shown_neither_the_secret_nor_words_that_repeat_it(tmp_path: Path) -> None:
    async with opened([business.pay], tmp_path, deps=business.deps) as gateway:
        shown: dict[str, Any] = {}
        for mode in ("held", "condition raises", "wants approval"):
            outcome = await gateway.call(
                "pay", arguments(mode), caller=ANA, workflow="w", rationale=f"because {CANARY}"
            )
            assert isinstance(outcome, PendingApproval), mode
            approval = (await gateway.store.find(ByApproval(outcome.approval_id))).approval
            assert approval is not None
            assert found_in(approval.shown + approval.requirement) == set()
            assert found_in(json.dumps(outcome.to_model()).encode()) == set()
            shown = json.loads(approval.shown)
        assert shown["claimed_reason"] == "because [redacted:sensitive]"
        assert shown["arguments"]["password"] == "[redacted:password]"
        assert shown["preview"].startswith("Pay with [redacted:sensitive] (")


@pytest.mark.req("M11.4")
async def test_what_is_hidden_can_still_be_compared(tmp_path: Path) -> None:
    async with opened([business.look], tmp_path, deps=business.deps) as gateway:
        shown = []
        for card in (CANARY, CANARY, "other"):
            outcome = await gateway.call("look", arguments("fine", card=card), caller=ANA)
            (record,) = await trail(gateway, outcome.call_id)
            shown.append(record["gen_ai.tool.call.arguments"])
    assert shown[0]["card"] == shown[1]["card"] != shown[2]["card"]
    assert shown[0]["digits"] == shown[2]["digits"]
    assert shown[0]["inner"]["iban"] == shown[0]["others"][0]["iban"]
    assert shown[0]["inner"]["size"] == 1


@pytest.mark.req("M3.5")
@pytest.mark.parametrize("given", business.misfits(), ids=range(len(business.misfits())))
async def test_a_refusal_never_repeats_a_sensitive_value(tmp_path: Path, given: Any) -> None:
    async with opened([business.look], tmp_path, deps=business.deps) as gateway:
        outcome = await gateway.call("look", given, caller=ANA)
        assert not outcome.ok
        assert found_in(json.dumps(outcome.to_model()).encode()) == set()
        assert found_in(json.dumps(await trail(gateway, outcome.call_id)).encode()) == set()


async def test_the_secret_reaches_the_tool_and_comes_back_to_the_application(tmp_path: Path) -> None:
    async with opened([business.look, business.pay], tmp_path, deps=business.deps) as gateway:
        outcome = await gateway.call("look", arguments("fine"), caller=ANA)
        assert CANARY in outcome.unwrap()
        first, again = [
            await gateway.call("pay", arguments("fine"), caller=ANA, workflow="w") for _ in range(2)
        ]
        assert again.replayed
        assert first.unwrap() == again.unwrap()
    await asyncio.sleep(0)
