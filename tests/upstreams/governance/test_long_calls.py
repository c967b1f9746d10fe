"""A tool of an upstream that the operator made a job: queued, run by the upstream, followed, ended."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.upstreams.connections.test_http import sdk_served
from tests.upstreams.governance.conftest import ANN, Shelf, until
from tests.upstreams.servers import sdk
from toolgate import Caller, Content, Gateway, Started, Succeeded
from toolgate.domain.principal import Declined, in_person
from toolgate.operations.jobs import JobView, see_job

if TYPE_CHECKING:
    from toolgate import Outcome

SERVER = Path(__file__).parent.parent / "servers" / "sdk.py"
OVERLAYS = """
[upstreams.shelf.tools.steps]
effect = "read"
roles = ["reader"]
timeout = "2h"
job = true

[upstreams.shelf.tools.wait]
effect = "write"
roles = ["reader"]
timeout = "2h"
idempotency = "wait:{workflow_id}"
job = { concurrency = 2 }
"""


class LongShelf(Shelf):
    """An upstream made with the SDK, whose tools say how far they have come, and wait until they are cancelled."""

    url: str | None = None

    @property
    def section(self) -> str:
        if self.url is not None:
            return f"[upstreams.shelf]\nurl = {json.dumps(self.url)}\n"
        args = json.dumps([str(SERVER)])
        return f"[upstreams.shelf]\ncommand = {json.dumps(sys.executable)}\nargs = {args}\n"


@pytest.fixture
async def long_shelf(tmp_path: Path) -> LongShelf:
    shelf = LongShelf(tmp_path)
    shelf.configure(OVERLAYS)
    await shelf.pin()
    return shelf


async def started(gateway: Gateway, tool: str) -> Started:
    outcome = await gateway.call(tool, {}, caller=ANN, workflow="w1")
    assert isinstance(outcome, Started), outcome
    return outcome


async def view_of(gateway: Gateway, job: Started) -> JobView:
    seen = await gateway.operate(see_job, job.job_id, by=in_person(ANN))
    assert not isinstance(seen, Declined)
    return seen


async def end_of(gateway: Gateway, job: Started) -> Outcome[Any]:
    return await gateway.wait_for(job, caller=ANN, timeout="10h")


def text(outcome: Outcome[Any]) -> str:
    assert isinstance(outcome, Succeeded), outcome
    assert isinstance(outcome.result, Content)
    (block,) = outcome.result.content
    return str(getattr(block, "text", ""))


@pytest.mark.req("X3.5", "M7.1", "M7.10", "M7.17")
async def test_a_job_of_an_upstream_answers_at_once_tells_its_progress_and_ends_with_its_result(
    long_shelf: LongShelf,
) -> None:
    async with long_shelf.gateway() as gateway:
        job = await started(gateway, "shelf_steps")
        outcome = await end_of(gateway, job)
        view = await view_of(gateway, job)
        told = (await gateway.call("get_job", {"job_id": job.job_id}, caller=ANN)).unwrap()
        again = await gateway.call("shelf_steps", {}, caller=ANN, workflow="w2")
        listed = {tool.name for tool in gateway.tools(Caller("u-eve", roles={"visitor"}, tenant="acme"))}

    assert text(outcome) == "done"
    assert (view.state, view.row.attempts) == ("succeeded", 1)
    # The upstream's words on its way, the last of which is kept.
    assert (view.row.done, view.row.total, view.row.note) == (3.0, 3.0, "step 3")
    assert told["progress"]["note"] == "step 3"
    assert isinstance(again, Started)
    assert again.job_id != job.job_id
    assert listed == set()


@pytest.mark.req("X3.5", "X3.21", "M7.11")
async def test_cancelling_a_job_reaches_the_upstream_and_its_effect_is_in_doubt(tmp_path: Path) -> None:
    handlers = sdk.Handlers()
    async with sdk_served(handlers) as url:
        shelf = LongShelf(tmp_path)
        shelf.url = url
        shelf.configure(OVERLAYS)
        await shelf.pin()
        await _cancelled_while_it_waits(shelf, handlers)


async def _cancelled_while_it_waits(shelf: LongShelf, handlers: sdk.Handlers) -> None:
    async with shelf.gateway() as gateway:
        job = await started(gateway, "shelf_wait")
        await until(handlers.waiting.is_set)
        asked = await gateway.call(
            "cancel_job", {"job_id": job.job_id, "reason": "not needed"}, caller=ANN, workflow="w1"
        )
        outcome = await end_of(gateway, job)
        await until(lambda: handlers.cancelled == 1)
        again = await gateway.call("shelf_wait", {}, caller=ANN, workflow="w1")

    assert asked.unwrap()["cancel"]["reason"] == "not needed"
    assert (outcome.status, again.status) == ("unknown", "unknown")
    assert again.replayed
