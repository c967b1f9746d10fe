"""Was this done before? Answers from the ledger only after the caller was authorised.

A look-up, not the decision: the claim is decided by the writer, in the command that writes the intent
or the hold; a call that slips past here is caught there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.idempotency import KeyUse, judge_claim
from toolgate.domain.jobs import job_id_of
from toolgate.domain.outcome import ErrorType
from toolgate.domain.rows import ByKey, Found
from toolgate.domain.verdict import PASS, Deny, Replay, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolgate.domain.call import SealedCall
    from toolgate.domain.rows import CallRow
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World

IN_FLIGHT_RETRY = 1.0
"""Seconds; a call in flight is usually over by then."""


async def judge(world: World, flight: Flight, sealed: SealedCall) -> Verdict:
    """Pass, Deny (in flight, conflict) or Replay."""
    if flight.resuming or not sealed.contract.has_effects:
        return PASS
    mac = sealed.key_mac
    if mac is None:
        # Also where the contract asks nobody: the business may have wished for a person.
        mac = attach_mac(world, sealed)
        found = await world.store.find(ByKey(mac))
        if judge_claim(found, caller_id=sealed.caller.id, fingerprint=sealed.fingerprint) is KeyUse.PENDING:
            return Replay(found)
        return PASS
    found = await world.store.find(ByKey(mac))
    return await verdict(
        world, judge_claim(found, caller_id=sealed.caller.id, fingerprint=sealed.fingerprint), found
    )


async def verdict(world: World, use: KeyUse, found: Found) -> Verdict:
    """What a key's use means for the call that brings it."""
    if use is KeyUse.IN_FLIGHT and found.call is not None and await is_job(world, found.call):
        # Nobody waits for its end here: whoever asks again is told its id again.
        return Replay(found)
    match use:
        case KeyUse.FREE:
            return PASS
        case KeyUse.CONFLICT:
            return Deny(
                error_type=ErrorType.IDEMPOTENCY_CONFLICT,
                reason="the key is claimed by a call with other arguments or of another caller",
            )
        case KeyUse.IN_FLIGHT:
            return Deny(
                error_type=ErrorType.IDEMPOTENCY_IN_FLIGHT,
                reason="a call with this key is running",
                retry_after=IN_FLIGHT_RETRY,
            )
        case KeyUse.REPLAY | KeyUse.PENDING | KeyUse.STARTED | KeyUse.UNKNOWN | KeyUse.DENIED:
            return Replay(found)


async def is_job(world: World, call: CallRow) -> bool:
    """Whether this call runs as a job. Looked up only where the answer hangs on it: while it runs."""
    return await world.store.job(job_id_of(call.call_id)) is not None


def attach_mac(world: World, sealed: SealedCall) -> bytes:
    """What a hold of a call without a key is found by: its workflow and fingerprint."""
    parts = (sealed.caller.tenant, sealed.contract.name, sealed.caller.id, sealed.workflow.id)
    return _attached(world, parts, sealed.fingerprint)


def attach_mac_of(world: World, call: CallRow, fingerprint: bytes) -> bytes:
    """As ``attach_mac``, of a call in the ledger that had ``fingerprint``."""
    return _attached(world, (call.tenant, call.tool, call.caller_id, call.workflow_id), fingerprint)


def _attached(world: World, parts: Sequence[str], fingerprint: bytes) -> bytes:
    scope = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return world.keys.claim_mac(b"hold" + scope + fingerprint)
