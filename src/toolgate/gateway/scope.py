"""The author's own code around a call: ``deps`` entered once, predicates called in one way.

A predicate is ``(context, args)``, sync or async. Whatever it raises is the caller's of this module to
judge; nothing here turns an error into a yes.
"""

from __future__ import annotations

import inspect
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from toolgate.domain.context import ToolContext

if TYPE_CHECKING:
    from toolgate.domain.approval import ApprovalFact
    from toolgate.domain.call import SealedCall
    from toolgate.domain.tool import Predicate
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World


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
            self._deps = await self._stack.enter_async_context(self._world.deps(sealed.caller))
            self._entered = True
        return self._deps

    async def leave(self) -> None:
        """Leave ``deps``, if entered. Raises what it raises: after a dispatch that is part of the attempt."""
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()


async def context_of(
    world: World, flight: Flight, sealed: SealedCall, *, approval: ApprovalFact | None = None
) -> ToolContext[Any]:
    """The context of a predicate or a run. Enters ``deps``."""
    deadline, monotonic = flight.deadline, world.clock.monotonic
    received = sealed.received
    return ToolContext(
        tool=sealed.contract.name,
        caller=received.caller,
        deps=await flight.scope.deps(sealed),
        call_id=received.call_id,
        workflow_id=received.workflow.id,
        agent=received.workflow.agent,
        model=received.workflow.model,
        request_id=received.request_id,
        idempotency_key=(sealed.key or received.call_id) if sealed.contract.has_effects else None,
        attempt=flight.attempts,
        approval=approval,
        remaining=lambda: max(0.0, deadline - monotonic()),
    )


async def ask(predicate: Predicate, context: ToolContext[Any], args: Any) -> Any:
    """The predicate's answer, awaited where it is awaitable."""
    answer = predicate(context, args)
    return await answer if inspect.isawaitable(answer) else answer
