"""The steps of one run, over what earlier runs of the job recorded.

A step is found by its name and not by its place: a run that takes another turn than the one before, or a new release
of the tool with a step more, still finds what was done.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from typing import TYPE_CHECKING

from toolgate.adapters.jobs.names import StepNames
from toolgate.adapters.jobs.tables import Run, Step, now_ms
from toolgate.adapters.jobs.writer import Record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Future

Recorded = list[tuple[int, str, str]]


class RecordedSteps:
    """``ports.Steps`` for one run. Steps may run at the same time, and in any loop.

    Args:
        load: begins to read what is recorded of a job.
        post: hands a step to the writer.
    """

    def __init__(
        self, run: Run, *, load: Callable[[str], Future[Recorded]], post: Callable[[Record], object]
    ) -> None:
        self._run = run
        self._load = load
        self._post = post
        self._names = StepNames()
        self._lock = threading.Lock()
        self._loading: Future[Recorded] | None = None
        self._last: int | None = None

    async def run(self, name: str, work: Callable[[], Awaitable[bytes]]) -> bytes:
        """See ``ports.Steps``.

        Raises:
            GateFault: another process runs the job by now.
            StoreUnavailable: it cannot be read or recorded.
        """
        label = self._names.label(name)
        recorded = await self._recorded()
        for _, known, output in recorded:
            if known == label:
                return _bytes(output)
        began = now_ms()
        try:
            result = await work()
        except BaseException:
            self._names.give_back(name)
            raise
        record = Record(
            run=self._run,
            step=Step(self._number(recorded), label, _text(result), began, now_ms()),
        )
        self._post(record)
        await asyncio.wrap_future(record.answer)
        return result

    async def _recorded(self) -> Recorded:
        with self._lock:
            if self._loading is None or (self._loading.done() and self._loading.exception() is not None):
                self._loading = self._load(self._run.job_id)
            loading = self._loading
        # A caller that is cancelled must not take the answer from the others.
        return await asyncio.shield(asyncio.wrap_future(loading))

    def _number(self, recorded: Recorded) -> int:
        with self._lock:
            if self._last is None:
                self._last = max((number for number, _, _ in recorded), default=0)
            self._last += 1
            return self._last


def _text(result: bytes) -> str:
    return json.dumps(base64.b64encode(result).decode("ascii"))


def _bytes(output: str) -> bytes:
    return base64.b64decode(json.loads(output))
