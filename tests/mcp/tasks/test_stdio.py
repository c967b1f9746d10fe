"""The same over standard input and output, by the program as a client starts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.mcp.confirm.house import CLIENT, YES, User
from tests.mcp.confirm.test_stdio import folder
from tests.mcp.server.desk import MODERN
from tests.mcp.server.test_stdio import client, ran
from tests.mcp.tasks.knowing import KnowsTasks, begun, cancel, get, over, update
from tests.mcp.tasks.test_own_word import open_question, said

__all__ = ["folder"]


@pytest.mark.req("X3.50", "X3.51", "X3.53", "X3.54")
async def test_a_task_outlives_the_process_that_began_it_and_its_user_answers_in_the_next(
    folder: Path,
) -> None:
    knows: dict[str, Any] = {
        "extensions": [KnowsTasks()],
        "elicitation_callback": User(YES),
        "client_info": CLIENT,
    }
    async with client(folder, MODERN, **knows) as session:
        created = await begun(session, "pay", order=1)
        given_up = await begun(session, "pay", order=2)
        await cancel(session.session, given_up.task_id)
        name, _ = await open_question(session, created.task_id)
    async with client(folder, MODERN, **knows) as session:
        await update(session.session, created.task_id, {name: said(YES)})
        ended = await over(session.session, created.task_id)
        cancelled = await get(session.session, given_up.task_id)
    trail = ran("audit", "tail", "--json", folder=folder).stdout

    assert (ended.status, ended.body["status"], cancelled.status) == ("completed", "succeeded", "cancelled")
    assert (folder / "paid").read_text() == "1\n"
    assert "mcp-stdio: Reading Room 4.2" in trail
