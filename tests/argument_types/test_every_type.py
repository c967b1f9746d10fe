"""What all argument types share: strict in both modes, at any depth, bounds in the schema, refusals that help."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from toolgate.domain.argument_types import (
    AllowedUrl,
    ConfinedPath,
    EmailAddress,
    Identifier,
    Money,
    MoneyRange,
    PlainText,
)
from toolgate.domain.errors import ContractError

URL = AllowedUrl(hosts={"docs.example.com", "*.wiki.example.org"}, max_length=60)
PATH = ConfinedPath(suffixes={".md", ".tar.gz"}, max_length=40, max_depth=3)
ORDER = Identifier(prefix="ord.", max_length=20, alphabet="abc0123456789-.")
MAIL = EmailAddress(domains={"example.com", "*.example.org"}, max_length=40)
TEXT = PlainText(30, min_length=3)
LINES = PlainText(30, multiline=True)

GOOD: dict[Any, list[str]] = {
    URL: ["https://docs.example.com/a?b=c", "https://en.wiki.example.org:443"],
    PATH: ["a.md", "b/c/d e.tar.gz", "\u00fc/\u65e5\u672c.md"],
    ORDER: ["ord.1", "ord.a-b.2"],
    MAIL: ["ann@example.com", "a.b+c'd-e@x.example.org"],
    TEXT: ["abc", "heart \u2764\ufe0f", "Gr\u00fc\u00dfe"],
    LINES: ["", "a\n\tb"],
}
BAD: dict[Any, list[str]] = {
    URL: [
        "https://hostile-value.test/",
        "https://hostile-value@docs.example.com/",
        "https://hostile-value\\x",
    ],
    PATH: ["../hostile-value.md", "hostile-value\x00.md", "hostile-value.exe", "~hostile-value.md"],
    ORDER: ["hostile-value", "ord.hostile-value", "ord..1"],
    MAIL: ["hostile-value", "hostile-value@evil.test", "a@hostile-value..com", "hostile value@example.com"],
    TEXT: ["hostile-value\u202e", "  h         "],
    LINES: ["hostile-value\r\n", "hostile-value\u200b"],
}
MARKERS = pytest.mark.parametrize("marker", GOOD, ids=lambda marker: type(marker).__name__)


def typed(marker: Any) -> TypeAdapter[str]:
    return TypeAdapter(Annotated[str, marker])


@MARKERS
@pytest.mark.req("M3.10")
def test_a_good_value_passes_unchanged_from_python_and_from_json(marker: Any) -> None:
    for value in GOOD[marker]:
        assert typed(marker).validate_python(value) == value
        assert typed(marker).validate_json(json.dumps(value)) == value


@MARKERS
@pytest.mark.req("M3.5")
def test_a_bad_value_is_refused_in_both_modes_in_words_that_do_not_repeat_it(marker: Any) -> None:
    attempts: tuple[Callable[[str], str], ...] = (
        typed(marker).validate_python,
        lambda raw: typed(marker).validate_json(json.dumps(raw)),
    )
    for value in BAD[marker]:
        for attempt in attempts:
            with pytest.raises(ValidationError) as refused:
                attempt(value)
            (error,) = refused.value.errors(include_input=False)
            assert "hostile" not in json.dumps(error)
            assert len(error["msg"]) > 15


@MARKERS
@pytest.mark.req("M2.3")
@pytest.mark.parametrize(
    "value", [b"ord.1", bytearray(b"a.md"), 5, 5.0, True, None, ["a.md"], {"a": 1}, object()]
)
def test_nothing_but_a_string_is_taken_for_one(marker: Any, value: Any) -> None:
    with pytest.raises(ValidationError):
        typed(marker).validate_python(value)


@MARKERS
@pytest.mark.req("M2.3")
def test_a_lenient_model_config_loosens_nothing_and_rewrites_nothing(marker: Any) -> None:
    class Lenient(BaseModel):
        model_config = ConfigDict(
            strict=False,
            str_strip_whitespace=True,
            str_to_lower=True,
            str_to_upper=False,
            coerce_numbers_to_str=True,
        )
        value: Annotated[str, marker]

    for value in GOOD[marker]:
        assert Lenient(value=value).value == value
    for value in BAD[marker]:
        with pytest.raises(ValidationError):
            Lenient(value=value)
    with pytest.raises(ValidationError):
        Lenient.model_validate({"value": 5})


@MARKERS
@pytest.mark.req("M2.4")
def test_it_may_stand_at_any_depth_and_its_bounds_are_in_the_schema_there(marker: Any) -> None:
    class Inner(BaseModel):
        values: list[Annotated[str, marker]] = Field(max_length=3)
        maybe: Annotated[str, marker] | None = None
        named: dict[str, Annotated[str, marker]] = Field(default_factory=dict)

    class Outer(BaseModel):
        inner: tuple[Inner, ...]

    good, bad = GOOD[marker][-1], BAD[marker][0]
    outer = Outer.model_validate_json(
        json.dumps({"inner": [{"values": [good], "maybe": good, "named": {"x": good}}]})
    )
    assert outer.inner[0].named == {"x": good}
    for broken in ({"values": [bad]}, {"values": [], "maybe": bad}, {"values": [], "named": {"x": bad}}):
        with pytest.raises(ValidationError):
            Outer.model_validate_json(json.dumps({"inner": [broken]}))
    shown = Outer.model_json_schema()["$defs"]["Inner"]["properties"]["values"]["items"]
    assert shown["type"] == "string"
    assert shown["maxLength"] == marker.max_length
    assert shown["pattern"]
    assert shown["description"]


@MARKERS
@pytest.mark.req("M2.4")
def test_what_the_author_wrote_beside_it_is_kept_and_the_tighter_bound_holds(marker: Any) -> None:
    tight = TypeAdapter(Annotated[str, Field(max_length=4, pattern="^.*$", description="mine"), marker])
    shown = tight.json_schema()
    assert shown["maxLength"] == 4
    assert shown["description"] == "mine"
    assert shown["pattern"] == "^.*$"
    assert shown["allOf"] == [{"pattern": typed(marker).json_schema()["pattern"]}]
    with pytest.raises(ValidationError):
        tight.validate_python(GOOD[marker][0] + "-too-long")


@MARKERS
@pytest.mark.req("M1.4")
@pytest.mark.parametrize("source", [int, bytes, list[str], str | None, dict[str, str]])
def test_a_marker_on_anything_but_a_string_is_the_authors_error(marker: Any, source: Any) -> None:
    with pytest.raises(ContractError, match="Annotated\\[str"):
        TypeAdapter(Annotated[source, marker])


@MARKERS
@pytest.mark.req("M2.4", "M2.18")
def test_the_schema_turns_most_bad_values_away_before_they_are_sent(marker: Any) -> None:
    validator = jsonschema.Draft202012Validator(typed(marker).json_schema())
    assert all(validator.is_valid(value) for value in GOOD[marker])
    assert not any(validator.is_valid(value) for value in BAD[marker][:1])


@MARKERS
@pytest.mark.req("M2.18")
@given(data=st.data())
def test_the_schema_accepts_whatever_the_validator_accepts(marker: Any, data: st.DataObject) -> None:
    schema = typed(marker).json_schema()
    seeds = st.sampled_from(GOOD[marker])
    mutated = st.builds(
        lambda good, at, text: good[: at % (len(good) + 1)] + text + good[at % (len(good) + 1) :],
        seeds,
        st.integers(0, 60),
        st.text(max_size=3) | st.sampled_from(["/", ".", "a", "-", "+", "?x", ":443", "\u00e9", " ", "\n"]),
    )
    value = data.draw(st.one_of(mutated, st.from_regex(schema["pattern"]), st.text(max_size=30)))
    try:
        typed(marker).validate_python(value)
    except ValidationError:
        return
    jsonschema.Draft202012Validator(schema).validate(value)


@MARKERS
@pytest.mark.req("M2.2")
def test_the_schema_is_valid_and_its_pattern_uses_only_what_every_dialect_reads(marker: Any) -> None:
    schema = typed(marker).json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert not any(sign in schema["pattern"] for sign in ("(?", "\\A", "\\Z", "\\-", "\\d", "\\w", "\\p"))
    assert schema == typed(marker).json_schema()


@pytest.mark.req("M2.18")
@given(st.integers(-10, 2**54) | st.integers(90, 600), st.sampled_from(["EUR", "USD", "GBP", "eur", ""]))
def test_schema_and_validator_agree_exactly_on_money(units: Any, currency: Any) -> None:
    money = TypeAdapter(Annotated[Money, MoneyRange(currencies={"EUR", "USD"}, min=100, max=500)])
    value = {"minor_units": units, "currency": currency}
    try:
        money.validate_python(value)
    except ValidationError:
        accepted = False
    else:
        accepted = True
    assert jsonschema.Draft202012Validator(money.json_schema()).is_valid(value) == accepted
