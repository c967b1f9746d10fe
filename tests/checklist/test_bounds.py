"""A schema that is open anywhere is found open there, and a guarded field is told from an open-ended one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Annotated, Any

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, HttpUrl

from tests.checklist.specimens import AnyTool, check_one, defects, noes, own_order, reading
from toolgate import AllowedUrl, ConfinedPath, EmailAddress, Identifier, PlainText, Sensitive
from toolgate.domain.checklist import Exhibit, Question, review
from toolgate.domain.checklist.dialect import misuse
from toolgate.domain.checklist.places import places
from toolgate.domain.checklist.strictness import has_end, unbounded
from toolgate.domain.schema import strict_schema

NAMES = st.sampled_from(["alpha", "beta", "gamma", "delta"])
STRINGS = st.fixed_dictionaries({"type": st.just("string"), "maxLength": st.integers(1, 99)})
NUMBERS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["integer", "number"]),
        "minimum": st.integers(-9, 0),
        "maximum": st.integers(1, 9),
    }
)
CHOICES = st.fixed_dictionaries({"enum": st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True)})


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def containers(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Lists, mappings, objects and unions of what is bounded, bounded themselves."""
    return st.one_of(
        st.builds(
            lambda item, most: {"type": "array", "items": item, "maxItems": most}, inner, st.integers(1, 9)
        ),
        st.builds(
            lambda item, most: {
                "type": "object",
                "additionalProperties": item,
                "maxProperties": most,
                "propertyNames": {"maxLength": 9},
            },
            inner,
            st.integers(1, 9),
        ),
        st.dictionaries(NAMES, inner, min_size=1, max_size=3).map(closed),
        st.builds(lambda one, other: {"anyOf": [one, other, {"type": "null"}]}, inner, inner),
    )


BOUNDED = st.recursive(st.one_of(STRINGS, NUMBERS, CHOICES), containers, max_leaves=6)
SCHEMAS = st.dictionaries(NAMES, BOUNDED, min_size=1, max_size=3).map(closed)
BOUNDS = (
    "maxLength",
    "minimum",
    "maximum",
    "maxItems",
    "maxProperties",
    "additionalProperties",
    "propertyNames",
)


def open_places(schema: dict[str, Any]) -> list[str | None]:
    return [defect.place for place in places(schema) for defect in unbounded(place)]


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every schema within one, so that any bound can be taken away."""
    if isinstance(node, dict):
        yield node
        for key in ("items", "additionalProperties"):
            yield from nodes(node.get(key))
        for inner in [*node.get("properties", {}).values(), *node.get("anyOf", [])]:
            yield from nodes(inner)


@pytest.mark.req("M2.5")
@given(schema=SCHEMAS)
def test_a_schema_with_every_bound_has_nothing_open(schema: dict[str, Any]) -> None:
    assert open_places(schema) == []


@pytest.mark.req("M2.5")
@given(schema=SCHEMAS, data=st.data())
def test_whichever_bound_is_missing_its_place_is_named(schema: dict[str, Any], data: st.DataObject) -> None:
    loose = copy.deepcopy(schema)
    bounded = [(node, key) for node in nodes(loose) for key in BOUNDS if key in node]
    assume(bounded)
    node, key = data.draw(st.sampled_from(bounded))
    del node[key]
    found = open_places(loose)
    assert found
    named = {place.shown or None for place in places(loose)}
    assert set(found) <= named


@pytest.mark.req("M2.5")
@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        (str, "text of any length"),
        (Annotated[str, Field(min_length=3)], "text of any length"),
        (Annotated[str, Field(pattern="^[a-z]+$")], "text of any length"),
        (int, "no bound"),
        (Annotated[int, Field(ge=0)], "above"),
        (Annotated[float, Field(le=1)], "below"),
        (list[bool], "a list of any length"),
        (Annotated[list[Any], Field(max_length=3)], "any value"),
        (dict[str, bool], "a mapping of any size"),
        (Annotated[dict[str, bool], Field(max_length=3)], "keys of any length"),
        (dict[str, Any], "any content"),
        (Any, "any value"),
        (bytes, "text of any length"),
        (str | None, "text of any length"),
    ],
    ids=str,
)
def test_a_place_without_a_bound_is_named_in_a_tool(annotation: Any, why: str) -> None:
    def count_parcels(width: Any) -> str:
        """Count the parcels of today."""
        return ""

    count_parcels.__annotations__["width"] = annotation
    found = defects(reading()(count_parcels), Question.SCHEMA)
    assert any(each.place and each.place.startswith("width") and why in each.why for each in found)


@pytest.mark.req("M2.5")
@pytest.mark.parametrize(
    ("pattern", "ends"),
    [
        ("^[a-z]{1,8}$", True),
        ("^(a|b){2}$", True),
        (r"^\d{4}-\d{2}$", True),
        (r"^[*+]{3}\$$", True),
        ("^[a-z]+$", False),
        ("[a-z]{1,8}", False),
        ("^[a-z]{1,8}", False),
        ("^a{2,}$", False),
        ("^a|b$", False),
        ("^(a*)$", False),
        (r"^a\$", False),
    ],
)
def test_only_a_pattern_that_cannot_match_for_ever_is_a_bound(pattern: str, ends: bool) -> None:
    assert has_end(pattern) is ends


@pytest.mark.req("M2.5")
def test_the_limit_of_json_numbers_is_no_bound_that_somebody_chose() -> None:
    schema = strict_schema(closed({"width": {"type": "integer"}}))
    assert schema["properties"]["width"]["maximum"] == 2**53 - 1
    assert open_places(schema) == ["width"]


@pytest.mark.req("M2.5")
def test_a_model_that_holds_itself_is_walked_once_and_to_its_leaves() -> None:
    schema = {
        "$defs": {"Node": closed({"label": {"type": "string"}, "next": {"$ref": "#/$defs/Node"}})},
        **closed({"root": {"$ref": "#/$defs/Node"}}),
    }
    assert open_places(schema) == ["root.label"]


@pytest.mark.req("M2.5")
@pytest.mark.parametrize(
    "definitions",
    [
        {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}},
        {"A": {"$ref": "#/$defs/A"}},
        {"A": {"allOf": [{"$ref": "#/$defs/B"}]}, "B": {"$ref": "#/$defs/A"}},
        {
            "A": {
                "anyOf": [
                    {"type": "array", "items": {"$ref": "#/$defs/A"}, "maxItems": 3},
                    {"type": "boolean"},
                ]
            }
        },
        {f"{'A' * n}": {"anyOf": [{"$ref": f"#/$defs/{'A' * (n + 1)}"}] * 9} for n in range(1, 30)},
    ],
    ids=["itself", "loop", "detour", "recursive", "explosion"],
)
def test_references_that_turn_in_circles_or_multiply_end(definitions: dict[str, Any]) -> None:
    found = places({"$defs": definitions, **closed({"start": {"$ref": "#/$defs/A"}})})
    assert [place.shown for place in found][:2] == ["", "start"]


@pytest.mark.req("M2.5")
def test_a_schema_too_large_to_be_judged_is_a_defect() -> None:
    schema = closed({f"field_{number}": {"type": "boolean"} for number in range(2_000)})
    report = review(Exhibit(name="read_report", description="Read one report.", input_schema=schema))
    assert "places" in report.answer(Question.SCHEMA).why


# --- open-ended input -----------------------------------------------------------------------------------------


def with_field(
    name: str, annotation: Any, *, title: str = "read_report", about: str = "Read one report."
) -> AnyTool:
    def function(args: Any) -> str:
        return ""

    function.__annotations__["args"] = type("Args", (BaseModel,), {"__annotations__": {name: annotation}})
    made: AnyTool = reading(name=title, description=about, authorize=own_order)(function)
    return made


SHORT = Annotated[str, Field(max_length=60), Sensitive()]


@pytest.mark.req("M2.16")
@pytest.mark.parametrize(
    ("name", "title", "instead"),
    [
        ("sql", "read_report", "PlainText"),
        ("where_clause", "read_report", "PlainText"),
        ("query", "query_database", "PlainText"),
        ("statement", "execute_sql", "PlainText"),
        ("command", "read_report", "Literal"),
        ("script", "read_report", "Literal"),
        ("code", "run_code", "Literal"),
        ("callback_url", "read_report", "AllowedUrl"),
        ("webhook", "read_report", "AllowedUrl"),
        ("file_path", "read_report", "ConfinedPath"),
        ("directory", "read_report", "ConfinedPath"),
        ("order_id", "read_report", "Identifier"),
        ("reply_email", "read_report", "EmailAddress"),
        ("to", "draft_mail", "EmailAddress"),
    ],
)
def test_a_bounded_text_is_still_open_where_its_name_says_what_it_carries(
    name: str, title: str, instead: str
) -> None:
    found = defects(with_field(name, SHORT, title=title), Question.VALIDATED)
    assert [each.place for each in found] == [name]
    assert instead in found[0].how


@pytest.mark.req("M2.16")
@pytest.mark.parametrize(
    ("name", "annotation"),
    [
        ("url", Annotated[str, AllowedUrl(hosts={"help.example"})]),
        ("path", Annotated[str, ConfinedPath()]),
        ("order_id", Annotated[str, Identifier()]),
        ("order_id", Annotated[str, Field(pattern="^[0-9]{6}$")]),
        ("email", Annotated[str, EmailAddress(), Sensitive()]),
        ("query", Annotated[str, PlainText(200)]),
        ("statement", SHORT),
        ("code", SHORT),
        ("date_to", SHORT),
        ("profile", SHORT),
    ],
    ids=str,
)
def test_a_guarded_field_or_a_harmless_name_is_not_open_ended(name: str, annotation: Any) -> None:
    assert noes(check_one(with_field(name, annotation))) == set()


@pytest.mark.req("M2.16")
def test_a_url_of_any_host_is_open_though_its_type_is_strict() -> None:
    (defect,) = defects(with_field("site", HttpUrl), Question.VALIDATED)
    assert "AllowedUrl" in defect.how


@pytest.mark.req("M2.16")
def test_the_same_open_fields_are_found_in_a_schema_from_outside() -> None:
    schema = closed(
        {
            "url": {"type": "string", "maxLength": 200},
            "path": {"type": "string", "maxLength": 200, "pattern": "^[a-z]{1,20}$"},
            "links": {
                "type": "array",
                "maxItems": 3,
                "items": {"type": "string", "format": "uri", "maxLength": 99},
            },
        }
    )
    report = review(Exhibit(name="read_pages", description="Read some pages.", input_schema=schema))
    assert [each.place for each in report.answer(Question.VALIDATED).defects] == ["url", "links[]"]


@pytest.mark.req("M2.16")
def test_an_amount_that_is_a_float_is_no_money() -> None:
    (defect,) = defects(with_field("amount", Annotated[float, Field(ge=0, le=9)]), Question.VALIDATED)
    assert "Money" in defect.how


# --- the dialect ----------------------------------------------------------------------------------------------

BROKEN = [
    {"type": "text"},
    {"maxLength": "5"},
    {"maxLength": -1},
    {"maximum": "9"},
    {"exclusiveMaximum": True},
    {"required": "name"},
    {"required": ["a", "a"]},
    {"enum": "a"},
    {"properties": []},
    {"items": [{"type": "string"}]},
    {"anyOf": []},
    {"anyOf": {"type": "string"}},
    {"multipleOf": 0},
    {"uniqueItems": 1},
    {"format": 3},
    {"additionalProperties": 1},
]


@pytest.mark.req("M13.5")
@given(schema=SCHEMAS, broken=st.sampled_from([{}, *BROKEN]), data=st.data())
def test_what_is_no_2020_12_schema_is_judged_as_a_reference_implementation_judges_it(
    schema: dict[str, Any], broken: dict[str, Any], data: st.DataObject
) -> None:
    judged = copy.deepcopy(schema)
    inner = data.draw(st.sampled_from(sorted(judged["properties"])))
    judged["properties"][inner].update(broken)
    assert (list(misuse(judged)) == []) is jsonschema.Draft202012Validator(
        jsonschema.Draft202012Validator.META_SCHEMA
    ).is_valid(judged)


@pytest.mark.req("M13.5")
@pytest.mark.parametrize(
    "changed",
    [
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        {"type": "array"},
        {"properties": {"a": {"$ref": "#/$defs/missing"}}},
        {"properties": {"a": {"$ref": "https://elsewhere.example/schema"}}},
        {"properties": {"a": {"type": "string", "nullable": True}}},
        {"properties": {"a": {"pattern": "["}}},
    ],
    ids=str,
)
def test_a_word_of_another_dialect_or_a_reference_to_nowhere_is_a_defect(changed: dict[str, Any]) -> None:
    assert list(misuse({**closed({}), **changed}))
