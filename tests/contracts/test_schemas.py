"""The input schema: closed at every depth, strict, bounded where the model sees it, and the same each time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import InitVar, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ImportString,
    Json,
    PlainSerializer,
    Secret,
    SecretBytes,
    SecretStr,
    Strict,
    computed_field,
    field_serializer,
)

from tests.contracts import models
from toolgate import ContractError, Refused, Tool, tool, validate

ROOT = Path(__file__).parents[2]


def made(model: Any) -> Tool[Any, Any]:
    def act(args: Any) -> None:
        """Do."""

    act.__annotations__["args"] = model
    return tool(effect="read", roles="anyone")(act)


def objects(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        if node.get("type") == "object" or "properties" in node:
            yield node
        for value in node.values():
            yield from objects(value)
    elif isinstance(node, list):
        for item in node:
            yield from objects(item)


@pytest.mark.req("M2.1")
@pytest.mark.parametrize("model", models.ALL)
def test_every_object_of_a_schema_refuses_unknown_fields_at_every_depth(model: type[BaseModel]) -> None:
    found = list(objects(made(model).contract.input_schema))
    assert found
    for node in found:
        # A mapping has no fields of its own: what it takes is said by its values' schema.
        assert node["additionalProperties"] is False or "properties" not in node


@pytest.mark.req("M2.1")
@pytest.mark.parametrize(
    "arguments",
    [
        {"home": {"street": "a", "number": 1}, "x": 1},
        {"home": {"street": "a", "number": 1, "x": 1}},
        {"home": {"street": "a", "number": 1}, "others": [{"street": "a", "number": 1, "x": 1}]},
        {"home": {"street": "a", "number": 1}, "by_name": {"k": {"street": "a", "number": 1, "x": 1}}},
        {"home": {"street": "a", "number": 1}, "maybe": {"street": "a", "number": 1, "x": 1}},
    ],
)
def test_an_unknown_field_is_refused_at_every_depth_whatever_the_model_says(
    arguments: dict[str, Any],
) -> None:
    refusal = validate(made(models.Nested), arguments)
    assert refusal is not None
    assert "x: Extra inputs are not permitted" in refusal.message


@pytest.mark.req("M2.1")
@pytest.mark.parametrize(
    "arguments",
    [
        {"row": {"key": "a", "x": 1}, "point": {"x": 1}},
        {"row": {"key": "a"}, "point": {"x": 1, "z": 1}},
        {"row": {"key": "a"}, "point": {"x": 1}, "rows": [{"key": "a", "x": 1}]},
    ],
)
def test_a_typed_dict_and_a_dataclass_refuse_unknown_fields_as_well(arguments: dict[str, Any]) -> None:
    assert isinstance(validate(made(models.Kinds), arguments), Refused)


@pytest.mark.req("M2.1", "M3.2")
def test_the_name_of_a_field_is_unknown_where_the_schema_shows_its_alias() -> None:
    aliased = made(models.Aliased)
    assert set(aliased.contract.input_schema["properties"]) == {"orderId", "theNote"}
    assert validate(aliased, {"orderId": 1}) is None
    assert validate(aliased, models.Aliased(order_id=1)) is None
    assert isinstance(validate(aliased, {"order_id": 1}), Refused)


@pytest.mark.req("M2.2")
@pytest.mark.parametrize("model", models.ALL)
def test_a_schema_is_valid_by_the_2020_12_draft_and_names_it(model: type[BaseModel]) -> None:
    schema = dict(made(model).contract.input_schema)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["type"] == "object"


@pytest.mark.req("M2.2")
def test_a_schema_is_the_same_bytes_in_every_process() -> None:
    script = (
        "import json; from tests.contracts.test_schemas import made; from tests.contracts import models;"
        "print(json.dumps([[dict(made(m).contract.input_schema), made(m).contract.digest] for m in models.ALL]))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "src:.", "PATH": ""},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert json.loads(said.pop()) == [
        [made(model).contract.input_schema, made(model).contract.digest] for model in models.ALL
    ]


GOOD: dict[str, Any] = {"text": "a", "count": 5, "ratio": 0.5, "flag": True}


@pytest.mark.req("M2.3", "M3.2")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", "5"),
        ("count", True),
        ("count", 5.0),
        ("count", None),
        ("count", [5]),
        ("text", 5),
        ("text", True),
        ("text", ["a"]),
        ("text", None),
        ("flag", 1),
        ("flag", 0),
        ("flag", "true"),
        ("flag", "yes"),
        ("ratio", "0.5"),
        ("ratio", True),
    ],
)
def test_types_are_strict_and_nothing_is_coerced(field: str, value: Any) -> None:
    plain = made(models.Plain)
    assert validate(plain, GOOD) is None

    by_dict = validate(plain, GOOD | {field: value})
    by_json = validate(plain, json.dumps(GOOD | {field: value}))
    assert by_dict is not None
    assert by_dict == by_json
    assert by_dict.message.startswith(f"{field}: ")


@pytest.mark.req("M2.3", "M2.17")
@pytest.mark.parametrize("value", [2**53, -(2**53), 10**30])
def test_an_integer_that_json_does_not_hold_exactly_is_refused(value: int) -> None:
    class Free(BaseModel):
        number: int

    free = made(Free)
    assert validate(free, {"number": 2**53 - 1}) is None
    assert validate(free, {"number": -(2**53 - 1)}) is None
    for given in ({"number": value}, json.dumps({"number": value})):
        refusal = validate(free, given)
        assert refusal is not None
        assert "is not exact everywhere; send it as a string" in refusal.message


@pytest.mark.req("M2.4", "M2.17")
def test_each_bound_that_is_enforced_stands_in_the_schema() -> None:
    plain = made(models.Plain).contract.input_schema["properties"]
    assert plain["text"] == {"maxLength": 10, "minLength": 1, "type": "string"}
    assert (plain["count"]["minimum"], plain["count"]["maximum"]) == (0, 100)
    assert (plain["ratio"]["exclusiveMinimum"], plain["ratio"]["exclusiveMaximum"]) == (0, 1)

    class Free(BaseModel):
        number: int
        above: int = Field(gt=5)

    free = made(Free).contract.input_schema["properties"]
    assert (free["number"]["minimum"], free["number"]["maximum"]) == (-(2**53 - 1), 2**53 - 1)
    assert "minimum" not in free["above"]
    assert (free["above"]["exclusiveMinimum"], free["above"]["maximum"]) == (5, 2**53 - 1)

    amounts = made(models.Amounts).contract.input_schema["properties"]
    assert amounts["price"]["pattern"] == "^-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?$"
    assert amounts["price"]["description"] == "A decimal number, at least 0."


@pytest.mark.req("M2.4")
@pytest.mark.parametrize(
    ("field", "value"),
    [("text", ""), ("text", "a" * 11), ("count", -1), ("count", 101), ("ratio", 0), ("ratio", 1)],
)
def test_each_bound_that_stands_in_the_schema_is_enforced(field: str, value: Any) -> None:
    assert isinstance(validate(made(models.Plain), GOOD | {field: value}), Refused)


PICK: dict[str, Any] = {"colour": "red", "level": 1}


@pytest.mark.req("M2.6")
def test_a_choice_is_an_enumeration_in_the_schema() -> None:
    schema = made(models.Choices).contract.input_schema
    assert schema["$defs"]["Colour"]["enum"] == ["red", "blue"]
    assert schema["$defs"]["Level"]["enum"] == [1, 2]
    assert schema["properties"]["size"]["enum"] == ["s", "m"]


@pytest.mark.req("M2.6", "M2.3")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("colour", "green"),
        ("colour", "RED"),
        ("colour", "red "),
        ("colour", 0),
        ("level", 3),
        ("level", True),
        ("level", 1.0),
        ("level", "1"),
        ("mixed", 7.0),
        ("mixed", "7"),
        ("mixed", "WORD"),
        ("number", True),
        ("number", 1.0),
        ("number", "1"),
        ("either", False),
        ("either", 0.0),
        ("either", "off"),
        ("yes", 1),
        ("yes", False),
        ("yes", "true"),
    ],
)
def test_nothing_but_a_listed_choice_is_accepted(field: str, value: Any) -> None:
    choices = made(models.Choices)
    assert validate(choices, PICK) is None
    assert isinstance(validate(choices, PICK | {field: value}), Refused)


@pytest.mark.req("M2.3", "M2.18")
@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (
            "day",
            "2026-01-31",
            ["1577836800", 1577836800, "2026-01-31T00:00:00", "31.01.2026", "2026-1-31", "2026-02-30"],
        ),
        (
            "at",
            "2026-01-31T10:00:00Z",
            ["2026-01-31 10:00", "1577836800", 0, "2026-01-31T10:00:00", "2026-01-31"],
        ),
        ("at", "2026-01-31T10:00:00.5+02:00", ["2026-01-31T25:00:00Z"]),
        ("clock", "10:00:00", ["3600", 3600, "10:00:00Z", "25:00"]),
        ("lasting", "PT90S", ["1 day", "01:00:00", 90, "90", "P", "PT", "-PT1S", "P1W"]),
        ("id", "12345678-1234-5678-1234-567812345678", ["12345678123456781234567812345678", "urn:uuid:1", 7]),
    ],
)
def test_a_moment_a_duration_and_an_id_have_one_written_form(field: str, good: str, bad: list[Any]) -> None:
    times = made(models.Times)
    assert validate(times, {"day": "2026-01-31"} | {field: good}) is None
    for value in bad:
        assert isinstance(validate(times, {"day": "2026-01-31"} | {field: value}), Refused), value


@pytest.mark.req("M2.3", "M2.18")
def test_a_decimal_is_a_string_of_digits_and_never_a_float() -> None:
    amounts = made(models.Amounts)
    for good in ("0", "12.50", "1", "9999.99"):
        assert validate(amounts, {"price": good, "rate": "-0.001"}) is None
    for bad in (1.5, 1, "1_000", " 1", "1e3", ".5", "NaN", "Infinity", "1.234", "99999", "-1", "", "٣"):
        assert isinstance(validate(amounts, {"price": bad}), Refused), bad
    for bad in (1.5, 1, "1_000", True):
        assert isinstance(validate(amounts, {"price": "1", "rate": bad}), Refused), bad
    assert validate(amounts, models.Amounts(price=Decimal("3.10"))) is None


@pytest.mark.req("M2.4", "M1.4")
def test_a_decimal_that_could_not_be_read_back_is_refused_when_the_tool_is_made() -> None:
    with pytest.raises(
        ContractError, match="at most 6 decimal places; write an integer of the smallest unit"
    ):
        made(_one(Annotated[Decimal, Field(decimal_places=8)]))


# --- types that may not stand in an input ---------------------------------------------------------------------


class Configured(BaseModel):
    model_config = ConfigDict(strict=False)
    number: int


class Initialised(BaseModel):
    number: int

    def __init__(self, **data: Any) -> None:
        super().__init__(**data)


class Triple(NamedTuple):
    a: int


@dataclass
class WithInit:
    x: int
    secret: InitVar[int]


def _one(annotation: Any, default: Any = ...) -> type[BaseModel]:
    namespace = {"__annotations__": {"field": annotation}} | ({} if default is ... else {"field": default})
    return type("Input", (BaseModel,), namespace)


class Shown(BaseModel):
    number: int

    @field_serializer("number")
    def hide(self, value: int) -> int:
        return 0


INNER_LIST: Any = list[_one(int, Field(strict=False))]  # type: ignore[misc]
UNFIT: list[tuple[Any, str]] = [
    (_one(int, Field(strict=False)), "remove strict=False"),
    (_one(Annotated[int, Strict(False)]), "remove strict=False"),
    (_one(list[Annotated[int, Field(strict=False)]]), "remove strict=False"),
    (_one(dict[str, Annotated[int, Field(strict=False)]]), "remove strict=False"),
    (_one(Annotated[int, Field(strict=False)] | None), "remove strict=False"),
    (_one(Annotated[int, Field(strict=False), Field(gt=1)]), "remove strict=False"),
    (_one(INNER_LIST), "remove strict=False"),
    (_one(SecretStr), "Sensitive"),
    (_one(SecretBytes), "Sensitive"),
    (_one(Secret[int]), "Sensitive"),
    (_one(list[SecretStr] | None), "Sensitive"),
    (_one(set[str]), "write list"),
    (_one(frozenset[int]), "write list"),
    (_one(Iterable[int]), "write list"),
    (_one(Triple), "instead of a NamedTuple"),
    (_one(Json[int]), "instead of Json"),
    (_one(complex), "instead of complex"),
    (_one(ImportString), "remove ImportString"),
    (_one(int, Field(exclude=True)), "remove exclude"),
    (_one(int, Field(exclude_if=lambda _value: True)), "remove exclude"),
    (_one(int, Field(validation_alias="other")), "write alias="),
    (_one(int, Field(serialization_alias="other")), "write alias="),
    (_one(int, Field(validation_alias=AliasChoices("a", "b"))), "write one alias="),
    (_one(Annotated[int, PlainSerializer(lambda _value: 0)]), "remove the serializer"),
    (_one(WithInit), "instead of InitVar"),
    (_one(Initialised), "remove __init__ from Initialised"),
    (Shown, "remove the serializer"),
    (Initialised, "remove __init__ from Initialised"),
]


@pytest.mark.req("M2.3", "M3.2", "M1.4")
@pytest.mark.parametrize(("model", "words"), UNFIT)
def test_a_type_that_is_coerced_or_not_read_back_as_shown_is_refused_when_the_tool_is_made(
    model: type[BaseModel], words: str
) -> None:
    with pytest.raises(ContractError, match=re.escape(words)) as refused:
        made(model)
    assert str(refused.value).startswith("tool 'act', input, ")


@pytest.mark.req("M2.3", "M3.2", "M1.4")
def test_the_refusal_of_a_type_names_its_field() -> None:
    class Inner(BaseModel):
        fine: int
        loose: int = Field(strict=False)

    class Outer(BaseModel):
        inner: list[Inner]

    with pytest.raises(
        ContractError, match="field 'loose': remove strict=False; arguments are never coerced"
    ):
        made(Outer)


@pytest.mark.req("M2.3", "M3.2")
def test_a_model_s_own_lax_configuration_loosens_nothing() -> None:
    configured = made(Configured)
    assert validate(configured, {"number": 5}) is None
    assert isinstance(validate(configured, {"number": "5"}), Refused)


@pytest.mark.req("M3.10")
def test_what_an_input_computes_from_its_fields_is_no_argument() -> None:
    class Sized(BaseModel):
        number: int = 2

        @computed_field  # type: ignore[prop-decorator]
        @property
        def double(self) -> int:
            return self.number * 2

    sized = made(Sized)
    assert validate(sized, Sized(number=4)) is None
    assert isinstance(validate(sized, {"number": 4, "double": 8}), Refused)
    assert sized.input.dump(Sized(number=4)) == {"number": 4}


@pytest.mark.req("M3.5")
def test_a_field_with_the_name_of_a_secret_is_explained_like_any_other() -> None:
    class Login(BaseModel):
        password: str = Field(max_length=5)
        token: int

    refusal = validate(made(Login), {"password": "x" * 9, "token": "hunter2hunter2"})
    assert refusal is not None
    assert refusal.message == (
        "password: String should have at most 5 characters; token: Input should be a valid integer"
    )
