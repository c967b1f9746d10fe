"""A schema from outside becomes one as strict as the gate's own, or is refused; it never becomes looser."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from toolgate.adapters.upstreams.shape import JsonShape
from toolgate.domain.upstream.definition import Unusable
from toolgate.domain.upstream.strict import Strict, plain_outside, strict_outside

pytestmark = pytest.mark.req("M2.19")


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    made = strict_outside(schema)
    assert isinstance(made, Strict), made
    plain: dict[str, Any] = json.loads(json.dumps(made.schema))
    return plain


def refused(schema: dict[str, Any]) -> str:
    made = strict_outside(schema)
    assert isinstance(made, Unusable), made
    return made.reason


def fits(schema: dict[str, Any], value: Any) -> bool:
    shape = JsonShape.of(strict(schema), strict=True)
    assert isinstance(shape, JsonShape), shape
    try:
        shape.load(json.dumps(value).encode())
    except ValidationError:
        return False
    return True


def inner(field: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": field}, **more}


def fan(keyword: str, depth: int) -> dict[str, Any]:
    """Definitions of which each refers to the next one twice."""
    twice = {f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(depth)}
    return {**twice, f"d{depth}": {"type": "integer"}}


def chain(length: int) -> dict[str, Any]:
    """Definitions of which each refers to the next."""
    return {
        **{f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(length)},
        f"d{length}": {"type": "integer"},
    }


# --- closing ----------------------------------------------------------------------------------------------------


def test_every_object_with_declared_fields_is_closed_at_every_depth() -> None:
    made = strict(
        inner({"type": "array", "items": {"type": "object", "properties": {"a": {"type": "null"}}}})
    )

    assert made["additionalProperties"] is False
    assert made["properties"]["x"]["items"]["additionalProperties"] is False


def test_an_object_that_says_it_is_open_is_closed_all_the_same_and_a_note_tells() -> None:
    made = strict_outside(inner({"type": "string"}, additionalProperties=True))

    assert isinstance(made, Strict)
    assert made.schema["additionalProperties"] is False
    assert any("unknown fields are refused" in note for note in made.notes)


def test_a_tool_that_declares_no_arguments_takes_none() -> None:
    assert fits({"type": "object"}, {})
    assert not fits({"type": "object"}, {"a": 1})
    assert not fits({}, {"a": 1})


def test_parts_of_all_of_are_closed_together_so_that_none_refuses_what_another_declares() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "allOf": [{"properties": {"b": {"type": "string"}}}, {"$ref": "#/$defs/c"}],
        "$defs": {"c": {"type": "object", "properties": {"c": {"type": "string"}}}},
    }

    assert fits(schema, {"a": "1", "b": "2", "c": "3"})
    assert not fits(schema, {"a": "1", "d": "4"})


def test_alternatives_are_closed_one_by_one() -> None:
    schema = inner(
        {
            "anyOf": [
                {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]},
            ]
        }
    )

    assert fits(schema, {"x": {"a": "1"}})
    assert not fits(schema, {"x": {"a": "1", "b": "2"}})


def test_a_condition_adds_fields_without_opening_the_object() -> None:
    schema = {
        "type": "object",
        "properties": {"kind": {"enum": ["file", "url"]}},
        "if": {"properties": {"kind": {"const": "file"}}, "required": ["kind"]},
        "then": {"properties": {"path": {"type": "string"}}, "required": ["path"]},
        "else": {"properties": {"url": {"type": "string"}}},
    }

    assert fits(schema, {"kind": "file", "path": "a"})
    assert not fits(schema, {"kind": "file", "path": "a", "url": "b"})
    assert not fits(schema, {"kind": "url", "more": 1})


# --- bounds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ({"type": "string"}, "x" * 65_536, "x" * 65_537),
        ({"type": "array", "items": {"type": "boolean"}}, [True] * 1_000, [True] * 1_001),
        ({"type": "object"}, {"k": 1}, {"k" * 257: 1}),
        (
            {"type": "object", "additionalProperties": {"type": "boolean"}},
            {"k": True},
            {str(n): True for n in range(1_001)},
        ),
        ({"type": "integer"}, 2**53 - 1, 2**53),
        ({"type": "number"}, 1.5, 1e300),
        ({"type": "integer", "format": "uint8"}, 255, 256),
        ({"type": ["string", "null"]}, None, "x" * 65_537),
        ({}, "x", "x" * 65_537),
        ({"type": "string", "minLength": 2, "maxLength": 100_000}, "x" * 100_000, "x"),
        ({"items": {"type": "string"}}, ["a"], "a"),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, ["a"], ["a", "b"]),
    ],
)
def test_a_value_without_a_bound_gets_the_house_s(field: dict[str, Any], good: Any, bad: Any) -> None:
    assert fits(inner(field), {"x": good})
    assert not fits(inner(field), {"x": bad})


@pytest.mark.parametrize("field", [{"type": "integer"}, {"anyOf": [{"type": "integer"}, {"type": "string"}]}])
def test_a_number_with_a_fraction_is_no_integer(field: dict[str, Any]) -> None:
    assert fits(inner(field), {"x": 1})
    assert not fits(inner(field), {"x": 1.0})
    assert not fits(inner(field), {"x": True})


def test_what_was_added_is_told() -> None:
    made = strict_outside(inner({"type": "string"}))

    assert isinstance(made, Strict)
    assert made.notes == ("x: at most 65536 characters",)


# --- dialects and references --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/definitions/In",
            "definitions": {
                "In": inner({"type": "array", "items": [{"type": "string"}], "additionalItems": False})
            },
        },
        {
            "$schema": "https://json-schema.org/draft/2019-09/schema",
            "type": "object",
            "properties": {"x": {"$ref": "#/definitions/pair"}},
            "definitions": {"pair": {"type": "array", "items": [{"type": "string"}]}},
        },
        inner({"$ref": "#/properties/y"})
        | {
            "properties": {
                "x": {"$ref": "#/properties/y"},
                "y": {"type": "array", "prefixItems": [{"type": "string"}]},
            }
        },
    ],
)
def test_older_dialects_and_references_within_are_read(schema: dict[str, Any]) -> None:
    assert fits(schema, {"x": ["a"]})
    assert not fits(schema, {"x": ["a", "b"]})
    assert not fits(schema, {"z": 1})


def test_a_schema_that_holds_itself_is_closed_at_every_level() -> None:
    schema = {"type": "object", "properties": {"child": {"$ref": "#"}, "name": {"type": "string"}}}

    assert fits(schema, {"child": {"child": {"name": "a"}}})
    assert not fits(schema, {"child": {"child": {"nom": "a"}}})


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (inner({"$ref": "https://example.com/s.json"}), "elsewhere, and nothing is fetched"),
        (inner({"$ref": "#named"}), "by an anchor"),
        (inner({"$ref": "#/$defs/none"}), "not there"),
        (inner({"$dynamicRef": "#node"}), "cannot be followed"),
        (
            inner(
                {"$ref": "#/$defs/a"}, **{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
            ),
            "without end",
        ),
        (inner({"type": "string", "format": "iban"}), "format 'iban' is none that is known"),
        (inner({"type": "string", "pattern": "^(a+)+$"}), "could take for ever"),
        (inner({"type": "string", "pattern": "(x"}), "leaves a group open"),
        (inner({"type": "string", "pattern": r"(a)\1"}), "refers back"),
        ({"type": "array"}, "its top is no object"),
        ({"type": ["array", "null"]}, "its top is no object"),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "type": "object"}, "dialect"),
        (inner({"type": "text"}), "type cannot be read"),
        (inner({"minimum": "1"}), "minimum cannot be read"),
        (inner({"type": "integer", "exclusiveMinimum": True}), "exclusiveMinimum cannot be read"),
        (inner({"items": [{"type": "string"}]}), "prefixItems"),
        ({"type": "object", "properties": {}, "required": ["y"]}, "requires 'y' and does not describe it"),
        (inner({"$id": "https://example.com/x", "type": "string"}), "an address of its own"),
        (inner({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "several alternatives of oneOf"),
        (inner({"type": "string", "minLength": 70_000}), "more than 65536 characters"),
        (inner({"__proto__": {}}), "reserved"),
        (inner({"$ref": "#/$defs/d0"}, **{"$defs": fan("anyOf", 18)}), "branch more often"),
        (inner({"$ref": "#/$defs/d0"}, **{"$defs": fan("allOf", 40)}), "written out, come to more than"),
        (inner({"$ref": "#/$defs/d0"}, **{"$defs": chain(900)}), "lead on and on"),
        (inner({"patternProperties": {r"(?=.*a.*b)c": {}}}), "looks around"),
        (inner({"not": {"type": "string", "pattern": r"(?=.*a.*b)c"}}), "looks around"),
    ],
)
def test_what_cannot_be_held_to_it_is_refused_in_words(schema: dict[str, Any], reason: str) -> None:
    assert reason in refused(schema)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[a-z0-9]+(?:-[a-z0-9]+)*$",
        r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$",
        r"^\d{4}-\d{2}-\d{2}$",
        r"^\p{L}+$",
        r"^([^/]+/)*[^/]+$",
    ],
)
def test_patterns_that_generators_write_are_taken(pattern: str) -> None:
    shape = JsonShape.of(strict(inner({"type": "string", "pattern": pattern})), strict=True)

    assert isinstance(shape, JsonShape), shape


@pytest.mark.parametrize(
    "branches",
    [
        [{"type": "string"}, {"type": "integer"}],
        [{"const": "a"}, {"const": "b", "title": "B"}],
        [
            {"type": "object", "properties": {"k": {"const": 1}, "v": {"type": "string"}}, "required": ["k"]},
            {"type": "object", "properties": {"k": {"const": 2}, "v": {"type": "string"}}, "required": ["k"]},
        ],
        [
            {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
            {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
        ],
    ],
)
def test_alternatives_that_can_be_told_apart_are_bounded(branches: list[Any]) -> None:
    assert "anyOf" in strict(inner({"oneOf": branches}))["properties"]["x"]


def test_exactly_one_of_two_fields_stays_exactly_one() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    }

    assert fits(schema, {"a": "1"})
    assert not fits(schema, {"a": "1", "b": "2"})
    assert not fits(schema, {})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "allOf": [{"minProperties": 1}]},
        {"type": "object", "anyOf": [{}, True]},
        {"type": "object", "allOf": [{"minLength": 1}], "unevaluatedProperties": True},
        {"type": "object", "$ref": "#/$defs/a", "$defs": {"a": {"not": {"required": ["b"]}}}},
        {"type": "object", "not": {"required": ["b"]}},
    ],
)
def test_no_condition_that_names_no_field_opens_an_object(schema: dict[str, Any]) -> None:
    made = strict_outside(schema)

    assert isinstance(made, Unusable) or not fits(schema, {"c": 1})


def test_what_must_not_be_stays_as_wide_as_it_was_given() -> None:
    schema = inner({"type": "string", "not": {"type": "string", "minLength": 1}})

    assert strict(schema)["properties"]["x"]["not"] == {"type": "string", "minLength": 1}


# --- never looser -------------------------------------------------------------------------------------------------

# ruff: noqa: E501 - a list of schemas, several a line
_NAMES = st.sampled_from(["a", "b", "c"])
_SCALARS = st.sampled_from(
    [
        {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"}, {},
        {"type": "string", "maxLength": 2}, {"type": "integer", "minimum": 0, "maximum": 3}, {"const": "a"}, {"const": 1},
        {"enum": ["a", 1, None]}, {"type": ["string", "integer"]}, {"minLength": 1}, {"type": "string", "pattern": "^a"},
        True, {"type": "object"}, {"type": "array"}, {"required": ["a"]}, {"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"},
    ]
)  # fmt: skip


def _deeper(inner_schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(_NAMES, inner_schemas, max_size=3)
    parts = st.lists(inner_schemas, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "object", "array", ["object", "null"]]),
            "properties": fields,
            "required": st.lists(_NAMES, max_size=1, unique=True),
            "additionalProperties": st.one_of(st.booleans(), inner_schemas),
            "patternProperties": st.dictionaries(st.just("^a"), inner_schemas, max_size=1),
            "items": inner_schemas,
            "prefixItems": parts,
            "allOf": parts,
            "anyOf": parts,
            "oneOf": parts,
            "not": inner_schemas,
            "if": inner_schemas,
            "then": inner_schemas,
            "else": inner_schemas,
            "contains": inner_schemas,
            "maxContains": st.integers(0, 2),
            "dependentSchemas": st.dictionaries(_NAMES, inner_schemas, max_size=1),
            "unevaluatedProperties": st.one_of(st.booleans(), inner_schemas),
            "propertyNames": inner_schemas,
        },
    )


_SCHEMAS = st.recursive(_SCALARS, _deeper, max_leaves=8)
_VALUES = st.recursive(
    st.sampled_from(["", "a", "ab", "abc", 0, 1, 2, 1.0, 2.5, True, None]),
    lambda values: st.one_of(st.lists(values, max_size=3), st.dictionaries(_NAMES, values, max_size=3)),
    max_leaves=6,
)


@given(
    top=_SCHEMAS.filter(lambda schema: isinstance(schema, dict)),
    definitions=st.fixed_dictionaries({"a": _SCHEMAS, "b": _SCHEMAS}),
    values=st.lists(st.dictionaries(_NAMES, _VALUES, max_size=3), min_size=1, max_size=8),
)
@settings(max_examples=150)
def test_what_the_strict_schema_accepts_the_original_accepts_and_doing_it_twice_changes_nothing(
    top: dict[str, Any], definitions: dict[str, Any], values: list[dict[str, Any]]
) -> None:
    original = {**top, "$defs": definitions}
    made = strict_outside(original)
    if isinstance(made, Unusable):
        return
    again = strict_outside(made.schema)
    assert isinstance(again, Strict)
    assert again.schema == made.schema
    shape = JsonShape.of(made.schema, strict=True)
    assert isinstance(shape, JsonShape), shape
    second = jsonschema.Draft202012Validator(original)
    for value in values:
        try:
            shape.load(json.dumps(value).encode())
        except ValidationError:
            continue
        assert second.is_valid(value), (made.schema, value)


@given(
    top=_SCHEMAS.filter(lambda schema: isinstance(schema, dict)),
    definitions=st.fixed_dictionaries({"a": _SCHEMAS, "b": _SCHEMAS}),
    values=st.lists(_VALUES, min_size=1, max_size=8),
)
@settings(max_examples=80)
def test_an_output_schema_means_the_same_afterwards(
    top: dict[str, Any], definitions: dict[str, Any], values: list[Any]
) -> None:
    original = {**top, "$defs": definitions}
    made = plain_outside(original)
    if isinstance(made, Unusable):
        return
    shape = JsonShape.of(made.schema, strict=False)
    assert isinstance(shape, JsonShape), shape
    second = jsonschema.Draft202012Validator(original)
    for value in values:
        try:
            shape.load(json.dumps(value).encode())
        except ValidationError:
            assert not second.is_valid(value), (made.schema, value)
        else:
            assert second.is_valid(value), (made.schema, value)


# --- how much work it is ------------------------------------------------------------------------------------------


@pytest.mark.req("M6.23")
def test_a_value_that_would_be_compared_without_end_is_refused_and_an_honest_tree_is_not() -> None:
    again = {"$ref": "#/$defs/n"}
    twice = {"n": {"type": "object", "properties": {"n": {"anyOf": [again, again, {"type": "null"}]}}}}
    tree = {"n": {"type": "object", "properties": {"name": {"type": "string"}, "n": {"items": again}}}}
    deep: Any = None
    for _ in range(50):
        deep = {"n": deep}
    wide = {"n": [{"name": "a", "n": [{"name": "b"}] * 20}] * 100}

    assert not fits(inner(again, **{"$defs": twice}), {"x": deep})
    assert fits(inner(again, **{"$defs": twice}), {"x": {"n": {"n": None}}})
    assert fits(inner(again, **{"$defs": tree}), {"x": wide})


@pytest.mark.req("M6.23")
def test_a_list_of_what_fits_none_of_very_many_alternatives_is_refused_without_telling_each() -> None:
    shape = JsonShape.of(strict(inner({"items": {"anyOf": [{"const": n} for n in range(500)]}})), strict=True)
    assert isinstance(shape, JsonShape)

    assert shape.load(json.dumps({"x": [1] * 300}).encode()) == {"x": [1] * 300}
    for many, kind in ((300, "union"), (1_000, "too_complex")):
        with pytest.raises(ValidationError) as caught:
            shape.load(json.dumps({"x": [-1] * many}).encode())
        assert [error["type"] for error in caught.value.errors()] == [kind]


@pytest.mark.req("M6.23")
@pytest.mark.parametrize(
    "pattern", [r"(?=.*a.*b)c", r"^(?:(?=a)a|b)*$", r"^a|(?!b)c", r"^a*(?=.*b)", r"(?<!a)b"]
)
def test_a_string_whose_pattern_looks_around_from_anywhere_is_kept_short(pattern: str) -> None:
    made = strict(inner({"type": "string", "pattern": pattern, "maxLength": 60_000}))

    assert made["properties"]["x"]["maxLength"] == 1_000
    assert not fits(made, {"x": "a" * 60_000})


@pytest.mark.parametrize("pattern", [r"^(?=.*[A-Z])(?=.*\d).{8,}$", r"^(?!\s*$).+", r"^(?!(?:a|b)c)d"])
def test_a_pattern_that_looks_once_from_the_beginning_keeps_its_length(pattern: str) -> None:
    assert strict(inner({"type": "string", "pattern": pattern}))["properties"]["x"]["maxLength"] == 65_536
