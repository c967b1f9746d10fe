"""A cancellation that comes as a child answers: the answer is heard, and the child's next call is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tests.execution import isolated_tools as isolated
from tests.execution.stage import ANN, PATIENCE
from toolgate import Tool, ToolContext
from toolgate.adapters.runners.process.importable import tool_reference
from toolgate.adapters.runners.process.runner import _header, _heard
from toolgate.adapters.runners.process.wire import Message
from toolgate.adapters.runners.process.worker import ChildDied, Job, Worker

pytestmark = pytest.mark.req("M6.6", "X1.9")


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(name="child", idle=lambda _: None)
    yield worker
    worker.close()
    worker.kill()
    worker.join(PATIENCE)


def job_of(made: Tool[Any, Any], body: bytes = b"{}") -> Job:
    context: ToolContext[None] = ToolContext(
        tool=made.name,
        caller=ANN,
        deps=None,
        call_id="call_1",
        workflow_id="req_1",
        remaining=lambda: PATIENCE,
    )
    request = Message(_header(tool_reference(made), None, context, 1000), body)
    return Job(request, PATIENCE, 1000, Future(), lambda _: None)


def test_ending_a_job_that_was_answered_does_not_end_the_next_one(worker: Worker, tmp_path: Path) -> None:
    first = job_of(isolated.count_in_child)
    started = tmp_path / "started"
    second = job_of(isolated.read_for_ever, b'{"started":"%s"}' % str(started).encode())

    worker.submit(first)
    assert first.reply.result(PATIENCE).header["kind"] == "returned"
    worker.submit(second)
    worker.kill(first)

    assert not worker.dead
    worker.kill(second)
    assert isinstance(second.reply.exception(PATIENCE), ChildDied)


async def test_an_answer_that_comes_with_the_cancellation_is_evidence(worker: Worker) -> None:
    job = job_of(isolated.count_in_child)
    waiting = asyncio.create_task(_heard(worker, job))
    await asyncio.sleep(0)
    answer = Message({"kind": "returned"}, b"3")
    waiting.cancel()
    job.reply.set_result(answer)

    assert await waiting is answer


async def test_a_job_that_ends_with_its_child_is_cancelled(worker: Worker, tmp_path: Path) -> None:
    job = job_of(isolated.read_for_ever, b'{"started":"%s"}' % str(tmp_path / "started").encode())
    worker.submit(job)
    waiting = asyncio.create_task(_heard(worker, job))
    await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert worker.dead
