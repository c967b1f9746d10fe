"""Bounded text that says what it shows.

Here: the ``PlainText`` marker. Not here: what the text may mean, or markup of any kind.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from toolgate.domain.argument_types.hidden_characters import (
    MULTILINE_PATTERN,
    ONE_LINE_PATTERN,
    first_hidden,
)
from toolgate.domain.argument_types.refusal import ArgumentRefusal, character_name
from toolgate.domain.argument_types.string_schema import described, strict_string
from toolgate.domain.errors import ContractError


@dataclass(frozen=True, slots=True)
class PlainText:
    """Marks a ``str`` as plain text: ``Annotated[str, PlainText(500, min_length=10)]``.

    Control characters, bidi overrides, zero-width and tag characters, private use and lone surrogates are refused,
    so that what a person approves is what the program gets. Zero-width joiners are among them, which some scripts
    (Persian) and some emoji use: for such text use a bounded ``str``.

    Args:
        max_length: most characters (code points), as in JSON Schema.
        min_length: fewest characters, not counting blanks at either end.
        multiline: whether newline (U+000A) and tab may occur. A carriage return never may.

    Raises:
        ContractError: bounds that nothing can satisfy.
    """

    max_length: int
    _: KW_ONLY
    min_length: int = 0
    multiline: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.min_length <= self.max_length or self.max_length < 1:
            raise ContractError("PlainText: give 0 <= min_length <= max_length and max_length >= 1")

    def check(self, value: str) -> ArgumentRefusal | None:
        """Judge one text by every rule except the length bounds, which stand in the schema."""
        hidden = first_hidden(value, multiline=self.multiline)
        if hidden is not None:
            return ArgumentRefusal(code="text_hidden_character", message=self._mend(hidden))
        if len(value.strip()) < self.min_length:
            return ArgumentRefusal(
                code="text_blank",
                message=f"Blanks at the ends do not count: write at least {self.min_length} other characters.",
            )
        return None

    def _mend(self, hidden: str) -> str:
        if hidden == "\r":
            return "Use newline (U+000A) alone to end a line; remove each carriage return (U+000D)."
        if hidden in "\n\t":
            return f"This text is one line: replace {character_name(hidden)} by a space."
        return f"Remove the invisible or control character {character_name(hidden)}; send only visible text."

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return strict_string(
            self, source, handler, self.check, min_length=self.min_length, max_length=self.max_length
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        lines = "Plain text; newline and tab allowed" if self.multiline else "Plain text on one line"
        return described(
            handler(schema),
            description=f"{lines}. No control, invisible or direction-changing characters.",
            pattern=MULTILINE_PATTERN if self.multiline else ONE_LINE_PATTERN,
        )
