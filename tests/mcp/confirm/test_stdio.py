"""The same over standard input and output, by the program as a client starts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.mcp.confirm.house import CLIENT, NO, YES, User, beside
from tests.mcp.server.desk import MODES
from tests.mcp.server.test_stdio import client, ran

TOOLS = '''
from pathlib import Path
from typing import Annotated
from pydantic import Field
from toolgate import Approval, tool

@tool(effect="write", roles={"support"}, timeout="60s", idempotency="pay:{order}:{workflow_id}",
      approval=Approval(approvers="caller"))
def pay(order: Annotated[int, Field(gt=0, le=9)]) -> int:
    """Pay."""
    with Path("paid").open("a") as file:
        file.write(f"{order}\\n")
    return order

tools = [pay]
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "wares.py").write_text(TOOLS)
    (tmp_path / "toolgate.toml").write_text('tools = ["wares:tools"]\nstore = "sqlite:///toolgate.db"\n')
    return tmp_path


@pytest.mark.req("M12.25", "M12.24")
@pytest.mark.parametrize("mode", MODES)
async def test_the_user_at_a_clients_other_end_is_asked_and_what_they_say_counts(
    folder: Path, mode: str
) -> None:
    answers = iter((YES, NO))
    user = User(lambda: next(answers))
    told: list[Any] = []
    async with client(
        folder, mode, "--agent", "desk", "--owner", "dev", elicitation_callback=user, client_info=CLIENT
    ) as session:
        for order in (1, 2):
            result = await session.call_tool("pay", {"order": order}, meta=beside("wf"))
            told.append(result.structured_content)
    trail = ran("audit", "tail", "--json", folder=folder).stdout

    assert [one["status"] for one in told] == ["succeeded", "refused"]
    assert (folder / "paid").read_text() == "1\n"
    assert len(user.shown) == 2
    assert (
        '"through": "mcp-stdio: Reading Room 4.2"' in trail
        or '"through":"mcp-stdio: Reading Room 4.2"' in trail
    )
