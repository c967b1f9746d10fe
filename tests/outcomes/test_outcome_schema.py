"""The schema that is published for an answer: every outcome of its tool fits it, and a result that is none does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from tests.execution.stage import ANN, stage
from tests.outcomes.test_outcomes import EVERY
from toolgate import Content, Outcome, Succeeded, TextBlock, tool
from toolgate.domain.bounding import bounded
from toolgate.domain.outcome_schema import MEMBERS, answers_content, envelope_schema
from toolgate.domain.schema import Shape
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M10.22")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Line(BaseModel):
    text: Annotated[str, Field(max_length=100, pattern="^[a-z ]*$")]
    number: Annotated[int, Field(ge=0, le=999)]


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Order(BaseModel):
    id: int
    at: date
    lines: Annotated[list[Line], Field(min_length=1, max_length=500)]
    colour: Colour | None = None
    kind: Literal["new", "old"] = "new"
    notes: dict[str, str] = {}
    tree: Tree | None = None


_lines = st.builds(Line, text=st.from_regex("^[a-z ]{0,100}$", fullmatch=True), number=st.integers(0, 999))
_trees = st.recursive(
    st.builds(Tree, name=st.text(max_size=100)),
    lambda inner: st.builds(Tree, name=st.text(max_size=100), children=st.lists(inner, max_size=4)),
    max_leaves=8,
)
_orders = st.builds(
    Order,
    id=st.integers(-(2**53) + 1, 2**53 - 1),
    at=st.dates(),
    lines=st.lists(_lines, min_size=1, max_size=20),
    colour=st.none() | st.sampled_from(Colour),
    kind=st.sampled_from(["new", "old"]),
    notes=st.dictionaries(st.text(max_size=10), st.text(max_size=300), max_size=5),
    tree=st.none() | _trees,
)
KINDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (type(None), st.none()),
    (str, st.text(max_size=2000)),
    (int, st.integers(-(2**53) + 1, 2**53 - 1)),
    (float, st.floats(allow_nan=False, allow_infinity=False, width=32)),
    (bool, st.booleans()),
    (list[str], st.lists(st.text(max_size=200), max_size=50)),
    (Line, _lines),
    (Tree, _trees),
    (Order, _orders),
    (Order | None, st.none() | _orders),
    (list[Order | Tree], st.lists(_orders | _trees, max_size=5)),
    (Content, st.builds(lambda text: Content(content=[TextBlock(text=text)]), st.text(max_size=2000))),
]
SHAPES = [(Shape[Any](kind, where="test", mode="serialization"), values) for kind, values in KINDS]


def fits(output_schema: Mapping[str, Any] | None, outcome: Outcome[Any]) -> bool:
    schema = envelope_schema(output_schema)
    Draft202012Validator.check_schema(schema)
    return bool(Draft202012Validator(schema).is_valid(outcome.to_model()))


@given(data=st.data(), shape=st.sampled_from(SHAPES), limit=st.integers(100, 5000), replayed=st.booleans())
def test_every_result_fits_whole_cut_and_replayed(
    data: st.DataObject, shape: tuple[Shape[Any], st.SearchStrategy[Any]], limit: int, replayed: bool
) -> None:
    form, values = shape
    value = data.draw(values)
    shown, truncated = bounded(json.loads(form.to_json(value)), limit=limit)
    outcome = Succeeded(
        call_id="call_1",
        result=value,
        shown=json.dumps(shown).encode(),
        truncated=truncated,
        replayed=replayed,
    )

    assert fits(form.schema, outcome)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape[0].schema.get("title", ""))[:20])
def test_every_other_kind_of_outcome_fits_for_every_tool(shape: Any) -> None:
    for outcome in EVERY:
        if not isinstance(outcome, Succeeded):
            assert fits(shape[0].schema, outcome)


def test_every_kind_of_outcome_fits_where_the_tool_says_nothing_of_its_result() -> None:
    assert all(fits(None, outcome) for outcome in EVERY)


def test_what_a_person_said_was_done_fits_without_a_result() -> None:
    outcome = Succeeded(call_id="call_1", result=None, shown=b"null")

    assert all(fits(form.schema, outcome) for form, _ in SHAPES)


@pytest.mark.parametrize("result", [{"id": "1"}, [], "text", {"name": 1}, {"name": "a", "children": [{}]}])
def test_a_result_of_another_shape_does_not_fit(result: object) -> None:
    shape = Shape[Any](Tree, where="test", mode="serialization")
    outcome = Succeeded(call_id="call_1", result=result, shown=json.dumps(result).encode())

    assert not fits(shape.schema, outcome)


def test_every_member_of_an_outcome_is_documented_in_the_schema() -> None:
    assert {name for outcome in EVERY for name in outcome.to_model()} <= set(MEMBERS)


FOREIGN: Mapping[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$id": "https://example.com/node",
    "type": "object",
    "properties": {
        "next": {"$ref": "#"},
        "size": {"type": "integer"},
        "same": {"$ref": "#/properties/size"},
        "old": {"$ref": "#/definitions/Old"},
        "new": {"$ref": "#/$defs/result"},
        "$ref": {"type": "string"},
        "link": {"const": {"$ref": "#"}},
    },
    "definitions": {"Old": {"enum": ["old", {"$ref": "#/old"}]}},
    "$defs": {"result": {"enum": ["new"]}, "next": {"$ref": "#"}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("result", "good"),
    [
        ({"next": {"next": {"size": 1}}}, True),
        ({"next": {"next": {"size": "1"}}}, False),
        ({"same": 1}, True),
        ({"same": "1"}, False),
        ({"old": "old"}, True),
        ({"old": {"$ref": "#/old"}}, True),
        ({"old": "new"}, False),
        ({"new": "new"}, True),
        ({"new": "old"}, False),
        ({"$ref": "#"}, True),
        ({"$ref": 1}, False),
        ({"link": {"$ref": "#"}}, True),
        ({"link": {"$ref": "#/anyOf/0/properties/result"}}, False),
    ],
)
def test_references_of_a_foreign_schema_lead_where_they_led(result: Any, good: bool) -> None:
    outcome = Succeeded(call_id="call_1", result=result, shown=json.dumps(result).encode())

    assert fits(FOREIGN, outcome) is good


def test_the_schema_it_is_made_from_is_left_as_it_was() -> None:
    before = json.dumps(FOREIGN)
    made = envelope_schema(FOREIGN)
    made["$defs"]["result"]["enum"].append("changed")

    assert json.dumps(FOREIGN) == before


async def test_content_is_told_from_every_other_result() -> None:
    @tool(effect="read", roles={"support"})
    async def look() -> Content:
        """Look."""
        return Content(content=[])

    async with stage(look, clock=FakeClock()) as gateway:
        outcome = await gateway.call(look, {}, caller=ANN)

    assert answers_content(look.contract.output_schema)
    assert "structuredContent" not in outcome.to_mcp()
    assert [
        kind for (kind, _), (form, _) in zip(KINDS, SHAPES, strict=True) if answers_content(form.schema)
    ] == [Content]
    assert not answers_content(None)
