"""What the questions say of tools that run as jobs, and of what happens when a worker dies over one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.checklist.specimens import AnyTool, CardDeclined, answer, check_one, defects
from toolgate import Applied, NotApplied, ToolContext, tool
from toolgate.domain.checklist import Question

pytestmark = pytest.mark.req("M13.1", "M13.2", "M7.4")


def writing(**changed: Any) -> AnyTool:
    """A job with effects about which nothing is missing."""
    given: dict[str, Any] = {
        "effect": "write",
        "roles": {"a"},
        "timeout": "2h",
        "idempotency": "k:{count}",
        "raises": {CardDeclined},
        "job": True,
    }

    @tool(**{**given, **changed})
    async def move_stock(context: ToolContext[Any], count: int) -> int:
        """Move what lies on a shelf."""
        return count

    return move_stock


def reading(**changed: Any) -> AnyTool:
    """A job in steps."""

    @tool(**{"effect": "read", "roles": {"a"}, "timeout": "2h", "job": True, **changed})
    async def count_stock(context: ToolContext[Any]) -> int:
        """Count what lies on every shelf."""
        return await context.step("count", lambda: 1)

    return count_stock


async def looked_up(context: ToolContext[Any], args: Any) -> Applied[int] | NotApplied:
    """What the books say."""
    return NotApplied("the books hold nothing")


def test_a_job_that_does_not_say_how_long_it_may_take_is_told_what_the_default_does_to_it() -> None:
    (defect,) = defects(reading(timeout=None), Question.TIMEOUT)

    assert "30 s after its first start" in defect.why
    assert "over all its runs" in defect.how
    assert answer(reading(), Question.TIMEOUT).why == "7200 s for the job, from its first start over all runs"


def test_an_effect_that_may_not_run_again_says_that_a_dead_worker_leaves_it_to_a_person() -> None:
    judged = writing()

    assert "not run again after its worker's death" in answer(judged, Question.RETRIES).why
    told = answer(judged, Question.FAILURE)
    assert not told.is_no
    assert "waits for a person; so does a job whose worker died" in told.why


def test_an_effect_whose_key_removes_duplicates_says_that_it_runs_again() -> None:
    judged = writing(honours_key=True)

    assert "run again under the same key" in answer(judged, Question.RETRIES).why
    assert "begins again from the start: it takes no steps" in answer(judged, Question.FAILURE).why


def test_an_effect_that_can_be_looked_up_waits_for_nobody() -> None:
    told = answer(writing(reconcile=looked_up), Question.FAILURE).why

    assert "looked_up looks up what became of a lost call" in told
    assert "person" not in told


def test_a_read_in_steps_says_that_it_goes_on_where_it_was() -> None:
    judged = reading()

    assert check_one(judged).clean
    assert "run again after its worker's death" in answer(judged, Question.RETRIES).why
    assert "goes on after the last step that it recorded" in answer(judged, Question.FAILURE).why


def test_a_read_in_a_process_of_its_own_says_that_it_begins_again() -> None:
    told = answer(isolated_count, Question.FAILURE)

    assert not told.is_no
    assert "from the start: a process of its own takes no steps" in told.why


@tool(effect="read", roles={"a"}, timeout="2h", job=True, isolation="process")
def isolated_count() -> int:
    """Count in a process of its own."""
    return 1


@pytest.mark.req("M13.5")
@pytest.mark.parametrize(
    ("judged", "why", "how"),
    [
        (reading(job=False), "is no job", "job=True"),
        (reading(isolation="process"), "in a process of its own there are none", "not both"),
    ],
    ids=["no job", "a process"],
)
def test_steps_that_nothing_records_are_a_defect(judged: AnyTool, why: str, how: str) -> None:
    (defect,) = [each for each in defects(judged, Question.FAILURE) if "durable steps" in each.why]

    assert why in defect.why
    assert how in defect.how


def test_a_step_of_something_else_is_no_durable_step() -> None:
    @tool(effect="read", roles={"a"}, timeout=2.0)
    def walk(context: ToolContext[Any]) -> int:
        """Walk."""
        step = context.deps.step
        return int(context.deps.step("left") + step("right"))

    assert not [each for each in defects(walk, Question.FAILURE) if "durable steps" in each.why]


def test_what_is_no_job_is_told_nothing_of_workers() -> None:
    judged = writing(job=False, timeout=2.0)

    assert all("worker" not in each.why for each in check_one(judged).answers)
