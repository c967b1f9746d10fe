"""What an argument type answers when a value does not fit: a value, not an exception.

Here: the refusal and its stable codes. Not here: the rules themselves, and what a gate makes of a refusal.
A message never repeats the refused value, because a model reads it and it may hold what an attacker wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic_core import PydanticCustomError

RefusalCode = Literal[
    "url_characters",
    "url_form",
    "url_scheme",
    "url_userinfo",
    "url_host",
    "url_host_not_allowed",
    "url_ip_address",
    "url_port",
    "url_fragment",
    "url_ambiguous",
    "path_characters",
    "path_not_relative",
    "path_segment",
    "path_depth",
    "path_suffix",
    "path_normalisation",
    "identifier_form",
    "email_form",
    "email_local_part",
    "email_domain",
    "email_domain_not_allowed",
    "money_currency",
    "money_range",
    "text_hidden_character",
    "text_blank",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentRefusal:
    """One value, refused by one rule.

    Attributes:
        code: which rule, stable across versions.
        message: what is wrong and how to mend it, in words for a model.
    """

    code: RefusalCode
    message: str

    def as_error(self) -> PydanticCustomError:
        """The same refusal in the form that pydantic collects into a ``ValidationError``."""
        return PydanticCustomError(self.code, "{message}", {"message": self.message})


def character_name(character: str) -> str:
    """Name a character without printing it: ``U+202E``."""
    return f"U+{ord(character):04X}"


def listing(names: tuple[str, ...], *, limit: int = 8) -> str:
    """The first ``limit`` names in words, and how many more there are."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
