"""Reads tool definitions as MCP publishes them: the result of `tools/list`, or a list of tools.

Here: from JSON values to exhibits. Hints are taken as they are said, never as they might be meant: an unsaid
`destructiveHint` of a tool that writes is true, and so is an unsaid `openWorldHint` (MCP 2025-06-18,
`ToolAnnotations`). What no hint says may stand in `_meta` under `toolgate/contract`, in the words of `@tool`.
Not here: reading the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from toolgate.domain.approval import CALLER, WHOEVER_ASKED
from toolgate.domain.caller import ANYONE
from toolgate.domain.checklist.exhibit import Exhibit
from toolgate.domain.contract import Effect, Retry
from toolgate.domain.duration import seconds
from toolgate.domain.errors import ConfigurationError, ContractError
from toolgate.domain.sensitive import dotted_paths

META: Final = "toolgate/contract"
MAX_TOOLS: Final = 10_000
_MAX_NAME: Final = 128


def read_definitions(value: Any) -> tuple[Exhibit, ...]:
    """The tools of a document.

    Raises:
        ConfigurationError: if it is no list of tools, naming the place.
    """
    listed = value.get("tools") if isinstance(value, Mapping) else value
    if isinstance(value, Mapping) and isinstance(value.get("result"), Mapping):
        listed = value["result"].get("tools")  # the whole JSON-RPC answer, as it came over the wire
    if not isinstance(listed, list):
        raise ConfigurationError('no list of tools: write {"tools": [...]} as tools/list answers, or [...]')
    if not listed:
        raise ConfigurationError("the list of tools is empty")
    if len(listed) > MAX_TOOLS:
        raise ConfigurationError(f"more than {MAX_TOOLS} tools")
    return tuple(_exhibit(item, f"tools[{index}]") for index, item in enumerate(listed))


def _exhibit(item: Any, where: str) -> Exhibit:
    if not isinstance(item, Mapping):
        raise ConfigurationError(f"{where} is no object")
    name = item.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
        raise ConfigurationError(f"{where}.name is not a text of 1 to {_MAX_NAME} characters")
    schema = item.get("inputSchema", item.get("input_schema", {}))
    if not isinstance(schema, Mapping):
        raise ConfigurationError(f"{where}.inputSchema is no object")
    output = item.get("outputSchema", item.get("output_schema"))
    if output is not None and not isinstance(output, Mapping):
        raise ConfigurationError(f"{where}.outputSchema is no object")
    description = item.get("description", "")
    if not isinstance(description, str):
        raise ConfigurationError(f"{where}.description is no text")
    hints = _object(item, "annotations", where)
    effect, external, repeatable = _hints(hints)
    try:
        said = _said(_object(_object(item, "_meta", where), META, f"{where}._meta"))
    except (ContractError, ValueError) as wrong:
        raise ConfigurationError(f"{where}._meta: {wrong}") from None
    return Exhibit(
        name=name,
        description=description,
        input_schema=schema,
        output_schema=output,
        effect=effect,
        external=external,
        external_said=isinstance(hints.get("openWorldHint"), bool),
        repeatable=repeatable,
        **said,
    )


def _object(holder: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = holder.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where}.{key} is no object")
    return value


def _hints(hints: Mapping[str, Any]) -> tuple[Effect | None, bool, bool]:
    """Effect, whether it leaves the house, and whether a second call changes nothing more."""
    reads, destroys, outside = (
        hints.get(key) for key in ("readOnlyHint", "destructiveHint", "openWorldHint")
    )
    effect: Effect | None = None
    if reads is True:
        effect = Effect.READ
    elif destroys is True or (reads is False and destroys is None):
        effect = Effect.DESTRUCTIVE
    elif destroys is False and reads is False:
        effect = Effect.WRITE
    external = outside if isinstance(outside, bool) else effect is not Effect.READ
    return effect, external, hints.get("idempotentHint") is True


def _said(meta: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(meta) - set(_READERS)):
        raise ConfigurationError(f"{META} has no word {unknown[0]!r}; it knows {', '.join(sorted(_READERS))}")
    said = {word: _READERS[word](value, word) for word, value in meta.items()}
    return {**said, "own_word": True} if _asked(meta.get("approval")) == CALLER else said


def _approval(value: Any, word: str) -> str:
    asked = _asked(value)
    return WHOEVER_ASKED if asked == CALLER else " or ".join(_texts(asked, f"{word}.approvers"))


def _asked(value: Any) -> Any:
    return value.get("approvers") if isinstance(value, Mapping) else value


def _text(value: Any, word: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{word} is a text")
    return value


def _texts(value: Any, word: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise ConfigurationError(f"{word} is a list of texts")
    return tuple(sorted(value))


def _names(value: Any, word: str) -> frozenset[str]:
    return frozenset(_texts(value, word))


def _roles(value: Any, word: str) -> frozenset[str] | str:
    return value if value == ANYONE else _names(value, word)


def _retries(value: Any, word: str) -> Retry:
    if type(value) is not int:
        raise ConfigurationError(f"{word} is the number of attempts")
    return Retry(attempts=value)


_READERS: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "approval": _approval,
    "approval_waiver": _text,
    "authorize": _text,
    "honours_key": lambda value, _: value is True,
    "idempotency": _text,
    "raises": _texts,
    "reconcile": _text,
    "retries": _retries,
    "roles": _roles,
    "sensitive": lambda value, word: dotted_paths(_texts(value, word)),
    "tags": _names,
    "tests": _text,
    "timeout": lambda value, word: seconds(value, of=word),
}
