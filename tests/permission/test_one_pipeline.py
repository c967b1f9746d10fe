"""One order of steps, one door: what is written in the spine is what every call passes, and nothing goes around it."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import inspect
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import toolgate
from tests.small_gate import ANA, NOBODY, opened, trail
from toolgate import (
    Approval,
    Caller,
    Gateway,
    PendingApproval,
    Refused,
    Retry,
    Tool,
    ToolContext,
    TransientError,
    tool,
)
from toolgate.adapters.clock import SystemClock
from toolgate.domain.call import Clearance, ClearedCall, SealedCall
from toolgate.domain.outcome import ErrorType
from toolgate.gateway import spine
from toolgate.gateway.gates import approval, budget, idempotency, permission, pinned

SOURCE = Path(toolgate.__file__).parent


@cache
def trees() -> dict[str, ast.Module]:
    return {
        path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in SOURCE.rglob("*.py")
    }


def names(tree: ast.AST) -> list[str]:
    return [
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    ]


def called(tree: ast.AST, name: str) -> int:
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sum(
        name == (each.id if isinstance(each, ast.Name) else getattr(each, "attr", "")) for each in calls
    )


@pytest.mark.req("M5.1")
def test_the_gates_are_these_in_this_order() -> None:
    assert (
        permission.judge,
        idempotency.judge,
        pinned.judge,
        budget.judge,
        approval.judge,
    ) == spine.GATES


@pytest.mark.req("M5.1")
def test_the_steps_are_written_in_one_function_in_their_order() -> None:
    order = [
        node.func.id
        for node in ast.walk(ast.parse(inspect.getsource(spine.handle)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    steps = [name for name in order if name in {"prepare", "judge", "permit", "perform"}]
    assert sorted(steps) == ["judge", "perform", "permit", "prepare"]
    source = inspect.getsource(spine.handle)
    places = [source.index(f"await {step}(") for step in ("prepare", "judge", "permit", "perform")]
    assert places == sorted(places)


@pytest.mark.req("M5.1", "M4.11", "X2.1")
async def test_a_call_meets_the_author_s_code_in_the_written_order(tmp_path: Path) -> None:
    met: list[str] = []

    def note(name: str, answer: Any) -> Any:
        def predicate(context: ToolContext[Any], args: Any) -> Any:
            met.append(name)
            return answer

        return predicate

    @tool(
        effect="write",
        roles={"support"},
        authorize=note("authorize", True),
        approval=Approval(approvers={"boss"}, when=note("when", None)),
        idempotency="x:{number}",
    )
    async def act(number: int) -> int:
        """Do."""
        met.append("run")
        return number

    async with opened([act], tmp_path) as gateway:
        outcome = await gateway.call(act, {"number": 1}, caller=ANA)
        assert outcome.ok
        assert met == ["authorize", "when", "run"]
        met.clear()
        assert (await gateway.call(act, {"number": 1}, caller=ANA)).replayed
        assert met == ["authorize"]
        met.clear()
        assert isinstance(await gateway.call(act, {"number": "x"}, caller=ANA), Refused)
        assert isinstance(await gateway.call(act, {"number": 2}, caller=NOBODY), Refused)
        assert met == []


@pytest.mark.req("M5.1")
async def test_what_fails_at_several_steps_is_answered_by_the_first(tmp_path: Path) -> None:
    @tool(
        effect="write",
        roles={"support"},
        authorize=lambda _context, args: args.number < 10,
        approval=Approval(approvers={"boss"}),
        idempotency="x:{number}",
        rate_limit="1/day",
    )
    async def act(number: int) -> int:
        """Do."""
        return number

    async with opened([act], tmp_path) as gateway:

        async def answer(number: Any, caller: Caller = ANA) -> Any:
            outcome = await gateway.call(act, {"number": number}, caller=caller)
            return outcome.error_type if isinstance(outcome, Refused) else type(outcome)

        assert await answer("x", NOBODY) is ErrorType.UNKNOWN_TOOL
        assert await answer("x") is ErrorType.INVALID_ARGUMENTS
        assert await answer(50) is ErrorType.PERMISSION_DENIED
        assert await answer(1) is PendingApproval
        assert await answer(2) is ErrorType.RATE_LIMITED
        assert await answer(1) is PendingApproval  # asking again attaches, and spends nothing


@pytest.mark.req("M5.3", "X3.2")
def test_only_the_spine_clears_a_call() -> None:
    makers = {
        path for path, tree in trees().items() if called(tree, "Clearance") or called(tree, "ClearedCall")
    }
    assert makers == {"gateway/spine.py"}
    assert called(trees()["gateway/spine.py"], "Clearance") == 1
    users = {path for path, tree in trees().items() if "_CLEARANCE" in names(tree)}
    assert users == {"gateway/spine.py"}
    assert not hasattr(toolgate, "Clearance")
    assert not hasattr(toolgate, "ClearedCall")


@pytest.mark.req("M5.3")
def test_a_call_cannot_be_cleared_without_a_clearance() -> None:
    for fake in (None, object(), type("Clearance", (), {})(), type("Clearance", (Clearance,), {})()):
        with pytest.raises(TypeError, match="only the spine clears a call"):
            ClearedCall(sealed=None, clearance=fake, deadline=0.0)  # type: ignore[arg-type]


@pytest.mark.req("M5.3", "X3.2")
def test_a_tool_s_function_is_run_by_runners_alone() -> None:
    """Elsewhere `.function` may be shown, named or looked at, and never called."""
    runs = {
        path
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "function"
    }
    assert {path for path in runs if not path.startswith("adapters/runners/")} <= {"domain/tool.py"}
    assert "function(" not in inspect.getsource(Tool.arguments)


@pytest.mark.req("X3.2", "M1.6")
def test_no_public_name_runs_a_function_past_the_gate() -> None:
    ran: list[int] = []

    @tool(effect="write", roles="anyone")
    def act(number: int = 1) -> int:
        """Do."""
        ran.append(number)
        return number

    with pytest.raises(TypeError, match="runs through a gateway"):
        act()  # type: ignore[operator]
    for name in toolgate.__all__:
        assert not any(
            hasattr(getattr(toolgate, name), each) for each in ("run_tool", "invoke", "run_unchecked")
        )
    with pytest.warns(UserWarning, match="memory store forgets"):
        gateway = Gateway([act])
    public = {name for name in dir(gateway) if not name.startswith("_")}
    assert public == {
        "approve",
        "call",
        "call_sync",
        # It gives a call up, and runs nothing.
        "cancel",
        "deny",
        "from_config",
        "get_call",
        # As an operation, for one that only looks up rows.
        "look",
        "make_workflow",
        # An operation is ours, not a surface's: it is handed the world and answers a value.
        "operate",
        "operate_near_tools",
        "request",
        "run_sync",
        "store",
        "sweep",
        "tools",
        "wait_for",
        "wake",
        # It tells that the ledger grew, and not how.
        "watch",
        "workflow",
        "world",
    }
    assert ran == []


@pytest.mark.req("M5.2")
def test_a_sealed_call_cannot_be_rewritten() -> None:
    assert SealedCall.__dataclass_params__.frozen  # type: ignore[attr-defined]
    sealed = object.__new__(SealedCall)
    for each in dataclasses.fields(SealedCall):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(sealed, each.name, None)


class Holder(BaseModel):
    names: list[str]


@pytest.mark.req("M5.2", "X2.2")
async def test_a_predicate_that_rewrites_its_arguments_changes_neither_the_record_nor_another_call(
    tmp_path: Path,
) -> None:
    given = {"names": ["ana"]}

    def authorize(context: ToolContext[Any], args: Holder) -> bool:
        args.names.append("smuggled")
        return True

    @tool(effect="read", roles={"support"}, authorize=authorize)
    async def act(args: Holder) -> list[str]:
        """Do."""
        return args.names

    async with opened([act], tmp_path) as gateway:
        outcome = await gateway.call(act, given, caller=ANA)
        (record,) = await trail(gateway, outcome.call_id)
        assert record["gen_ai.tool.call.arguments"] == {"names": ["ana"]}
        assert given == {"names": ["ana"]}


@pytest.mark.req("M5.2", "X2.2", "M8.4")
async def test_a_write_runs_what_was_sealed_whatever_predicates_and_earlier_attempts_did_to_their_copy(
    tmp_path: Path,
) -> None:
    ran: list[list[str]] = []

    def meddles(context: ToolContext[Any], args: Holder) -> bool:
        args.names.append("smuggled")
        return True

    @tool(
        effect="write",
        roles={"support"},
        authorize=meddles,
        idempotency="x:{workflow_id}",
        retries=Retry(attempts=2, delay=0.001),
    )
    async def act(args: Holder) -> None:
        """Do."""
        ran.append(list(args.names))
        args.names.clear()
        if len(ran) == 1:
            raise TransientError("again")

    async with opened([act], tmp_path, clock=SystemClock()) as gateway:
        outcome = await gateway.call(act, Holder(names=["ana"]), caller=ANA, workflow="w")
    assert outcome.ok
    assert ran == [["ana"], ["ana"]]


@pytest.mark.req("X3.1", "M5.8")
def test_every_door_gives_the_same_decision_and_the_same_record(tmp_path: Path) -> None:
    @tool(effect="read", roles={"support"}, authorize=lambda _context, args: args.number != 13)
    async def act(number: int) -> int:
        """Do."""
        return number

    async def awaited(gateway: Gateway, given: Any, caller: Caller) -> list[Any]:
        flow = gateway.workflow("w", caller=caller, agent="a", model="m")
        return [
            await flow.call(act, given),
            await flow.call("act", given),
            await gateway.call(act, given, caller=caller, workflow="w", agent="a", model="m"),
            await gateway.call("act", given, caller=caller, workflow="w", agent="a", model="m"),
        ]

    with Gateway([act], store=f"sqlite:///{tmp_path / 'gate.db'}", housekeeping=None) as gateway:
        for given, caller in (
            ({"number": 1}, ANA),
            ({"number": 13}, ANA),
            ({"number": "x"}, ANA),
            ({}, NOBODY),
        ):
            flow = gateway.workflow("w", caller=caller, agent="a", model="m")
            outcomes = [
                flow.call_sync(act, given),
                flow.call_sync("act", given),
                gateway.call_sync(act, given, caller=caller, workflow="w", agent="a", model="m"),
                gateway.call_sync("act", given, caller=caller, workflow="w", agent="a", model="m"),
                *asyncio.run(awaited(gateway, given, caller)),
            ]
            seen = set()
            for outcome in outcomes:
                (record,) = asyncio.run(trail(gateway, outcome.call_id))
                own = {"toolgate.call.id", "time", "toolgate.duration_ms"}
                seen.add(
                    json.dumps(
                        [outcome.to_model() | {"call_id": "-"}, outcome.reasons, type(outcome).__name__]
                    )
                    + json.dumps(
                        {name: value for name, value in record.items() if name not in own}, sort_keys=True
                    )
                )
            assert len(seen) == 1
