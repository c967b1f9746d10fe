"""How a marker on ``str`` becomes a strict validator and a JSON Schema that shows its bounds.

Here: the joint between a rule (text in, refusal or nothing out) and pydantic. Not here: any rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from pydantic import GetCoreSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from toolgate.domain.argument_types.refusal import ArgumentRefusal
from toolgate.domain.errors import ContractError

Rule = Callable[[str], ArgumentRefusal | None]

_WRAPPERS = frozenset({"function-after", "function-before", "function-wrap"})


def strict_string(
    marker: object,
    source: Any,
    handler: GetCoreSchemaHandler,
    rule: Rule,
    *,
    max_length: int,
    min_length: int = 0,
) -> CoreSchema:
    """Wrap the ``str`` that a marker stands on in ``rule``, strictly and without changing the text.

    Raises:
        ContractError: the marker stands on something that is not a ``str``.
    """

    def accept(value: str) -> str:
        refusal = rule(value)
        if refusal is not None:
            raise refusal.as_error()
        return value

    inner = _bounded(cast("dict[str, Any]", handler(source)), type(marker).__name__, min_length, max_length)
    return core_schema.no_info_after_validator_function(accept, cast("CoreSchema", inner))


def _bounded(schema: dict[str, Any], marker: str, min_length: int, max_length: int) -> dict[str, Any]:
    """A strict copy of a ``str`` schema. Of two bounds the tighter one holds."""
    if schema.get("type") in _WRAPPERS:
        return {**schema, "schema": _bounded(schema["schema"], marker, min_length, max_length)}
    if schema.get("type") != "str":
        raise ContractError(
            f"{marker} describes one str; write Annotated[str, {marker}(...)], "
            f"and inside a union or a list: Annotated[str, {marker}(...)] | None"
        )
    shortest = max(min_length, schema.get("min_length") or 0)
    return {
        **schema,
        **({"min_length": shortest} if shortest else {}),
        # The text that is judged is the text that is used: a model's config may not loosen or rewrite it.
        "strict": True,
        "coerce_numbers_to_str": False,
        "strip_whitespace": False,
        "to_lower": False,
        "to_upper": False,
        "max_length": min(max_length, schema.get("max_length") or max_length),
    }


def described(
    schema: JsonSchemaValue, *, description: str, pattern: str | None = None, format_: str | None = None
) -> JsonSchemaValue:
    """Add what a model should read to a string's JSON Schema, keeping what the author wrote."""
    shown = {**schema}
    shown.setdefault("description", description)
    if format_ is not None:
        shown.setdefault("format", format_)
    if pattern is None:
        return shown
    if "pattern" in shown:
        shown["allOf"] = [*shown.get("allOf", ()), {"pattern": pattern}]
    else:
        shown["pattern"] = pattern
    return shown


def literally(text: str) -> str:
    """``text`` as a regular expression that matches itself in every dialect a JSON Schema reader may use.

    ``re.escape`` also escapes characters such as ``-``, which ECMA-262 refuses in its Unicode mode.
    """
    return re.sub(r"[\\^$.|?*+()\[\]{}]", r"\\\g<0>", text)
