"""``@tool``: what becomes a tool, how its input is read from the signature, and what is refused when it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from tests.small_gate import ANA, opened
from toolgate import (
    Approval,
    ContractError,
    Effect,
    NotBuiltYet,
    Retry,
    Succeeded,
    Tool,
    ToolContext,
    ToolError,
    tool,
)


class OrderInput(BaseModel):
    order_id: int = Field(gt=0)


@tool(effect="read", roles={"support"})
async def with_context_and_model(context: ToolContext[None], args: OrderInput) -> str:
    """Read."""
    return f"{context.caller.id}:{args.order_id}"


@tool(effect="read", roles={"support"})
async def with_model(args: OrderInput) -> str:
    """Read."""
    return f":{args.order_id}"


@tool(effect="read", roles={"support"})
def sync_with_context(context: ToolContext[None], order_id: int) -> str:
    """Read."""
    return f"{context.caller.id}:{order_id}"


@tool(effect="read", roles={"support"})
def sync_with_fields(order_id: Annotated[int, Field(gt=0)], note: str = "none") -> str:
    """Read."""
    return f":{order_id}:{note}"


@tool(effect="read", roles={"support"})
async def without_input() -> str:
    """Read."""
    return "nothing asked"


@pytest.mark.req("M1.1", "M1.2")
@pytest.mark.parametrize(
    ("made", "arguments", "answer"),
    [
        (with_context_and_model, {"order_id": 7}, "u-ana:7"),
        (with_model, {"order_id": 7}, ":7"),
        (sync_with_context, {"order_id": 7}, "u-ana:7"),
        (sync_with_fields, {"order_id": 7}, ":7:none"),
        (without_input, {}, "nothing asked"),
    ],
)
async def test_a_function_of_any_style_becomes_a_tool(
    tmp_path: Path, made: Tool[Any, str], arguments: dict[str, Any], answer: str
) -> None:
    async with opened([made], tmp_path) as gateway:
        assert (await gateway.call(made, arguments, caller=ANA)).unwrap() == answer


@pytest.mark.req("M1.2")
def test_a_model_named_args_is_the_input_and_a_model_of_another_name_is_one_field() -> None:
    @tool(effect="read", roles="anyone")
    def as_field(order: OrderInput) -> None:
        """Read."""

    assert set(with_model.contract.input_schema["properties"]) == {"order_id"}
    assert set(as_field.contract.input_schema["properties"]) == {"order"}


@pytest.mark.req("M1.2")
def test_args_beside_another_parameter_is_a_field_like_the_others() -> None:
    @tool(effect="read", roles="anyone")
    def both(args: OrderInput, note: str) -> None:
        """Read."""

    assert set(both.contract.input_schema["properties"]) == {"args", "note"}


@pytest.mark.req("M1.3")
def test_a_contract_says_everything_that_its_author_said() -> None:
    @tool(
        name="refund",
        title="Refund an order",
        effect="destructive",
        external=True,
        roles={"support", "admin"},
        version="7",
        owner="payments",
        timeout="5s",
        retries=2,
        idempotency="refund:{order_id}",
        honours_key=True,
        rate_limit="30/minute",
        concurrency=3,
        result_size="1KiB",
        approval=Approval(approvers={"boss"}),
        tags={"money"},
    )
    def somehow_named(order_id: int) -> None:
        """Refund a captured payment.

        Does not notify the customer.
        """

    contract = somehow_named.contract
    assert (contract.name, contract.title, contract.version, contract.owner) == (
        "refund",
        "Refund an order",
        "7",
        "payments",
    )
    assert contract.description == "Refund a captured payment.\n\nDoes not notify the customer."
    assert (contract.effect, contract.external, contract.roles) == (
        Effect.DESTRUCTIVE,
        True,
        frozenset({"support", "admin"}),
    )
    assert (contract.timeout, contract.retries) == (5.0, Retry(attempts=2))
    assert (contract.concurrency, contract.result_size, str(contract.rate_limit)) == (3, 1024, "30/minute")
    assert contract.key_fields() == ("order_id",)


@pytest.mark.req("M1.3")
def test_what_an_author_left_out_is_the_careful_choice() -> None:
    @tool(roles="anyone")
    def bare(x: int) -> None:
        """Do."""

    contract = bare.contract
    assert contract.has_effects
    assert not contract.effect_declared
    assert contract.timeout == 30.0
    assert not contract.timeout_declared
    assert contract.breaker is not None


def _raises(words: str, **settings: Any) -> Any:
    return pytest.param(settings, words, id=words)


@pytest.mark.req("M1.4")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        _raises("effect= is 'read', 'write' or 'destructive'", effect="delete"),
        _raises("roles= takes a set of names such as {'support'}", roles="support"),
        _raises("idempotency= names no field", idempotency="always-the-same"),
        _raises("names {amount}, which is no argument", idempotency="refund:{amount}"),
        _raises("names {order_id.b}, which is no argument", idempotency="refund:{order_id.b}"),
        _raises("is malformed", idempotency="refund:{order_id"),
        _raises("must be a plain field name", idempotency="refund:{order_id!r}"),
        _raises("must be a plain field name", idempotency="refund:{order_id:>5}"),
        _raises("must be a plain field name", idempotency="refund:{}"),
        _raises("honours_key=True needs idempotency=", honours_key=True),
        _raises("a read needs no key", effect="read", idempotency="x:{order_id}"),
        _raises("a read leaves nothing in doubt", effect="read", reconcile=lambda _context, _args: None),
        _raises("concurrency= is at least 1", concurrency=0),
        _raises("write at least 10 characters", approval_waiver="because"),
        _raises("is no rate", rate_limit="often"),
        _raises("is no size", result_size="large"),
        _raises("retries.attempts: 99 is not between 1 and 10", retries=99),
        _raises("subclasses of ToolError", raises={ValueError}),
        _raises("a name is lower case letters", name="Create Refund"),
        _raises("a name is lower case letters", name=""),
        _raises("a name is lower case letters", name="x" * 65),
        _raises("timeout", timeout="soon"),
        _raises("366 days", timeout="99999999d"),
        _raises("lone surrogate", description="half \ud800 a pair"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused_with_the_keyword_to_change(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ContractError) as refused:

        @tool(**({"effect": "write", "roles": {"support"}} | settings))
        def refund(order_id: int) -> None:
            """Refund."""

    assert words in str(refused.value)


@pytest.mark.req("M1.4")
def test_signatures_without_a_schema_are_refused() -> None:
    def untyped(x) -> None:  # type: ignore[no-untyped-def]
        """Do."""

    def open_ended(*values: int) -> None:
        """Do."""

    def open_keywords(**values: int) -> None:
        """Do."""

    def private(_x: int) -> None:
        """Do."""

    def reserved(model_config: int) -> None:
        """Do."""

    def generator() -> Iterator[int]:
        """Do."""
        yield 1

    async def async_generator() -> AsyncIterator[int]:
        """Do."""
        yield 1

    for function, words in (
        (untyped, "give the parameter 'x' a type"),
        (open_ended, "name each argument"),
        (open_keywords, "name each argument"),
        (private, "rename the parameter '_x'"),
        (reserved, "rename the parameter 'model_config'"),
        (generator, "return a list instead of yielding"),
        (async_generator, "return a list instead of yielding"),
    ):
        with pytest.raises(ContractError, match=words):
            tool(effect="read", roles="anyone")(function)


@pytest.mark.req("M1.4", "M9.7")
@pytest.mark.parametrize("name", ["idempotency_key", "call_id", "approval_id"])
def test_a_field_by_which_a_model_could_choose_what_only_the_application_may_is_refused(name: str) -> None:
    model = type("Input", (BaseModel,), {"__annotations__": {name: str}})

    def act(args: Any) -> None:
        """Do."""

    act.__annotations__["args"] = model
    with pytest.raises(ContractError, match="only the application may choose it"):
        tool(effect="write", roles="anyone")(act)


@pytest.mark.req("M1.4", "M9.7")
def test_a_field_that_hides_the_workflow_of_a_key_is_refused() -> None:
    with pytest.raises(ContractError, match="rename the field 'workflow_id'"):

        @tool(effect="write", roles="anyone", idempotency="x:{workflow_id}")
        def act(workflow_id: str) -> None:
            """Do."""


class Fine(BaseModel):
    amount: Annotated[int, Field(le=500)] = 100
    tags: list[str] = Field(default_factory=list)


class TooMuch(BaseModel):
    amount: Annotated[int, Field(le=500)] = 900


COUNTER = iter(range(100))


class Numbered(BaseModel):
    number: int = Field(default_factory=lambda: next(COUNTER))


@pytest.mark.req("M1.4", "M3.2")
def test_a_default_that_its_own_type_would_refuse_is_refused() -> None:
    def fine(args: Fine) -> None:
        """Do."""

    def too_much(args: TooMuch) -> None:
        """Do."""

    def wrong_type(amount: int = "many") -> None:  # type: ignore[assignment]
        """Do."""

    tool(effect="read", roles="anyone")(fine)

    def bare_number(amount: Decimal = Decimal("1E+5")) -> None:
        """Do."""

    def half_a_second(amount: timedelta = timedelta(seconds=0.5)) -> None:
        """Do."""

    for function in (too_much, wrong_type, bare_number, half_a_second):
        with pytest.raises(ContractError, match="the default of 'amount' does not fit its own type"):
            tool(effect="read", roles="anyone")(function)


@pytest.mark.req("M1.4", "M9.12")
def test_a_default_that_differs_from_call_to_call_is_refused() -> None:
    def act(args: Numbered) -> None:
        """Do."""

    with pytest.raises(ContractError, match="differs from call to call"):
        tool(effect="write", roles="anyone")(act)


_BASE: dict[str, Any] = {
    "effect": "write",
    "roles": frozenset({"support"}),
    "version": "1",
    "owner": "payments",
    "timeout": 5.0,
    "idempotency": "x:{order_id}",
    "description": "Refund.",
}


def _digest(model: type[BaseModel] = OrderInput, **changed: Any) -> str:
    def act(args: Any) -> None: ...

    act.__annotations__["args"] = model
    return tool(**(_BASE | {"name": "act"} | changed))(act).contract.digest


class OtherInput(BaseModel):
    order_id: int = Field(gt=0, le=10)


@pytest.mark.req("M1.5")
@pytest.mark.parametrize(
    "changed",
    [
        {"name": "act_two"},
        {"version": "2"},
        {"owner": "billing"},
        {"description": "Refund twice."},
        {"effect": "destructive"},
        {"external": True},
        {"roles": frozenset({"support", "admin"})},
        {"roles": "anyone"},
        {"authorize": lambda _context, _args: True},
        {"timeout": 6.0},
        {"idempotency": "y:{order_id}"},
        {"honours_key": True},
        {"approval": Approval(approvers={"boss"})},
        {"model": OtherInput},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_digest_changes_with_what_can_change_a_decision(changed: dict[str, Any]) -> None:
    assert _digest(**changed) != _digest()


@pytest.mark.req("M1.5")
def test_a_digest_changes_with_each_part_of_an_approval() -> None:
    digests = {
        _digest(approval=Approval(**({"approvers": {"boss"}} | changed)))
        for changed in (
            {},
            {"approvers": {"boss", "chief"}},
            {"quorum": 2},
            {"risk": "high"},
            {"expires_in": "1h"},
            {"when": {"order_id": {"gt": 5}}},
            {"when": {"order_id": {"gt": 6}}},
        )
    }
    assert len(digests) == 7


@pytest.mark.req("M1.5")
@pytest.mark.parametrize(
    "changed",
    [
        {"title": "A title"},
        {"tags": {"money"}},
        {"result_size": 10},
        {"rate_limit": "1/day"},
        {"retries": 2},
        {"roles": {"support"}},
        {"timeout": "5s"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_digest_does_not_change_with_anything_else(changed: dict[str, Any]) -> None:
    assert _digest(**changed) == _digest()


@pytest.mark.req("M1.6", "X3.2")
async def test_a_tool_cannot_be_called_and_says_what_to_do_instead() -> None:
    with pytest.raises(TypeError, match=r"gateway\.call\('with_model'.*with_model\.function"):
        with_model(OrderInput(order_id=1))  # type: ignore[operator]

    assert await with_model.function(OrderInput(order_id=3)) == ":3"


@pytest.mark.req("M1.6")
def test_a_contract_and_its_tool_cannot_be_changed_afterwards() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        with_model.contract = sync_with_fields.contract  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        with_model.contract.roles = "anyone"  # type: ignore[misc]


@pytest.mark.req("M1.8")
def test_two_tools_of_one_name_cannot_stand_behind_one_gateway() -> None:
    from toolgate import Gateway

    @tool(name="with_model", effect="read", roles="anyone")
    def other(x: int) -> None:
        """Do."""

    with pytest.raises(ContractError, match="two tools are named 'with_model'; give one another name="):
        Gateway([with_model, other])


@pytest.mark.req("M1.8")
def test_what_is_no_tool_is_refused_by_the_gateway() -> None:
    from toolgate import Gateway

    def plain() -> None: ...

    with pytest.raises(ContractError, match=r"put @tool\(\.\.\.\) on the function"):
        Gateway([plain])  # type: ignore[list-item]


@pytest.mark.req("M1.9")
def test_what_is_not_built_yet_says_so() -> None:
    from toolgate import Gateway

    with pytest.raises(NotBuiltYet, match="policies are not built yet"):
        Gateway([with_model], policies="policies/")


@pytest.mark.req("M1.10")
@pytest.mark.parametrize(
    ("settings", "hints"),
    [
        ({"effect": "read"}, (True, False, True, False)),
        ({"effect": Effect.READ, "external": True}, (True, False, True, True)),
        ({"effect": "write"}, (False, False, False, False)),
        ({"effect": Effect.WRITE, "idempotency": "x:{order_id}"}, (False, False, True, False)),
        ({"effect": "destructive"}, (False, True, False, False)),
    ],
)
def test_an_effect_maps_to_the_hints_of_mcp(settings: dict[str, Any], hints: tuple[bool, ...]) -> None:
    @tool(roles="anyone", **settings)
    def act(order_id: int) -> None:
        """Do."""

    names = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
    assert act.contract.annotations() == dict(zip(names, hints, strict=True))


@pytest.mark.req("M1.1")
async def test_a_sync_function_that_answers_an_awaitable_is_awaited(tmp_path: Path) -> None:
    async def later() -> int:
        return 5

    @tool(effect="read", roles={"support"})
    def hands_on() -> Any:
        """Read."""
        return later()

    async with opened([hands_on], tmp_path) as gateway:
        outcome = await gateway.call("hands_on", {}, caller=ANA)
    assert isinstance(outcome, Succeeded)
    assert outcome.result == 5


class Declined(ToolError):
    code = "declined"


@pytest.mark.req("M1.3", "M10.5")
def test_declared_errors_stand_in_the_contract_by_their_code() -> None:
    @tool(effect="read", roles="anyone", raises={Declined})
    def act() -> None:
        """Do."""

    assert act.contract.raises == ("declined",)


@pytest.mark.req("M12.3", "M1.4")
@pytest.mark.parametrize(
    ("path", "known"),
    [("cents", True), ("payee.country", True), ("lines.0", True), ("cent", False), ("payee.land", False)],
)
def test_a_condition_names_an_argument_of_the_tool(path: str, known: bool) -> None:
    class Payee(BaseModel):
        country: str

    def pay(cents: int, payee: Payee, lines: list[int]) -> None:
        """Pay."""

    make = tool(roles="anyone", approval=Approval(approvers={"lead"}, when={path: {"gt": 1}}))
    if known:
        assert make(pay).contract.approval is not None
        return
    with pytest.raises(ContractError, match="is no argument of the tool; it has cents, lines, payee"):
        make(pay)
