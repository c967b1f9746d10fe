"""Arguments that a strict validator has to refuse, made from a tool's own schema. Questions 2 and 3.

Each document is wrong at exactly one place that is known; what else it lacks does not matter, because the errors are
read by their location. Here: the documents and the reading of the errors. Not here: feeding them to the validator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from toolgate.domain.checklist.exhibit import Exhibit
from toolgate.domain.checklist.open_input import suspicion
from toolgate.domain.checklist.places import Place, Shape, Step, chosen, kinds_of
from toolgate.domain.checklist.strictness import bounds

UNEXPECTED: Final = "toolgate_unexpected_field"
NO_CHOICE: Final = "toolgate-no-such-choice"
_LONGEST_TEXT: Final = 100_000
_LONGEST_LIST: Final = 1_000

Error = tuple[tuple[Step, ...], str]
"""Where a validator found something wrong, and its word for it."""


class Concern(Enum):
    """What is wrong with a document."""

    UNKNOWN_FIELD = "unknown fields"
    TYPE = "wrong types"
    BOUND = "values out of bounds"
    CHOICE = "values that are no choice"
    OPEN = "open-ended values"


class Verdict(Enum):
    """What a validator did with a wrong document. ``UNCLEAR``: it refused, and not for what was tried."""

    REFUSED = "refused"
    ACCEPTED = "accepted"
    UNCLEAR = "unclear"
    BROKE = "broke"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongInput:
    """One document, wrong at ``steps`` of ``place`` only.

    ``control`` is the same with a value there that should be accepted: what a validator says of both is not about
    the wrong value. ``error``: the one word for it that would count.
    """

    concern: Concern
    place: Place
    steps: tuple[Step, ...]
    document: Any
    what: str
    control: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A wrong document and what the tool's own validator did with it."""

    wrong: WrongInput
    verdict: Verdict
    fault: str = ""


def wrong_inputs(exhibit: Exhibit) -> Iterator[WrongInput]:
    """Every document, place by place."""
    for place in exhibit.arguments:
        if "object" in place.kinds and not any(_is_mapping(shape) for shape in place.shapes):
            yield _unknown_field(place)
        if place.layers:
            control = place.document(_sample(exhibit, place.steps))
            for wrong in _at_one_place(exhibit, place):
                yield replace(wrong, control=control)


def _at_one_place(exhibit: Exhibit, place: Place) -> Iterator[WrongInput]:
    yield from _wrong_types(place)
    yield from _out_of_bounds(exhibit, place)
    yield from _no_choice(place)
    yield from _hostile(exhibit, place)


def judge(wrong: WrongInput, errors: Sequence[Error], control: Sequence[Error] | None = None) -> Verdict:
    """What ``errors`` say of the one thing that is wrong; ``control`` are those of the control document."""
    if not errors:
        return Verdict.ACCEPTED
    if wrong.place.ambiguous:
        # The members of a union complain about each other's fields: that is no sign for this one.
        return Verdict.UNCLEAR
    if any(_lies_at(location, wrong.steps) and wrong.error in {None, kind} for location, kind in errors):
        return Verdict.REFUSED
    above = {(at, kind) for at, kind in errors if kind != "missing" and at == wrong.steps[: len(at)]}
    if not above:
        return Verdict.ACCEPTED
    # Something around the place refused. It was for the wrong value if it has nothing against a right one.
    cleared = control is not None and wrong.error is None and above.isdisjoint(control)
    return Verdict.REFUSED if cleared else Verdict.UNCLEAR


def _lies_at(location: tuple[Step, ...], steps: tuple[Step, ...]) -> bool:
    """Whether ``location`` is at ``steps`` or below. The names of a union's members may stand between."""
    rest = iter(location)
    return all(any(step == at for at in rest) for step in steps)


def _is_mapping(shape: Shape) -> bool:
    return (
        kinds_of(shape) == {"object"}
        and not shape.get("properties")
        and shape.get("additionalProperties") is not False
    )


def _unknown_field(place: Place) -> WrongInput:
    tags: dict[str, Any] = {}
    for shape in place.shapes:
        for name, node in (shape.get("properties") or {}).items():
            if isinstance(node, dict) and "const" in node:
                tags.setdefault(name, node["const"])
    return WrongInput(
        concern=Concern.UNKNOWN_FIELD,
        place=place,
        steps=(*place.steps, UNEXPECTED),
        document=place.document({**tags, UNEXPECTED: 1}),
        what="an unknown field",
    )


def _at(place: Place, concern: Concern, value: Any, what: str, error: str | None = None) -> WrongInput:
    return WrongInput(
        concern=concern,
        place=place,
        steps=place.steps,
        document=place.document(value),
        what=what,
        error=error,
    )


def _wrong_types(place: Place) -> Iterator[WrongInput]:
    kinds = place.kinds
    if not kinds or "any" in kinds:
        return
    numeric = bool(kinds & {"integer", "number"})
    strangers: tuple[tuple[bool, Any, str], ...] = (
        ("string" not in kinds, "5", 'the text "5"' if numeric else "a text"),
        (not numeric, 5, "the number 5"),
        ("integer" in kinds and "number" not in kinds, 1.0, "1.0 for an integer"),
        ("boolean" not in kinds, True, "true for a number" if numeric else "true"),
        ("null" not in kinds, None, "null"),
        ("array" not in kinds, [], "a list"),
        ("object" not in kinds, {}, "an object"),
    )
    for is_strange, value, what in strangers:
        if is_strange:
            yield _at(place, Concern.TYPE, value, what)


def _out_of_bounds(exhibit: Exhibit, place: Place) -> Iterator[WrongInput]:
    if len(place.shapes) > 1 and len([shape for shape in place.shapes if kinds_of(shape) != {"null"}]) > 1:
        return  # what is out of one member's bounds may be within another's
    for shape in place.shapes:
        if chosen(shape):
            continue
        for kind in kinds_of(shape):
            if kind == "string":
                yield from _wrong_lengths(place, shape)
            elif kind in {"integer", "number"}:
                yield from _wrong_numbers(place, shape)
            elif kind == "array":
                yield from _wrong_lists(exhibit, place, shape)


def _wrong_lengths(place: Place, shape: Shape) -> Iterator[WrongInput]:
    longest, shortest = shape.get("maxLength"), shape.get("minLength")
    if isinstance(longest, int) and longest < _LONGEST_TEXT:
        yield _at(place, Concern.BOUND, "x" * (longest + 1), f"a text of {longest + 1} characters")
    if isinstance(shortest, int) and shortest > 0:
        yield _at(place, Concern.BOUND, "x" * (shortest - 1), f"a text of {shortest - 1} characters")


def _wrong_numbers(place: Place, shape: Shape) -> Iterator[WrongInput]:
    least, most = bounds(shape)
    if least is not None:
        value = least if "exclusiveMinimum" in shape else least - 1
        yield _at(place, Concern.BOUND, value, f"the number {value}")
    if most is not None:
        value = most if "exclusiveMaximum" in shape else most + 1
        yield _at(place, Concern.BOUND, value, f"the number {value}")


def _wrong_lists(exhibit: Exhibit, place: Place, shape: Shape) -> Iterator[WrongInput]:
    longest = shape.get("maxItems")
    if isinstance(longest, int) and longest < _LONGEST_LIST and "prefixItems" not in shape:
        item = _sample(exhibit, (*place.steps, 0))
        unique = shape.get("uniqueItems") is True
        items = [
            f"{item}{number}" if unique and isinstance(item, str) else item for number in range(longest + 1)
        ]
        yield _at(place, Concern.BOUND, items, f"a list of {longest + 1} items", "too_long")


def _sample(exhibit: Exhibit, steps: tuple[Step, ...]) -> Any:
    """A value that is likely to be accepted there. Where it is not, the trial ends as unclear and claims nothing."""
    place = next((each for each in exhibit.arguments if each.steps == steps), None)
    if place is None or not place.shapes:
        return None
    shape = place.shapes[0]
    if chosen(shape):
        return shape["const"] if "const" in shape else next(iter(shape["enum"]), None)
    kind = next(iter(kinds_of(shape)))
    if kind == "object":
        return {name: _sample(exhibit, (*steps, name)) for name in shape.get("required", ())}
    if kind == "string":
        return "x" * max(1, shape.get("minLength", 1))
    least, _ = bounds(shape)
    plain: dict[str, Any] = {"boolean": True, "array": [], "integer": 1, "number": 1}
    return plain.get(kind) if least is None or kind not in {"integer", "number"} else least + 1


def _no_choice(place: Place) -> Iterator[WrongInput]:
    if place.shapes and all(chosen(shape) or kinds_of(shape) == {"null"} for shape in place.shapes):
        kinds = place.kinds
        value = NO_CHOICE if "string" in kinds else 987_654_321 if "integer" in kinds else None
        if value is not None:
            yield _at(place, Concern.CHOICE, value, "a value that is no choice")


def _hostile(exhibit: Exhibit, place: Place) -> Iterator[WrongInput]:
    kind = suspicion(exhibit, place)
    if kind is not None:
        for value in kind.hostile:
            yield _at(place, Concern.OPEN, value, kind.what)
