"""Where an author's marks are found, whatever shape the model has."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, Optional, TypeVar

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field, JsonValue, RootModel, SecretStr
from typing_extensions import TypeAliasType, TypedDict

from toolgate.domain.redaction import Redactor, Sensitive, dotted_paths, sensitive_paths

pytestmark = pytest.mark.req("M11.4")

Hidden = Annotated[str, Sensitive()]
Iban = NewType("Iban", str)
T = TypeVar("T")
Nested = TypeAliasType("Nested", "dict[str, Nested] | Leaf")


class Leaf(BaseModel):
    code: Hidden


class Card(BaseModel):
    number: Hidden
    month: int


@dataclasses.dataclass
class Address:
    street: Hidden
    town: str


class Extra(TypedDict):
    note: NotRequired[Hidden]
    kind: str


class Point(NamedTuple):
    x: int
    y: Hidden


@dataclasses.dataclass
class Box(Generic[T]):
    content: T
    label: Hidden


class Page(BaseModel, Generic[T]):
    rows: list[T]
    cursor: Hidden


class Node(BaseModel):
    secret_note: Hidden
    children: list[Node] = []
    named: dict[str, Node] | None = None


class Husband(BaseModel):
    age: Annotated[int, Sensitive()]
    wife: Wife | None = None


class Wife(BaseModel):
    weight: Annotated[float, Sensitive()]
    husband: Husband | None = None


class Couple(BaseModel):
    pair: Husband


def paths(annotation: Any) -> set[tuple[str, ...]]:
    model = type("Model", (BaseModel,), {"__annotations__": {"f": annotation}, "__module__": __name__})
    return {path[1:] for path in sensitive_paths(model)}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str, set()),
        (Literal["a", "b"], set()),
        (JsonValue, set()),
        (Hidden, {()}),
        (Annotated[str, Sensitive], {()}),
        (Annotated[Hidden, Field(max_length=4)], {()}),
        (SecretStr, {()}),
        (Optional[Hidden], {()}),  # noqa: UP045 - both spellings are written
        (Hidden | int, {()}),
        (list[Hidden], {("*",)}),
        (set[Hidden], {("*",)}),
        (tuple[int, Hidden], {("*",)}),
        (list[list[Hidden]], {("*", "*")}),
        (dict[str, Hidden], {("*",)}),
        (dict[Hidden, int], {()}),
        (Card, {("number",)}),
        (Annotated[Card, Sensitive()], {()}),
        (list[Card] | None, {("*", "number")}),
        (dict[str, list[Card]], {("*", "*", "number")}),
        (Address, {("street",)}),
        (Extra, {("note",)}),
        (Point, {("*",)}),
        (Annotated[Iban, Sensitive()], {()}),
        (Box[Card], {("label",), ("**", "number")}),
        (Box[Hidden], {("label",), ("**",)}),
        (Page[Card], {("cursor",), ("rows", "*", "number")}),
        (Nested, {("**", "code")}),
        (Node, {("**", "secret_note")}),
        (Husband, {("**", "age"), ("**", "weight")}),
    ],
)
def test_a_mark_is_found_through_every_kind_of_type(annotation: Any, expected: set[tuple[str, ...]]) -> None:
    assert paths(annotation) == expected


def test_a_model_that_contains_itself_is_covered_to_every_depth() -> None:
    redactor = Redactor(lambda _: "hidden", sensitive_paths(Couple))
    value: dict[str, Any] = {"age": 1}
    for depth in range(20):
        value = {"weight": depth, "husband": value} if depth % 2 == 0 else {"age": depth, "wife": value}

    shown: Any = redactor.redact({"pair": value})["pair"]  # type: ignore[index, call-overload]

    for depth in range(19, -1, -1):
        assert shown["weight" if depth % 2 == 0 else "age"] == "hidden"
        shown = shown["husband" if depth % 2 == 0 else "wife"]


def test_a_field_is_hidden_under_each_of_its_names() -> None:
    class Aliased(BaseModel):
        a: Hidden = Field(alias="A")
        b: Hidden = Field(  # type: ignore[pydantic-alias]
            validation_alias=AliasChoices("B1", AliasPath("B2", 0, "x")), serialization_alias="B3"
        )

    assert set(sensitive_paths(Aliased)) == {("a",), ("A",), ("b",), ("B1",), ("B2", "*", "x"), ("B3",)}


def test_a_root_model_is_no_step_of_the_path() -> None:
    class Cards(RootModel[list[Card]]):
        pass

    class Secret(RootModel[Hidden]):
        pass

    class Both(BaseModel):
        cards: Cards
        secret: Secret

    assert sensitive_paths(Cards) == (("*", "number"),)
    assert sensitive_paths(Secret) == ((),)
    assert set(sensitive_paths(Both)) == {("cards", "*", "number"), ("secret",)}


def test_an_annotation_that_cannot_be_resolved_is_an_error_and_not_an_open_field() -> None:
    class Unfinished(BaseModel):
        later: NeverDefined  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(NameError):
        sensitive_paths(Unfinished)


def test_the_order_of_the_paths_is_stable() -> None:
    assert sensitive_paths(Couple) == sensitive_paths(Couple)


def test_paths_can_be_written_by_hand() -> None:
    written = ["body", "customer.iban", "items.*.card", "items[].card", r"a\.b.c"]

    assert dotted_paths(written) == (
        ("body",),
        ("customer", "iban"),
        ("items", "*", "card"),
        ("items", "*", "card"),
        ("a.b", "c"),
    )


@pytest.mark.parametrize("path", ["", ".", "a..b", "a."])
def test_a_path_that_would_hide_nothing_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="empty step; write it as"):
        dotted_paths([path])
