"""Is the schema strict, and does the validator hold to it? Questions 2 and 3.

Question 2 asks for unknown fields and types, question 3 for bounds, choices and open-ended input. Both rest on the
schema first and, where there is a validator, on what it did with wrong inputs. Not here: making those
(`wrong_inputs`) and the rules for schemas (`strictness`, `dialect`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from toolgate.domain.checklist.answers import Answer, Defect, Question, affirmed, denied
from toolgate.domain.checklist.dialect import misuse
from toolgate.domain.checklist.evidence import Evidence
from toolgate.domain.checklist.exhibit import Exhibit
from toolgate.domain.checklist.open_input import defect_of, loose_money, says_open, suspicion
from toolgate.domain.checklist.places import MAX_PLACES, Step
from toolgate.domain.checklist.purpose import is_open_object
from toolgate.domain.checklist.strictness import unbounded
from toolgate.domain.checklist.wrong_inputs import Concern, Tried, Verdict

_OF_SCHEMA: Final = frozenset({Concern.UNKNOWN_FIELD, Concern.TYPE})
_OF_VALUES: Final = frozenset({Concern.BOUND, Concern.CHOICE, Concern.OPEN})


def strict_schema(exhibit: Exhibit, evidence: Evidence) -> Answer:
    """Question 2."""
    found = [*misuse(exhibit.input_schema), *_too_large(exhibit)]
    found += [defect for place in exhibit.arguments for defect in unbounded(place)]
    tried = _of(evidence, _OF_SCHEMA)
    found += _accepted(tried)
    if found:
        return denied(Question.SCHEMA, *found)
    return _from_trial(Question.SCHEMA, "closed and bounded at every place", tried)


def arguments_validated(exhibit: Exhibit, evidence: Evidence) -> Answer:
    """Question 3."""
    tried = _of(evidence, _OF_VALUES)
    found = [*_open_ended(exhibit, tried), *_any_value(exhibit), *loose_money(exhibit)]
    found += _accepted([each for each in tried if each.wrong.concern is not Concern.OPEN])
    if found:
        return denied(Question.VALIDATED, *found)
    return _from_trial(Question.VALIDATED, "no argument is open-ended", tried)


def _of(evidence: Evidence, concerns: frozenset[Concern]) -> list[Tried]:
    return [each for each in evidence.inputs or () if each.wrong.concern in concerns]


def _too_large(exhibit: Exhibit) -> Iterator[Defect]:
    if len(exhibit.arguments) >= MAX_PLACES:
        yield Defect(why=f"the schema has {MAX_PLACES} places or more", how="ask for less in one call")


def _accepted(tried: Iterable[Tried]) -> Iterator[Defect]:
    """What the validator let through, one defect a place and kind; and where it broke instead of refusing."""
    told = set()
    for each in tried:
        key = (each.wrong.place.shown, each.wrong.concern, each.verdict)
        if each.verdict in {Verdict.REFUSED, Verdict.UNCLEAR} or key in told:
            continue
        told.add(key)
        if each.verdict is Verdict.ACCEPTED:
            yield Defect(
                place=each.wrong.place.shown or None,
                why=f"tried {each.wrong.what}, and it was accepted",
                how="let the type refuse it: no coercing validator, no lax mode, the bounds in the schema",
            )
        else:
            yield Defect(
                place=each.wrong.place.shown or None,
                why=f"tried {each.wrong.what}, and the validator raised {each.fault}",
                how="a validator refuses by ValueError; mend what makes it raise anything else",
            )


def _open_ended(exhibit: Exhibit, tried: list[Tried]) -> Iterator[Defect]:
    """What the validator took decides; where nothing was learned of the very place, what the schema says."""
    verdicts: dict[tuple[Step, ...], set[Verdict]] = {}
    for each in tried:
        if each.wrong.concern is Concern.OPEN:
            verdicts.setdefault(each.wrong.place.steps, set()).add(each.verdict)
    for place in exhibit.arguments:
        kind = suspicion(exhibit, place)
        if kind is None:
            continue
        known = verdicts.get(place.steps, {Verdict.UNCLEAR})
        if Verdict.ACCEPTED in known or (Verdict.UNCLEAR in known and says_open(place, kind)):
            yield defect_of(place, kind)


def _any_value(exhibit: Exhibit) -> Iterator[Defect]:
    for place in exhibit.arguments:
        if place.layers and any(is_open_object(shape) for shape in place.shapes):
            yield Defect(
                place=place.shown,
                why="what it holds is not validated",
                how="name each field with its type and bounds, or a model that does",
            )


def _from_trial(question: Question, said: str, tried: list[Tried]) -> Answer:
    refused = sum(each.verdict is Verdict.REFUSED for each in tried)
    unclear = {each.wrong.place.shown or "the arguments" for each in tried if each.verdict is Verdict.UNCLEAR}
    if not tried:
        return affirmed(question, said)
    if unclear:
        where = ", ".join(sorted(unclear)[:3])
        return affirmed(
            question, f"{said}; {refused} wrong inputs were refused, and {where} could not be tried alone"
        )
    return affirmed(question, f"{said}; {refused} wrong inputs were tried and refused", verified=True)
