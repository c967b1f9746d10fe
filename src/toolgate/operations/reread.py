"""Read a kept request again: what was asked, decrypted, as a call that can be sealed once more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from toolgate.domain.call import ReceivedCall, Workflow
from toolgate.domain.caller import Caller

if TYPE_CHECKING:
    from toolgate.domain.rows import CallRow
    from toolgate.gateway.world import World


async def reread(world: World, row: CallRow) -> ReceivedCall | None:
    """The original request with the roles its caller had then; None if it is not kept any more."""
    kept = await world.store.sealed(row.call_id, "request")
    if kept is None:
        return None
    plain = world.keys.decrypt(kept.sealed, tenant=row.tenant, call_id=row.call_id, kind="request")
    request: dict[str, Any] = json.loads(plain)
    return ReceivedCall(
        call_id=row.call_id,
        tool=row.tool,
        arguments=request["arguments"],
        caller=Caller(row.caller_id, request["roles"], row.tenant),
        workflow=Workflow(
            id=row.workflow_id,
            explicit=row.workflow_explicit,
            agent=row.agent,
            model=row.model,
            user_input=request["user_input"],
        ),
        received_at=row.received_at,
        surface=row.surface,
        request_id=row.request_id,
        trace=row.trace,
        rationale=request["rationale"],
        barred=tuple(request.get("barred", ())),
        claimed=tuple(
            (bytes.fromhex(mac), bytes.fromhex(fingerprint))
            for mac, fingerprint in request.get("claimed", ())
        ),
        priority=request.get("priority"),
        delay=request.get("delay", 0.0),
    )
