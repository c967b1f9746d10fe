"""The author's own code around a call: ``deps`` entered once, predicates called in one way.

A predicate is ``(context, args)``, sync or async. Whatever it raises is the caller's of this module to
judge; nothing here turns an error into a yes.
"""

from __future__ import annotations

import asyncio
import inspect
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.context import ToolContext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.answers import Answer
    from toolgate.domain.approval import ApprovalFact
    from toolgate.domain.call import SealedCall
    from toolgate.domain.context import DurableSteps
    from toolgate.domain.questions import Kind
    from toolgate.domain.tool import Predicate
    from toolgate.gateway.asking import Asking
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World


_NO_ANSWERS: Final[Mapping[str, Answer]] = MappingProxyType({})
_NOTHING: Final[frozenset[Kind]] = frozenset()


class Quit(RuntimeError):
    """An author's code raised what is no exception of a tool: it tried to end the program or its own task."""


class contained:  # noqa: N801 - reads as the statement it is
    """Around an author's code: turns ``SystemExit``, ``KeyboardInterrupt`` and the like into ``Quit``.

    asyncio would let some of them end the loop, and every other call with it. A real cancellation passes.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None or isinstance(error, Exception):
            return
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            return
        raise Quit(type(error).__name__) from error


class Scope:
    """``deps`` of one call: entered at the first need, after the role check, and left once."""

    __slots__ = ("_deps", "_entered", "_stack", "_world")

    def __init__(self, world: World) -> None:
        self._world = world
        self._stack: AsyncExitStack | None = None
        self._entered = world.deps is None
        self._deps: Any = None

    async def deps(self, sealed: SealedCall) -> Any:
        """What ``deps`` yields for this caller. Raises what it raises."""
        if not self._entered:
            assert self._world.deps is not None
            self._stack = AsyncExitStack()
            with contained():
                self._deps = await self._stack.enter_async_context(self._world.deps(sealed.caller))
            self._entered = True
        return self._deps

    async def leave(self, error: BaseException | None = None) -> None:
        """Leave ``deps``, if entered. Raises what it raises: after a dispatch that is part of the attempt.

        ``error`` is how the run ended, shown to ``deps`` as to any context manager, so that a transaction is
        rolled back; swallowing it there changes nothing, nor does letting it pass.
        """
        stack, self._stack = self._stack, None
        if stack is None:
            return
        self._entered, self._deps = False, None
        try:
            with contained():
                await stack.__aexit__(
                    type(error) if error else None, error, error.__traceback__ if error else None
                )
        except BaseException as raised:
            if raised is not error:
                raise


def _never() -> bool:
    return False


async def context_of(
    world: World,
    flight: Flight,
    sealed: SealedCall,
    *,
    approval: ApprovalFact | None = None,
    with_deps: bool = True,
    asking: Asking | None = None,
    steps: DurableSteps | None = None,
) -> ToolContext[Any]:
    """The context of a predicate or a run. Enters ``deps``, unless whoever runs it does that elsewhere.

    ``asking`` and ``steps`` are for a run: a predicate decides, and answers are no part of a decision.
    """
    job = flight.job
    deadline, monotonic = flight.deadline, world.clock.monotonic
    received = sealed.received
    return ToolContext(
        tool=sealed.contract.name,
        caller=received.caller,
        deps=await flight.scope.deps(sealed) if with_deps else None,
        call_id=received.call_id,
        workflow_id=received.workflow.id,
        agent=received.workflow.agent,
        model=received.workflow.model,
        request_id=received.request_id,
        idempotency_key=(sealed.key or received.call_id) if sealed.contract.has_effects else None,
        attempt=flight.attempts,
        approval=approval,
        remaining=lambda: max(0.0, deadline - monotonic()),
        trace=received.trace,
        listener=flight.report if flight.listener is not None else None,
        answers=_NO_ANSWERS if asking is None else MappingProxyType(asking.answers),
        can_ask=_NOTHING if asking is None else asking.can_ask,
        job_id=None if job is None else job.row.job_id,
        steps=steps,
        stopping=_never if job is None else lambda: job.stopped,
    )


async def ask(predicate: Predicate, context: ToolContext[Any], args: Any) -> Any:
    """The predicate's answer, awaited where it is awaitable."""
    with contained():
        answer = predicate(context, args)
        return await answer if inspect.isawaitable(answer) else answer
