"""Which fields hold what must not lie in clear, by their names and formats. Question 8.

Credentials are known by `secret_shapes`; here are the names of personal and payment data, and whether the contract
marks what it should. Not here: redaction itself.
"""

from __future__ import annotations

from typing import Final

from toolgate.domain.checklist.exhibit import Exhibit
from toolgate.domain.checklist.places import EVERY_KEY, Place, Step, chosen
from toolgate.domain.checklist.words import words
from toolgate.domain.secret_shapes import secret_name
from toolgate.domain.sensitive import ANY_DEPTH, EACH, SensitivePath

_PERSONAL: Final = frozenset({
    "birthdate", "birthday", "card", "diagnosis", "dob", "email", "emails", "ethnicity", "fax", "mobile",
    "nationality", "pan", "passport", "phone", "phones", "religion", "salary", "telephone",
})  # fmt: skip
_PAIRS: Final = frozenset({
    ("account", "number"), ("bank", "account"), ("billing", "address"), ("birth", "date"), ("date", "birth"),
    ("delivery", "address"), ("email", "address"), ("home", "address"), ("insurance", "number"), ("ip", "address"),
    ("mail", "address"), ("mailing", "address"), ("postal", "address"), ("routing", "number"), ("shipping", "address"),
    ("street", "address"), ("tax", "id"), ("tax", "number"), ("vat", "number"),
})  # fmt: skip
_NEEDS_CONTEXT: Final = frozenset({"digits", "no", "number", "value"})
"""Names that say nothing alone: the number of a ``card`` is another than that of a page."""
_TRAILING: Final = frozenset(
    {"confirmation", "digits", "hint", "last", "new", "no", "number", "old", "value"}
)
_HARMLESS: Final = frozenset({"boolean", "null", "object"})


def looks_sensitive(place: Place) -> bool:
    """Whether a value at this place should not be written down in clear."""
    if place.name is None or place.steps[-1] != place.name:
        return False
    shapes = [shape for shape in place.shapes if not chosen(shape)]
    if not shapes or place.kinds <= _HARMLESS:
        return False
    if any(shape.get("format") in {"email", "idn-email", "password"} for shape in shapes):
        return True
    name = _in_context(place)
    return secret_name(name) is not None or _is_personal(name)


def _in_context(place: Place) -> str:
    names = [step for step in place.steps if isinstance(step, str) and step != EVERY_KEY]
    return "_".join(names[-2:]) if names[-1].lower() in _NEEDS_CONTEXT else names[-1]


def _is_personal(name: str) -> bool:
    parts = [word for word in words(name) if word != "of"]
    while len(parts) > 1 and (parts[-1] in _TRAILING or parts[-1].isdigit()):
        if tuple(parts[-2:]) in _PAIRS:
            return True
        parts.pop()
    if len(parts) > 1 and tuple(parts[-2:]) in _PAIRS:
        return True
    return bool(parts) and parts[-1] in _PERSONAL


def is_marked(exhibit: Exhibit, place: Place) -> bool:
    """Whether the contract marks this place, or something around it, as sensitive."""
    return any(_covers(path, place.steps) for path in exhibit.sensitive)


def marked_places(exhibit: Exhibit) -> tuple[Place, ...]:
    """The places that the contract marks: exactly those, not what lies within."""
    return tuple(
        place
        for place in exhibit.arguments
        if place.layers and is_marked(exhibit, place) and not _parent_marked(exhibit, place)
    )


def _parent_marked(exhibit: Exhibit, place: Place) -> bool:
    return (
        any(_covers(path, place.steps[:-1]) for path in exhibit.sensitive) if len(place.steps) > 1 else False
    )


def _covers(path: SensitivePath, steps: tuple[Step, ...]) -> bool:
    """Whether ``path`` leads to ``steps`` or to something around it."""
    if not path:
        return True
    if not steps:
        return False
    if path[0] == ANY_DEPTH:
        return _covers(path[1:], steps) or _covers(path, steps[1:])
    here = (
        path[0] == EACH if isinstance(steps[0], int) or steps[0] == EVERY_KEY else path[0] in {EACH, steps[0]}
    )
    return here and _covers(path[1:], steps[1:])


def unmarked(exhibit: Exhibit) -> tuple[Place, ...]:
    """The places that look sensitive and that nothing marks."""
    return tuple(
        place for place in exhibit.arguments if looks_sensitive(place) and not is_marked(exhibit, place)
    )
