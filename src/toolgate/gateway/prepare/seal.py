"""Parse the arguments strictly, then seal the call: after this nothing rewrites it.

Arguments arrive as a model instance, as plain values or as JSON. All go the same way, through JSON
bytes and the strict validator, so that no surface is more lenient than another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from toolgate.domain.call import SealedCall, call_digest, fingerprint
from toolgate.domain.canonical import UnfitJson, canonical_json, check_json, parse_json
from toolgate.domain.idempotency import key_scope, needs_workflow, render_key
from toolgate.domain.outcome import Advice
from toolgate.domain.redaction import redact_text
from toolgate.domain.schema import problems

if TYPE_CHECKING:
    from toolgate.domain.call import ReceivedCall
    from toolgate.gateway.world import Registered, World


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why the arguments are refused, in words for the model, and what of them may stand in the trail."""

    message: str
    arguments: Any = None
    advice: Advice = Advice.FIX_ARGUMENTS


def seal(world: World, registered: Registered, received: ReceivedCall) -> SealedCall | Unfit:
    """The call with parsed arguments, its key and its digest; or why it cannot be."""
    contract, tool = registered.contract, registered.tool
    try:
        raw = _json(tool.input, received.arguments, world.limits.argument_size)
    except UnfitJson as unfit:
        return Unfit(redact_text(str(unfit)), _loggable(received.arguments))
    try:
        args = tool.input.load(raw)
        arguments = tool.input.dump(args)
        canonical = canonical_json(arguments)
    except ValidationError as error:
        return Unfit(redact_text(problems(error)), _loggable(received.arguments))
    except (ValueError, PydanticSerializationError) as error:
        return Unfit(redact_text(f"the arguments have no JSON form: {error}"), _loggable(received.arguments))
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
        fingerprint=fingerprint(canonical),
        key=key,
        key_mac=mac,
        digest=call_digest(contract, received, canonical, mac),
        redacted=registered.redactor.redact(arguments),  # type: ignore[arg-type]
    )


def _json(shape: Any, given: Any, limit: int) -> bytes:
    if isinstance(given, bytes | bytearray | memoryview | str):
        raw = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else bytes(given)
        if not isinstance(parse_json(raw, max_bytes=limit), dict):
            raise UnfitJson("", "the arguments must be one JSON object")
        return raw
    if isinstance(given, BaseModel):
        try:
            given = given.model_dump(mode="json", by_alias=True, warnings="error")
        except (ValueError, PydanticSerializationError) as error:
            raise UnfitJson("", f"the arguments have no JSON form ({type(error).__name__})") from None
    if not isinstance(given, Mapping):
        raise UnfitJson("", f"the arguments must be one JSON object, not {type(given).__name__}")
    value = given if type(given) is dict else dict(given)
    check_json(value)
    raw = _encode(value).encode()
    if len(raw) > limit:
        raise UnfitJson("", f"the arguments are longer than {limit} bytes")
    return raw


def _loggable(arguments: Any) -> Any:
    """What of refused arguments can be redacted and kept: plain values; of text and bytes only their length."""
    if isinstance(arguments, Mapping):
        return dict(arguments)
    if isinstance(arguments, bytes | bytearray | str):
        return {"unparsed_length": len(arguments)}
    return {"unparsed_type": type(arguments).__name__}


def _no_workflow(tool: str) -> str:
    return (
        f"{tool} needs a workflow id, and only the application can give one: whoever embeds the gateway has to pass "
        "workflow='...' (the same on every retry of the same work), as gateway.workflow('...') does."
    )
