"""Who may call what: the caller comes from the application, roles grant, predicates take away, and default is no."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from tests.small_gate import ANA, BEN, GIL, NOBODY, opened, trail
from toolgate import Caller, ContractError, Denied, Gateway, Refused, Sensitive, Succeeded, ToolContext, tool
from toolgate.domain.outcome import Advice, ErrorType
from toolgate.testing import FakeClock

RAN: list[str] = []


class OrderInput(BaseModel):
    order_id: int = Field(gt=0)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    RAN.clear()


@tool(effect="read", roles={"support"})
async def read_order(context: ToolContext[Any], args: OrderInput) -> str:
    """Read an order."""
    RAN.append("read_order")
    return f"{context.caller.tenant}/{context.caller.id}/{args.order_id}"


@tool(effect="read", roles="anyone")
async def opening_hours() -> str:
    """Say when the shop is open."""
    RAN.append("opening_hours")
    return "always"


@tool(effect="write", roles={"admin", "owner"}, idempotency="close:{order_id}")
async def close_order(args: OrderInput) -> bool:
    """Close an order."""
    RAN.append("close_order")
    return True


TOOLS = [read_order, opening_hours, close_order]


@pytest.mark.req("M4.2")
def test_a_tool_that_nothing_can_grant_fails_when_the_gateway_is_made() -> None:
    @tool(effect="read")
    async def forgotten() -> None:
        """Do."""

    with pytest.raises(
        ContractError,
        match=r"nothing can grant it; say who may call it with roles=\{'support'\}, or roles='anyone'",
    ):
        Gateway([forgotten])


@pytest.mark.req("M4.3", "M4.4", "M4.9")
@pytest.mark.parametrize(
    ("roles", "may"),
    [
        (set(), {"opening_hours"}),
        ({"support"}, {"opening_hours", "read_order"}),
        ({"admin"}, {"opening_hours", "close_order"}),
        ({"owner", "support"}, {"opening_hours", "read_order", "close_order"}),
        ({"Support", "support ", "anyone"}, {"opening_hours"}),
    ],
)
async def test_a_listing_shows_exactly_the_tools_that_the_caller_may_call(
    tmp_path: Path, roles: set[str], may: set[str]
) -> None:
    caller = Caller("u-1", roles=roles)
    async with opened(TOOLS, tmp_path) as gateway:
        assert {listed.name for listed in gateway.tools(caller)} == may
        for each in TOOLS:
            arguments = {} if each.name == "opening_hours" else {"order_id": 1}
            outcome = await gateway.call(each.name, arguments, caller=caller, workflow="w")
            assert outcome.ok == (each.name in may), outcome
    assert set(RAN) == may


@pytest.mark.req("M4.1")
async def test_nothing_in_the_arguments_names_or_changes_the_caller(tmp_path: Path) -> None:
    class Claims(BaseModel):
        order_id: int
        caller: dict[str, str]
        roles: list[str]
        tenant: str

    @tool(effect="read", roles={"support"})
    async def claims(context: ToolContext[Any], args: Claims) -> str:
        """Read."""
        return f"{context.caller.tenant}/{context.caller.id}/{sorted(context.caller.roles)}"

    said = {"order_id": 1, "caller": {"id": "root"}, "roles": ["admin"], "tenant": "globex"}
    async with opened([claims.with_contract(claims.contract)], tmp_path) as gateway:
        outcome = await gateway.call("claims", said, caller=ANA)
        assert outcome.unwrap() == "acme/u-ana/['support']"
        assert isinstance(await gateway.call("claims", said, caller=NOBODY), Refused)
        (record,) = await trail(gateway, outcome.call_id)
    assert (record["user.id"], record["toolgate.tenant"]) == ("u-ana", "acme")


# --- unknown and invisible ------------------------------------------------------------------------------------

ARGUMENTS: list[Any] = [
    {"order_id": 1},
    {"order_id": -1},
    {"order_id": "x", "more": 1},
    {},
    None,
    b"not json",
    {"__proto__": 1},
    "x" * 400_000,
]


def answered(outcome: Any) -> bytes:
    return (
        json.dumps(outcome.to_model() | {"call_id": "-"}).encode()
        + json.dumps(json.loads(outcome.to_mcp()["content"][0]["text"]) | {"call_id": "-"}).encode()
    )


@pytest.mark.req("M4.8", "M4.10")
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
async def test_an_unknown_tool_and_an_invisible_one_are_answered_by_the_same_bytes(
    tmp_path: Path, arguments: Any
) -> None:
    async with opened(TOOLS, tmp_path) as gateway:
        invisible = await gateway.call("close_order", arguments, caller=ANA, workflow="w")
        unknown = await gateway.call("no_such_tool", arguments, caller=ANA, workflow="w")
        assert answered(invisible) == answered(unknown)
        assert isinstance(invisible, Refused)
        assert isinstance(unknown, Refused)
        assert len(invisible.call_id) == len(unknown.call_id)
        # The true reasons differ, and only the application and the trail learn them.
        assert invisible.reasons == ("the caller has none of the roles admin, owner",)
        assert unknown.reasons == ("there is no tool of this name",)
        again = [await gateway.get_call(each.call_id, caller=ANA) for each in (invisible, unknown)]
        assert answered(again[0]) == answered(again[1]) == answered(unknown)
        for outcome in (invisible, unknown):
            (record,) = await trail(gateway, outcome.call_id)
            assert record["toolgate.reasons"] == list(outcome.reasons)


@pytest.mark.req("M4.8")
async def test_a_missing_workflow_does_not_tell_an_invisible_tool_from_an_unknown_one(tmp_path: Path) -> None:
    @tool(effect="write", roles={"admin"}, idempotency="x:{workflow_id}")
    async def keyed() -> None:
        """Do."""

    async with opened([keyed], tmp_path) as gateway:
        invisible = await gateway.call("keyed", {}, caller=ANA)
        assert answered(invisible) == answered(await gateway.call("unknown", {}, caller=ANA))


@pytest.mark.req("M4.7", "M4.8")
@pytest.mark.parametrize(
    "other", [BEN, GIL, NOBODY], ids=["colleague", "namesake of another tenant", "nobody"]
)
async def test_another_one_s_call_is_answered_like_a_call_that_never_was(
    tmp_path: Path, other: Caller
) -> None:
    async with opened(TOOLS, tmp_path) as gateway:
        mine = await gateway.call("read_order", {"order_id": 1}, caller=ANA)
        theirs = await gateway.get_call(mine.call_id, caller=other)
        nothing = await gateway.get_call("call_00000000000000000000000000", caller=other)
        assert answered(theirs) == answered(nothing)
        assert theirs.reasons == nothing.reasons


# --- predicates -----------------------------------------------------------------------------------------------


def own(context: ToolContext[Any], args: Any) -> bool | Denied:
    if args.order_id == 1:
        return True
    return Denied("order 2 belongs to customer c-77", message="This order is not yours.")


async def own_later(context: ToolContext[Any], args: Any) -> bool | Denied:
    return own(context, args)


@pytest.mark.req("M4.5", "M4.10", "M4.13")
@pytest.mark.parametrize("predicate", [own, own_later])
async def test_a_predicate_decides_object_by_object_and_its_reason_stays_inside(
    tmp_path: Path, predicate: Any
) -> None:
    @tool(effect="write", roles={"support"}, authorize=predicate, idempotency="x:{order_id}")
    async def act(args: OrderInput) -> bool:
        """Do."""
        RAN.append("act")
        return True

    async with opened([act], tmp_path) as gateway:
        assert (await gateway.call(act, OrderInput(order_id=1), caller=ANA)).ok
        outcome = await gateway.call(act, OrderInput(order_id=2), caller=ANA)
        assert isinstance(outcome, Refused)
        assert (outcome.error_type, outcome.advice) == (ErrorType.PERMISSION_DENIED, Advice.STOP)
        assert outcome.message == "This order is not yours."
        assert outcome.reasons == ("order 2 belongs to customer c-77",)
        assert "c-77" not in json.dumps(outcome.to_model())
        assert "c-77" not in json.dumps(outcome.to_mcp())
        (record,) = await trail(gateway, outcome.call_id)
        assert record["toolgate.reasons"] == ["order 2 belongs to customer c-77"]
    assert RAN == ["act"]


class Blunt(BaseException):
    pass


def _raise(error: BaseException) -> Any:
    def predicate(context: Any, args: Any) -> bool:
        raise error

    async def predicate_later(context: Any, args: Any) -> bool:
        raise error

    return [predicate, predicate_later]


def _answer(value: Any) -> Any:
    return lambda _context, _args: value


async def _never_true(context: Any, args: Any) -> bool:
    return bool(await asyncio.sleep(0, result=0))


def _yields(context: Any, args: Any) -> Any:
    yield True


NONSENSE: list[Any] = [
    *(
        _answer(value)
        for value in (None, 1, "yes", "True", [True], {"allow": True}, Denied, object(), 0, float("nan"))
    ),
    *_raise(RuntimeError("s3cret-in-a-predicate")),
    *_raise(KeyError("order_id")),
    *_raise(SystemExit(0)),
    *_raise(KeyboardInterrupt()),
    *_raise(asyncio.CancelledError()),
    *_raise(GeneratorExit()),
    *_raise(Blunt("s3cret-in-a-predicate")),
    *_raise(StopIteration(True)),
    _never_true,
    _yields,
    lambda _context: True,
    lambda: True,
    _answer(Denied(None)),  # type: ignore[arg-type]
    _answer(Denied("half \ud800 a pair \x00", message="half \ud800 a pair")),
    _answer(Denied("x" * 100_000, message="x" * 100_000)),
]


@pytest.mark.req("M4.6", "M5.7", "M10.11")
@pytest.mark.parametrize("predicate", NONSENSE, ids=range(len(NONSENSE)))
async def test_a_predicate_that_raises_or_answers_nonsense_denies(
    tmp_path: Path, predicate: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @tool(effect="write", roles={"support"}, authorize=predicate, idempotency="x:{order_id}")
    async def act(args: OrderInput) -> bool:
        """Do."""
        RAN.append("act")
        return True

    async with opened([act], tmp_path) as gateway:
        outcome = await asyncio.wait_for(gateway.call(act, OrderInput(order_id=1), caller=ANA), 30)
        assert isinstance(outcome, Refused)
        assert outcome.error_type is ErrorType.PERMISSION_DENIED
        said = json.dumps(outcome.to_model(), ensure_ascii=False)
        assert "s3cret" not in said
        assert len(said.encode()) < 4_000
        (record,) = await trail(gateway, outcome.call_id)
        assert record["toolgate.decision"] == "deny"
        assert "s3cret" not in json.dumps(record)
        # The loop is alive, and the slot came back.
        assert (await gateway.get_call(outcome.call_id, caller=ANA)) is not None
    assert "s3cret" not in caplog.text
    assert RAN == []


@pytest.mark.req("M4.6", "M6.2")
async def test_a_predicate_that_hangs_denies_at_the_deadline(tmp_path: Path) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def hangs(context: Any, args: Any) -> bool:
        loop.call_soon_threadsafe(asked.set)
        await asyncio.Event().wait()
        return True

    @tool(effect="write", roles={"support"}, authorize=hangs, timeout=5.0, idempotency="x:{order_id}")
    async def act(args: OrderInput) -> bool:
        """Do."""
        RAN.append("act")
        return True

    clock = FakeClock()
    async with opened([act], tmp_path, clock=clock) as gateway:
        call = asyncio.ensure_future(gateway.call(act, OrderInput(order_id=1), caller=ANA))
        await asked.wait()
        clock.advance(6)
        outcome = await call
        assert not outcome.ok
        assert outcome.effect.value == "none"
        assert [r["toolgate.effect"] for r in await trail(gateway, outcome.call_id)] == ["none"]
    assert RAN == []


@pytest.mark.req("M4.12")
async def test_a_predicate_never_grants_what_the_roles_do_not(tmp_path: Path) -> None:
    asked: list[int] = []

    def grants(context: ToolContext[Any], args: Any) -> bool:
        asked.append(1)
        return True

    @tool(effect="read", roles={"admin"}, authorize=grants)
    async def secret() -> str:
        """Read."""
        return "secret"

    async with opened([secret], tmp_path) as gateway:
        outcome = await gateway.call("secret", {}, caller=ANA)
    assert isinstance(outcome, Refused)
    assert outcome.error_type is ErrorType.UNKNOWN_TOOL
    assert asked == []


# --- dependencies ---------------------------------------------------------------------------------------------


class Ledger:
    """Counts how often dependencies are entered and left, and for whom."""

    def __init__(self, *, fails: str | None = None) -> None:
        self.events: list[str] = []
        self.fails = fails

    @contextlib.asynccontextmanager
    async def __call__(self, caller: Caller) -> AsyncIterator[Ledger]:
        self.events.append(f"enter {caller.tenant}/{caller.id}")
        if self.fails == "enter":
            raise RuntimeError("s3cret-of-a-connection")
        try:
            yield self
        finally:
            self.events.append("leave")


@pytest.mark.req("M4.11")
@pytest.mark.parametrize(
    ("arguments", "ends"),
    [
        ({"order_id": 1}, "succeeded"),
        ({"order_id": 2}, "denied"),
        ({"order_id": 3}, "raised"),
        ({"order_id": 4}, "bad result"),
    ],
)
async def test_dependencies_are_entered_once_and_left_however_a_call_ends(
    tmp_path: Path, arguments: dict[str, int], ends: str
) -> None:
    ledger = Ledger()

    async def authorize(context: ToolContext[Any], args: Any) -> bool:
        assert context.deps is ledger
        return bool(args.order_id != 2)

    @tool(effect="read", roles={"support"}, authorize=authorize)
    async def act(context: ToolContext[Any], args: OrderInput) -> int:
        """Do."""
        assert context.deps is ledger
        ledger.events.append("run")
        if args.order_id == 3:
            raise RuntimeError("broken")
        return "no number" if args.order_id == 4 else 1  # type: ignore[return-value]

    async with opened([act], tmp_path, deps=ledger) as gateway:
        outcome = await gateway.call(act, arguments, caller=ANA)
    assert outcome.ok == (ends == "succeeded")
    assert ledger.events == ["enter acme/u-ana", *([] if ends == "denied" else ["run"]), "leave"]


@pytest.mark.req("M4.11")
@pytest.mark.parametrize(
    ("name", "arguments", "caller"),
    [("act", {"order_id": 1}, NOBODY), ("act", {"order_id": "x"}, ANA), ("none", {}, ANA)],
)
async def test_dependencies_are_not_entered_for_who_may_not_call(
    tmp_path: Path, name: str, arguments: dict[str, Any], caller: Caller
) -> None:
    ledger = Ledger()

    @tool(effect="read", roles={"support"})
    async def act(context: ToolContext[Any], args: OrderInput) -> None:
        """Do."""

    async with opened([act], tmp_path, deps=ledger) as gateway:
        assert not (await gateway.call(name, arguments, caller=caller)).ok
    assert ledger.events == []


@pytest.mark.req("M4.11", "M10.11")
async def test_dependencies_that_cannot_be_entered_run_nothing_and_tell_nothing(tmp_path: Path) -> None:
    ledger = Ledger(fails="enter")

    @tool(effect="read", roles={"support"})
    async def act(context: ToolContext[Any]) -> None:
        """Do."""
        RAN.append("act")

    async with opened([act], tmp_path, deps=ledger) as gateway:
        outcome = await gateway.call(act, {}, caller=ANA)
        assert not outcome.ok
        assert "s3cret" not in json.dumps(outcome.to_model())
        assert "s3cret" not in json.dumps(await trail(gateway, outcome.call_id))
    assert RAN == []


# --- tenants --------------------------------------------------------------------------------------------------


@pytest.mark.req("M4.7", "M9.18")
async def test_tenants_share_no_key_result_call_or_approval(tmp_path: Path) -> None:
    @tool(effect="write", roles={"support"}, idempotency="x:{order_id}")
    async def act(context: ToolContext[Any], args: OrderInput) -> str:
        """Do."""
        RAN.append(context.caller.tenant)
        return f"of {context.caller.tenant}"

    async with opened([act], tmp_path) as gateway:
        acme = await gateway.call(act, OrderInput(order_id=1), caller=ANA)
        globex = await gateway.call(act, OrderInput(order_id=1), caller=GIL)
        assert isinstance(acme, Succeeded)
        assert isinstance(globex, Succeeded)
        assert (acme.result, globex.result) == ("of acme", "of globex")
        assert not globex.replayed
        assert isinstance(await gateway.get_call(acme.call_id, caller=GIL), Refused)
    assert RAN == ["acme", "globex"]


@pytest.mark.req("M4.13")
async def test_a_refused_call_claims_no_key_and_keeps_no_slot(tmp_path: Path) -> None:
    let: list[int] = []

    @tool(
        effect="write",
        roles={"support"},
        authorize=lambda _context, _args: bool(let),
        idempotency="x:{order_id}",
        concurrency=1,
    )
    async def act(args: OrderInput) -> bool:
        """Do."""
        RAN.append("act")
        return True

    async with opened([act], tmp_path) as gateway:
        for _ in range(3):
            assert isinstance(await gateway.call(act, OrderInput(order_id=1), caller=ANA), Refused)
        let.append(1)
        assert (await gateway.call(act, OrderInput(order_id=1), caller=BEN)).ok
    assert RAN == ["act"]


@pytest.mark.req("M11.4", "M4.8")
async def test_arguments_for_a_tool_that_one_may_not_see_are_redacted_as_by_its_contract(
    tmp_path: Path,
) -> None:
    class Card(BaseModel):
        card: Annotated[str, Sensitive()]
        note: str

    @tool(effect="read", roles={"admin"})
    async def charge(args: Card) -> None:
        """Do."""

    async with opened([charge], tmp_path) as gateway:
        for name in ("charge", "chrage"):
            outcome = await gateway.call(name, {"card": "canary-77", "note": "n"}, caller=ANA)
            (record,) = await trail(gateway, outcome.call_id)
            assert "canary-77" not in json.dumps(record)
            assert set(record["gen_ai.tool.call.arguments"]) == {"card", "note"}
