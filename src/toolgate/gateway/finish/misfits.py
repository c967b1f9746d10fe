"""What of refused arguments may stand in the trail.

Arguments that do not fit their schema do not fit its marks either: a sensitive value may stand under a name that
nobody marked, or belong to a tool whose name was mistyped. So where a contract marks anything, only what stands in
an unmarked field of that contract is shown; the rest is digested. Of arguments for no tool at all, only names and
types are kept. Not here: arguments that were good (``redaction``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolgate.domain.canonical import UnfitJson, parse_json
from toolgate.domain.redaction import Redactor
from toolgate.domain.sensitive import ANY_DEPTH, EACH

if TYPE_CHECKING:
    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.contract import Contract
    from toolgate.gateway.world import World

_MOST_NAMES = 100


def shown_misfit(world: World, tool: str, given: Any) -> dict[str, JsonValue]:
    """``given``, refused for ``tool``, redacted by the tool's contract whether or not the caller may see it."""
    if isinstance(given, bytes | bytearray | memoryview | str):
        given = _read(given, limit=world.limits.argument_size)
    if type(given) is not dict:
        return {"given": type(given).__name__}
    registered = world.registry.get(tool)
    if registered is None:
        given = {key: f"[{type(value).__name__}]" for key, value in list(given.items())[:_MOST_NAMES]}
        redactor = world.anonymous
    elif registered.contract.sensitive:
        redactor = Redactor(
            world.keys.redaction_mac, [(name,) for name in _doubtful(registered.contract, given)]
        )
    else:
        redactor = registered.redactor
    shown = redactor.redact(given)
    return shown if isinstance(shown, dict) else {"given": shown}


def _read(given: bytes | bytearray | memoryview | str, *, limit: int) -> Any:
    """What JSON says, so that the record of a call is the same whether its surface had parsed it or not."""
    raw = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else bytes(given)
    try:
        return parse_json(raw, max_bytes=limit)
    except UnfitJson:
        return {"unparsed_length": len(given)}


def _doubtful(contract: Contract, given: dict[Any, Any]) -> list[str]:
    """The names whose values are not surely harmless: marked fields, what holds one, and names of no field."""
    marked = {path[0] for path in contract.sensitive if path}
    if marked & {EACH, ANY_DEPTH} or not all(type(name) is str for name in given):
        return [EACH]
    known = contract.input_schema.get("properties", {})
    return [name for name in given if name in marked or name not in known]
