"""Run a cleared call: one attempt after another while the contract allows it and the deadline lasts.

What an attempt raised is classified here and judged in ``domain.retry``. The text of an exception that
the tool did not declare goes nowhere: it may hold anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolgate.domain.errors import NeedsApproval, ToolError, TransientError
from toolgate.domain.questions import NeedsInput
from toolgate.domain.retry import FailureClass, backoff, may_retry
from toolgate.gateway.scope import context_of
from toolgate.gateway.steps import JobSteps
from toolgate.ports import NotBegun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.call import ClearedCall, SealedCall
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World


@dataclass(frozen=True, slots=True)
class Returned:
    """The tool returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """The last attempt failed. ``in_doubt``: this or an earlier one may have changed the world.

    ``misfits``: the questions of the tool that were answered with what is no answer, each with the reason.
    """

    error: Exception
    failure: FailureClass
    in_doubt: bool
    applied: bool = False
    misfits: Mapping[str, str] | None = None


Ended = Returned | Raised


async def run(world: World, flight: Flight, call: ClearedCall) -> Ended:
    """Every attempt. Cancelled at the deadline, from outside."""
    sealed = call.sealed
    contract = sealed.contract
    while True:
        flight.attempts += 1
        try:
            # An isolated tool's deps belong to the process that runs it, and are entered there.
            shared = contract.isolation != "process" and sealed.tool.needs_deps
            context = await context_of(
                world,
                flight,
                sealed,
                approval=call.approval,
                with_deps=shared,
                asking=flight.asking,
                steps=_steps(world, flight, sealed),
            )
        except Exception as error:  # noqa: BLE001 - deps is the author's; it failed before this attempt did anything
            failed = Raised(error, FailureClass.UNDECLARED, flight.in_doubt and contract.has_effects)
            return await _left(flight, failed, has_effects=contract.has_effects)
        # Until the attempt says otherwise, it may have happened: a deadline may strike inside it.
        doubtful_before = flight.in_doubt
        if not flight.begin_attempt():
            given_up = NotBegun("the call was given up before this attempt")
            failed = Raised(given_up, FailureClass.UNDECLARED, doubtful_before and contract.has_effects)
            return await _left(flight, failed, has_effects=contract.has_effects)
        try:
            value = await world.runner.run(call, context)
        except Exception as error:  # noqa: BLE001 - a tool may raise anything; each kind has its rule
            if flight.asking is not None and isinstance(error, NeedsInput) and flight.asking.meets(error):
                # No failure and no retry: the same attempt, now with the answer.
                flight.attempts -= 1
                continue
            failure = classify(error)
            flight.in_doubt = doubtful_before or not _declares_none(error)
            stopped = flight.job is not None and flight.job.stopped
            if not stopped and may_retry(contract, failure, attempt=flight.attempts):
                wait = backoff(contract, sealed.call_id, attempt=flight.attempts)
                if world.clock.monotonic() + wait < flight.deadline:
                    await world.clock.sleep(wait)
                    continue
            applied = isinstance(error, ToolError) and error.effect == "applied"
            misfits = flight.asking.misfits if flight.asking is not None else None
            failed = Raised(error, failure, flight.in_doubt and contract.has_effects, applied, misfits)
            return await _left(flight, failed, has_effects=contract.has_effects)
        return await _left(flight, Returned(value), has_effects=contract.has_effects)


def _steps(world: World, flight: Flight, sealed: SealedCall) -> JobSteps | None:
    """Anew each attempt: its first ``fetch`` is the first one again. Another process cannot reach them."""
    if flight.job is None or sealed.contract.isolation == "process":
        return None
    return JobSteps(world, flight, sealed)


async def _left(flight: Flight, ended: Ended, *, has_effects: bool) -> Ended:
    """Leave ``deps``. It is part of the dispatch: a commit on leaving may be what really wrote."""
    try:
        await flight.scope.leave(ended.error if isinstance(ended, Raised) else None)
    except Exception as error:  # noqa: BLE001 - the author's; judged as an undeclared failure of the attempt
        return Raised(
            error, FailureClass.UNDECLARED, has_effects and (isinstance(ended, Returned) or ended.in_doubt)
        )
    return ended


def classify(error: Exception) -> FailureClass:
    """What kind of failure ``error`` is."""
    if isinstance(error, TransientError):
        return FailureClass.DECLARED_NONE if error.effect == "none" else FailureClass.CONNECTION
    if isinstance(error, ToolError):
        return FailureClass.DECLARED
    if isinstance(error, ConnectionError | TimeoutError):
        return FailureClass.CONNECTION
    return FailureClass.UNDECLARED


def _declares_none(error: Exception) -> bool:
    return isinstance(error, NotBegun) or (isinstance(error, ToolError) and error.effect == "none")


def wants_approval(ended: Ended) -> NeedsApproval | None:
    """The business service's wish for a person, if that is how the attempt ended."""
    if isinstance(ended, Raised) and isinstance(ended.error, NeedsApproval) and not ended.in_doubt:
        return ended.error
    return None
