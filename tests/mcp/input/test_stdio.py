"""The same over standard input and output, by the program as a client starts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mcp.confirm.house import beside
from tests.mcp.input.house import User, accepted
from tests.mcp.server.desk import MODES
from tests.mcp.server.test_stdio import client

TOOLS = '''
from toolgate import Form, NeedsInput, ToolContext, tool

@tool(effect="read", roles={"support"}, timeout="60s", raises={NeedsInput})
def greet(context: ToolContext[None]) -> str:
    """Greet."""
    if "who" not in context.answers:
        raise NeedsInput({"who": Form("Who are you?", {"name": {"type": "string"}})})
    return context.answers["who"].content["name"]

tools = [greet]
'''


@pytest.mark.req("X3.57")
@pytest.mark.parametrize("mode", MODES)
async def test_the_user_at_a_clients_other_end_is_asked_what_a_tool_wants_to_know(
    tmp_path: Path, mode: str
) -> None:
    (tmp_path / "wares.py").write_text(TOOLS)
    (tmp_path / "toolgate.toml").write_text('tools = ["wares:tools"]\nstore = "sqlite:///toolgate.db"\n')
    user = User(form=accepted(name="Ada"))
    async with client(tmp_path, mode, "--agent", "desk", "--owner", "dev", **user.callbacks()) as session:
        result = await session.call_tool("greet", {}, meta=beside("wf"))

    assert isinstance(result.structured_content, dict)
    assert result.structured_content["result"] == "Ada"
    assert [form.message for form in user.shown] == ["Who are you?"]
