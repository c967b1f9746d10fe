r"""A relative path that reads the same to every program.

Here: the ``ConfinedPath`` marker: what may be written. Not here: what lies there; the guard
``adapters.guards.ConfinedDirectory`` opens the path without following a link out.

The rule is a list of what may occur, not of tricks: letters, marks and numbers of any script in normal form NFKC, and
few ASCII signs. So there is no ``\``, ``:``, ``%`` or ``~``, no look-alike of a slash or dot, and nothing invisible.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from toolgate.domain.argument_types.hidden_characters import first_hidden
from toolgate.domain.argument_types.refusal import ArgumentRefusal, RefusalCode, character_name, listing
from toolgate.domain.argument_types.string_schema import described, literally, strict_string
from toolgate.domain.errors import ContractError

_ASCII_SIGNS = " ._-+,=@()"
_PLAIN = re.compile(r"[A-Za-z0-9 ._\-+,=@()/]*")
_SELECTORS = "\ufe0e\ufe0f"  # they choose how an emoji is drawn, and no name holds one
_LONGEST_SEGMENT = 255  # bytes; NAME_MAX of the usual file systems
_DEVICE_NAME = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?: *\..*)?", re.IGNORECASE)
_NOT_IN_A_SEGMENT = r'/\\:%~*?<>|"\u0000-\u001f\u007f'


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfinedPath:
    """Marks a ``str`` as a path below a root: ``Annotated[str, ConfinedPath(suffixes={".md"})]``.

    Segments are joined by ``/``. None is empty, begins with a dot (so there is no ``..`` and no hidden file) or a
    blank, ends with either, or is a device name of Windows.

    Args:
        suffixes: if given, the last segment ends with one of these, exactly.
        max_length: most characters.
        max_depth: most segments.

    Raises:
        ContractError: a declaration that no path can satisfy.
    """

    suffixes: Collection[str] | None = None
    max_length: int = 255
    max_depth: int = 8

    def __post_init__(self) -> None:
        if self.max_length < 1 or self.max_depth < 1:
            raise ContractError("ConfinedPath: max_length and max_depth are at least 1")
        if self.suffixes is None:
            return
        if isinstance(self.suffixes, str) or not self.suffixes:
            raise ContractError("ConfinedPath.suffixes: a set such as {'.md', '.txt'}, or leave it out")
        if not all(re.fullmatch(r"\.[A-Za-z0-9][A-Za-z0-9._-]*(?<!\.)", suffix) for suffix in self.suffixes):
            raise ContractError("ConfinedPath.suffixes: each is a dot and letters or digits, such as '.md'")
        object.__setattr__(self, "suffixes", tuple(sorted(set(self.suffixes))))

    def check(self, value: str) -> ArgumentRefusal | None:
        """Judge one path."""
        segments = self.segments(value)
        return segments if isinstance(segments, ArgumentRefusal) else None

    def segments(self, value: str) -> tuple[str, ...] | ArgumentRefusal:
        """The names to open one after the other, or which rule the path breaks and how to mend it."""
        if not 0 < len(value) <= self.max_length:
            return _no("path_segment", f"Send a path of 1 to {self.max_length} characters.")
        if value.startswith("/"):
            return _no("path_not_relative", "Send a path relative to the root, without a leading slash.")
        if _PLAIN.fullmatch(value) is None and (refusal := _characters(value)) is not None:
            return refusal
        segments = tuple(value.split("/"))
        if len(segments) > self.max_depth:
            return _no("path_depth", f"Use at most {self.max_depth} segments.")
        for segment in segments:
            if (refusal := _segment(segment)) is not None:
                return refusal
        return self._suffix_refusal(segments[-1]) or segments

    def _suffix_refusal(self, name: str) -> ArgumentRefusal | None:
        if self.suffixes is None or any(name.endswith(suffix) for suffix in self.suffixes):
            return None
        return _no("path_suffix", f"Name a file that ends in {listing(tuple(self.suffixes))}.")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return strict_string(self, source, handler, self.check, min_length=1, max_length=self.max_length)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        first, rest = f"[^. {_NOT_IN_A_SEGMENT}]", f"[^{_NOT_IN_A_SEGMENT}]*"
        ending = f"({'|'.join(literally(suffix) for suffix in self.suffixes)})" if self.suffixes else ""
        kinds = f" ending in {listing(tuple(self.suffixes))}" if self.suffixes else ""
        return described(
            handler(schema),
            description=(
                f"A relative path{kinds}, at most {self.max_depth} segments joined by /. "
                "No leading slash, no segment that begins with a dot, no backslash, colon, percent or tilde."
            ),
            pattern=f"^{first}{rest}(/{first}{rest}){{0,{self.max_depth - 1}}}{ending}$",
        )


def _no(code: RefusalCode, message: str) -> ArgumentRefusal:
    return ArgumentRefusal(code=code, message=message)


def _characters(value: str) -> ArgumentRefusal | None:
    for character in value:
        if character == "/" or _is_writable(character):
            continue
        name = character_name(character)
        if character == "\\":
            return _no("path_characters", "Join segments with / and write no backslash.")
        if character == "%":
            return _no("path_characters", "Write the path as it is, without percent-encoding.")
        return _no("path_characters", f"Remove {name}: letters, digits and . _ - + , = @ ( ) may occur.")
    hidden = first_hidden(value)
    if hidden is not None:
        return _no("path_characters", f"Remove the invisible character {character_name(hidden)}.")
    if not unicodedata.is_normalized("NFKC", value):
        return _no("path_normalisation", "Write every letter in its plain composed form (Unicode NFKC).")
    return None


def _is_writable(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in _ASCII_SIGNS
    return unicodedata.category(character)[0] in "LMN" and character not in _SELECTORS


def _segment(segment: str) -> ArgumentRefusal | None:
    if not segment:
        return _no("path_segment", "Write one slash between segments and none at the end.")
    if segment.startswith("."):
        return _no(
            "path_segment", "No segment may begin with a dot: name each directory, and no hidden file."
        )
    if segment[0] == " " or segment[-1] in " .":
        return _no("path_segment", "No segment may begin with a blank, or end with a blank or dot.")
    if len(segment.encode("utf-8")) > _LONGEST_SEGMENT:
        return _no("path_segment", f"Use segments of at most {_LONGEST_SEGMENT} bytes.")
    if _DEVICE_NAME.fullmatch(segment):
        return _no("path_segment", "Choose another name: this one is a device on some systems.")
    return None
