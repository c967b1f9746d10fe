"""Parse the arguments strictly, then seal the call: after this nothing rewrites it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolgate.domain.call import SealedCall, call_digest, fingerprint
from toolgate.domain.canonical import canonical_json
from toolgate.domain.idempotency import key_scope, needs_workflow, render_key
from toolgate.domain.outcome import Advice
from toolgate.gateway.prepare.parse import Unfit, parse

if TYPE_CHECKING:
    from toolgate.domain.call import ReceivedCall
    from toolgate.domain.tool import Tool
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
    bound = contract.has_effects or contract.approval is not None or contract.job is not None
    canonical = canonical_json(arguments) if bound else b""
    if bound and not _stable(tool, canonical):
        return Unfit(_UNSTABLE, arguments, Advice.ASK_HUMAN)
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


def _stable(tool: Tool[Any, Any], canonical: bytes) -> bool:
    """Whether what will be read from the sealed bytes is what they say."""
    try:
        tool.input.load_stable(canonical)
    except ValueError:
        # Unstable, or refused by the very validators that had just accepted it.
        return False
    return True


_UNSTABLE = (
    "The tool's own validators change its arguments each time they are read, so that something else would run than was "
    "shown and recorded. Its author has to make them idempotent."
)


def _no_workflow(tool: str) -> str:
    return (
        f"{tool} needs a workflow id, and only the application can give one, the same on every retry of the work: "
        "over MCP as _meta 'dev.toolgate/workflow_id' of tools/call or in the header Toolgate-Workflow-Id, over REST "
        "as workflow_id in the body, in Python as workflow='...', on the command line as --workflow."
    )
