"""What a reading tool may ask of whoever calls it: a form, a completion of their model, the folders they work in.

Each is bounded when it is made, and what is no question that every client of MCP can show is refused there. Not here:
what an answer has to be (``answers``), and how a question travels (surfaces).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

from toolgate.domain.canonical import canonical_json
from toolgate.domain.errors import INPUT_REQUIRED, ContractError, EffectClaim, ToolError
from toolgate.domain.form_fields import LONGEST_MESSAGE, check_field, plain

Kind = Literal["form", "sample", "roots"]
MOST_QUESTIONS: Final = 8
"""Questions asked at once."""
MOST_FIELDS: Final = 20
LONGEST_PROMPT: Final = 16_000
MOST_TOKENS: Final = 100_000
MOST_BYTES: Final = 32_768
"""Of all questions asked at once, as JSON."""
KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
"""The name of a question, and that of a field."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form that the user fills in, or declines. Never for a secret: it passes through the client.

    Args:
        message: what the user is told, at most 4000 characters.
        fields: 1 to 20, each by its name with its JSON Schema, of the forms that MCP has for them (2026-07-28,
            ``PrimitiveSchemaDefinition``): ``string`` (``minLength``, ``maxLength``, ``format``), ``integer`` and
            ``number`` (``minimum``, ``maximum``), ``boolean``, a choice (``enum``, or ``oneOf`` of ``const`` and
            ``title``), and an ``array`` of choices (``minItems``, ``maxItems``); ``title``, ``description`` and
            ``default`` with any of them.
        optional: the fields that may be left empty.

    Raises:
        ContractError: for a form that not every client could show.
    """

    kind: ClassVar[Kind] = "form"
    message: str
    fields: Mapping[str, Mapping[str, Any]]
    optional: Collection[str] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        _check_text(self.message, LONGEST_MESSAGE, of="Form: message")
        given: object = self.fields
        if not isinstance(given, Mapping) or not 1 <= len(given) <= MOST_FIELDS:
            raise ContractError(f"Form: fields is a mapping of 1 to {MOST_FIELDS} fields")
        for name, schema in self.fields.items():
            _check_name(name, of="Form: the name of a field")
            check_field(schema, of=f"Form: field {name!r}")
        if strange := set(self.optional) - set(self.fields):
            raise ContractError(f"Form: optional names {min(strange)!r}, which is no field of it")

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what an accepted form holds."""
        required = [name for name in self.fields if name not in self.optional]
        properties = {name: plain(schema) for name, schema in self.fields.items()}
        return {"type": "object", "properties": properties, **({"required": required} if required else {})}


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion by the model of the client, which its user may look at and refuse. Its text is untrusted.

    Args:
        prompt: what the model is asked, at most 16000 characters.
        max_tokens: of its answer, 1 to 100000.
        system: a system prompt, which the client may change or leave out.

    Raises:
        ContractError: for a bound that is not kept.
    """

    kind: ClassVar[Kind] = "sample"
    prompt: str
    max_tokens: int = field(kw_only=True)
    system: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_text(self.prompt, LONGEST_PROMPT, of="Sample: prompt")
        if self.system is not None:
            _check_text(self.system, LONGEST_PROMPT, of="Sample: system")
        if type(self.max_tokens) is not int or not 1 <= self.max_tokens <= MOST_TOKENS:
            raise ContractError(f"Sample: max_tokens is an integer from 1 to {MOST_TOKENS}")


@dataclass(frozen=True, slots=True)
class Roots:
    """The folders that the client works in, as ``file://`` URIs. They are its word, and give no right to anything."""

    kind: ClassVar[Kind] = "roots"


Question = Form | Sample | Roots


class NeedsInput(ToolError):
    """The tool needs something of whoever calls before it can go on, and has done nothing so far.

    For a tool with ``effect="read"`` that names it in ``raises=``. Once there are answers that fit, the tool runs again
    from its beginning and finds them in ``context.answers``. Until then the call fails with the code
    ``input_required``.

    Args:
        requests: 1 to 8 questions, each under a key of the tool's own, the same each time that it asks.

    Raises:
        ContractError: for too many questions, or for more than 32 KiB of them.
    """

    code: ClassVar[str] = INPUT_REQUIRED
    effect: EffectClaim | None = "none"

    def __init__(self, requests: Mapping[str, Form | Sample | Roots]) -> None:
        given: object = requests
        if not isinstance(given, Mapping) or not 1 <= len(given) <= MOST_QUESTIONS:
            raise ContractError(f"NeedsInput: requests is a mapping of 1 to {MOST_QUESTIONS} questions")
        for key, question in requests.items():
            _check_name(key, of="NeedsInput: a key")
            if not isinstance(question, Form | Sample | Roots):
                raise ContractError(f"NeedsInput: {key!r} is a Form, a Sample or Roots")
        if sum(map(_size, requests.values())) > MOST_BYTES:
            raise ContractError(f"NeedsInput: the questions have more than {MOST_BYTES} bytes")
        super().__init__(
            f"The tool needs an answer of the user before it can go on: {', '.join(requests)}. It did nothing so far."
        )
        self.requests: Mapping[str, Question] = MappingProxyType(dict(requests))


def _size(question: Question) -> int:
    match question:
        case Form():
            return len(canonical_json({"message": question.message, "schema": question.schema}))
        case Sample():
            return len(question.prompt.encode()) + len((question.system or "").encode())
        case Roots():
            return 0


def _check_name(name: object, *, of: str) -> None:
    if not isinstance(name, str) or KEY.fullmatch(name) is None:
        raise ContractError(f"{of} is 1 to 64 letters, digits and _.-, starting with a letter")


def _check_text(text: object, most: int, *, of: str) -> None:
    if not isinstance(text, str) or not 0 < len(text.strip()) <= len(text) <= most:
        raise ContractError(f"{of} is a text of 1 to {most} characters")
