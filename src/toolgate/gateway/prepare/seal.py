"""Parse the arguments strictly, then seal the call: after this nothing rewrites it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.call import SealedCall, call_digest, fingerprint
from toolgate.domain.canonical import canonical_json
from toolgate.domain.idempotency import key_scope, needs_workflow, render_key
from toolgate.domain.outcome import Advice
from toolgate.gateway.prepare.parse import Unfit, parse

if TYPE_CHECKING:
    from toolgate.domain.call import ReceivedCall
    from toolgate.gateway.world import Registered, World

__all__ = ["Unfit", "seal"]


def seal(world: World, registered: Registered, received: ReceivedCall) -> SealedCall | Unfit:
    """The call with parsed arguments, its key and its digest; or why it cannot be."""
    contract, tool = registered.contract, registered.tool
    parsed = parse(tool, received.arguments, limit=world.limits.argument_size)
    if isinstance(parsed, Unfit):
        return parsed
    args, arguments = parsed.args, parsed.arguments
    # Only what may wait, or may not be repeated, is bound to its arguments; a plain read is over at once.
    bound = contract.has_effects or contract.approval is not None
    canonical = canonical_json(arguments) if bound else b""
    key = mac = None
    if contract.idempotency is not None:
        if needs_workflow(contract) and not received.workflow.explicit:
            return Unfit(_no_workflow(contract.name), arguments, Advice.ASK_HUMAN)
        key = render_key(contract, arguments, received.workflow)
        mac = world.keys.claim_mac(key_scope(received.caller.tenant, contract.name, key))
    return SealedCall(
        received=received,
        tool=tool,
        contract=contract,
        args=args,
        arguments=arguments,
        canonical=canonical,
        fingerprint=fingerprint(canonical) if bound else b"",
        key=key,
        key_mac=mac,
        digest=call_digest(contract, received, canonical, mac) if bound else b"",
        redacted=registered.redactor.redact(arguments),  # type: ignore[arg-type]
    )


def _no_workflow(tool: str) -> str:
    return (
        f"{tool} needs a workflow id, and only the application can give one: whoever embeds the gateway has to pass "
        "workflow='...' (the same on every retry of the same work), as gateway.workflow('...') does."
    )
