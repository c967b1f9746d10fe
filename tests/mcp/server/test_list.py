"""What an MCP client is shown: which tools, in which order, with which words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import jsonschema
import pytest
from pydantic import BaseModel, Field

from tests.mcp.server.desk import LEGACY, MODERN, MODES, Desk, by_hand, meta, opened, told
from tests.rest.desk import ANN, AUD, EVE, LEA, NIL
from toolgate import Approval, Caller, Content, ImageBlock, Sensitive, TextBlock, Tool, tool
from toolgate.domain.outcome_schema import envelope_schema
from toolgate.surfaces.mcp.listing import FRESH_MS, listed, shown
from toolgate.surfaces.mcp.words import description

pytestmark = pytest.mark.req("X3.10")

WAITING = (
    "Until somebody has decided the answer is pending_approval: nothing ran yet. Ask get_call with its call_id "
    "instead of calling again."
)
AGAIN = (
    "Calling it again with the same arguments does not do it twice: once it was done, the recorded answer "
    "comes back."
)
CLERKS = ["big", "closed", "lost", "never", "notes", "rarely", "refund", "get_call"]


class Leaf(BaseModel):
    """One end of a tree."""

    name: str


class Tree(BaseModel):
    """What holds itself."""

    leaf: Leaf
    below: list[Tree] = []


@tool(
    effect="destructive",
    external=True,
    roles="anyone",
    rate_limit="1/hour",
    approval=Approval(approvers={"lead"}),
)
async def wipe(path: Annotated[str, Field(max_length=9)]) -> Tree:
    """Delete what lies there."""
    return Tree(leaf=Leaf(name=path))


@tool(
    effect="write",
    roles="anyone",
    approval=Approval(approvers={"lead"}, when={"card": {"eq": "4242"}}),
)
async def charge(card: Annotated[str, Sensitive(), Field(max_length=19)]) -> Any:
    """Charge a card."""
    return card


@tool(effect="write", roles="anyone", idempotency="mail:{to}", approval=Approval(approvers="caller"))
async def mail(to: Annotated[str, Field(max_length=9)]) -> None:
    """Send a mail."""


@tool(effect="read", roles="anyone", title="Say")
async def say() -> str:
    """Say something."""
    return "x" * 100_000


def words(made: Tool[Any, Any]) -> list[str]:
    """The lines below the author's own."""
    return description(made.contract).splitlines()[2:]


@pytest.mark.parametrize("mode", MODES)
async def test_somebody_is_shown_what_they_may_call_and_nothing_else(desk: Desk, mode: str) -> None:
    async with desk.client(ANN, mode) as clerk, desk.client(LEA, mode) as lead:
        seen, seen_again = await clerk.list_tools(), await clerk.list_tools()
        other = await lead.list_tools()

    assert [each.name for each in seen.tools] == CLERKS
    assert seen_again.tools == seen.tools
    assert not other.tools


@pytest.mark.parametrize("caller", [NIL, AUD, EVE])
async def test_the_list_is_that_of_the_gate(desk: Desk, caller: Caller) -> None:
    async with desk.client(caller) as client:
        seen = [each.name for each in (await client.list_tools()).tools if each.name != "get_call"]

    assert seen == [each.name for each in desk.gateway.tools(caller)]


async def test_nobody_else_may_be_given_the_list(desk: Desk) -> None:
    async with desk.client() as client:
        seen = await client.list_tools()

    assert (seen.cache_scope, seen.ttl_ms) == ("private", FRESH_MS)


@pytest.mark.parametrize("mode", MODES)
async def test_there_is_one_page(desk: Desk, mode: str) -> None:
    async with by_hand(desk, mode, await desk.token()) as hand:
        body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x","_meta":%s}}' % (
            b"{}" if mode == "legacy" else _envelope()
        )
        answer = await hand.http.post("/mcp", content=body, headers=hand.headers("tools/list"))

    assert "-32602" in answer.text
    assert "no such cursor" in answer.text


def _envelope() -> bytes:
    return (
        b'{"io.modelcontextprotocol/protocolVersion": "2026-07-28",'
        b'"io.modelcontextprotocol/clientCapabilities": {}}'
    )


async def test_what_is_shown_follows_from_the_contract() -> None:
    one = shown(wipe.contract)

    assert one["annotations"] == {
        "readOnlyHint": False,
        "destructiveHint": True,
        "idempotentHint": False,
        "openWorldHint": True,
    }
    assert one["inputSchema"]["additionalProperties"] is False
    assert "title" not in one
    assert shown(say.contract)["title"] == "Say"


async def test_the_words_say_what_it_does_who_is_asked_and_what_bounds_it() -> None:
    assert words(wipe) == [
        "Effect: it may delete or overwrite data for good, outside this organisation too.",
        "A person has to approve each call before it runs.",
        WAITING,
        "Each call is an action of its own: do not repeat one whose answer was unknown.",
        "Limits: at most 30 s a call, once an hour for each caller.",
    ]
    assert words(say) == ["Effect: none, it only reads.", "Limits: at most 30 s a call."]
    assert "The user has to confirm each call before it runs." in words(mail)
    assert AGAIN in words(mail)


async def test_the_words_name_nobody_and_nothing_sensitive() -> None:
    assert "lead" not in description(wipe.contract)
    assert "4242" not in description(charge.contract)
    assert "A person has to approve a call before it runs, depending on its arguments." in words(charge)


async def test_a_condition_is_told_as_it_is_judged(desk: Desk) -> None:
    async with desk.client() as client:
        listing = {each.name: each for each in (await client.list_tools()).tools}
        below = await client.call_tool("refund", {"order": 1, "cents": 1000}, meta=meta("a"))
        above = await client.call_tool("refund", {"order": 2, "cents": 1001}, meta=meta("b"))
        again = await client.call_tool("refund", {"order": 1, "cents": 1000}, meta=meta("a"))

    assert "where cents > 1000." in str(listing["refund"].description)
    assert (below.structured_content or {})["status"] == "succeeded"
    assert (above.structured_content or {})["status"] == "pending_approval"
    assert (again.structured_content or {})["replayed"] is True
    assert desk.business.paid == [(1, 1000)]


async def test_the_way_to_look_after_calls_is_shown_last_and_only_where_one_may_wait() -> None:
    assert [each["name"] for each in listed([say.contract])] == ["say"]
    assert [each["name"] for each in listed([mail.contract, say.contract])] == ["mail", "say", "get_call"]


async def test_a_registered_tool_of_that_name_is_meant(tmp_path: Path) -> None:
    @tool(effect="read", roles="anyone", name="get_call")
    async def ours() -> str:
        """Be asked instead."""
        return "asked"

    async with opened(tmp_path, more=[ours]) as desk, desk.client() as client:
        names = [each.name for each in (await client.list_tools()).tools]
        answer = await client.call_tool("get_call")

    assert names.count("get_call") == 1
    assert (answer.structured_content or {})["result"] == "asked"


async def test_every_answer_fits_the_schema_that_is_shown(tmp_path: Path) -> None:
    """The client compares them as well, and raises where one does not fit."""
    async with opened(tmp_path, more=[wipe, charge, mail, say]) as desk, desk.client() as client:
        listing = {each.name: each for each in (await client.list_tools()).tools}
        asked: list[tuple[str, dict[str, Any]]] = [
            ("refund", {"order": 1}),
            ("refund", {"order": 2, "cents": 5000}),
            ("refund", {"order": "x"}),
            ("wipe", {"path": "a"}),
            ("mail", {"to": "a"}),
            ("say", {}),
            ("big", {}),
            ("lost", {"order": 1}),
            ("closed", {"order": 1}),
            ("rarely", {}),
        ]
        for name, arguments in asked:
            answer = await client.call_tool(name, arguments, meta=meta(name))
            jsonschema.validate(answer.structured_content, listing[name].output_schema or {})


async def test_content_is_answered_as_content_and_has_no_schema(tmp_path: Path) -> None:
    @tool(effect="read", roles="anyone")
    async def picture() -> Content:
        """Show a picture."""
        return Content(content=[TextBlock(text="look"), ImageBlock.of(b"png", "image/png")])

    async with opened(tmp_path, more=[picture]) as desk:
        for mode in MODES:
            async with desk.client(mode=mode) as client:
                (one,) = [each for each in (await client.list_tools()).tools if each.name == "picture"]
                answer = await client.call_tool("picture")

            assert one.output_schema is None
            assert [block.type for block in answer.content] == ["text", "image"]
            assert answer.structured_content is None
            outcome = (answer.meta or {})["dev.toolgate/outcome"]
            assert (outcome["ok"], outcome["status"]) == (True, "succeeded")


async def test_a_result_s_definitions_stand_where_their_references_lead() -> None:
    schema = envelope_schema(wipe.contract.output_schema)
    whole = {"ok": True, "status": "succeeded", "effect": "applied", "advice": "none", "call_id": "c"}

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(
        {**whole, "result": {"leaf": {"name": "x"}, "below": [{"leaf": {"name": "y"}}]}}, schema
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**whole, "result": {"leaf": {"name": 1}}}, schema)


@pytest.mark.parametrize(("mode", "version"), [("legacy", LEGACY), ("auto", MODERN)])
async def test_the_server_says_who_it_is_and_how_answers_are_read(
    desk: Desk, mode: str, version: str
) -> None:
    async with desk.client(mode=mode) as client:
        assert client.server_info is not None
        assert client.server_info.name == "toolgate"
        assert "pending_approval" in str(client.instructions)
        assert client.protocol_version == version


async def test_a_ping_is_answered(desk: Desk) -> None:
    async with by_hand(desk, "legacy", await desk.token()) as hand:
        answer = await hand.http.post(
            "/mcp", json={"jsonrpc": "2.0", "id": 2, "method": "ping"}, headers=hand.headers()
        )

    assert told(answer) == {"jsonrpc": "2.0", "id": 2, "result": {}}
