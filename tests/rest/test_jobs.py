"""Jobs over REST: who sees them, how far they are, waiting for their end, and ending them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.long_work import Stock, until
from tests.rest.desk import ANN, BOB, EVE, LEA, OLA, Desk, ask, decide, opened
from tests.rest.listening import listening
from toolgate.adapters.clock import SystemClock
from toolgate.adapters.jobs.passing import PassingJobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.req("M7.2", "X3.70")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    stock = Stock()
    # The machine's clock: a run that cannot begin yet is tried again by it.
    clock = SystemClock()
    engine = PassingJobs(clock, concurrency=16)
    async with opened(tmp_path, tools=stock.tools(), clock=clock, jobs=engine) as desk:
        try:
            yield House(desk, stock)
        finally:
            stock.proceed.set()


class House:
    """A desk whose tools are jobs."""

    def __init__(self, desk: Desk, stock: Stock) -> None:
        self.desk = desk
        self.stock = stock

    @asynccontextmanager
    async def ann(self) -> AsyncIterator[httpx.AsyncClient]:
        async with self.desk.person(ANN) as ann:
            yield ann

    async def counting(self, ann: httpx.AsyncClient, **arguments: Any) -> str:
        """A job that has begun, and waits for the test."""
        job_id = await started(ann, "count", **{"shelves": 3, **arguments})
        await self.stock.begun()
        await until_told(ann, job_id)
        return job_id


async def started(client: httpx.AsyncClient, tool: str, **arguments: Any) -> str:
    """The job that a call is answered with."""
    answer = await ask(client, tool, **arguments)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


async def job(client: httpx.AsyncClient, job_id: str, query: str = "") -> dict[str, Any]:
    """The job as it is now."""
    answer = await client.get(f"/v1/jobs/{job_id}{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def until_told(client: httpx.AsyncClient, job_id: str) -> None:
    """Until its tool's word on how far it is has been kept."""

    async def told() -> bool:
        return (await job(client, job_id))["progress"] is not None

    await until(told)


@pytest.mark.req("M7.1")
async def test_a_long_call_is_answered_at_once_with_where_to_look(house: House) -> None:
    async with house.ann() as ann:
        answer = await ask(ann, "count", shelves=3)
        body = answer.json()
        there = await ann.get(answer.headers["location"])
    assert (answer.status_code, body["status"], body["advice"]) == (202, "started", "check_job")
    assert body["job_id"] == body["call_id"].replace("call_", "job_")
    assert there.json()["status"] == "started"


async def test_a_job_tells_how_far_it_is_and_at_its_end_what_it_answered(house: House) -> None:
    async with house.ann() as ann:
        job_id = await house.counting(ann)
        running = await job(ann, job_id)
        house.stock.proceed.set()
        ended = await job(ann, job_id, "?wait=30")
    assert (running["state"], running["attempts"], running["outcome"]) == ("running", 1, None)
    assert running["progress"]["done"] == 1
    assert running["progress"]["total"] == 3
    assert running["progress"]["note"] == "at the first shelf of north"
    assert running["deadline_at"] > running["started_at"] >= running["created_at"]
    assert (ended["state"], ended["outcome"]["result"], ended["cancel"]) == ("succeeded", 21, None)
    assert ended["ended_at"] is not None


async def test_whoever_waits_is_answered_as_soon_as_it_ends(house: House) -> None:
    async with house.ann() as ann:
        job_id = await started(ann, "miscount", shelves=2)
        ended = await job(ann, job_id, "?wait=30")
    assert ended["state"] == "failed"
    assert ended["outcome"]["error_type"] == "tool_error"
    assert ended["outcome"]["message"] == "the 2 shelves are dark"


async def test_a_stream_tells_how_far_it_is_and_ends_with_the_job(house: House) -> None:
    token = await house.desk.token(ANN)
    async with house.desk.client(token) as ann:
        job_id = await house.counting(ann)
        async with listening(house.desk, f"/v1/jobs/{job_id}/events", token) as stream:
            first = await stream.next()
            house.stock.proceed.set()
            heard = [first]
            while (event := await stream.next()) is not None:
                heard.append(event)
        now = await job(ann, job_id)
    assert first is not None
    assert first.event == "progress"
    assert first.data == {
        "state": "running",
        "attempts": 1,
        "done": 1.0,
        "total": 3.0,
        "note": "at the first shelf of north",
    }
    last = heard[-1]
    assert last is not None
    assert (last.event, last.data) == ("job", now)


async def test_a_job_that_has_not_begun_is_cancelled_and_never_runs(house: House) -> None:
    async with house.ann() as ann, house.desk.person(LEA) as lea:
        call = (await ask(ann, "appraise", shelves=2)).json()
        assert call["status"] == "pending_approval"
        await decide(lea, call["approval_id"])
        job_id = call["call_id"].replace("call_", "job_")
        assert (await ann.get(f"/v1/jobs/{job_id}")).status_code == 404
        # Four run at once; this one is held back by its queue.
        await house.desk.gateway.sweep()
        await house.stock.begun()
        cancelled = await ann.post(f"/v1/jobs/{job_id}/cancel", json={"reason": "not needed any more"})
        house.stock.proceed.set()
        ended = await job(ann, job_id, "?wait=30")
    assert cancelled.status_code == 200
    assert ended["state"] == "cancelled"
    assert ended["cancel"]["reason"] == "not needed any more"
    assert ended["cancel"]["by"] == "ann"


async def test_a_running_job_is_told_to_stop_and_a_read_ends_as_cancelled(house: House) -> None:
    async with house.ann() as ann:
        job_id = await house.counting(ann)
        answer = await ann.post(f"/v1/jobs/{job_id}/cancel", json={"reason": "the wrong house"})
        ended = await job(ann, job_id, "?wait=30")
        again = await ann.post(f"/v1/jobs/{job_id}/cancel", json={"reason": "once more"})
        story = (await ann.get(f"/v1/calls/{ended['call_id']}/story")).json()
    assert answer.status_code == 200
    assert answer.json()["cancel"]["by"] == "ann"
    assert (ended["state"], ended["outcome"]["effect"]) == ("cancelled", "none")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/conflict")
    assert "job_cancel_asked" in [event["transition"] for event in story["events"]]


async def test_a_write_that_was_cut_off_is_not_said_to_have_done_nothing(house: House) -> None:
    async with house.ann() as ann:
        job_id = await started(ann, "fill", shelves=2)
        await house.stock.begun()
        await ann.post(f"/v1/jobs/{job_id}/cancel", json={"reason": "the wrong house"})
        ended = await job(ann, job_id, "?wait=30")
    assert (ended["state"], ended["outcome"]["effect"]) == ("unknown", "unknown")


@pytest.mark.req("M4.19")
async def test_everybody_sees_their_own_jobs_and_an_operator_those_of_the_tenant(house: House) -> None:
    async with house.ann() as ann, house.desk.person(BOB) as bob, house.desk.person(OLA) as ola:
        mine = await started(ann, "miscount", shelves=1)
        theirs = await started(bob, "miscount", shelves=2)
        async with house.desk.person(EVE) as eve:
            other = await eve.get(f"/v1/jobs/{mine}")
            seen = {
                who: [each["job_id"] for each in (await client.get("/v1/jobs")).json()["jobs"]]
                for who, client in (("ann", ann), ("bob", bob), ("ola", ola), ("eve", eve))
            }
        await job(ann, mine, "?wait=30")
        by_operator = await job(ola, mine)
        refused = await bob.post(f"/v1/jobs/{mine}/cancel", json={"reason": "no"})
    assert seen == {"ann": [mine], "bob": [theirs], "ola": [theirs, mine], "eve": []}
    assert (other.status_code, refused.status_code) == (404, 404)
    # How it ended is theirs to see; what it answered is its caller's alone.
    assert by_operator["outcome"]["error_type"] == "tool_error"
    assert "dark" not in str(by_operator)


async def test_the_result_is_its_callers_alone(house: House) -> None:
    async with house.ann() as ann, house.desk.person(OLA) as ola:
        job_id = await house.counting(ann)
        house.stock.proceed.set()
        own = await job(ann, job_id, "?wait=30")
        by_operator = await job(ola, job_id)
    assert own["outcome"]["result"] == 21
    assert "result" not in by_operator["outcome"]


async def test_a_list_is_filtered_and_turned_page_by_page(house: House) -> None:
    async with house.ann() as ann:
        ended = [await started(ann, "miscount", shelves=number) for number in (1, 2, 3)]
        for job_id in ended:
            await job(ann, job_id, "?wait=30")
        running = await house.counting(ann)
        found: list[str] = []
        query = "/v1/jobs?state=failed&limit=2"
        while True:
            page = await ann.get(query)
            found += [each["job_id"] for each in page.json()["jobs"]]
            if "link" not in page.headers:
                break
            query = page.headers["link"].partition("<")[2].partition(">")[0]
        still = (await ann.get("/v1/jobs?state=running&tool=count")).json()["jobs"]
        nothing = (await ann.get("/v1/jobs?tool=fill")).json()["jobs"]
    assert found == list(reversed(ended))
    assert [each["job_id"] for each in still] == [running]
    assert nothing == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/jobs/{id}/cancel", {}),
        ("/v1/jobs/{id}/cancel", {"reason": " "}),
        ("/v1/jobs/{id}/cancel", {"reason": "x", "by": "lea"}),
    ],
)
async def test_a_job_is_not_ended_without_a_reason_or_in_somebody_elses_name(
    house: House, path: str, body: dict[str, Any]
) -> None:
    async with house.ann() as ann:
        job_id = await house.counting(ann)
        answer = await ann.post(path.replace("{id}", job_id), json=body)
        still = await job(ann, job_id)
    assert answer.status_code == 400
    assert (still["state"], still["cancel"]) == ("running", None)
