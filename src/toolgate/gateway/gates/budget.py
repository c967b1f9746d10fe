"""Is there room for it? Rates of caller, tool and tenant, running slots, and the tool's breaker.

A rate is spent once, at the request; slots and breaker are asked where something will run: of a job, at each run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.outcome import ErrorType
from toolgate.domain.verdict import PASS, Deny, Pass, Verdict

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World

OVERLOADED_RETRY = 1.0


async def judge(world: World, flight: Flight, sealed: SealedCall) -> Verdict:
    """Pass with a slot reserved, or Deny."""
    contract, caller, limits = sealed.contract, sealed.caller, world.limits
    if not flight.resuming:
        budgets = (
            (("tool", contract.name, caller.tenant, caller.id), contract.rate_limit),
            (("caller", caller.tenant, caller.id), limits.per_caller),
            (("tenant", caller.tenant), limits.per_tenant),
        )
        for key, rate in budgets:
            if rate is None:
                continue
            wait = world.reservations.spend(key, rate)
            if not isinstance(wait, float):
                wait = await wait
            if wait > 0:
                return Deny(
                    error_type=ErrorType.RATE_LIMITED,
                    reason=f"more than {rate} for this {key[0]}",
                    message=f"Too many calls: at most {rate}. Wait {wait:.1f} seconds.",
                    retry_after=wait,
                )
    if contract.job is not None and flight.job is None:
        return PASS
    release = world.reservations.take_slot(contract)
    if release is None:
        return Deny(
            error_type=ErrorType.OVERLOADED,
            reason="every running slot is taken",
            retry_after=OVERLOADED_RETRY,
        )
    flight.releases.append(release)
    passage = world.reservations.pass_breaker(contract)
    if isinstance(passage, float):
        return Deny(
            error_type=ErrorType.CIRCUIT_OPEN,
            reason="the tool's recent runs failed in a row",
            retry_after=passage,
        )
    return Pass(passage)
