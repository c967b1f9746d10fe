"""What is told of a call while it runs: its trace is begun, and its answer counted.

Nothing here changes what happens to a call, and nothing of its arguments, its result or its caller is told. Not here:
what there is to count (``domain.metrics``), and who hears of it (adapters).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolgate.domain.metrics import CALL_SECONDS, CALLS, ERRORS, JOBS_ENDED, OTHER
from toolgate.domain.outcome import ErrorType, PendingApproval, Started

if TYPE_CHECKING:
    from toolgate.domain.outcome import Outcome
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World

_TAKEN = frozenset({ErrorType.IDEMPOTENCY_IN_FLIGHT, ErrorType.IDEMPOTENCY_CONFLICT})


def begin_trace(world: World, flight: Flight) -> None:
    """Begin the span of this run, where somebody traces. From here on the call carries it as its trace context."""
    if world.telemetry is None:
        return
    received = flight.received
    if received.tool not in world.registry:
        # A model can make up names; a trace tells only those that exist.
        received = replace(received, tool=OTHER)
    span = world.telemetry.begin(received, flight.context, resumes=flight.resuming)
    if span is not None:
        flight.span, flight.context = span, span.context
        flight.received = replace(flight.received, trace=span.trace)


def count_answer(world: World, flight: Flight, outcome: Outcome[Any]) -> None:
    """Count an answer, the first one to a call.

    Every replica hears of an approval and tries; only the one that dispatched, or that the gate refused, has an
    answer to the call. What the others are told is a race that they lost.
    """
    error = getattr(outcome, "error_type", None)
    lost = flight.resuming and not flight.dispatched and (outcome.replayed or error in _TAKEN)
    if world.meter is not None and not lost:
        tool = flight.received.tool if flight.received.tool in world.registry else OTHER
        world.meter.add(CALLS, (tool, outcome.status.value))
        if error is not None:
            world.meter.add(ERRORS, (error.value,))
        if flight.job is not None and flight.dispatched:
            world.meter.add(JOBS_ENDED, (tool, outcome.status.value))
        if flight.dispatched and not isinstance(outcome, PendingApproval | Started):
            world.meter.record(CALL_SECONDS, world.clock.monotonic() - flight.started, (tool,))
    if flight.span is not None:
        flight.span.end(
            status=outcome.status.value,
            effect=outcome.effect.value,
            error_type=None if error is None else error.value,
            attempts=flight.attempts,
        )
