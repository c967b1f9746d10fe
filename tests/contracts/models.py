"""Models of every shape that an author may give a tool, for tests of what the schema and the validator say of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Literal, NotRequired, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

Email: TypeAlias = Annotated[str, Field(min_length=3, max_length=20)]


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(Enum):
    WORD = "word"
    NUMBER = 7


class Plain(BaseModel):
    text: str = Field(min_length=1, max_length=10)
    count: int = Field(ge=0, le=100)
    ratio: float = Field(gt=0, lt=1)
    flag: bool


class Address(BaseModel):
    # What the author's own configuration would let through, the gate does not.
    model_config = ConfigDict(extra="allow", strict=False)
    street: str = Field(max_length=10)
    number: int = Field(ge=1, le=999)


class Nested(BaseModel):
    home: Address
    others: list[Address] = Field(default_factory=list, max_length=3)
    by_name: dict[str, Address] = Field(default_factory=dict, max_length=3)
    maybe: Address | None = None


class Choices(BaseModel):
    colour: Colour
    level: Level
    mixed: Mixed = Mixed.WORD
    size: Literal["s", "m"] = "s"
    number: Literal[1, 2] = 1
    either: Literal["on", 0] = "on"
    yes: Literal[True] = True


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=0, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str = Field(max_length=5)


class Unions(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    value: int | str | None = None
    pair: tuple[int, bool] | None = None
    shape: Cat | list[int] = Field(default_factory=lambda: [0])


class Times(BaseModel):
    day: date
    at: datetime | None = None
    clock: time | None = None
    lasting: timedelta | None = None
    id: UUID | None = None


class Amounts(BaseModel):
    price: Decimal = Field(ge=0, max_digits=6, decimal_places=2)
    rate: Decimal | None = None


class Row(TypedDict):
    key: str
    value: NotRequired[int]


@dataclass
class Point:
    x: int
    y: int = 0


class Kinds(BaseModel):
    row: Row
    point: Point
    rows: list[Row] = Field(default_factory=list, max_length=2)
    scores: dict[Annotated[str, Field(pattern="^[a-z]{1,3}$")], Annotated[int, Field(le=5)]] = Field(
        default_factory=dict
    )


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    order_id: int = Field(alias="orderId", ge=0)
    note: str = Field(default="", alias="theNote", max_length=5)


class Tree(BaseModel):
    label: str = Field(max_length=3)
    children: list[Tree] = Field(default_factory=list, max_length=2)
    twin: Tree | None = None


class Empty(BaseModel):
    pass


ALL: tuple[type[BaseModel], ...] = (
    Plain,
    Nested,
    Choices,
    Unions,
    Times,
    Amounts,
    Kinds,
    Aliased,
    Tree,
    Empty,
)
