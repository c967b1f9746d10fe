"""A file-size limit and an unwritable folder, in a process of its own: refused by the kernel, not by a pretence."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

SHOP = """
import asyncio, json, os, resource, sys
from toolgate import Caller, Gateway, StoreUnavailable, ConfigurationError, tool
from toolgate.operations.verify_audit import verify_audit

shipped = []

@tool(effect="write", roles="anyone", idempotency="ship:{order}")
async def ship(order: int) -> str:
    '''Ship an order.'''
    shipped.append(order)
    return "x" * 2000

@tool(effect="read", roles="anyone")
async def look_up(order: int) -> str:
    '''Look up an order.'''
    return "secret of it"

MAYA = Caller("u-maya")

async def ask(gateway, name, order):
    return (await gateway.call(name, {"order": order}, caller=MAYA)).to_model()
"""

FILLS_UP = (
    SHOP
    + """
async def main(path):
    told = {"before": [], "full": [], "after": []}
    async with Gateway([ship, look_up], store=f"sqlite:///{path}", housekeeping=None) as gateway:
        told["before"].append(await ask(gateway, "ship", 0))
        size = os.stat(path + "-wal").st_size
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30_000, hard))
        order = 0
        while told["full"][-3:].count("refused") < 3:
            order += 1
            model = await ask(gateway, "ship", order)
            told["full"].append(model["status"])
            assert order < 100
        told["read"] = await ask(gateway, "look_up", 1)
        told["shipped while full"] = len(shipped)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await gateway.sweep()
        told["after"] += [await ask(gateway, "look_up", 1), await ask(gateway, "ship", 1_000)]
        told["unknown"] = [row.call_id for row in await gateway.store.unknown()]
        rows = (await gateway.store.calls(CallFilter(limit=500))).rows
        told["applied"] = sum(row.effect_state == "applied" for row in rows)
        report = await verify_audit(gateway.store)
        told["problems"] = [str(problem) for problem in report.problems]
        told["shipped"] = len(shipped)
    print(json.dumps(told))

from toolgate.ports import CallFilter
asyncio.run(main(sys.argv[1]))
"""
)

CANNOT_WRITE = (
    SHOP
    + """
import encodings.idna, stat  # what a user without rights may no longer load

async def main(folder):
    path = folder + "/toolgate.db"
    async with Gateway([ship, look_up], store=f"sqlite:///{path}", housekeeping=None) as gateway:
        await ask(gateway, "look_up", 1)
    os.chmod(path, 0o444)
    os.chmod(folder, 0o555)
    if os.geteuid() == 0:
        os.chown(path + ".keys", 65534, 65534)
        os.setegid(65534)
        os.seteuid(65534)
    said = None
    try:
        async with Gateway([ship, look_up], store=f"sqlite:///{path}", housekeeping=None) as gateway:
            said = await ask(gateway, "ship", 1)
    except ConfigurationError as refusal:
        said = str(refusal)
    if os.getuid() == 0:
        os.seteuid(0)
    os.chmod(folder, 0o755)
    print(json.dumps({"said": said, "shipped": shipped}))

asyncio.run(main(sys.argv[1]))
"""
)


def run(script: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.req("X5.4", "X5.5", "X5.6", "X1.3", "M10.14")
def test_a_file_that_may_not_grow_stops_every_effect_until_it_may_again(tmp_path: Path) -> None:
    told = run(FILLS_UP, str(tmp_path / "toolgate.db"))

    statuses = told["full"]
    # Successes, at most one whose outcome could not be recorded, then refusals; no effect ran for a refusal.
    assert statuses == sorted(statuses, key=["succeeded", "unknown", "refused"].index)
    assert statuses.count("unknown") <= 1
    assert told["shipped while full"] == 1 + statuses.count("succeeded") + statuses.count("unknown")
    assert told["read"]["error_type"] == "audit_unavailable"
    assert "result" not in told["read"]
    assert [model["status"] for model in told["after"]] == ["succeeded", "succeeded"]
    # What was in doubt is known, and the ledger says of each effect that it happened.
    assert told["unknown"] == []
    assert told["applied"] == told["shipped"]
    assert told["problems"] == []


@pytest.mark.req("X5.4", "X1.24")
def test_a_file_without_the_right_to_write_is_refused_at_start_with_the_reason(tmp_path: Path) -> None:
    # A folder that a user without rights can reach: those above a test's own may be closed to others.
    with tempfile.TemporaryDirectory(prefix="toolgate-") as folder:
        Path(folder).chmod(0o755)
        told = run(CANNOT_WRITE, folder)

    assert told["shipped"] == []
    assert "toolgate.db cannot be written" in told["said"]
    assert "give this user the right" in told["said"]
