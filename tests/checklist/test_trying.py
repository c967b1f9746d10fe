"""Verified means that it was tried: a tool that says one thing and does another is found out."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, BeforeValidator, Field, model_validator

from tests.checklist.specimens import GOOD, AnyTool, answer, check_one, create_refund, defects, noes, reading
from toolgate import Identifier, PlainText, ToolContext, tool
from toolgate.cli.rehearsal import rehearse
from toolgate.domain.checklist import (
    ErrorTried,
    Evidence,
    Question,
    Rehearsal,
    Standing,
    Verdict,
    exhibit_of,
    review,
)
from toolgate.domain.checklist.wrong_inputs import Concern, judge, wrong_inputs
from toolgate.operations.check_tools import try_out

pytestmark = pytest.mark.req("M13.9")
TRIED = {Question.SCHEMA, Question.VALIDATED, Question.RETRIES, Question.FAILURE, Question.TESTABLE}
Small = Annotated[int, Field(ge=0, le=9)]


def half(value: Any) -> Any:
    """A validator that takes for granted what it gets."""
    return value / 2


class Loose(BaseModel, extra="allow"):
    """Lets strangers in, left to itself."""

    width: Small


class Loud(BaseModel):
    """Refuses before it looks."""

    width: Small

    @model_validator(mode="before")
    @classmethod
    def refuse_all(cls, _: Any) -> Any:
        """Refuse."""
        raise ValueError("always")


class Box(BaseModel):
    """A box, without a tag."""

    width: Small


class Tube(BaseModel):
    """A tube, without a tag."""

    length: Small


class TaggedBox(Box):
    """A box that says so."""

    kind: Literal["box"]


class TaggedTube(Tube):
    """A tube that says so."""

    kind: Literal["tube"]


@pytest.mark.parametrize("judged", GOOD, ids=lambda each: each.name)
def test_what_can_be_tried_is_verified_and_what_cannot_is_only_declared(judged: AnyTool) -> None:
    report = check_one(judged)
    assert {question for question in TRIED if report.answer(question).standing is Standing.VERIFIED} == TRIED
    assert report.answer(Question.TIMEOUT).standing is Standing.DECLARED
    assert report.answer(Question.PURPOSE).standing is Standing.DECLARED


@pytest.mark.parametrize("judged", GOOD, ids=lambda each: each.name)
def test_the_same_contract_untried_is_verified_nowhere(judged: AnyTool) -> None:
    standings = {each.standing for each in review(exhibit_of(judged)).answers}
    assert Standing.VERIFIED not in standings


def test_a_tool_is_fed_unknown_fields_at_every_depth_and_every_kind_of_wrong_value() -> None:
    tried = try_out(create_refund, rehearse=rehearse).inputs or ()
    assert {each.verdict for each in tried} == {Verdict.REFUSED}
    assert {each.wrong.concern for each in tried} == {
        Concern.UNKNOWN_FIELD,
        Concern.TYPE,
        Concern.BOUND,
        Concern.CHOICE,
    }
    deep = {each.wrong.place.shown for each in tried if each.wrong.concern is Concern.UNKNOWN_FIELD}
    assert deep == {"", "amount", "lines[]"}
    counts = [each.wrong.what for each in tried if each.wrong.place.shown == "lines[].count"]
    assert {
        'the text "5"',
        "true for a number",
        "1.0 for an integer",
        "the number 0",
        "the number 100",
    } <= set(counts)


@pytest.mark.parametrize(
    ("annotation", "what"),
    [
        (Annotated[int, BeforeValidator(int), Field(ge=0, le=9)], 'the text "5"'),
        (
            Annotated[int, BeforeValidator(lambda value: 1 if value is True else value), Field(ge=0, le=9)],
            "true",
        ),
        (Annotated[str, BeforeValidator(str), Field(max_length=9)], "the number 5"),
        (Annotated[str, BeforeValidator(lambda value: value or ""), Field(max_length=9)], "null"),
        (Annotated[Literal["a", "b"], BeforeValidator(lambda _: "a")], "a value that is no choice"),
        (
            Annotated[str, Field(max_length=9), BeforeValidator(lambda value: value[:9])],
            "a text of 10 characters",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_validator_that_bends_values_is_found_by_feeding_it(annotation: Any, what: str) -> None:
    def count_parcels(width: Any) -> str:
        """Count the parcels of today."""
        return ""

    count_parcels.__annotations__["width"] = annotation
    judged = reading()(count_parcels)
    found = [*defects(judged, Question.SCHEMA), *defects(judged, Question.VALIDATED)]
    assert any(each.place == "width" and what in each.why and "accepted" in each.why for each in found)


def test_a_validator_that_breaks_instead_of_refusing_is_found() -> None:
    @reading()
    def count_parcels(width: Annotated[float, BeforeValidator(half), Field(ge=0, le=9)]) -> str:
        """Count the parcels of today."""
        return ""

    assert any("TypeError" in each.why for each in defects(count_parcels, Question.SCHEMA))


def test_a_model_that_allows_extra_fields_is_strict_behind_the_gate_and_that_was_tried() -> None:
    @reading()
    def count_parcels(args: Loose) -> str:
        """Count the parcels of today."""
        return ""

    assert noes(check_one(count_parcels)) == set()
    assert answer(count_parcels, Question.SCHEMA).standing is Standing.VERIFIED


def test_what_could_not_be_tried_alone_is_declared_and_said() -> None:
    @reading()
    def count_parcels(box: Loud) -> str:
        """Count the parcels of today."""
        return ""

    found = answer(count_parcels, Question.SCHEMA)
    assert found.standing is Standing.DECLARED
    assert "could not be tried" in found.why


def test_members_of_an_untagged_union_do_not_vouch_for_each_other() -> None:
    @reading()
    def count_parcels(shape: Box | Tube) -> str:
        """Count the parcels of today."""
        return ""

    assert answer(count_parcels, Question.SCHEMA).standing is Standing.DECLARED


def test_members_of_a_tagged_union_are_tried_each() -> None:
    @reading()
    def count_parcels(shape: Annotated[TaggedBox | TaggedTube, Field(discriminator="kind")]) -> str:
        """Count the parcels of today."""
        return ""

    tried = try_out(count_parcels, rehearse=rehearse).inputs or ()
    assert {each.verdict for each in tried} == {Verdict.REFUSED}
    assert {"shape.width", "shape.length"} <= {each.wrong.place.shown for each in tried}


def test_an_error_elsewhere_does_not_count_as_a_refusal() -> None:
    wrong = next(each for each in wrong_inputs(exhibit_of(create_refund)) if each.concern is Concern.TYPE)
    assert wrong.steps == ("order_id",)
    assert judge(wrong, [(("reason",), "missing")]) is Verdict.ACCEPTED
    assert judge(wrong, [((), "value_error")]) is Verdict.UNCLEAR
    assert judge(wrong, [(("order_id",), "int_type")]) is Verdict.REFUSED
    assert judge(wrong, []) is Verdict.ACCEPTED


def test_a_value_that_stays_readable_in_the_trail_is_a_defect() -> None:
    evidence = Evidence(canaries=(("card_last4", True),))
    (defect,) = review(exhibit_of(create_refund), evidence).answer(Question.AUDIT).defects
    assert defect.place == "card_last4"


def test_a_sensitive_value_is_put_into_a_record_and_cannot_be_read_there() -> None:
    assert try_out(create_refund, rehearse=rehearse).canaries == (("card_last4", False),)
    assert answer(create_refund, Question.AUDIT).standing is Standing.VERIFIED


def test_each_failure_is_put_through_the_gates_own_classification() -> None:
    tried = {each.error: each for each in try_out(create_refund, rehearse=rehearse).errors or ()}
    assert tried["CardDeclined"].effect == "none"
    assert tried["CardDeclined"].code == "card_declined"
    assert tried["RuntimeError"].effect == "unknown"
    assert tried["ConnectionResetError"].effect == "unknown"
    assert not any(each.leaks for each in tried.values())


def test_a_stranger_and_a_wrong_call_are_sent_through_a_gate_in_memory() -> None:
    rehearsed = rehearse(create_refund)
    assert rehearsed.refused_wrong_arguments
    assert rehearsed.refused_stranger
    assert rehearsed.problem is None


def test_a_gate_that_lets_a_stranger_in_is_a_defect() -> None:
    evidence = Evidence(rehearsal=Rehearsal(refused_wrong_arguments=True, refused_stranger=False))
    report = review(exhibit_of(create_refund), evidence)
    assert report.answer(Question.PERMISSION).is_no


def test_a_key_is_rendered_to_see_that_it_tells_calls_apart() -> None:
    assert answer(create_refund, Question.IDEMPOTENT).standing is Standing.VERIFIED


def test_a_list_of_patterned_texts_is_checked_without_a_false_claim() -> None:
    @reading(roles="anyone")
    def find_articles(
        context: ToolContext[Any],
        article_ids: Annotated[list[Annotated[str, Identifier(prefix="art_")]], Field(max_length=5)],
        word: Annotated[str, PlainText(20)],
    ) -> str:
        """Find public articles."""
        return ""

    found = answer(find_articles, Question.VALIDATED)
    assert not found.is_no
    assert found.standing is Standing.VERIFIED or "could not be tried" in found.why


@pytest.mark.parametrize(
    ("evidence", "question"),
    [
        (Evidence(unsafe_retries=("connection lost",)), Question.RETRIES),
        (Evidence(one_key="two calls that differ in order_id share one key"), Question.IDEMPOTENT),
        (
            Evidence(errors=(ErrorTried(error="Odd", code="odd", effect="none", leaks=True),)),
            Question.FAILURE,
        ),
        (Evidence(rehearsal=Rehearsal(refused_wrong_arguments=False)), Question.TESTABLE),
    ],
    ids=["retries", "key", "leak", "gate"],
)
def test_what_trying_found_outweighs_what_is_declared(evidence: Evidence, question: Question) -> None:
    fine = Rehearsal(refused_wrong_arguments=True, refused_stranger=True)
    report = review(exhibit_of(create_refund), replace(evidence, rehearsal=evidence.rehearsal or fine))
    assert [each.question for each in report.answers if each.is_no] == [question]


def test_a_nested_field_of_a_key_is_told_apart_too() -> None:
    @tool(effect="write", roles={"a"}, idempotency="box:{box.width}:{workflow_id}")
    def move_box(box: Box) -> None:
        """Move a box."""

    assert try_out(move_box, rehearse=rehearse).one_key is None
    assert answer(move_box, Question.IDEMPOTENT).standing is Standing.VERIFIED
