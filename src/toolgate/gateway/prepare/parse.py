"""Arguments as they came → arguments as the contract wants them, or why they are refused.

A model instance, plain values and JSON all go one way, through JSON bytes and the strict validator, so that no
surface is more lenient than another. Here: also what of refused arguments may stand in the trail. Not here: the
key and the digest (``seal``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from toolgate.domain.canonical import UnfitJson, check_json, encoder, parse_json
from toolgate.domain.outcome import Advice
from toolgate.domain.redaction import redact_text
from toolgate.domain.schema import problems

if TYPE_CHECKING:
    from toolgate.domain.tool import Tool


_encode = encoder(sort_keys=False)


@dataclass(frozen=True, slots=True)
class Parsed:
    """Good arguments: ``args`` is what the tool gets, ``arguments`` the same as JSON with defaults filled in."""

    args: Any
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why the arguments are refused, in words for the model; ``arguments`` is what was read of them."""

    message: str
    arguments: Any = None
    advice: Advice = Advice.FIX_ARGUMENTS


def parse(tool: Tool[Any, Any], given: Any, *, limit: int) -> Parsed | Unfit:
    """``given`` by the contract of ``tool``, at most ``limit`` bytes of JSON."""
    tree: Any = _unread(given)
    try:
        raw, tree = _json(given, limit)
        args = tool.input.load(raw, tree)
        return Parsed(args, tool.input.dump_loaded(args))
    except UnfitJson as unfit:
        where = f"{redact_text(unfit.path)}: " if unfit.path else ""
        return Unfit(where + redact_text(unfit.problem), tree)
    except ValidationError as error:
        return Unfit(problems(error, tool.contract.sensitive), tree)
    except (ValueError, PydanticSerializationError) as error:
        # Its text may repeat a value.
        return Unfit(f"the arguments have no JSON form ({type(error).__name__})", tree)


def _json(given: Any, limit: int) -> tuple[bytes, dict[str, Any]]:
    """``given`` as JSON bytes, and what they say."""
    if isinstance(given, bytes | bytearray | memoryview | str):
        raw = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else bytes(given)
        tree = parse_json(raw, max_bytes=limit)
        if not isinstance(tree, dict):
            raise UnfitJson("", "the arguments must be one JSON object")
        return raw, tree
    value = _plain(given)
    check_json(value)
    raw = _encode(value).encode()
    if len(raw) > limit:
        raise UnfitJson("", f"the arguments are longer than {limit} bytes")
    return raw, value


def _plain(given: Any) -> dict[str, Any]:
    """A model instance or a mapping as a dict. Both are the application's own code, which may raise anything."""
    try:
        if isinstance(given, BaseModel):
            # Computed fields are no arguments: nobody sends them, and the schema does not know them.
            return given.model_dump(
                mode="json", by_alias=True, warnings="error", exclude_computed_fields=True
            )
        if isinstance(given, Mapping):
            return given if type(given) is dict else dict(given)
    except Exception as error:  # noqa: BLE001 - a serialiser or a mapping that fails gives nothing that could run
        raise UnfitJson("", f"the arguments have no JSON form ({type(error).__name__})") from None
    raise UnfitJson("", f"the arguments must be one JSON object, not {type(given).__name__[:40]}")


def _unread(given: Any) -> Any:
    """What can be said of arguments that could not be read: of text and bytes their length, else their type."""
    if type(given) is dict:
        return given
    if isinstance(given, bytes | bytearray | memoryview | str):
        return {"unparsed_length": len(given)}
    return {"unparsed_type": type(given).__name__}
