"""A REST client gets the same decision and leaves the same audit as a call in the same process."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.rest.desk import ANN, NIL, SECRET, Desk, calls_of, opened
from toolgate import Caller
from toolgate.domain.canonical import UnfitJson, parse_json

pytestmark = pytest.mark.req("X3.4")

OF_THE_MOMENT = {
    "time",
    "toolgate.call.id",
    "toolgate.approval.id",
    "toolgate.replay.id",
    "toolgate.request.id",
    "toolgate.duration_ms",
    "toolgate.surface",
}
"""What differs between any two calls, and the name of the surface itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, as both are sent it. ``arguments`` is JSON, byte for byte."""

    tool: str
    arguments: str
    caller: Caller = ANN
    times: int = 1


CASES: dict[str, Asked] = {
    "good": Asked(tool="refund", arguments='{"order": 1}'),
    "a read": Asked(tool="notes", arguments='{"customer": "c"}'),
    "bad argument": Asked(tool="refund", arguments='{"order": "one"}'),
    "unknown field": Asked(tool="refund", arguments='{"order": 1, "as": "lea"}'),
    "a key twice": Asked(tool="refund", arguments='{"order": 1, "order": 2}'),
    "a float for an integer": Asked(tool="refund", arguments='{"order": 1.0}'),
    "an integer beyond JSON's": Asked(tool="refund", arguments='{"order": 9007199254740993}'),
    "not a number": Asked(tool="refund", arguments='{"order": NaN}'),
    "half a character": Asked(tool="notes", arguments='{"customer": "\\ud800"}'),
    "no object": Asked(tool="refund", arguments="[1]"),
    "oversize": Asked(tool="notes", arguments=json.dumps({"customer": "c" * 400_000})),
    "too deep": Asked(tool="notes", arguments='{"customer": ' + "[" * 62 + "]" * 62 + "}"),
    "denied": Asked(tool="refund", arguments='{"order": 1}', caller=NIL),
    "denied by a predicate": Asked(tool="refund", arguments='{"order": 999999}'),
    "too often": Asked(tool="rarely", arguments="{}", times=3),
    "unknown tool": Asked(tool="refunds", arguments="{}"),
    "a tool's name that is none": Asked(tool="refund\u202e", arguments="{}"),
    "a tool's name that is a path": Asked(tool="refund/../notes\n", arguments="{}"),
    "a tool's name without end": Asked(tool="refund" * 1000, arguments="{}"),
    "held": Asked(tool="refund", arguments='{"order": 1, "cents": 5000}'),
    "held, asked again": Asked(tool="refund", arguments='{"order": 1, "cents": 5000}', times=3),
    "replayed": Asked(tool="refund", arguments='{"order": 1}', times=2),
    "timeout": Asked(tool="never", arguments="{}"),
    "unknown": Asked(tool="lost", arguments='{"order": 1}'),
    "unknown, asked again": Asked(tool="lost", arguments='{"order": 1}', times=2),
    "refused by the business": Asked(tool="closed", arguments='{"order": 1}'),
    "a result that is cut": Asked(tool="big", arguments="{}"),
    "a secret where it belongs": Asked(tool="refund", arguments=f'{{"order": 1, "card": "{SECRET}"}}'),
    "a secret where it does not": Asked(tool="notes", arguments='{"customer": "AKIAIOSFODNN7EXAMPLE"}'),
}


async def over_rest(desk: Desk, asked: Asked) -> list[dict[str, Any]]:
    """What a REST client is told, each time it asks."""
    body = f'{{"workflow_id": "wf", "model": "m", "rationale": "because", "arguments": {asked.arguments}}}'
    told = []
    async with desk.person(asked.caller) as client:
        for _ in range(asked.times):
            headers = {"Content-Type": "application/json"}
            answer = await client.post(calls_of(asked.tool), content=body.encode(), headers=headers)
            said = answer.json()
            told.append(said["outcome"] if answer.status_code >= 400 else said)
    return told


async def in_process(desk: Desk, asked: Asked) -> list[dict[str, Any]]:
    """What a program in the same process is told, that hands on a dict where it has one."""
    try:
        arguments: Any = parse_json(asked.arguments)
    except UnfitJson:
        arguments = asked.arguments.encode()
    return [
        dict(
            (
                await desk.gateway.call(
                    asked.tool,
                    arguments,
                    caller=asked.caller,
                    workflow="wf",
                    model="m",
                    rationale="because",
                )
            ).to_model()
        )
        for _ in range(asked.times)
    ]


async def timed(
    desk: Desk, way: Callable[[Desk, Asked], Awaitable[list[dict[str, Any]]]], asked: Asked
) -> list[dict[str, Any]]:
    """What somebody is told; where the tool never comes back, the clock is moved to its deadline."""
    telling = asyncio.ensure_future(way(desk, asked))
    if asked.tool == "never":
        await asyncio.to_thread(desk.business.entered.wait, 10)
        desk.clock.advance(1)
    return await telling


async def audited(desk: Desk) -> list[dict[str, Any]]:
    """What the trail says of calls, without what differs between any two."""
    # Each ledger has keys of its own, so equal secrets have unequal marks.
    marked = [row.record.decode() async for row in desk.gateway.store.records()]
    records = [json.loads(re.sub(r"hmac:[0-9a-f]+:[0-9a-f]+", "hmac", record)) for record in marked]
    return [
        {name: value for name, value in record.items() if name not in OF_THE_MOMENT}
        for record in records
        if record["event"] == "llm_tool_call"
    ]


def compared(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in body.items() if name not in {"call_id", "approval_id"}}
        for body in told
    ]


@pytest.mark.parametrize("name", CASES)
async def test_the_decision_and_the_audit_are_those_of_a_call_in_process(name: str, tmp_path: Path) -> None:
    asked = CASES[name]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with opened(tmp_path / "a") as one, opened(tmp_path / "b") as other:
        rest, process = await timed(one, over_rest, asked), await timed(other, in_process, asked)
        assert compared(rest) == compared(process)
        left = await audited(one)
        assert left == await audited(other)
        assert left
        assert one.business.paid == other.business.paid
        assert SECRET not in json.dumps(left)


async def test_the_trail_says_that_the_call_came_over_rest(desk: Desk) -> None:
    await over_rest(desk, CASES["good"])
    records = [json.loads(row.record) async for row in desk.gateway.store.records()]
    surfaces = {record["toolgate.surface"] for record in records if record["event"] == "llm_tool_call"}
    assert surfaces == {"rest"}
