"""Tools that end in ways that no tool should: none is believed, none ends a loop, none is told as what it was not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.small_gate import ANA, opened
from toolgate import StoreInDoubt, StoreUnavailable, Tool, ToolError, tool
from toolgate.gateway.spine import Refusal

SECRET = "password=hunter2"


UNFIT: dict[str, Any] = {"number": SECRET}


class Slip(BaseModel):
    """What a good run answers."""

    number: int = 1


class SlipWithMore(Slip):
    """A subclass that carries what the contract does not promise."""

    password: str = "hunter2"


class Misspelt(ToolError):
    """Declares an effect in a word that is none."""

    code = "misspelt"
    effect: Any = "None"


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError(SECRET)

    __repr__ = __str__


def raising(error: BaseException) -> Callable[[], Awaitable[Any]]:
    async def body() -> Any:
        raise error

    return body


def returning(value: Any) -> Callable[[], Awaitable[Any]]:
    async def body() -> Any:
        return value

    return body


async def cancels_itself() -> Any:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


def write(body: Callable[[], Awaitable[Any]]) -> Tool[Any, Slip]:
    @tool(effect="write", roles={"support"}, idempotency="do:{workflow_id}", timeout=5.0)
    async def do() -> Slip:
        """Do it."""
        result: Slip = await body()
        return result

    return do


@pytest.mark.req("M10.6", "M10.11", "M10.14")
@pytest.mark.parametrize(
    "body",
    [
        raising(StopAsyncIteration(SECRET)),
        raising(GeneratorExit(SECRET)),
        raising(KeyboardInterrupt(SECRET)),
        raising(SystemExit(SECRET)),
        raising(asyncio.CancelledError(SECRET)),
        raising(BaseExceptionGroup(SECRET, [KeyboardInterrupt(), asyncio.CancelledError()])),
        raising(Unspeakable()),
        raising(StoreUnavailable(SECRET)),
        raising(StoreInDoubt(SECRET)),
        raising(Refusal(None)),
        cancels_itself,
    ],
)
async def test_a_write_that_ends_in_no_declared_way_is_unknown_and_says_nothing_of_itself(
    body: Callable[[], Awaitable[Any]], tmp_path: Path
) -> None:
    async with opened([write(body)], tmp_path) as gateway:
        outcome = await gateway.call("do", {}, caller=ANA, workflow="wf")
        later = await gateway.get_call(outcome.call_id, caller=ANA)
        again = await gateway.call("do", {}, caller=ANA, workflow="wf")

    for told in (outcome, later, again):
        assert (told.status, told.effect, told.advice) == ("unknown", "unknown", "ask_human")
        assert "hunter2" not in json.dumps(told.to_model()) + str(told)
    assert "hunter2" not in (tmp_path / "gate.db").read_bytes().decode("latin-1")


@pytest.mark.req("M10.8", "M11.5")
@pytest.mark.parametrize("value", [{"number": 1}, "slip", None, [1], Slip.model_construct(None, **UNFIT)])
async def test_a_result_of_another_type_is_withheld_though_it_was_done(value: Any, tmp_path: Path) -> None:
    async with opened([write(returning(value))], tmp_path) as gateway:
        outcome = await gateway.call("do", {}, caller=ANA, workflow="wf")

    assert (outcome.status, outcome.effect) == ("failed", "applied")
    assert "hunter2" not in str(outcome)


@pytest.mark.req("M10.8", "M1.1")
@pytest.mark.parametrize("value", [SlipWithMore(), SlipWithMore(number=7, password="hunter2hunter2")])
async def test_a_result_that_poses_as_its_type_gives_away_no_field_of_its_own(
    value: Any, tmp_path: Path
) -> None:
    async with opened([write(returning(value))], tmp_path) as gateway:
        outcome = await gateway.call("do", {}, caller=ANA, workflow="wf")

    assert "hunter2" not in json.dumps(outcome.to_model()) + str(outcome)
    assert type(outcome.unwrap()) is Slip


@pytest.mark.req("M10.5", "M8.3")
async def test_an_effect_declared_in_a_word_that_is_none_promises_nothing(tmp_path: Path) -> None:
    async with opened([write(raising(Misspelt("done")))], tmp_path) as gateway:
        outcome = await gateway.call("do", {}, caller=ANA, workflow="wf")

    assert outcome.effect == "unknown"
