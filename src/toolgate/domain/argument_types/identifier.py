"""Ids such as order numbers, in one alphabet.

Here: the ``Identifier`` marker. Not here: whether such an id exists, or who may see what it names.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, field
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from toolgate.domain.argument_types.refusal import ArgumentRefusal
from toolgate.domain.argument_types.string_schema import described, literally, strict_string
from toolgate.domain.errors import ContractError

ALPHANUMERIC = string.ascii_letters + string.digits
_PUNCTUATION = "-_.:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """Marks a ``str`` as an id: ``Annotated[str, Identifier(prefix="ord_", max_length=20)]``.

    An id is ASCII, begins with a letter or digit (so it is never read as an option of a command) and never holds
    two dots in a row (so it is never a way up in a path).

    Args:
        prefix: what every id starts with; kept in the value.
        max_length: most characters, prefix included.
        alphabet: the characters that may follow the prefix, out of letters, digits and ``- _ . :``.

    Raises:
        ContractError: a prefix, alphabet or length that cannot make an id.
    """

    prefix: str = ""
    max_length: int = 64
    alphabet: str = ALPHANUMERIC + "_-"
    _form: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        usable = set(ALPHANUMERIC + _PUNCTUATION)
        if not set(self.alphabet) <= usable or not set(self.alphabet) & set(ALPHANUMERIC):
            raise ContractError(
                "Identifier: alphabet takes ASCII letters and digits, and - _ . : beside them"
            )
        if not set(self.prefix) <= usable or self.prefix.startswith(tuple(_PUNCTUATION)):
            raise ContractError(
                "Identifier: prefix takes ASCII letters, digits, - _ . : and begins with no sign"
            )
        if ".." in self.prefix or self.max_length <= len(self.prefix):
            raise ContractError("Identifier: max_length must leave room after a prefix that has no '..'")
        object.__setattr__(self, "_form", re.compile(self._body))

    def check(self, value: str) -> ArgumentRefusal | None:
        """Judge one id by every rule except its length, which stands in the schema."""
        if self._form.fullmatch(value) and ".." not in value:
            return None
        return ArgumentRefusal(code="identifier_form", message=f"Send the id alone, as is: {self._shape}.")

    @property
    def _body(self) -> str:
        # A hyphen stands last and nothing but a dot is escaped: every dialect of regular expressions agrees on that.
        first = _ranges(set(self.alphabet) & set(ALPHANUMERIC))
        signs = "".join(sign for sign in "._:-" if sign in self.alphabet)
        if self.prefix:
            return f"{literally(self.prefix)}[{first}{signs}]{{1,{self.max_length - len(self.prefix)}}}"
        return f"[{first}][{first}{signs}]{{0,{self.max_length - 1}}}"

    @property
    def _shape(self) -> str:
        start = f"{self.prefix} followed by" if self.prefix else "beginning with a letter or digit, of"
        signs = " ".join(c for c in _PUNCTUATION if c in self.alphabet)
        letters = _letters(self.alphabet)
        return f"{start} {letters}{f' and {signs}' if signs else ''}, at most {self.max_length} characters in all"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        shortest = len(self.prefix) + 1
        return strict_string(
            self, source, handler, self.check, min_length=shortest, max_length=self.max_length
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return described(handler(schema), description=f"An id: {self._shape}.", pattern=f"^{self._body}$")


def _ranges(characters: set[str]) -> str:
    """Letters and digits as the inside of a character class, runs of them as a range."""
    text = ""
    for run in (string.digits, string.ascii_uppercase, string.ascii_lowercase):
        used = "".join(character for character in run if character in characters)
        text += f"{run[0]}-{run[-1]}" if used == run else used
    return text


def _letters(alphabet: str) -> str:
    """Say a known alphabet in words and any other one letter by letter."""
    used = {character for character in alphabet if character in ALPHANUMERIC}
    for words, characters in (
        ("letters and digits", ALPHANUMERIC),
        ("upper-case letters and digits", string.ascii_uppercase + string.digits),
        ("lower-case letters and digits", string.ascii_lowercase + string.digits),
        ("digits", string.digits),
        ("hexadecimal digits", "0123456789abcdef"),
    ):
        if used == set(characters):
            return words
    return f"the characters {''.join(sorted(used))}"
