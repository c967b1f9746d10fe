"""A task that waits for its own caller: the question stands in it, and the answer counts as it does anywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from tests.mcp.confirm.house import NO, NOTHING, YES, User, asked, call
from tests.mcp.confirm.house import house as without_tasks
from tests.mcp.tasks.house import house, knowing
from tests.mcp.tasks.knowing import Task, begun, get, over, update
from tests.mcp.tasks.test_held import approval_of
from tests.rest.desk import ANN
from toolgate import Denied

if TYPE_CHECKING:
    from pathlib import Path

    from mcp import Client

pytestmark = pytest.mark.req("X3.53")


def said(result: types.ElicitResult) -> dict[str, Any]:
    """As it lies on the wire."""
    return result.model_dump(by_alias=True, exclude_none=True)


async def open_question(client: Client, task_id: str) -> tuple[str, dict[str, Any]]:
    """The one question of a task, and its name."""
    task = await get(client.session, task_id)
    assert task.status == "input_required"
    assert task.input_requests is not None
    ((name, question),) = task.input_requests.items()
    return name, question


async def answered(client: Client, task_id: str, result: types.ElicitResult) -> Task:
    """The task after its user said something."""
    name, _ = await open_question(client, task_id)
    await update(client.session, task_id, {name: said(result)})
    return await get(client.session, task_id)


async def test_the_question_stands_in_the_task_and_a_yes_runs_the_call(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate, elicitation_callback=User(YES)) as client:
        created = await begun(client, "pay", order=1, cents=900)
        name, question = await open_question(client, created.task_id)
        once_more = await open_question(client, created.task_id)
        paid_before = list(gate.business.paid)
        await update(client.session, created.task_id, {name: said(YES)})
        ended = await over(client.session, created.task_id)
        (voted,) = await gate.said()

    assert (name, question) == once_more
    assert paid_before == []
    form = types.ElicitRequest.model_validate(question).params
    assert isinstance(form, types.ElicitRequestFormParams)
    assert form.message.startswith("Confirm a call of pay in your name (ann).")
    assert form.requested_schema["required"] == ["confirm"]
    assert (ended.status, ended.input_requests, ended.body["result"]) == ("completed", None, 900)
    assert (voted["toolgate.actor"], voted["toolgate.through"]) == ("ann", "mcp: Reading Room 4.2")
    assert gate.business.paid == [(1, 900)]


async def test_it_is_the_question_that_a_client_without_tasks_is_asked(tmp_path: Path) -> None:
    async with without_tasks(tmp_path) as gate, gate.client("2026-07-28", User(YES)) as client:
        elsewhere = await asked(client, cents=900)
    async with house(tmp_path) as gate, knowing(gate, elicitation_callback=User(YES)) as client:
        created = await begun(client, "pay", order=1, cents=900)
        _, question = await open_question(client, created.task_id)

    assert elsewhere.input_requests is not None
    (request,) = elsewhere.input_requests.values()
    assert request == types.ElicitRequest.model_validate(question)


async def test_where_both_stand_around_a_client_without_tasks_is_asked_at_once(tmp_path: Path) -> None:
    user = User(YES)
    async with house(tmp_path) as gate, gate.client("2026-07-28", user) as client:
        told = await call(client, cents=900)

    assert (told["status"], len(user.shown)) == ("succeeded", 1)


async def test_a_decline_is_final(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate, elicitation_callback=User(YES)) as client:
        created = await begun(client, "pay", order=1)
        ended = await answered(client, created.task_id, NO)

    assert (ended.status, ended.body["error_type"]) == ("completed", "approval_denied")
    assert gate.business.paid == []


@pytest.mark.parametrize("says", NOTHING, ids=lambda says: f"{says.action} {says.content}")
async def test_what_is_neither_yes_nor_no_leaves_the_question_open(
    tmp_path: Path, says: types.ElicitResult
) -> None:
    async with house(tmp_path) as gate, knowing(gate, elicitation_callback=User(YES)) as client:
        created = await begun(client, "pay", order=1)
        after = await answered(client, created.task_id, says)
        told_nobody = await gate.said()

    assert (after.status, told_nobody, gate.business.paid) == ("input_required", [], [])


async def test_an_answer_to_anything_but_what_was_shown_is_no_answer(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate, elicitation_callback=User(YES)) as client:
        mine = await begun(client, "pay", order=1)
        other = await begun(client, "pay", order=2)
        name, _ = await open_question(client, other.task_id)
        approval = await approval_of(gate, mine.task_id)
        guesses = (name, "confirm", approval, f"confirm:{approval}:{'0' * 64}", "")
        await update(client.session, mine.task_id, {guess: said(YES) for guess in guesses})
        after = await get(client.session, mine.task_id)

    assert after.status == "input_required"
    assert gate.business.paid == []


async def test_an_answer_counts_once(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate, elicitation_callback=User(YES)) as client:
        created = await begun(client, "pay", order=1)
        name, _ = await open_question(client, created.task_id)
        for result in (YES, YES, NO):
            await update(client.session, created.task_id, {name: said(result)})
        ended = await over(client.session, created.task_id)
        await update(client.session, created.task_id, {name: said(YES)})
        votes = await gate.said()

    assert ended.body["status"] == "succeeded"
    assert [vote["toolgate.transition"] for vote in votes] == ["approval_approved"]
    assert gate.business.paid == [(1, 500)]


async def test_a_client_that_shows_no_questions_is_given_none_and_its_user_confirms_in_person(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        created = await begun(client, "pay", order=1)
        waiting = await get(client.session, created.task_id)
        approval = await approval_of(gate, created.task_id)
        assert not isinstance(await gate.desk.gateway.approve(approval, by=ANN, reason="yes"), str)
        ended = await over(client.session, created.task_id)

    assert (waiting.status, waiting.input_requests) == ("working", None)
    assert ended.body["status"] == "succeeded"


async def test_where_another_person_decides_there_is_no_question(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate, elicitation_callback=User(YES)) as client:
        created = await begun(client, "pay_more", order=1, cents=9000)
        waiting = await get(client.session, created.task_id)

    assert (waiting.status, waiting.input_requests) == ("working", None)


async def test_what_a_dialogue_cannot_show_whole_is_no_question(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate, elicitation_callback=User(YES)) as client:
        created = await begun(client, "pay", order=1, note="x" * 15_000)
        waiting = await get(client.session, created.task_id)

    assert (waiting.status, waiting.input_requests) == ("working", None)


async def test_the_applications_rule_is_asked_about_a_yes_and_its_reason_is_told(tmp_path: Path) -> None:
    def rule(person: object, facts: object) -> Denied:
        return Denied("not on Sundays")

    async with (
        house(tmp_path, may_decide=rule) as gate,
        knowing(gate, elicitation_callback=User(YES)) as client,
    ):
        created = await begun(client, "pay", order=1)
        name, _ = await open_question(client, created.task_id)
        with pytest.raises(MCPError, match=r"It was not confirmed: not on Sundays\.") as refused:
            await update(client.session, created.task_id, {name: said(YES)})
        after = await get(client.session, created.task_id)

    assert refused.value.code == types.INVALID_REQUEST
    assert after.status == "input_required"


async def test_what_is_secret_stands_in_no_task(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate, elicitation_callback=User(YES)) as client:
        created = await begun(client, "pay", order=1, card="4242424242424242")
        looks = [await get(client.session, created.task_id)]
        looks.append(await answered(client, created.task_id, YES))
        looks.append(await over(client.session, created.task_id))

    assert "4242424242424242" not in json.dumps([look.model_dump(mode="json") for look in looks])


async def test_a_question_that_was_shown_before_a_restart_is_answered_after_it(tmp_path: Path) -> None:
    user = User(YES)
    async with house(tmp_path) as gate:
        token = await gate.desk.token()
        async with knowing(gate, token, elicitation_callback=user) as client:
            created = await begun(client, "pay", order=1)
            name, _ = await open_question(client, created.task_id)

    async with house(tmp_path) as gate, knowing(gate, token, elicitation_callback=user) as client:
        await update(client.session, created.task_id, {name: said(YES)})
        ended = await over(client.session, created.task_id)

    assert ended.body["status"] == "succeeded"
    assert gate.business.paid == [(1, 500)]
