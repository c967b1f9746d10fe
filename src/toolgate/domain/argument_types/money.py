"""Amounts of money as whole numbers of the smallest unit.

Here: ``Money`` and the ``MoneyRange`` marker that bounds it. Not here: arithmetic, exchange, rounding.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from toolgate.domain.argument_types.currency import Currency
from toolgate.domain.argument_types.refusal import ArgumentRefusal, listing
from toolgate.domain.errors import ContractError

#: The largest integer that every JSON reader holds exactly (RFC 8259 section 6).
LARGEST_AMOUNT = 2**53 - 1


def _code(value: object) -> object:
    """Take a code as its member in Python mode too, where a strict enum would want the member itself."""
    if type(value) is str and value in Currency.__members__:
        return Currency[value]
    if isinstance(value, Currency):
        return value
    raise ArgumentRefusal(
        code="money_currency", message="Use an ISO 4217 code in capital letters, such as EUR."
    ).as_error()


class Money(BaseModel):
    """An exact amount, for example ``Money(minor_units=1250, currency=Currency.EUR)`` for 12.50 EUR.

    It is never negative: whether money comes or goes is the meaning of a tool, not a sign in its argument. Floats,
    numerals in strings and booleans are refused. Bound it for a tool with ``MoneyRange``.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", revalidate_instances="always")

    minor_units: int = Field(
        ge=0, le=LARGEST_AMOUNT, description="The amount in the currency's smallest unit: 1250 is 12.50 EUR."
    )
    currency: Annotated[Currency, BeforeValidator(_code)] = Field(description="ISO 4217 code.")

    def __str__(self) -> str:
        digits = self.currency.digits
        whole, rest = divmod(self.minor_units, 10**digits)
        return f"{whole}.{rest:0{digits}d} {self.currency}" if digits else f"{whole} {self.currency}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyRange:
    """Bounds ``Money``: ``Annotated[Money, MoneyRange(currencies={"EUR"}, max=500_000)]``.

    Args:
        currencies: the currencies that are taken, all with the same number of digits, because a bound in cents says
            nothing about yen.
        min: least amount, in minor units.
        max: greatest amount, in minor units.

    Raises:
        ContractError: an unknown currency, mixed digits, or bounds that nothing can satisfy.
    """

    currencies: Collection[Currency | str]
    max: int
    min: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.currencies, str) or not self.currencies:
            raise ContractError("MoneyRange.currencies: a set of codes, such as {'EUR'}")
        unknown = sorted(str(code) for code in self.currencies if code not in Currency.__members__)
        if unknown:
            raise ContractError(
                f"MoneyRange.currencies: {', '.join(unknown)} is no ISO 4217 code in circulation"
            )
        currencies = tuple(sorted({Currency(code) for code in self.currencies}))
        if len({currency.digits for currency in currencies}) != 1:
            raise ContractError(
                "MoneyRange: currencies with different minor units cannot share a bound; use one field for each"
            )
        if not 0 <= self.min <= self.max <= LARGEST_AMOUNT:
            raise ContractError("MoneyRange: give 0 <= min <= max <= 2**53 - 1, in minor units")
        object.__setattr__(self, "currencies", currencies)

    def check(self, value: Money) -> ArgumentRefusal | None:
        """Judge one amount."""
        if value.currency not in self.currencies:
            return ArgumentRefusal(code="money_currency", message=f"Use a currency of: {self._codes}.")
        if not self.min <= value.minor_units <= self.max:
            return ArgumentRefusal(
                code="money_range", message=f"Use an amount from {self.min} to {self.max} minor units."
            )
        return None

    @property
    def _codes(self) -> str:
        return listing(tuple(str(currency) for currency in self.currencies))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if not (isinstance(source, type) and issubclass(source, Money)):
            raise ContractError(
                "MoneyRange describes one Money; write Annotated[Money, MoneyRange(...)], "
                "and inside a union or a list: Annotated[Money, MoneyRange(...)] | None"
            )

        def accept(value: Money) -> Money:
            refusal = self.check(value)
            if refusal is not None:
                raise refusal.as_error()
            return value

        return core_schema.no_info_after_validator_function(accept, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # Written out in place: next to a $ref, many readers of JSON Schema pass over the bounds.
        shown = {**handler.resolve_ref_schema(handler(schema))}
        amount, currency = dict(shown["properties"]["minor_units"]), {"type": "string"}
        amount |= {"minimum": self.min, "maximum": self.max}
        currency |= {"enum": [str(code) for code in self.currencies]}  # type: ignore[dict-item]
        shown["properties"] = {**shown["properties"], "minor_units": amount, "currency": currency}
        shown["description"] = f"An exact amount of {self._codes}, {self.min} to {self.max} minor units."
        return shown
