"""Each question has its own reason to say no, and says how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from tests.checklist.specimens import (
    GOOD,
    VAGUE,
    AnyTool,
    CardDeclined,
    answer,
    check_one,
    defects,
    noes,
    own_order,
    reading,
)
from toolgate import Identifier, Sensitive, ToolContext, ToolError, TransientError, tool
from toolgate.domain.checklist import Question, Standing

Order = Annotated[str, Identifier(prefix="ord_")]
Count = Annotated[int, Field(ge=0, le=9)]


def writing(**changed: Any) -> Callable[[Callable[..., Any]], AnyTool]:
    """`@tool` for a write about which nothing is missing."""
    given = {
        "effect": "write",
        "roles": {"a"},
        "timeout": 2.0,
        "idempotency": "k:{count}",
        "raises": {CardDeclined},
    }
    return tool(**{**given, **changed})


@pytest.mark.req("M13.1")
@pytest.mark.parametrize("judged", [*GOOD, *VAGUE.values()], ids=lambda each: each.name)
def test_every_tool_gets_the_eleven_answers_in_order(judged: AnyTool) -> None:
    answers = check_one(judged).answers
    assert [each.question for each in answers] == list(Question)
    assert {each.standing for each in answers} <= set(Standing)
    assert all(each.why for each in answers)


@pytest.mark.req("M13.1")
@pytest.mark.parametrize("judged", GOOD, ids=lambda each: each.name)
def test_a_good_tool_has_no_defect(judged: AnyTool) -> None:
    report = check_one(judged)
    assert [each.why for each in report.answers if each.is_no] == []
    assert report.clean


@pytest.mark.req("M13.2")
@pytest.mark.parametrize("judged", VAGUE.values(), ids=lambda each: each.name)
def test_a_no_says_why_and_how_to_mend_it(judged: AnyTool) -> None:
    wrong = [each for each in check_one(judged).answers if each.is_no]
    assert wrong
    assert all(defect.why and defect.how for each in wrong for defect in each.defects)
    assert all(each.defects for each in wrong)


@pytest.mark.req("M13.5")
@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("do", {1, 2, 3, 4, 5, 7, 9}),
        ("run_sql", {2, 3}),
        ("shell", {2, 3}),
        ("fetch", {2, 3}),
        ("read_file", {2, 3}),
    ],
)
def test_a_vague_tool_is_refused_by_the_questions_it_offends_and_by_no_others(
    name: str, numbers: set[int]
) -> None:
    assert noes(check_one(VAGUE[name])) == numbers


@pytest.mark.req("M13.5")
def test_an_action_and_its_data_are_no_purpose() -> None:
    found = {each.place: each.why for each in defects(VAGUE["do"], Question.PURPOSE)}
    assert found["action"] == "it chooses what is done"
    assert "any object" in found["data"]


@pytest.mark.req("M13.5", "M2.16")
@pytest.mark.parametrize(
    ("name", "place", "what", "instead"),
    [
        ("run_sql", "query", "raw SQL", "Identifier"),
        ("shell", "cmd", "command", "Literal"),
        ("fetch", "url", "unrestricted URL", "AllowedUrl"),
        ("read_file", "path", "free path", "ConfinedPath"),
    ],
)
def test_open_ended_input_is_named_with_what_replaces_it(
    name: str, place: str, what: str, instead: str
) -> None:
    (defect,) = defects(VAGUE[name], Question.VALIDATED)
    assert defect.place == place
    assert what in defect.why
    assert instead in defect.how


# --- 1: purpose -----------------------------------------------------------------------------------------------


@pytest.mark.req("M13.5")
@pytest.mark.parametrize(
    "text", ["", "Orders.", "Runs anything you like.", "Find or change any type of order, etc."]
)
def test_a_description_that_says_nothing_or_everything_is_no_purpose(text: str) -> None:
    @reading(description=text)
    def find_order_line(count: Count) -> str:
        return ""

    assert noes(check_one(find_order_line)) == {1}


@pytest.mark.req("M13.5")
@pytest.mark.parametrize("name", ["do_action", "misc", "run", "create_and_send_invoice", "handle_request"])
def test_a_name_without_one_action_is_no_purpose(name: str) -> None:
    @reading(name=name)
    def vague(count: Count) -> str:
        """Read the number of open tickets."""
        return ""

    assert noes(check_one(vague)) == {1}


@pytest.mark.req("M13.5")
@pytest.mark.parametrize("name", ["read_terms_and_conditions", "run_migration_report", "process_state"])
def test_a_name_with_one_action_is_a_purpose(name: str) -> None:
    @reading(name=name)
    def clear(count: Count) -> str:
        """Read the terms of use and their date."""
        return ""

    assert not answer(clear, Question.PURPOSE).is_no


@pytest.mark.req("M13.5")
def test_a_listed_choice_of_actions_is_several_tools() -> None:
    @reading()
    def look_at_tickets(operation: Literal["count", "list"], sort: Literal["age", "size"]) -> str:
        """Look at the tickets."""
        return ""

    (defect,) = defects(look_at_tickets, Question.PURPOSE)
    assert defect.place == "operation"
    assert "2 actions" in defect.why


# --- 4: permission --------------------------------------------------------------------------------------------


@pytest.mark.req("M13.1", "M13.2")
def test_an_argument_that_names_an_object_needs_a_predicate() -> None:
    @reading()
    def find_parcel(order_id: Order) -> str:
        """Find the parcel of an order."""
        return ""

    (defect,) = defects(find_parcel, Question.PERMISSION)
    assert defect.place == "order_id"
    assert "authorize=" in defect.how


@pytest.mark.req("M13.1")
def test_a_read_for_anyone_says_aloud_that_its_objects_are_public() -> None:
    @reading(roles="anyone")
    def find_article(article_id: Order) -> str:
        """Find a public article."""
        return ""

    found = answer(find_article, Question.PERMISSION)
    assert not found.is_no
    assert "public" in found.why


@pytest.mark.req("M13.1")
def test_a_write_for_anyone_still_needs_a_predicate_over_its_object() -> None:
    @writing(roles="anyone", idempotency="k:{order_id}")
    def add_note(order_id: Order) -> None:
        """Add a note to an order."""

    assert noes(check_one(add_note)) == {4}


@pytest.mark.req("M13.1")
@pytest.mark.parametrize("name", ["page_number", "request_id", "sort_key", "width"])
def test_an_argument_that_names_no_object_needs_none(name: str) -> None:
    Args = type("Args", (BaseModel,), {"__annotations__": {name: Count}})  # noqa: N806

    def list_pages(args: Any) -> str:
        """List the pages of the handbook."""
        return ""

    list_pages.__annotations__["args"] = Args
    assert noes(check_one(reading()(list_pages))) == set()


@pytest.mark.req("M13.2")
def test_a_tool_that_nobody_is_granted_is_no_tool_for_anybody() -> None:
    @reading(roles=())
    def count_tickets(count: Count) -> str:
        """Count the open tickets."""
        return ""

    (defect,) = defects(count_tickets, Question.PERMISSION)
    assert "roles=" in defect.how
    assert noes(check_one(count_tickets)) == {4}


# --- 5, 6, 7: time-outs, retries, keys ------------------------------------------------------------------------


@pytest.mark.req("M13.2")
def test_a_default_timeout_is_not_a_declared_one() -> None:
    @reading(timeout=None)
    def count_tickets(count: Count) -> str:
        """Count the open tickets."""
        return ""

    assert noes(check_one(count_tickets)) == {5}


@pytest.mark.req("M13.2")
def test_an_effect_that_was_not_said_is_a_defect_even_with_a_key() -> None:
    @writing(effect=None)
    def add_note(count: Count) -> None:
        """Add a note to the day's log."""

    (defect,) = defects(add_note, Question.IDEMPOTENT)
    assert "effect" in defect.why
    assert 'effect="read"' in defect.how


@pytest.mark.req("M13.2")
def test_a_write_without_a_key_may_happen_twice() -> None:
    @writing(idempotency=None)
    def add_note(count: Count) -> None:
        """Add a note to the day's log."""

    assert noes(check_one(add_note)) == {7}


@pytest.mark.req("M13.1")
def test_retries_of_a_write_need_a_downstream_that_removes_duplicates() -> None:
    @writing(retries=3)
    def add_note(count: Count) -> None:
        """Add a note to the day's log."""

    (defect,) = defects(add_note, Question.RETRIES)
    assert "honours_key=True" in defect.how


@pytest.mark.req("M13.1")
def test_retries_of_a_write_are_safe_after_an_error_that_says_nothing_happened() -> None:
    class Busy(TransientError):
        """The log is busy, and nothing was written."""

        code = "busy"

    @writing(retries=3, raises={Busy})
    def add_note(count: Count) -> None:
        """Add a note to the day's log."""

    assert noes(check_one(add_note)) == set()


@pytest.mark.req("M13.1")
def test_a_promise_to_honour_the_key_is_empty_if_the_function_never_gets_it() -> None:
    @writing(honours_key=True)
    def add_note(count: Count) -> None:
        """Add a note to the day's log."""

    @writing(honours_key=True)
    def add_line(context: ToolContext[Any], count: Count) -> None:
        """Add a line to the day's log."""

    (defect,) = defects(add_note, Question.RETRIES)
    assert "context.idempotency_key" in defect.how
    assert noes(check_one(add_line)) == set()


# --- 8: audit -------------------------------------------------------------------------------------------------


class Card(BaseModel):
    """A card."""

    number: Annotated[str, Field(max_length=19)]
    kind: Literal["debit", "credit"]


class Payer(BaseModel):
    """Who pays."""

    card: Card
    email_verified: bool
    phone: Annotated[str, Field(max_length=20)]
    home_address: Annotated[str, Field(max_length=200)]


@pytest.mark.req("M13.1", "M13.2")
def test_fields_that_look_sensitive_are_found_at_every_depth() -> None:
    @reading()
    def judge_risk(payer: Payer, api_key: Annotated[str, Field(max_length=64)]) -> str:
        """Judge the risk of a payer."""
        return ""

    found = {each.place for each in defects(judge_risk, Question.AUDIT)}
    assert found == {"payer.card.number", "payer.phone", "payer.home_address", "api_key"}


@pytest.mark.req("M13.1")
def test_marking_a_whole_object_marks_what_is_in_it() -> None:
    @reading()
    def judge_risk(payer: Annotated[Payer, Sensitive()]) -> str:
        """Judge the risk of a payer."""
        return ""

    assert answer(judge_risk, Question.AUDIT).standing is Standing.VERIFIED


# --- 9: failing -----------------------------------------------------------------------------------------------


@pytest.mark.req("M13.2")
def test_a_tool_that_does_not_say_what_it_returns_passes_any_result() -> None:
    @reading()
    def count_tickets(count: Count):  # type: ignore[no-untyped-def]
        """Count the open tickets."""

    @reading()
    def list_tickets(count: Count) -> dict[str, Any]:
        """List the open tickets."""
        return {}

    assert noes(check_one(count_tickets)) == {9}
    assert noes(check_one(list_tickets)) == {9}


@pytest.mark.req("M13.2")
def test_a_write_that_declares_no_error_cannot_tell_its_failures() -> None:
    @writing(raises=())
    def add_note(count: Count) -> None:
        """Add a note to the day's log."""

    (defect,) = defects(add_note, Question.FAILURE)
    assert "raises=" in defect.how


@pytest.mark.req("M13.2")
def test_two_errors_of_one_code_cannot_be_told_apart() -> None:
    class CardExpired(CardDeclined):
        """The card has expired."""

    @writing(raises={CardDeclined, CardExpired})
    def add_note(count: Count) -> None:
        """Add a note to the day's log."""

    (defect,) = defects(add_note, Question.FAILURE)
    assert "card_declined" in defect.why


@pytest.mark.req("M13.2", "M13.9")
def test_an_error_whose_effect_is_no_effect_is_found() -> None:
    class Odd(ToolError):
        """Something odd."""

        code = "odd"
        effect = "nothing"  # type: ignore[assignment]

    @writing(raises={Odd})
    def add_note(count: Count) -> None:
        """Add a note to the day's log."""

    (defect,) = defects(add_note, Question.FAILURE)
    assert "'nothing'" in defect.why


@pytest.mark.req("M13.2", "M13.9")
def test_an_error_that_the_gate_could_not_read_is_found() -> None:
    class Mute(ToolError):
        """It says nothing."""

        code = "mute"

        @property  # type: ignore[misc]
        def error_code(self) -> str:
            raise RuntimeError("no words")

    class Bare(ToolError):
        """It leaves out what it may."""

        code = "bare"
        effect = "none"

        def __init__(self) -> None:
            self.order = 1

    class Unready(ToolError):
        """It wants what only its author has."""

        code = "unready"
        effect = "none"

        def __init__(self, *, order: int) -> None:
            if order < 1:
                raise ValueError("which order?")
            super().__init__(f"order {order} is not ready")

    @writing(raises={Mute})
    def add_note(count: Count) -> None:
        """Add a note to the day's log."""

    @writing(raises={Unready})
    def add_line(count: Count) -> None:
        """Add a line to the day's log."""

    @writing(raises={Bare})
    def add_mark(count: Count) -> None:
        """Add a mark to the day's log."""

    (defect,) = defects(add_note, Question.FAILURE)
    assert "cannot read it" in defect.why
    assert noes(check_one(add_line)) == set()
    assert noes(check_one(add_mark)) == set()


@pytest.mark.req("M13.1")
def test_a_write_that_cannot_be_looked_up_passes_and_says_that_a_person_has_to() -> None:
    @writing()
    def add_note(count: Count) -> None:
        """Add a note to the day's log."""

    found = answer(add_note, Question.FAILURE)
    assert found.standing is Standing.VERIFIED
    assert "waits for a person" in found.why


# --- 11: testable ---------------------------------------------------------------------------------------------


@pytest.mark.req("M13.9", "M13.1")
def test_no_tool_runs_while_it_is_checked() -> None:
    ran = []

    def allow(context: ToolContext[Any], args: Any) -> bool:
        ran.append("authorize")
        return True

    @reading(authorize=allow)
    def count_tickets() -> str:
        """Count the open tickets."""
        ran.append("tool")
        return ""

    assert check_one(count_tickets).clean
    assert ran == []


@pytest.mark.req("M13.2")
def test_a_tool_that_no_gate_accepts_cannot_be_tested() -> None:
    @reading(isolation="process", authorize=own_order)
    def count_tickets(count: Count) -> str:
        """Count the open tickets."""
        return ""

    assert noes(check_one(count_tickets)) == {11}
