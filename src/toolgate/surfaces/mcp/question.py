"""What an MCP client shows its user where they have to confirm a call, and what their answer says. Pure.

The gate's own words about the sealed call. What a model wrote stands there as quoted JSON, on one line each, so that it
cannot pass for words of the gate. Not here: how the question travels (``elicit``), and what an answer counts for.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from toolgate.domain.argument_types.hidden_characters import first_hidden
from toolgate.domain.lifecycle import ApprovalState

if TYPE_CHECKING:
    from toolgate.operations.review import Review

Answer = Literal["yes", "no", "nothing"]
FIELD: Final = "confirm"
LONGEST: Final = 6_000
"""Characters of a question. What does not fit is not asked here: nobody confirms what they have not seen."""
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        FIELD: {
            "type": "boolean",
            "title": "Yes, do exactly this",
            "description": "It runs once, in your name, as it is shown. Declining refuses it for good.",
        }
    },
    "required": [FIELD],
}
"""The form (MCP 2025-06-18, elicitation: flat objects of primitive values)."""
_SPACES: Final = re.compile(r" {9,}")
_BLANK: Final = "\ufe0e\ufe0f\u2800"
"""Selectors of a symbol's form and the empty Braille pattern, which ``first_hidden`` lets pass behind any letter."""
_EFFECTS: Final = {
    "read": "it only reads",
    "write": "it changes data",
    "destructive": "it may delete or overwrite data for good",
}


def askable(review: Review) -> str | None:
    """The question; None where another person decides, it was decided, or a client cannot show the whole of it."""
    if not review.requirement.own or review.state != ApprovalState.PENDING.value or review.must_reveal:
        return None
    return question(review)


def form(words: str) -> dict[str, Any]:
    """The request that shows ``words`` to a user and takes their answer, as it stands among ``inputRequests``."""
    params = {"mode": "form", "message": words, "requestedSchema": dict(SCHEMA)}
    return {"method": "elicitation/create", "params": params}


def question(review: Review) -> str | None:
    """What is asked, in words; None where it is too long to be read in a dialogue."""
    shown = review.shown
    lines = [
        f"Confirm a call of {shown['tool']} in your name ({shown['caller']}).",
        f"Effect: {_EFFECTS[shown['effect']]}{', outside this organisation too' if shown['external'] else ''}.",
        f"What the tool does: {_quoted(shown['description'])}",
        "Arguments, sensitive values replaced:" if shown["masked"] else "Arguments:",
        *(f"  {_plain(name)}: {_quoted(value)}" for name, value in shown["arguments"].items()),
    ]
    if shown["preview"] is not None:
        lines.append(f"The tool says that this will happen: {_quoted(shown['preview'])}")
    lines.append(f"You are asked because: {_quoted(review.requirement.reason)}")
    if shown["agent"]:
        lines.append(f"Asked for by the agent {_quoted(shown['agent'])}.")
    if shown["claimed_reason"]:
        lines.append(f"The model claims, and nobody has checked it: {_quoted(shown['claimed_reason'])}")
    text = "\n".join(lines)
    return text if len(text) <= LONGEST else None


def read_answer(result: object) -> Answer:
    """What an ``ElicitResult`` says. Whatever is not plainly yes or no says nothing, and nothing runs for it."""
    if not isinstance(result, Mapping):
        return "nothing"
    action, content = result.get("action"), result.get("content")
    if action == "decline":
        return "no"
    confirmed = action == "accept" and isinstance(content, Mapping) and content.get(FIELD) is True
    return "yes" if confirmed else "nothing"


def _quoted(value: Any) -> str:
    return _plain(json.dumps(value, ensure_ascii=False))


def _plain(text: str) -> str:
    """``text`` with what no reader sees spelt out: line ends, marks that turn or hide, and long blanks.

    A dialogue breaks long lines where it likes: behind many spaces a model's words would begin a line like the gate's.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(
            char.encode("unicode_escape").decode("ascii") if _is_hidden(char) else char for char in text
        )
    return _SPACES.sub(lambda found: f"\\u0020\u00d7{len(found.group())}", text)


def _is_hidden(char: str) -> bool:
    """As on a page of the console: also letters and selectors that are drawn as nothing, and each unusual space."""
    if char == " ":
        return False
    return char in _BLANK or unicodedata.category(char) == "Zs" or first_hidden(f"a{char}") is not None
