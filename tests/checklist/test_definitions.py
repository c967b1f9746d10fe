"""Definitions that somebody else publishes are judged by what they say, and nothing that is unsaid is believed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from toolgate.domain.checklist import Question, Standing, ToolReport, read_definitions, review
from toolgate.domain.errors import ConfigurationError

pytestmark = pytest.mark.req("M13.4")

SAID: dict[str, Any] = {
    "name": "create_ticket",
    "description": "Opens a ticket for a customer.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "customer_id": {"type": "string", "pattern": "^cus_[0-9]{1,8}$"},
            "phone": {"type": "string", "maxLength": 20},
        },
        "additionalProperties": False,
    },
    "outputSchema": {"type": "object", "properties": {"id": {"type": "string"}}},
    "annotations": {
        "readOnlyHint": False,
        "destructiveHint": False,
        "idempotentHint": True,
        "openWorldHint": False,
    },
    "_meta": {
        "toolgate/contract": {
            "roles": ["support"],
            "authorize": "own_customer",
            "timeout": "5s",
            "raises": ["customer_closed"],
            "sensitive": ["phone"],
            "tests": "tests/test_tickets.py",
        }
    },
}


def judged(definition: dict[str, Any]) -> ToolReport:
    (exhibit,) = read_definitions({"tools": [definition]})
    return review(exhibit)


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SAID), **changes}


def noes(definition: dict[str, Any]) -> set[int]:
    return {each.question.number for each in judged(definition).answers if each.is_no}


def test_a_definition_that_says_everything_is_clean_and_nothing_of_it_is_verified() -> None:
    report = judged(SAID)
    assert [each.why for each in report.answers if each.is_no] == []
    assert {each.standing for each in report.answers} == {Standing.DECLARED}


def test_a_definition_with_a_name_and_a_schema_only_is_absent_in_what_it_does_not_say() -> None:
    bare = {key: SAID[key] for key in ("name", "description", "inputSchema")}
    assert noes(bare) == {4, 5, 6, 7, 8, 9, 10, 11}


def test_what_is_unsaid_is_told_as_unsaid_and_where_to_say_it() -> None:
    bare = {key: SAID[key] for key in ("name", "description", "inputSchema")}
    defects = {each.question: each.defects for each in judged(bare).answers}
    assert "nothing says that it stays in the house" in defects[Question.APPROVAL][0].why
    assert '_meta, under "toolgate/contract"' in defects[Question.TIMEOUT][0].how


def test_an_empty_definition_is_answered_and_not_crashed_on() -> None:
    assert {1, 2, 4, 5, 6, 7, 9, 11} <= noes({"name": "tool"})


@pytest.mark.parametrize(
    ("hints", "numbers"),
    [
        ({"readOnlyHint": True}, set()),
        ({"readOnlyHint": True, "openWorldHint": True}, {10}),
        ({"readOnlyHint": False, "idempotentHint": True, "openWorldHint": False}, {10}),
        ({"destructiveHint": True, "idempotentHint": True, "openWorldHint": False}, {10}),
        ({"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False}, {6, 7}),
        ({"readOnlyHint": False, "destructiveHint": False, "idempotentHint": True}, {10}),
        ({"idempotentHint": True, "openWorldHint": False}, {7}),
        ({}, {6, 7, 10}),
        ({"readOnlyHint": "yes"}, {6, 7, 10}),
    ],
    ids=str,
)
def test_hints_are_taken_as_said_and_the_unsaid_ones_as_the_protocol_defaults(
    hints: dict[str, Any], numbers: set[int]
) -> None:
    assert noes(changed(annotations=hints)) == numbers


@pytest.mark.parametrize(
    "document",
    [{"tools": [SAID]}, [SAID], {"jsonrpc": "2.0", "id": 1, "result": {"tools": [SAID]}}],
    ids=["result", "list", "answer"],
)
def test_each_shape_in_which_definitions_come_is_read(document: Any) -> None:
    assert [each.name for each in read_definitions(document)] == ["create_ticket"]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "no list of tools"),
        ("text", "no list of tools"),
        ({"tools": []}, "empty"),
        ([1], r"tools\[0\] is no object"),
        ([SAID, {}], r"tools\[1\].name"),
        ([{"name": ""}], r"tools\[0\].name"),
        ([{"name": "a", "inputSchema": []}], r"tools\[0\].inputSchema"),
        ([{"name": "a", "outputSchema": 1}], r"tools\[0\].outputSchema"),
        ([{"name": "a", "description": 1}], r"tools\[0\].description"),
        ([{"name": "a", "annotations": 1}], r"tools\[0\].annotations"),
        ([{"name": "a", "_meta": {"toolgate/contract": 1}}], r"tools\[0\]._meta.toolgate/contract"),
        ([{"name": "a", "_meta": {"toolgate/contract": {"role": ["a"]}}}], "has no word 'role'"),
        ([{"name": "a", "_meta": {"toolgate/contract": {"roles": "support"}}}], "roles is a list"),
        ([{"name": "a", "_meta": {"toolgate/contract": {"timeout": "soon"}}}], "timeout"),
        ([{"name": "a", "_meta": {"toolgate/contract": {"retries": 99}}}], "attempts"),
        ([{"name": "a", "_meta": {"toolgate/contract": {"sensitive": ["a..b"]}}}], "empty step"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_named_with_its_place(document: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        read_definitions(document)


def test_a_waiver_without_a_reason_is_a_defect_of_a_definition_too() -> None:
    said = copy.deepcopy(SAID)
    said["annotations"]["destructiveHint"] = True
    said["_meta"]["toolgate/contract"]["approval_waiver"] = "ok"
    assert noes(said) == {10}
    said["_meta"]["toolgate/contract"]["approval_waiver"] = "The ticket system keeps every version."
    assert noes(said) == set()


def test_an_approval_that_a_definition_names_is_declared() -> None:
    said = copy.deepcopy(SAID)
    said["annotations"]["destructiveHint"] = True
    said["_meta"]["toolgate/contract"]["approval"] = {"approvers": ["lead"]}
    answer = judged(said).answer(Question.APPROVAL)
    assert answer.standing is Standing.DECLARED
    assert "lead" in answer.why


@pytest.mark.req("M12.23")
@pytest.mark.parametrize("written", ["caller", {"approvers": "caller"}], ids=["word", "table"])
def test_the_callers_own_word_is_no_approval_of_what_is_risky_in_a_definition_either(written: Any) -> None:
    said = copy.deepcopy(SAID)
    said["annotations"]["destructiveHint"] = True
    said["_meta"]["toolgate/contract"]["approval"] = written
    assert noes(said) == {10}
