"""Durable steps of a job: each is worked once, and what it came to is found again by whoever runs the job next.

A step begins only while the ledger says that the job is ours: a process that was stopped and wakes after its lease
ran out begins nothing more. The engine gets sealed bytes and a name, never a result. Not here: how an engine keeps
them (``ports.Steps``).
"""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import queue
from collections import Counter
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.commands import Done, Renew
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import GateFault, UsageError
from toolgate.domain.lifecycle import EffectState
from toolgate.domain.rows import ByJob

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolgate.domain.call import SealedCall
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World

MOST_BYTES: Final = 1_048_576
"""Bytes of one step's result, as JSON. A step keeps what the next one needs; what is larger belongs into a file."""
MOST_NAME: Final = 64
_DEEPEST: Final = 64
_INSIDE: ContextVar[bool] = ContextVar("toolgate_inside_a_step", default=False)


class JobStopped(GateFault):
    """The job was cancelled, or is another worker's by now: nothing more of this run begins."""


class JobSteps:
    """The steps of one attempt, one at a time."""

    def __init__(self, world: World, flight: Flight, sealed: SealedCall) -> None:
        self._world = world
        self._flight = flight
        self._tenant = sealed.caller.tenant
        self._call_id = sealed.call_id
        self._loop = asyncio.get_running_loop()
        self._one_at_a_time = asyncio.Lock()
        self._seen: Counter[str] = Counter()

    async def run(self, name: str, work: Callable[[], Any]) -> Any:
        """What ``work`` gave, now or in an earlier run."""
        _check_name(name)
        if _INSIDE.get():
            raise UsageError(f"step {name!r} begins inside another step; let one end before the next begins")
        async with self._one_at_a_time:
            await self._still_ours()
            return await self._recorded(name, work)

    async def _recorded(self, name: str, work: Callable[[], Any]) -> Any:
        job = self._flight.job
        assert job is not None

        async def sealed() -> bytes:
            token = _INSIDE.set(True)
            try:
                value = work()
                value = await value if inspect.isawaitable(value) else value
            finally:
                _INSIDE.reset(token)
            return self._seal(name, value)

        # Numbered as the engine does, so that the next attempt of this run asks it for none twice.
        label = f"{name}#{self._seen[name] + 1}"
        if label not in job.recorded:
            job.recorded[label] = await job.steps.run(name, sealed)
        self._seen[name] += 1
        return self._open(name, job.recorded[label])

    def run_blocking(self, name: str, work: Callable[[], Any]) -> Any:
        """The same for a sync tool: ``work`` runs in the thread that asks."""
        # The thread waits for orders: to work, if no earlier run did, and then for the end.
        orders: queue.SimpleQueue[asyncio.Future[Any] | None] = queue.SimpleQueue()

        async def asked() -> Any:
            worked: asyncio.Future[Any] = self._loop.create_future()
            orders.put(worked)
            return await worked

        if _INSIDE.get():
            raise UsageError(f"step {name!r} begins inside another step; let one end before the next begins")
        ended = asyncio.run_coroutine_threadsafe(self.run(name, asked), self._loop)
        ended.add_done_callback(lambda _: orders.put(None))
        while (worked := orders.get()) is not None:
            self._work(work, worked)
        return ended.result()

    def _work(self, work: Callable[[], Any], worked: asyncio.Future[Any]) -> None:
        token = _INSIDE.set(True)
        try:
            value, error = work(), None
        except BaseException as raised:  # noqa: BLE001 - carried to the loop, and from there back to this thread
            value, error = None, raised
        finally:
            _INSIDE.reset(token)

        def tell() -> None:
            if worked.done():
                return
            if error is None:
                worked.set_result(value)
            else:
                stray = isinstance(error, StopIteration)
                worked.set_exception(RuntimeError("the step raised StopIteration") if stray else error)

        self._loop.call_soon_threadsafe(tell)

    async def _still_ours(self) -> None:
        """Raise unless the ledger says, now, that this run is the one that counts."""
        world, flight = self._world, self._flight
        job = flight.job
        assert job is not None
        if flight.gave_up or job.stopped:
            raise JobStopped("the job was given up or cancelled; nothing more of it begins")
        found = await world.store.find(ByJob(self._call_id))
        call, row = found.call, found.job
        if (
            call is None
            or row is None
            or call.effect_state is not EffectState.INTENDED
            or call.owner != world.owner
            or row.attempts != job.attempt
        ):
            job.lost = True
            raise JobStopped("the job is another worker's by now; nothing more of this run begins")
        now = await world.store.now()
        lease = round(world.job_lease * MICRO)
        if call.lease_until - now > lease // 2:
            return
        # The writer has the word: a lease that is renewed there has not been taken for lost.
        if not isinstance(await world.store.execute(Renew(self._call_id, world.owner, now + lease)), Done):
            job.lost = True
            raise JobStopped("the job's lease ran out; nothing more of this run begins")

    def _seal(self, name: str, value: Any) -> bytes:
        plain = json.dumps([name, _plain(name, value)], ensure_ascii=False, separators=(",", ":")).encode()
        if len(plain) > MOST_BYTES:
            raise UsageError(
                f"step {name!r} returned {len(plain)} bytes as JSON; at most {MOST_BYTES} are kept. "
                "Keep what is large elsewhere, and return where it is"
            )
        return self._world.keys.encrypt(plain, tenant=self._tenant, call_id=self._call_id, kind="step")

    def _open(self, name: str, kept: bytes) -> Any:
        plain = self._world.keys.decrypt(kept, tenant=self._tenant, call_id=self._call_id, kind="step")
        of, value = json.loads(plain)
        if of != name:
            raise GateFault(f"what is recorded of step {name!r} belongs to another step")
        return value


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name) <= MOST_NAME:
        raise UsageError(f"a step's name is printable text of 1 to {MOST_NAME} characters, not {name!r:.80}")


def _plain(name: str, value: Any, depth: int = 0) -> Any:
    """``value``, where it is JSON exactly: what comes back in a later run has to be what went in.

    Raises:
        UsageError: naming the step and what is no JSON.
    """
    if depth > _DEEPEST:
        raise UsageError(f"step {name!r} returned something nested deeper than {_DEEPEST} levels")
    kind = type(value)
    if value is None or kind in {str, bool, int} or (kind is float and math.isfinite(value)):
        return value
    if kind is list:
        return [_plain(name, item, depth + 1) for item in value]
    if kind is dict and all(type(key) is str for key in value):
        return {key: _plain(name, item, depth + 1) for key, item in value.items()}
    said = f"the number {value!r}" if kind is float else kind.__qualname__
    raise UsageError(
        f"step {name!r} returned {said}; a step's result is plain JSON (dict with text keys, list, str, int, float, "
        "bool, None), because a later run reads it again. Of a model, return model.model_dump(mode='json')"
    )
