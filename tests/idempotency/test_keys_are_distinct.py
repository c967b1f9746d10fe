"""A key says exactly what its template's fields say: readable where that is safe, never two things at once."""

from __future__ import annotations

from string import Formatter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from toolgate import tool
from toolgate.domain.call import Workflow
from toolgate.domain.canonical import canonical_json
from toolgate.domain.contract import Contract
from toolgate.domain.idempotency import key_scope, render_key

JsonText = str | int | float | bool | None


class Inner(BaseModel):
    """What a template reaches into."""

    c: JsonText | list[JsonText] | dict[str, JsonText] = None


class Anything(BaseModel):
    """Fields that hold any JSON: a template over them has the hardest job."""

    a: JsonText | list[JsonText] | dict[str, JsonText] = None
    b: JsonText | list[JsonText] | dict[str, JsonText] = None
    n: Inner | None = None


def contract(template: str) -> Contract:
    @tool(effect="write", roles="anyone", idempotency=template)
    async def act(args: Anything) -> None:
        """Do it."""

    return act.contract


def key(template: str, arguments: dict[str, Any], workflow: str = "wf_1") -> str:
    return render_key(contract(template), arguments, Workflow(id=workflow, explicit=True))


TEMPLATES = (
    "refund:{a}:{b}:{workflow_id}",
    "{a}{b}",
    "{a}{b}{n.c}{workflow_id}",
    "{a}-{b}",
    "{a}x{b}",
    "{a}2{b}7{workflow_id}",
    "{a}%{b}%25{n.c}",
    "{a}~{b}",
    "_{a}_{b}_",
    "{n.c}.{a}.{b}",
    "{a}é{b}",
    "{a}{{{b}}}{workflow_id}",
    '{a}"{b}',
    "{a}null{b}",
)

texts = st.text(st.sampled_from(':%-_.~x27nul"[]{},é eE+@=/') | st.characters(codec="utf-8"), max_size=6)
scalars = texts | st.integers(-100, 100) | st.none() | st.booleans() | st.floats(-10, 10)
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(texts, scalars, max_size=2)
arguments = st.fixed_dictionaries(
    {"a": values, "b": values, "n": st.none() | st.fixed_dictionaries({"c": values})}
)


def fields_of(template: str, given: dict[str, Any], workflow: str) -> bytes:
    """What the template names, as one JSON value: the measure of what a key has to tell apart."""
    named: list[Any] = []
    for _, name, _, _ in Formatter().parse(template):
        if name == "workflow_id":
            named.append(workflow)
        elif name == "n.c":
            named.append(given["n"]["c"] if given["n"] else None)
        elif name is not None:
            named.append(given[name])
    return canonical_json(named)


@pytest.mark.req("M9.16")
@given(
    template=st.sampled_from(TEMPLATES),
    one=arguments,
    other=arguments,
    workflow=texts.filter(bool),
    other_workflow=texts.filter(bool),
)
@example("{a}{b}", {"a": "ab", "b": "c", "n": None}, {"a": "a", "b": "bc", "n": None}, "w", "w")
@example("{a}-{b}", {"a": "x-y", "b": "z", "n": None}, {"a": "x", "b": "y-z", "n": None}, "w", "w")
@example("{a}x{b}", {"a": "x", "b": "", "n": None}, {"a": "", "b": "x", "n": None}, "w", "w")
@example("{a}2{b}7{workflow_id}", {"a": "2", "b": "", "n": None}, {"a": "", "b": "2", "n": None}, "w", "w")
@example("{a}~{b}", {"a": "", "b": 7, "n": None}, {"a": "", "b": "7", "n": None}, "w", "w")
@example("{a}%{b}%25{n.c}", {"a": "%", "b": "", "n": None}, {"a": "", "b": "%", "n": None}, "w", "w")
def test_two_calls_share_a_key_only_if_the_templates_fields_are_equal(
    template: str, one: dict[str, Any], other: dict[str, Any], workflow: str, other_workflow: str
) -> None:
    same_fields = fields_of(template, one, workflow) == fields_of(template, other, other_workflow)

    assert (key(template, one, workflow) == key(template, other, other_workflow)) is same_fields


@pytest.mark.req("M9.16")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (7, "7"),
        (True, "true"),
        (None, "null"),
        (None, ""),
        (None, "None"),
        (1, True),
        (0, False),
        ([1, 2], "[1,2]"),
        ({"c": 1}, '{"c":1}'),
        (1.5, "1.5"),
        ("7", "~7"),
        ("é", "e\u0301"),
        ("a b", "a%20b"),
        ("x", "x "),
        ("/", "%2F"),
    ],
)
def test_values_that_look_alike_are_two_keys(one: object, other: object) -> None:
    rendered = {key("pay:{a}:{workflow_id}", {"a": value, "b": 0, "n": None}) for value in (one, other)}

    assert len(rendered) == 2


@pytest.mark.req("M9.1")
@pytest.mark.parametrize(
    ("arguments", "rendered"),
    [
        ({"a": 17, "b": "capture"}, "refund:17:capture:wf_1"),
        ({"a": "ord_1", "b": "a:b"}, "refund:ord_1:a%3Ab:wf_1"),
        ({"a": "2026-01-31", "b": None}, "refund:2026-01-31:null:wf_1"),
        ({"a": True, "b": "a@b.example"}, "refund:true:a@b.example:wf_1"),
        ({"a": "7", "b": 1.0}, "refund:~7:1:wf_1"),
    ],
)
def test_a_key_reads_like_its_template_filled_in(arguments: dict[str, Any], rendered: str) -> None:
    assert key("refund:{a}:{b}:{workflow_id}", {**arguments, "n": None}) == rendered


@pytest.mark.req("M9.1")
def test_a_field_of_an_object_is_reached_by_its_path() -> None:
    assert key("set:{n.c}", {"a": 1, "b": 2, "n": {"c": "blue"}}) == "set:blue"


@pytest.mark.req("M9.1")
@given(one=texts, other=texts, workflow=texts)
def test_what_is_no_field_of_the_template_does_not_change_the_key(
    one: str, other: str, workflow: str
) -> None:
    assert key("set:{a}", {"a": 1, "b": one, "n": None}, "wf_1") == key(
        "set:{a}", {"a": 1, "b": other, "n": None}, workflow
    )


@pytest.mark.req("M9.18")
@given(one=st.tuples(texts, texts, texts), other=st.tuples(texts, texts, texts))
@example(("a", "bc", "d"), ("ab", "c", "d"))
def test_the_scope_of_a_key_tells_tenant_tool_and_key_apart(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (key_scope(*one) == key_scope(*other)) is (one == other)
