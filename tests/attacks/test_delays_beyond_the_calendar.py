"""A delay that ends in no year of the calendar is the program's fault, and spoils nobody's list of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jobs.works import ANA, Works
from tests.machines.stage import Stage
from toolgate import UsageError
from toolgate.domain.principal import in_person
from toolgate.operations.jobs import JobViews, list_jobs
from toolgate.ports import JobFilter

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.req("M7.18")
@pytest.mark.parametrize("delay", ["99999999d", 1e12, 1e300, "367d"])
async def test_a_delay_of_more_than_a_year_is_refused(tmp_path: Path, delay: str | float) -> None:
    async with Stage(kind="memory", folder=tmp_path).gateway(Works().crawl()) as gateway:
        with pytest.raises(UsageError, match="a year"):
            await gateway.call("crawl", {"site": "a"}, caller=ANA, delay=delay)
        assert (await gateway.call("crawl", {"site": "a"}, caller=ANA, delay="366d")).status == "started"
        listed = await gateway.operate(list_jobs, JobFilter(), by=in_person(ANA))

        assert isinstance(listed, JobViews)
        assert [view.to_json()["state"] for view in listed.rows] == ["queued"]
