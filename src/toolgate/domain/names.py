"""Names and words that come beside a call: who, which work, which agent, which request, and why.

What *identifies* (caller, tenant, role, workflow, agent, model) must be clean, for a decision or a digest hangs on
it: the application is told to mend it. What merely *traces or explains* (request id, trace, rationale, the user's
words) is made clean, for nothing hangs on it and a call should not fail over it. Not here: arguments.
"""

from __future__ import annotations

import re
from typing import Final

from toolgate.domain.redaction import redact_text

MAX_NAME: Final = 256
MAX_RATIONALE: Final = 8_192
MAX_USER_INPUT: Final = 262_144
_MARK_OF_A_CUT: Final = "…[cut]"
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, section 3.2.2. One that is malformed is not there (section 3.3.1)."""


def name_problem(value: object, *, of: str) -> str | None:
    """Why ``value`` cannot name anything, in words for the application; None where it can."""
    if not isinstance(value, str):
        return f"{of} is a text, not {type(value).__name__}"
    if not 0 < len(value) <= MAX_NAME:
        return f"{of} is a text of 1 to {MAX_NAME} characters"
    if not value.isprintable():
        # Nobody could tell it from another in a list, and a terminal or an approver could be led astray by it.
        return f"{of} holds a control, invisible or unpaired character; give it as printable text"
    return None


def label(value: object, *, limit: int = MAX_NAME) -> str:
    """A request id or the name of an unknown tool, fit for a row: printable, bounded, without known secrets."""
    text = redact_text(str(value), max_characters=limit)
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def words(value: object, *, limit: int) -> str:
    """Free text, kept as it is but valid Unicode and at most ``limit`` characters; a cut says so."""
    text = str(value)
    kept = text if len(text) <= limit else text[: limit - len(_MARK_OF_A_CUT)] + _MARK_OF_A_CUT
    return kept if kept.isascii() else kept.encode("utf-8", "replace").decode()


def traceparent(said: object) -> str | None:
    """``said`` where it is a trace context; one that is malformed is not there."""
    return said if isinstance(said, str) and _TRACEPARENT.fullmatch(said) else None
