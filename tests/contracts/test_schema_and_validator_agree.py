"""What the published schema accepts the gate accepts, and what it refuses the gate refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel

from tests.contracts import models
from tests.contracts.drawing import drawn_from
from tests.contracts.test_schemas import made
from toolgate import validate
from toolgate.domain.canonical import UnfitJson, check_json

pytestmark = pytest.mark.req("M2.18", "M3.10")

TOOLS = {model.__name__: made(model) for model in models.ALL}
SAMPLES: dict[str, Any] = {
    "Plain": {"text": "a", "count": 1, "ratio": 0.5, "flag": True},
    "Nested": {"home": {"street": "a", "number": 1}, "others": [{"street": "b", "number": 2}], "maybe": None},
    "Choices": {"colour": "red", "level": 1, "mixed": 7, "number": 2, "either": 0},
    "Unions": {"pet": {"kind": "cat", "lives": 9}, "value": "x", "pair": [1, True], "shape": [1]},
    "Times": {"day": "2026-01-31", "at": "2026-01-31T10:00:00Z", "clock": "10:00", "lasting": "PT5S"},
    "Amounts": {"price": "12.50", "rate": None},
    "Kinds": {"row": {"key": "a", "value": 1}, "point": {"x": 1, "y": 2}, "scores": {"ab": 5}},
    "Aliased": {"orderId": 1, "theNote": "x"},
    "Tree": {"label": "a", "children": [{"label": "b", "twin": {"label": "c"}}]},
    "Empty": {},
}


def schema_accepts(name: str, value: Any) -> bool:
    validator = Draft202012Validator(TOOLS[name].contract.input_schema, format_checker=FormatChecker())
    return bool(validator.is_valid(value))


def gate_accepts(name: str, value: Any) -> bool:
    by_value = validate(TOOLS[name], value)
    by_json = validate(TOOLS[name], json.dumps(value))
    assert by_value == by_json
    return by_value is None


def plain(value: Any) -> bool:
    """Whether the gate reads it at all. JSON Schema counts 1.0 as an integer and the gate does not: left out."""
    try:
        check_json(value)
    except UnfitJson:
        return False
    return not _has_whole_float(value)


def _has_whole_float(value: Any) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    if isinstance(value, dict):
        return any(_has_whole_float(item) for item in value.values())
    return isinstance(value, list) and any(_has_whole_float(item) for item in value)


@pytest.mark.parametrize("name", TOOLS)
def test_a_good_example_is_accepted_by_both(name: str) -> None:
    assert schema_accepts(name, SAMPLES[name])
    assert gate_accepts(name, SAMPLES[name])


@pytest.mark.parametrize("name", TOOLS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_what_is_drawn_from_the_schema_is_accepted(name: str, data: st.DataObject) -> None:
    value = data.draw(drawn_from(TOOLS[name].contract.input_schema))
    assume(plain(value))
    assert gate_accepts(name, value), validate(TOOLS[name], value)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(max_size=12)
    | st.sampled_from(
        ["red", "cat", "1", "2026-01-31", "1577836800", "2026-01-31T10:00:00Z", "PT1H", "12.5"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", TOOLS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_good_example_with_one_thing_changed_is_judged_alike(name: str, data: st.DataObject) -> None:
    value = json.loads(json.dumps(SAMPLES[name]))
    places = list(_places(value))
    holder, key = data.draw(st.sampled_from(places)) if places else (value, "x")
    change = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "replace":
        holder[key] = data.draw(JSON_VALUES)
    elif change == "remove" and isinstance(holder, dict):
        holder.pop(key, None)
    elif isinstance(holder, dict):
        holder[data.draw(st.text(max_size=6))] = data.draw(JSON_VALUES)
    else:
        holder.append(data.draw(JSON_VALUES))
    assume(plain(value))
    assert gate_accepts(name, value) == schema_accepts(name, value), validate(TOOLS[name], value)


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        found.append((value, key))
        found += _places(item)
    return found


@settings(max_examples=100)
@given(
    text=st.text(max_size=14),
    count=st.integers(-5, 105),
    ratio=st.floats(-0.5, 1.5, exclude_min=True),
    flag=st.booleans() | st.integers(0, 1),
)
def test_bounds_are_drawn_at_the_same_place(text: str, count: int, ratio: float, flag: bool | int) -> None:
    value = {"text": text, "count": count, "ratio": ratio, "flag": flag}
    assume(plain(value))
    assert gate_accepts("Plain", value) == schema_accepts("Plain", value)


@pytest.mark.parametrize("model", models.ALL)
def test_what_a_tool_gets_reads_back_as_the_same(model: type[BaseModel]) -> None:
    shape = TOOLS[model.__name__].input
    once = shape.dump(shape.load(json.dumps(SAMPLES[model.__name__]).encode()))
    assert shape.dump(shape.load(json.dumps(once).encode())) == once
