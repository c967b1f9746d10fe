"""Has the tool one clear purpose? Question 1.

The rules: the description holds at least one sentence; the name says one thing; no field chooses between actions; no
field takes an open object, for then the tool's meaning is in its arguments. Not here: bounds and guards of the
arguments (`strictness`, `open_input`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from toolgate.domain.checklist.answers import Answer, Defect, Question, affirmed, denied
from toolgate.domain.checklist.exhibit import Exhibit
from toolgate.domain.checklist.places import Place, Shape, chosen, kinds_of
from toolgate.domain.checklist.words import VERBS, words

_SAYS_NOTHING: Final = frozenset({
    "any", "anything", "everything", "generic", "misc", "miscellaneous", "something", "stuff", "various", "whatever",
})  # fmt: skip
_EMPTY_VERBS: Final = frozenset({
    "act", "call", "dispatch", "do", "exec", "execute", "handle", "invoke", "manage", "perform", "process", "run",
})  # fmt: skip
_EMPTY_NOUNS: Final = frozenset({
    "action", "actions", "api", "command", "commands", "data", "function", "helper", "it", "job", "jobs", "method",
    "operation", "operations", "request", "requests", "task", "tasks", "thing", "things", "tool", "util", "utils",
})  # fmt: skip
_OPEN_ENDED: Final = re.compile(
    r"\band/or\b|\banything\b|\barbitrary\b|\bmisc(?:ellaneous)?\b|\bwhatever\b|\betc\b"
    r"|\b(?:any|various)\s+(?:kind|sort|type|action|api|code|command|data|file|function|method|operation|query|request"
    r"|script|sql|statement|task|thing|tool|url)s?\b",
    re.IGNORECASE,
)
_CHOOSES_ACTION: Final = frozenset({"action", "command", "op", "operation", "verb"})
_CHOOSES_IF_FREE: Final = frozenset({"endpoint", "function", "method", "tool"})
_LEAST_WORDS: Final = 3


def clear_purpose(exhibit: Exhibit) -> Answer:
    """Question 1."""
    found = (*_description(exhibit), *_name(exhibit), *_fields(exhibit))
    if found:
        return denied(Question.PURPOSE, *found)
    return affirmed(Question.PURPOSE, "the name and the description say one thing")


def _description(exhibit: Exhibit) -> Iterator[Defect]:
    text = exhibit.description.strip()
    if not text:
        yield Defect(
            why="there is no description", how="write a docstring: one sentence that says what it does"
        )
    elif len(words(text)) < _LEAST_WORDS:
        yield Defect(
            why="the description is no sentence", how="say in one sentence what it does, and to what"
        )
    elif vague := _OPEN_ENDED.search(text):
        yield Defect(
            why=f"the description says “{vague[0].lower()}”, so it has no one purpose",
            how="split it into tools that do one thing each, and say which",
        )


def _name(exhibit: Exhibit) -> Iterator[Defect]:
    parts = words(exhibit.name)
    if empty := [word for word in parts if word in _SAYS_NOTHING]:
        yield Defect(why=f"“{empty[0]}” in the name says nothing", how="name what it does and to what")
    elif parts and set(parts) <= _EMPTY_VERBS | _EMPTY_NOUNS:
        yield Defect(
            why="the name does not say what it does",
            how="name one action and its object: create_refund, find_order",
        )
    for before, joint, after in zip(parts, parts[1:], parts[2:], strict=False):
        if joint in {"and", "or"} and (before in VERBS or after in VERBS):
            yield Defect(why=f"the name joins two purposes by “{joint}”", how="make it two tools")


def _fields(exhibit: Exhibit) -> Iterator[Defect]:
    for place in exhibit.arguments:
        name = place.name
        if name is None or place.steps[-1] != name:
            continue
        for shape in place.shapes:
            yield from _chooser(name, place, shape)
            if is_open_object(shape):
                yield Defect(
                    place=place.shown,
                    why="it takes any object, so what the tool does is decided by its arguments",
                    how="name each field with its type and bounds, or a model that does",
                )
                break


def _chooser(name: str, place: Place, shape: Shape) -> Iterator[Defect]:
    if kinds_of(shape) != {"string"}:
        return
    listed = shape.get("enum") if isinstance(shape.get("enum"), list) else [shape.get("const")]
    choices = len(listed or ()) if chosen(shape) else None
    named = name.lower()
    if (named in _CHOOSES_ACTION and choices != 1) or (named in _CHOOSES_IF_FREE and choices is None):
        several = f"chooses between {choices} actions" if choices else "chooses what is done"
        yield Defect(
            place=place.shown,
            why=f"it {several}",
            how="make each action a tool of its own, with its own arguments",
        )


def is_open_object(shape: Shape) -> bool:
    """Whether an object of any content fits, or anything at all."""
    kinds = kinds_of(shape)
    if "any" in kinds:
        return True
    rest = shape.get("additionalProperties", True)
    return (
        "object" in kinds
        and not shape.get("properties")
        and not shape.get("patternProperties")
        and rest in (True, {})
    )
