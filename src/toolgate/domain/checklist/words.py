"""Names and descriptions as words, and the few words that several questions ask for.

Here: splitting and lists. Not here: what follows from a word.
"""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SENTENCE: Final = re.compile(r"(?<=[.!?;])\s+|\n\s*\n")
_NEGATION: Final = re.compile(
    r"\b(?:not?|nothing|nobody|never|none|without|cannot|neither|nor)\b|n't\b", re.IGNORECASE
)
_INFLECTED: Final = ("es", "s", "ed", "ing")
_LEAST_STEM: Final = 3

READ_VERBS: Final = frozenset({
    "calculate", "check", "compare", "count", "describe", "estimate", "explain", "fetch", "find", "get", "inspect",
    "list", "look", "lookup", "poll", "preview", "read", "report", "retrieve", "search", "show", "status", "summarize",
    "validate", "verify", "view", "watch",
})  # fmt: skip
ACTING_VERBS: Final = frozenset({
    "add", "apply", "archive", "assign", "book", "cancel", "change", "charge", "clear", "close", "copy", "create",
    "delete", "deploy", "disable", "edit", "email", "enable", "erase", "export", "import", "insert", "invite", "mail",
    "merge", "modify", "move", "notify", "open", "order", "patch", "pay", "post", "publish", "purge", "put", "refund",
    "remove", "rename", "replace", "reset", "restart", "revoke", "send", "set", "start", "stop", "submit", "transfer",
    "update", "upload", "upsert", "write",
})  # fmt: skip
VERBS: Final = READ_VERBS | ACTING_VERBS


def words(name: str) -> tuple[str, ...]:
    """The lower-case words of ``snake_case``, ``kebab-case``, ``camelCase`` and of plain text."""
    return tuple(word.lower() for word in _WORD.findall(name))


def stems(name: str) -> frozenset[str]:
    """The words, each also without its ending: ``refunds`` is ``refund`` too, ``deleting`` is ``delete``."""
    found = set()
    for word in words(name):
        found.add(word)
        for ending in _INFLECTED:
            if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM:
                stem = word.removesuffix(ending)
                found |= {stem, f"{stem}e"}
    return frozenset(found)


def affirmations(description: str) -> list[str]:
    """The sentences that say what a tool does; one with a negation says what it does not do."""
    sentences = (sentence.strip() for sentence in _SENTENCE.split(description))
    return [sentence for sentence in sentences if sentence and not _NEGATION.search(sentence)]


_OF_NO_OBJECT: Final = frozenset({"correlation", "request", "span", "trace"})
_NUMBERED: Final = frozenset({
    "account", "booking", "case", "claim", "contract", "customer", "employee", "invoice", "member", "order", "payment",
    "policy", "reservation", "ticket", "tracking", "transaction",
})  # fmt: skip
_KEYED: Final = frozenset({"document", "file", "issue", "object", "record", "storage"})


def names_object(name: str) -> bool:
    """Whether a field of this name tells which object is meant: ``order_id``, ``customerIds``, ``account_number``."""
    *before, last = words(name) or ("",)
    if last in {"id", "ids", "uuid", "guid", "slug"}:
        return not set(before) & _OF_NO_OBJECT
    if last in {"handle", "no", "number", "numbers", "ref", "reference"}:
        return bool(before) and before[-1] in _NUMBERED
    return last in {"key", "keys"} and bool(before) and before[-1] in _KEYED
