"""The same call gets the same decision, the same outcome and the same record, whichever surface it came through.

The measure is a call in the same process. Each case runs on a gate of its own, so that no case sees another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.surfaces.business import SECRET
from tests.surfaces.measured import left_by, measure
from tests.surfaces.stage import comparable
from tests.surfaces.table import CASES
from tests.surfaces.ways import WAYS

pytestmark = pytest.mark.req("X3.1", "X3.3", "X3.4", "X3.13", "X3.44")


UNKNOWN_TOOL: Final = -32602
"""MCP 2026-07-28, server/tools: what an unknown tool is answered, as an error of the protocol."""


def every(*, shut: bool) -> list[Any]:
    """Each way with each case that it can be put to."""
    return [
        pytest.param(name, case, id=f"{name}: {case}")
        for name, way in WAYS.items()
        for case in CASES
        if case not in way.unsaid and (case in way.shut) == shut
    ]


@pytest.mark.parametrize(("name", "case"), every(shut=False))
async def test_the_decision_the_outcome_and_the_record_are_those_of_a_call_in_process(
    name: str, case: str, tmp_path: Path
) -> None:
    way = WAYS[name]
    here = await measure(case, tmp_path / "measure")
    left = await left_by(way, case, tmp_path / "way")
    for said, expected in zip(left.told, here.told, strict=True):
        assert expected.outcome is not None
        if said.outcome is None:
            assert said.error == UNKNOWN_TOOL
            assert expected.outcome["error_type"] == "unknown_tool"
        else:
            clock = way.by_its_clock
            assert comparable(said.outcome, clock) == comparable(expected.outcome, clock)
    assert left.trail == here.trail
    assert left.money == here.money
    assert left.trail
    assert left.surfaces == {way.surface}
    assert SECRET not in json.dumps(left.trail)


@pytest.mark.req("X3.43")
@pytest.mark.parametrize(("name", "case"), every(shut=True))
async def test_what_a_surface_does_not_read_is_told_its_sender_and_is_no_call(
    name: str, case: str, tmp_path: Path
) -> None:
    left = await left_by(WAYS[name], case, tmp_path / "way")
    assert [said.outcome for said in left.told] == [None]
    assert left.told[0].error in {400, 413, -32700}
    assert left.trail == []
    assert not left.money
