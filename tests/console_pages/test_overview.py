"""The page with the charts, and the figures behind it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.console_pages.office import ADA, ANA, BEN, EVE, GIL, OLGA
from toolgate.domain.principal import Declined, Scope, in_person
from toolgate.operations import statistics as figures
from toolgate.operations.statistics import OUTCOMES, Statistics, percentile, statistics
from toolgate.surfaces.console.pages.charts import CLASSES, ceiling, share

if TYPE_CHECKING:
    from tests.console_pages.office import Office
    from toolgate import Caller

HOUR = 3_600_000_000


async def counted(office: Office, by: Caller, span: int = HOUR) -> Statistics:
    """The figures as ``by`` gets them."""
    found = await office.gateway.operate(statistics, by=in_person(by), span=span)
    assert not isinstance(found, Declined)
    return found


@pytest.mark.anyio
@pytest.mark.req("M11.25")
async def test_calls_are_counted_by_how_they_ended(office: Office) -> None:
    for number in range(1, 4):
        await office.ask(order=number)
    await office.ask(order=9, cents=5000)
    await office.ask("read_order", order=-1)
    await office.in_doubt(order=10)
    found = await counted(office, OLGA)
    assert {outcome: found.of(outcome) for outcome in OUTCOMES} == {
        "succeeded": 3,
        "waiting": 1,
        "refused": 1,
        "failed": 0,
        "unknown": 1,
    }
    assert found.refusals == (("invalid_arguments", 1),)
    assert not found.cut
    told = await (await office.sign_in(OLGA)).says("/console/overview", range="1h")
    for part in ("6 calls", "Succeeded 3", "Unknown 1", "To be looked at now 1", "invalid arguments"):
        assert part in told, part


@pytest.mark.anyio
@pytest.mark.req("M11.25", "M11.21")
async def test_everybody_is_told_of_the_calls_that_they_may_see(office: Office) -> None:
    await office.ask(order=1)
    await office.ask(order=2, caller=BEN)
    await office.ask(order=3, caller=GIL)
    for who, calls in ((OLGA, 2), (ANA, 1), (EVE, 1), (ADA, 0)):
        assert (await counted(office, who)).calls == calls
    narrow = await office.sign_in(ANA, scopes=frozenset({Scope.APPROVE}))
    await narrow.page("/console/overview", 403)


@pytest.mark.anyio
@pytest.mark.req("M11.25")
async def test_more_calls_than_are_counted_shorten_the_time_and_the_page_says_so(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "MOST_COUNTED", 5)
    for number in range(1, 11):
        await office.ask("read_order", order=number)
        office.clock.advance(10)
    found = await counted(office, OLGA)
    assert found.cut
    assert found.calls == 5
    assert found.until - found.since == 50_000_000
    told = await (await office.sign_in(OLGA)).says("/console/overview")
    assert "More came than are counted at once" in told


@pytest.mark.anyio
@pytest.mark.req("M11.25")
async def test_calls_stand_in_the_stretch_of_time_in_which_they_came(office: Office) -> None:
    await office.ask("read_order", order=1)
    office.clock.advance(1800)
    await office.ask("read_order", order=2)
    await office.ask("read_order", order=3)
    buckets = (await counted(office, OLGA)).buckets
    assert [bucket.calls for bucket in buckets if bucket.calls] == [1, 2]
    assert [number for number, bucket in enumerate(buckets) if bucket.calls] == [12, 23]


@pytest.mark.anyio
@pytest.mark.req("M12.17")
async def test_a_chart_is_an_image_with_words_and_a_table_and_carries_no_style(office: Office) -> None:
    await office.ask(order=1)
    source = await (await office.sign_in(OLGA)).page("/console/overview")
    assert re.search(r'<svg[^>]* role="img" aria-labelledby="by-outcome by-outcome-says">', source)
    assert "<caption" in source
    assert "style=" not in source
    assert "<style" not in source


@pytest.mark.req("M11.25")
def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([7], 50) == percentile([7], 99) == 7
    assert percentile([1, 9], 50) == 1


@pytest.mark.req("M11.25")
def test_an_axis_ends_at_a_round_number_and_each_bar_can_be_seen() -> None:
    assert [ceiling(value) for value in (0, 1, 2, 3, 9, 10, 11, 75, 399, 401)] == [
        1, 1, 2, 4, 10, 10, 20, 100, 400, 1000,
    ]  # fmt: skip
    assert share(0, 10) == 0
    assert share(1, 10**6) == 0.5
    assert share(10, 10) == 100
    assert set(CLASSES) == set(OUTCOMES)
