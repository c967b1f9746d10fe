"""A tool of an MCP server behind the gate is decided about, answered and recorded as the same tool in Python.

The server behind knows no rule and runs the same business; the gate in front holds it to the same contracts, given by
overlay. What an upstream cannot give the same stands in one short list, each line with its reason and no wider than it
has to be: a line that is not needed fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.surfaces.behind import OVERLAYS, PREFIX, configured, served
from tests.surfaces.business import SECRET, TOOLS
from tests.surfaces.measured import Left, left_by, measure
from tests.surfaces.stage import Ask, Front, Stage, comparable
from tests.surfaces.table import CASES, Asked
from tests.surfaces.ways import REFERENCE, WAYS, Way
from toolgate import Gateway
from toolgate.adapters.upstreams.fleet import Fleet
from toolgate.bootstrap.upstreams import lock_path, plan_upstreams, read_lock
from toolgate.config import load_settings
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("X3.5", "X3.42")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlike:
    """Where a case differs through an upstream, and why: members of what is told, and of the record."""

    why: str
    told: frozenset[str] = frozenset()
    recorded: frozenset[str] = frozenset()


_ITS_REASON: Final = frozenset({"toolgate.reasons"})
_CODE: Final = Unlike(
    why="an error class is Python's: over MCP its text comes through, and the code says who reported it",
    told=frozenset({"code"}),
    recorded=_ITS_REASON,
)
_NO_CLASS: Final = "what was raised behind is a text over MCP: the reason names our word for it"
_NO_TYPE: Final = "a result is held against a JSON Schema, whose words are other than those of a Python type"
_INTEGER: Final = Unlike(
    why="JSON Schema calls 1.0 an integer; the gate refuses it, and its words say what is meant",
    told=frozenset({"message"}),
    recorded=_ITS_REASON,
)

UNLIKE: Final[dict[str, Unlike]] = {
    "a default that is filled in": Unlike(
        why="`default` in a schema is a remark: what an upstream does without a value is its own business",
        recorded=frozenset({"gen_ai.tool.call.arguments"}),
    ),
    "a float for an integer": _INTEGER,
    "a power for an integer": _INTEGER,
    "refused by the business": replace(_CODE, told=frozenset({"code", "advice"})),
    "an error that it declared": _CODE,
    "an error that it did not declare": Unlike(
        why="an upstream tells every error of its tools alike, declared or not; it is told on, redacted",
        told=frozenset({"error_type", "message", "code"}),
        recorded=frozenset({"error.type"}) | _ITS_REASON,
    ),
    "unknown": Unlike(why=_NO_CLASS, recorded=_ITS_REASON),
    "unknown, asked again": Unlike(why=_NO_CLASS, recorded=_ITS_REASON),
    "a result that is none": Unlike(why=_NO_TYPE, recorded=_ITS_REASON),
    "a result that is none, of what was done": Unlike(why=_NO_TYPE, recorded=_ITS_REASON),
}
UNSAID: Final = {"denied by a predicate": "a predicate is an author's function, and an overlay is data"}
SHORT: Final = 11
"""How many cases may differ at all."""
ALIKE: Final = [case for case in CASES if case not in UNLIKE | UNSAID]
OVER_MCP: Final = WAYS["MCP over HTTP, 2026-07-28"]
A_FEW: Final = (
    *("good", "bad argument", "too often", "held, asked again", "replayed"),
    *("a deadline of what has effects", "unknown tool", "a picture", "a secret where it belongs"),
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def planned(url: str, tmp_path_factory: pytest.TempPathFactory) -> Front:
    """A gate of the configuration, whose contracts are made once: they are the same for each case."""
    settings = load_settings(configured(url, tmp_path_factory.mktemp("planned")))
    berths = plan_upstreams(settings, read_lock(lock_path(settings))).berths

    def make(folder: Path, clock: FakeClock) -> Gateway:
        fleet = Fleet(berths, clock=clock, lazily=True)
        store = f"sqlite:///{folder / 'gate.db'}"
        return Gateway([], store=store, upstreams=fleet, clock=clock, housekeeping=None, jobs=False)

    return make


@pytest.fixture
def from_files(url: str) -> Front:
    """A gate as ``toolgate serve`` opens it."""

    def make(folder: Path, clock: FakeClock) -> Gateway:
        return Gateway.from_config(configured(url, folder), clock=clock, housekeeping=None)

    return make


def unprefixed(left: Left) -> Left:
    """The same with the names that the tools have in Python."""
    plain = json.loads(json.dumps([[said.outcome for said in left.told], left.trail]).replace(PREFIX, ""))
    told = [replace(said, outcome=outcome) for said, outcome in zip(left.told, plain[0], strict=True)]
    return replace(left, told=told, trail=plain[1])


async def left_behind(way: Way, case: str, folder: Path, front: Front) -> Left:
    """What ``case`` leaves with the gate in front."""

    def open_prefixed(stage: Stage, asked: Asked) -> AbstractAsyncContextManager[Ask]:
        # A name of no tool is asked for as it is.
        return way.open(stage, replace(asked, tool=PREFIX + asked.tool) if asked.tool in OVERLAYS else asked)

    return unprefixed(await left_by(replace(way, open=open_prefixed), case, folder, front))


def without(records: list[dict[str, Any]], names: frozenset[str]) -> list[dict[str, Any]]:
    return [{name: value for name, value in each.items() if name not in names} for each in records]


def told(left: Left) -> list[dict[str, Any]]:
    return [comparable(said.outcome or {"error_type": said.error}) for said in left.told]


VERSION: Final = frozenset({"toolgate.tool.version"})
"""A tool of an upstream has its definition's digest for a version."""


@pytest.mark.parametrize("case", ALIKE)
async def test_a_call_through_an_upstream_is_decided_answered_and_recorded_alike(
    case: str, tmp_path: Path, planned: Front
) -> None:
    here = await measure(case, tmp_path / "measure")
    left = await left_behind(REFERENCE, case, tmp_path / "way", planned)
    assert told(left) == told(here)
    assert without(left.trail, VERSION) == without(here.trail, VERSION)
    assert left.money == here.money
    assert SECRET not in json.dumps(left.trail)


@pytest.mark.parametrize("case", UNLIKE)
async def test_what_an_upstream_cannot_give_differs_in_what_is_listed_and_in_nothing_else(
    case: str, tmp_path: Path, planned: Front
) -> None:
    here = await measure(case, tmp_path / "measure")
    left = await left_behind(REFERENCE, case, tmp_path / "way", planned)
    unlike = UNLIKE[case]
    assert without(told(left), unlike.told) == without(told(here), unlike.told)
    assert without(left.trail, unlike.recorded | VERSION) == without(here.trail, unlike.recorded | VERSION)
    assert left.money == here.money
    assert SECRET not in json.dumps([told(left), left.trail])
    for name in unlike.told:
        assert [each.get(name) for each in told(left)] != [each.get(name) for each in told(here)]
    for name in unlike.recorded:
        assert [each.get(name) for each in left.trail] != [each.get(name) for each in here.trail]


@pytest.mark.parametrize("case", A_FEW)
async def test_a_call_that_passes_two_surfaces_is_no_other_call(
    case: str, tmp_path: Path, from_files: Front
) -> None:
    """MCP in front of the gate, and MCP behind it."""
    here = await measure(case, tmp_path / "measure")
    left = await left_behind(OVER_MCP, case, tmp_path / "way", from_files)
    if left.told[0].outcome is not None:
        assert told(left) == told(here)
    assert without(left.trail, VERSION) == without(here.trail, VERSION)
    assert left.money == here.money
    assert left.surfaces == {"mcp"}


def test_few_cases_differ_and_each_says_why() -> None:
    assert len(UNLIKE) + len(UNSAID) <= SHORT
    assert UNLIKE.keys() | UNSAID.keys() < CASES.keys()
    assert OVERLAYS.keys() == {each.name for each in TOOLS}
