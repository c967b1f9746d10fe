"""Typed replacements for open-ended arguments: what may be written, and how a model is told.

Here: markers for ``Annotated`` and the types they stand on. Each validates strictly, puts its bounds in the JSON
Schema, and refuses in words that say how to mend the value without repeating it. Not here: anything that needs the
world. What a name resolves to and what lies behind a path is judged by the guards in ``adapters.guards``.
"""

from __future__ import annotations

from toolgate.domain.argument_types.allowed_url import AllowedUrl, ParsedUrl
from toolgate.domain.argument_types.confined_path import ConfinedPath
from toolgate.domain.argument_types.currency import Currency
from toolgate.domain.argument_types.email_address import EmailAddress
from toolgate.domain.argument_types.host_names import LOOPBACK, InternalHost
from toolgate.domain.argument_types.identifier import Identifier
from toolgate.domain.argument_types.money import Money, MoneyRange
from toolgate.domain.argument_types.plain_text import PlainText
from toolgate.domain.argument_types.refusal import ArgumentRefusal

__all__ = [
    "LOOPBACK",
    "AllowedUrl",
    "ArgumentRefusal",
    "ConfinedPath",
    "Currency",
    "EmailAddress",
    "Identifier",
    "InternalHost",
    "Money",
    "MoneyRange",
    "ParsedUrl",
    "PlainText",
]
