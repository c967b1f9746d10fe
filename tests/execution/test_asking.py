"""A reading tool that asks whoever calls it: what it is told, when it runs again, and what is kept of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.execution.stage import ANN, stage, trail
from toolgate import (
    Answer,
    Failed,
    Form,
    Gateway,
    NeedsInput,
    Retry,
    Succeeded,
    ToolContext,
    UsageError,
    tool,
)
from toolgate.domain.questions import Question
from toolgate.testing import FakeClock

NAME = Form("Who are you?", {"name": {"type": "string", "maxLength": 20}})
MORE = Form("How many?", {"many": {"type": "integer"}})
ADA = Answer(action="accept", content={"name": "Ada"})
FOUR = Answer(action="accept", content={"many": 4})


def asker(seen: list[Any], **keywords: Any) -> Any:
    """A tool that asks two things, one after the other."""

    @tool(**{"effect": "read", "roles": {"support"}, "raises": {NeedsInput}, **keywords})
    async def ask(context: ToolContext[Any]) -> str:
        """Ask."""
        seen.append((context.attempt, sorted(context.answers)))
        for key, question in (("who", NAME), ("many", MORE)):
            if key not in context.answers:
                raise NeedsInput({key: question})
        return f"{context.answers['who'].content['name']} {context.answers['many'].content['many']}"

    return ask


@pytest.mark.req("X3.55", "X3.56")
async def test_the_outcome_holds_the_question_for_the_application_and_its_key_for_the_model(
    clock: FakeClock,
) -> None:
    async with stage(asker([]), clock=clock) as gateway:
        outcome = await gateway.call("ask", {}, caller=ANN)
        (event,) = await trail(gateway)

    assert isinstance(outcome, Failed)
    assert outcome.code == "input_required"
    assert dict(outcome.input_requests) == {"who": NAME}
    model = outcome.to_model()
    assert (model["status"], model["error_type"], model["effect"]) == ("failed", "tool_error", "none")
    assert "who" in str(model["message"])
    assert "Who are you?" not in str(model)
    assert event["toolgate.input"] == {"who": "open"}


@pytest.mark.req("X3.56")
async def test_the_tool_runs_again_with_each_answer_that_fits_in_the_same_attempt(clock: FakeClock) -> None:
    seen: list[Any] = []
    async with stage(asker(seen, retries=Retry(attempts=2, delay=0.01)), clock=clock) as gateway:
        flow = gateway.workflow("wf", caller=ANN)
        first = await flow.call("ask", {}, answers={"who": ADA})
        second = await flow.call("ask", {}, answers={"who": ADA, "many": FOUR, "never_asked": ADA})
        events = await trail(gateway)

    assert isinstance(first, Failed)
    assert list(first.input_requests) == ["many"]
    assert isinstance(second, Succeeded)
    assert second.result == "Ada 4"
    assert seen == [(1, []), (1, ["who"]), (1, []), (1, ["who"]), (1, ["many", "who"])]
    assert [event["toolgate.input"] for event in events] == [
        {"who": "accept", "many": "open"},
        {"who": "accept", "many": "accept"},
    ]
    assert "Ada" not in str(events)


@pytest.mark.req("X3.56")
async def test_an_answer_that_does_not_fit_never_reaches_the_tool_and_the_reasons_say_why(
    clock: FakeClock,
) -> None:
    seen: list[Any] = []
    wrong = Answer(action="accept", content={"name": "Zuleika-" * 9})
    async with stage(asker(seen), clock=clock) as gateway:
        outcome = await gateway.call("ask", {}, caller=ANN, answers={"who": wrong})
        (event,) = await trail(gateway)

    assert isinstance(outcome, Failed)
    assert list(outcome.input_requests) == ["who"]
    assert "the answer to 'who' is none: name must have 0 to 20 characters" in outcome.reasons
    assert event["toolgate.input"] == {"who": "misfit"}
    assert "Zuleika" not in str(event) + str(outcome)
    assert seen == [(1, [])]


@pytest.mark.req("X3.56")
async def test_a_tool_that_is_not_content_with_an_answer_asks_for_another(clock: FakeClock) -> None:
    runs: list[int] = []

    @tool(effect="read", roles={"support"}, raises={NeedsInput})
    async def picky(context: ToolContext[Any]) -> str:
        """Never be content."""
        runs.append(1)
        raise NeedsInput({"who": NAME})

    async with stage(picky, clock=clock) as gateway:
        outcome = await gateway.call(picky, {}, caller=ANN, answers={"who": ADA})

    assert isinstance(outcome, Failed)
    assert list(outcome.input_requests) == ["who"]
    assert len(runs) == 2


@pytest.mark.req("X3.56")
async def test_no_predicate_sees_an_answer(clock: FakeClock) -> None:
    seen: list[Any] = []

    def own(context: ToolContext[Any], args: Any) -> bool:
        seen.append((dict(context.answers), context.can_ask))
        return True

    @tool(effect="read", roles={"support"}, raises={NeedsInput}, authorize=own)
    def ask(context: ToolContext[Any]) -> str:
        """Ask, in a thread."""
        if "who" not in context.answers:
            raise NeedsInput({"who": NAME})
        with pytest.raises(TypeError):
            context.answers["who"] = ADA  # type: ignore[index]
        return "known"

    async with stage(ask, clock=clock) as gateway:
        outcome = await gateway.call(ask, {}, caller=ANN, answers={"who": ADA})

    assert outcome.unwrap() == "known"
    assert seen == [({}, frozenset())]


@pytest.mark.req("X3.55")
@pytest.mark.parametrize("effect", ["read", "write"])
async def test_a_tool_that_asks_without_saying_so_has_failed_and_nobody_is_asked(
    clock: FakeClock, effect: Any
) -> None:
    @tool(effect=effect, roles={"support"})
    async def sly(context: ToolContext[Any]) -> str:
        """Ask all the same."""
        asked: dict[str, Question] = {"who": NAME}
        assert not context.answers
        raise NeedsInput(asked)

    async with stage(sly, clock=clock) as gateway:
        outcome = await gateway.call(sly, {}, caller=ANN, workflow="wf", answers={"who": ADA})

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect, outcome.code) == ("internal_error", "none", None)
    assert not outcome.input_requests
    assert any("raises=" in reason for reason in outcome.reasons)


@pytest.mark.req("X3.56")
@pytest.mark.parametrize("answers", [{"who": "Ada"}, [ADA], {f"k{number}": ADA for number in range(65)}])
async def test_what_are_no_answers_is_the_programs_mistake(clock: FakeClock, answers: Any) -> None:
    async with stage(asker([]), clock=clock) as gateway:
        with pytest.raises(UsageError, match="answers= "):
            await gateway.call("ask", {}, caller=ANN, answers=answers)
        assert await trail(gateway) == []


@pytest.mark.req("X3.56")
def test_a_program_without_a_loop_answers_as_well() -> None:
    with Gateway([asker([])]) as gateway:
        outcome = gateway.call_sync("ask", {}, caller=ANN, answers={"who": ADA, "many": FOUR})

    assert outcome.unwrap() == "Ada 4"
