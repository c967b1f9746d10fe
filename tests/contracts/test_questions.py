"""What a tool may ask whoever calls it: which tools, which questions, and what answers them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from toolgate import (
    Answer,
    Approval,
    ContractError,
    Form,
    NeedsInput,
    Roots,
    Sample,
    ToolContext,
    ToolError,
    tool,
)
from toolgate.domain.answers import Misfit, fitting

TITLED = [{"const": "r", "title": "Red"}, {"const": "b", "title": "Blue"}]


class Pretends(ToolError):
    """It is no question."""

    code = "input_required"


@pytest.mark.req("X3.55")
@pytest.mark.parametrize(
    ("keywords", "why"),
    [
        ({"effect": "write"}, "NeedsInput is for effect='read'"),
        ({"effect": "destructive"}, "NeedsInput is for effect='read'"),
        ({}, "NeedsInput is for effect='read'"),
        ({"effect": "read", "approval": Approval(approvers={"lead"})}, "approval= and NeedsInput exclude"),
        ({"effect": "read", "approval": Approval(approvers="caller")}, "approval= and NeedsInput exclude"),
        ({"effect": "read", "isolation": "process"}, "not built for isolation='process'"),
        ({"effect": "read", "raises": {Pretends}}, "Pretends.code: only NeedsInput has 'input_required'"),
    ],
)
def test_a_tool_that_asks_has_no_effects_and_nobody_agrees_to_it(keywords: dict[str, Any], why: str) -> None:
    def ask(context: ToolContext[Any]) -> str:
        """Ask."""
        return ""

    with pytest.raises(ContractError, match=why):
        tool(**{"roles": {"clerk"}, "raises": {NeedsInput}, **keywords})(ask)


@pytest.mark.req("X3.55")
def test_an_operator_cannot_have_people_agree_to_a_tool_that_asks() -> None:
    @tool(effect="read", roles={"clerk"}, raises={NeedsInput})
    def ask(context: ToolContext[Any]) -> str:
        """Ask."""
        return ""

    with pytest.raises(ContractError, match="approval= and NeedsInput exclude each other"):
        replace(ask.contract, approval=Approval(approvers={"lead"}))


@pytest.mark.req("X3.55")
@pytest.mark.parametrize(
    "field",
    [
        {
            "type": "string",
            "minLength": 1,
            "maxLength": 9,
            "format": "email",
            "title": "T",
            "description": "D",
        },
        {"type": "integer", "minimum": 0, "maximum": 9, "default": 3},
        {"type": "number", "default": 95.5},
        {"type": "boolean", "default": True},
        {"type": "string", "enum": ["a", "b"], "default": "b"},
        {"type": "string", "enum": ["a", "b"], "enumNames": ["A", "B"]},
        {"type": "string", "oneOf": TITLED, "default": "r"},
        {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "minItems": 1, "default": ["a"]},
        {"type": "array", "items": {"anyOf": TITLED}, "maxItems": 2},
    ],
)
def test_a_form_has_the_fields_that_every_client_shows(field: dict[str, Any]) -> None:
    form = Form("Say.", {"f": field, "g": {"type": "boolean"}}, optional={"g"})

    assert form.schema == {
        "type": "object",
        "properties": {"f": field, "g": {"type": "boolean"}},
        "required": ["f"],
    }


@pytest.mark.req("X3.55")
@pytest.mark.parametrize(
    ("field", "why"),
    [
        ({}, "its type is one of"),
        ({"type": "object", "properties": {}}, "its type is one of"),
        ({"type": ["string", "null"]}, "its type is one of"),
        ({"type": "string", "pattern": "a+"}, "string has no 'pattern'"),
        ({"type": "string", "format": "password"}, "format is one of"),
        ({"type": "string", "maxLength": True}, "maxLength is an integer"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength is more than maxLength"),
        ({"type": "string", "enum": []}, "1 to 100 choices"),
        ({"type": "string", "enum": ["a", "a"]}, "1 to 100 choices"),
        ({"type": "string", "enum": [1, 2]}, "1 to 100 choices"),
        ({"type": "string", "enum": "ab"}, "1 to 100 choices"),
        ({"type": "string", "enum": ["a"], "enumNames": []}, "one name for each choice"),
        ({"type": "string", "enum": ["a"], "enumNames": 1}, "one name for each choice"),
        ({"type": "string", "oneOf": [{"const": "a"}]}, "1 to 100 choices"),
        ({"type": "array"}, "items is either"),
        ({"type": "array", "items": {"type": "string"}}, "items is either"),
        (
            {"type": "array", "items": {"type": "string", "enum": ["a"]}, "default": ["b"]},
            "its default must be",
        ),
        ({"type": "integer", "default": "3"}, "its default must be an integer"),
        ({"type": "integer", "minimum": "3"}, "minimum is a number"),
        ({"type": "number", "default": float("nan")}, "f"),
        ({"type": "boolean", "title": "x" * 4001}, "title is a text"),
        ({"type": "boolean", "default": object()}, "f"),
    ],
)
def test_a_field_that_not_every_client_shows_is_refused(field: dict[str, Any], why: str) -> None:
    with pytest.raises(ContractError, match=why):
        Form("Say.", {"f": field})


BOOLEAN = {"type": "boolean"}


@pytest.mark.req("X3.55")
@pytest.mark.parametrize(
    "make",
    [
        lambda: Form("", {"f": BOOLEAN}),
        lambda: Form("x" * 4001, {"f": BOOLEAN}),
        lambda: Form("Say.", {}),
        lambda: Form("Say.", {f"f{number}": BOOLEAN for number in range(21)}),
        lambda: Form("Say.", {"no spaces": BOOLEAN}),
        lambda: Form("Say.", {"f": BOOLEAN}, optional={"g"}),
        lambda: Sample("", max_tokens=1),
        lambda: Sample("x" * 16_001, max_tokens=1),
        lambda: Sample("Say.", max_tokens=0),
        lambda: Sample("Say.", max_tokens=True),
        lambda: Sample("Say.", max_tokens=1, system=" "),
        lambda: NeedsInput({}),
        lambda: NeedsInput({f"k{number}": Roots() for number in range(9)}),
        lambda: NeedsInput({"no spaces": Roots()}),
        lambda: NeedsInput({"k": "Say."}),  # type: ignore[dict-item]
        lambda: NeedsInput({f"k{number}": Sample("x" * 16_000, max_tokens=1) for number in range(3)}),
    ],
)
def test_questions_are_bounded(make: Any) -> None:
    with pytest.raises(ContractError):
        make()


@pytest.mark.req("X3.55")
def test_what_needs_input_says_names_the_questions_alone() -> None:
    error = NeedsInput({"who": Form("A secret reason.", {"f": BOOLEAN}), "where": Roots()})

    assert "who, where" in error.message
    assert "secret" not in error.message
    assert (error.error_code, error.effect) == ("input_required", "none")


FORM = Form(
    "Say.",
    {
        "name": {"type": "string", "minLength": 2, "maxLength": 5},
        "mail": {"type": "string", "format": "email"},
        "day": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"},
        "link": {"type": "string", "format": "uri"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150, "default": 30},
        "score": {"type": "number"},
        "sure": {"type": "boolean"},
        "color": {"type": "string", "oneOf": TITLED},
        "many": {"type": "array", "items": {"anyOf": TITLED}, "minItems": 1},
        "text": {"type": "string"},
    },
    optional=("mail", "day", "at", "link", "age", "score", "sure", "color", "many", "text"),
)


@pytest.mark.req("X3.56")
def test_what_fits_a_form_is_given_as_it_was_filled_in() -> None:
    content: dict[str, Any] = {
        "name": "Ada",
        "mail": "a@b.c",
        "day": "2026-02-28",
        "at": "2026-02-28T10:00:00Z",
    }
    content |= {"link": "https://a.b", "age": 36, "score": 1.5, "sure": False, "color": "b", "many": ["r"]}

    assert fitting(FORM, Answer(action="accept", content=content)) == Answer(action="accept", content=content)
    # Null is nothing, and a default was the client's to show.
    assert fitting(FORM, Answer(action="accept", content={"name": "Ada", "mail": None})) == Answer(
        action="accept", content={"name": "Ada"}
    )


@pytest.mark.req("X3.56")
@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "A"},
        {"name": "Adelheid"},
        {"name": 7},
        {"name": None},
        {"mail": "nobody"},
        {"day": "2026-13-01"},
        {"at": "2026-02-28"},
        {"link": "nowhere"},
        {"age": 151},
        {"age": -1},
        {"age": 36.0},
        {"age": True},
        {"age": "36"},
        {"score": float("inf")},
        {"score": "1"},
        {"sure": "certainly"},
        {"sure": 1},
        {"color": "Red"},
        {"many": []},
        {"many": ["r", "g"]},
        {"many": ["r", "r"]},
        {"many": "r"},
        {"text": "x" * 4001},
        {"text": {"a": 1}},
        {"else": "x"},
    ],
)
def test_what_does_not_fit_a_form_is_no_answer_and_is_not_repeated(wrong: dict[str, Any]) -> None:
    found = fitting(FORM, Answer(action="accept", content={"name": "Ada", **wrong}))

    assert isinstance(found, Misfit)
    assert not any(isinstance(value, str) and value and value in found.why for value in wrong.values())


@pytest.mark.req("X3.56")
@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_what_was_declined_has_no_content(action: Any) -> None:
    for question in (FORM, Sample("Say.", max_tokens=1), Roots()):
        assert fitting(question, Answer(action=action, content={"name": "Ada"})) == Answer(action=action)


@pytest.mark.req("X3.56")
@pytest.mark.parametrize(
    ("question", "content", "fits"),
    [
        (
            Sample("Say.", max_tokens=1),
            {"text": "Yes.", "model": "m", "other": 1},
            {"text": "Yes.", "model": "m"},
        ),
        (Sample("Say.", max_tokens=1), {"text": "Yes."}, {"text": "Yes.", "model": ""}),
        (Sample("Say.", max_tokens=1), {"text": 7}, None),
        (Sample("Say.", max_tokens=1), {"text": "x" * 16_001}, None),
        (Sample("Say.", max_tokens=1), {"text": "Yes.", "model": 7}, None),
        (Sample("Say.", max_tokens=1), {}, None),
        (Roots(), {"roots": []}, {"roots": []}),
        (
            Roots(),
            {"roots": [{"uri": "file:///a", "name": "a", "_meta": {}}, {"uri": "file:///b"}]},
            {"roots": [{"uri": "file:///a", "name": "a"}, {"uri": "file:///b"}]},
        ),
        (Roots(), {"roots": [{"uri": "https://a"}]}, None),
        (Roots(), {"roots": [{"uri": "file:///a", "name": 7}]}, None),
        (Roots(), {"roots": ["file:///a"]}, None),
        (Roots(), {"roots": [{"uri": "file:///a"}] * 101}, None),
        (Roots(), {}, None),
    ],
)
def test_a_sample_is_a_text_and_roots_are_files(question: Any, content: Any, fits: Any) -> None:
    found = fitting(question, Answer(action="accept", content=content))

    assert (isinstance(found, Misfit) and fits is None) or found == Answer(action="accept", content=fits)


@pytest.mark.req("X3.56")
def test_what_is_no_answer_at_all_fits_nothing() -> None:
    strange: Any = "yes"

    assert isinstance(fitting(Roots(), Answer(action=strange)), Misfit)
    assert isinstance(fitting(Roots(), Answer(action="accept", content=strange)), Misfit)
