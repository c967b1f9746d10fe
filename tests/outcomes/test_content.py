"""Tools that answer content: what a block may be, what an MCP client gets of it, and what a bound leaves."""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any

import mcp_types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from tests.execution.stage import ANN, stage
from toolgate import (
    Annotations,
    AudioBlock,
    BlobResource,
    Content,
    ContractError,
    EmbeddedResource,
    Failed,
    Gateway,
    ImageBlock,
    NotApplied,
    ResourceLink,
    Succeeded,
    TextBlock,
    TextResource,
    tool,
)
from toolgate.domain.bounding import json_size
from toolgate.domain.content import Block, bounded_content
from toolgate.domain.outcome import OUTCOME_META
from toolgate.testing import FakeClock

PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(50)
NOTED = Annotations(audience=["user"], priority=0.5, lastModified="2026-01-01T00:00:00Z")
EVERY: list[Block] = [
    TextBlock(text="a line"),
    TextBlock(text="for the user", annotations=NOTED),
    ImageBlock.of(PIXEL, "image/png", annotations=NOTED),
    AudioBlock.of(PIXEL, "audio/wav"),
    ResourceLink(uri="file:///a", name="a"),
    ResourceLink(
        uri="file:///b",
        name="b",
        title="B",
        description="The second.",
        mimeType="text/plain",
        size=3,
        annotations=NOTED,
    ),
    EmbeddedResource(
        resource=TextResource(uri="file:///c", mimeType="text/plain", text="c"), annotations=NOTED
    ),
    EmbeddedResource(resource=BlobResource.of(b"d", "file:///d", mime_type="image/png")),
    EmbeddedResource(resource=BlobResource.of(b"", "file:///e")),
]
BLOCKS: TypeAdapter[Block] = TypeAdapter(Annotated[Block, Field(discriminator="type")])


@tool(effect="read", roles={"support"})
async def look() -> Content:
    """Look."""
    return Content(content=EVERY)


@tool(effect="write", roles={"support"}, idempotency="draw:{id}")
async def draw(id: Annotated[int, Field(gt=0, le=9)]) -> Content:
    """Draw."""
    return Content(content=[TextBlock(text="drawn"), ImageBlock.of(PIXEL, "image/png")])


def gate(*tools: Any) -> Gateway:
    return stage(*tools, clock=FakeClock())


@pytest.mark.req("M1.15")
@pytest.mark.parametrize("block", EVERY, ids=lambda block: block.type)
def test_a_block_is_what_mcp_says_a_block_is(block: Block) -> None:
    plain = BLOCKS.dump_python(block, mode="json")
    theirs: Any = TypeAdapter(mcp_types.ContentBlock).validate_python(plain)

    assert theirs.model_dump(mode="json", by_alias=True, exclude_none=True) == plain
    assert BLOCKS.validate_python(plain) == block
    # Optional members are absent, never null: MCP's schema allows no null there.
    assert "null" not in BLOCKS.dump_json(block).decode()


@pytest.mark.req("M1.15")
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (TextBlock, mcp_types.TextContent),
        (ImageBlock, mcp_types.ImageContent),
        (AudioBlock, mcp_types.AudioContent),
        (ResourceLink, mcp_types.ResourceLink),
        (EmbeddedResource, mcp_types.EmbeddedResource),
        (TextResource, mcp_types.TextResourceContents),
        (BlobResource, mcp_types.BlobResourceContents),
        (Annotations, mcp_types.Annotations),
    ],
    ids=lambda kind: kind.__name__,
)
def test_blocks_have_the_members_of_mcp_but_for_what_is_not_passed_on(ours: Any, theirs: Any) -> None:
    known = {field.alias or name for name, field in theirs.model_fields.items()}

    assert set(ours.model_fields) == known - {"_meta", "icons"}
    for name, field in theirs.model_fields.items():
        if (field.alias or name) in ours.model_fields:
            assert ours.model_fields[field.alias or name].is_required() == field.is_required()


@pytest.mark.req("M1.15", "M10.9")
@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "data": "no base64!", "mimeType": "image/png"},
        {"type": "image", "data": "YWI", "mimeType": "image/png"},
        {"type": "audio", "data": "YWJj"},
        {"type": "resource", "resource": {"uri": "file:///a"}},
        {"type": "resource", "resource": {"uri": "", "text": "a"}},
        {"type": "resource", "resource": {"uri": "file:///a", "blob": "%"}},
        {"type": "text"},
        {"type": "text", "text": "a", "annotations": {"priority": 2}},
        {"type": "text", "text": "a", "annotations": {"audience": ["everybody"]}},
        {"type": "resource_link", "uri": "file:///a", "name": "a", "size": -1},
        {"type": "hologram"},
        {},
    ],
    ids=json.dumps,
)
async def test_a_block_that_is_none_is_no_result(block: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Content.model_validate({"content": [block]})

    @tool(effect="read", roles={"support"})
    async def lie() -> Content:
        """Answer what was promised in type and not in fact."""
        return Content.model_construct(content=[_Raw(**block)])

    async with gate(lie) as gateway:
        outcome = await gateway.call(lie, {}, caller=ANN)

    assert isinstance(outcome, Failed)
    assert outcome.error_type == "invalid_result"


class _Raw(TextBlock):
    """A block that says it is one."""

    def __init__(self, **members: Any) -> None:
        object.__setattr__(self, "__dict__", members)
        object.__setattr__(self, "__pydantic_fields_set__", set(members))
        object.__setattr__(self, "__pydantic_extra__", None)
        object.__setattr__(self, "__pydantic_private__", None)


@pytest.mark.req("M10.21")
async def test_an_mcp_client_gets_the_blocks_themselves_and_the_outcome_beside_them() -> None:
    async with gate(look) as gateway:
        outcome = await gateway.call(look, {}, caller=ANN)

    result: Any = outcome.to_mcp()
    assert set(result) == {"content", "isError", "_meta"}
    assert result["content"] == [BLOCKS.dump_python(block, mode="json") for block in EVERY]
    assert result["isError"] is False
    assert result["_meta"] == {
        "dev.toolgate/outcome": {
            "ok": True,
            "status": "succeeded",
            "advice": "none",
            "effect": "none",
            "call_id": outcome.call_id,
        }
    }
    mcp_types.CallToolResult.model_validate(result)


@pytest.mark.req("M10.21", "M9.2")
async def test_a_replay_and_a_later_look_show_the_same_blocks() -> None:
    async with gate(draw) as gateway:
        first = await gateway.call(draw, {"id": 1}, caller=ANN, workflow="req_1")
        again = await gateway.call(draw, {"id": 1}, caller=ANN, workflow="req_1")
        later = await gateway.get_call(first.call_id, caller=ANN)

    shown: Any = [outcome.to_mcp() for outcome in (first, again, later)]
    assert again.replayed
    assert isinstance(again, Succeeded)
    assert again.result == first.unwrap()
    assert shown[0]["content"] == shown[1]["content"] == shown[2]["content"]
    assert len(shown[0]["content"]) == 2
    assert shown[1]["_meta"][OUTCOME_META]["replayed"] is True
    assert [each["_meta"][OUTCOME_META]["effect"] for each in shown] == ["applied"] * 3


@pytest.mark.req("M10.21")
async def test_a_refusal_of_a_tool_of_content_is_shown_as_every_other() -> None:
    async with gate(draw) as gateway:
        refused = await gateway.call(draw, {"id": 0}, caller=ANN)

    result: Any = refused.to_mcp()
    assert result["isError"] is True
    assert result["structuredContent"] == refused.to_model()


@pytest.mark.req("M10.2", "M1.15")
async def test_everybody_else_gets_content_as_plain_json() -> None:
    async with gate(look) as gateway:
        outcome = await gateway.call(look, {}, caller=ANN)

    body: Any = outcome.to_model()["result"]
    assert body == {"content": [BLOCKS.dump_python(block, mode="json") for block in EVERY]}
    assert outcome.unwrap() == Content(content=EVERY)


@pytest.mark.req("M11.2", "M1.15")
async def test_content_leaves_nothing_in_the_trail() -> None:
    async with gate(look, draw) as gateway:
        await gateway.call(look, {}, caller=ANN)
        await gateway.call(draw, {"id": 1}, caller=ANN)
        trail = b"".join([stored.record async for stored in gateway.store.records()])

    assert base64.b64encode(PIXEL) not in trail
    assert b"drawn" not in trail
    assert b"a line" not in trail


@pytest.mark.req("M1.4", "M1.15")
@pytest.mark.parametrize(
    "kind",
    [Content | None, Content | int, Annotated[Content | str, "x"], int | Annotated[Content, "x"] | None],
    ids=str,
)
def test_content_or_something_else_is_refused_when_the_tool_is_made(kind: Any) -> None:
    async def waver() -> None:
        """Waver."""

    waver.__annotations__["return"] = kind
    with pytest.raises(ContractError, match="answer Content alone"):
        tool(effect="read", roles={"support"})(waver)


@pytest.mark.req("M1.15")
async def test_content_inside_another_type_is_data_like_any_other() -> None:
    @tool(effect="read", roles={"support"})
    async def several() -> list[Content]:
        """Answer several."""
        return [Content(content=[TextBlock(text="a")])]

    async with gate(several) as gateway:
        outcome = await gateway.call(several, {}, caller=ANN)

    assert outcome.to_mcp()["structuredContent"] == outcome.to_model()


@pytest.mark.req("M6.17")
async def test_content_over_its_bound_keeps_whole_blocks_and_says_what_is_missing() -> None:
    big = ImageBlock.of(bytes(3000), "image/png")

    @tool(effect="write", roles={"support"}, result_size=2000, idempotency="show:{id}")
    async def show(id: Annotated[int, Field(gt=0, le=9)]) -> Content:
        """Show."""
        return Content(content=[TextBlock(text="first"), big, TextBlock(text="last")])

    async with gate(show) as gateway:
        outcome = await gateway.call(show, {"id": 1}, caller=ANN, workflow="req_1")
        again = await gateway.call(show, {"id": 1}, caller=ANN, workflow="req_1")

    for each in (outcome, again):
        result: Any = each.to_mcp()
        assert [block["type"] for block in result["content"]] == ["text", "text", "text"]
        assert [block["text"] for block in result["content"][:2]] == ["first", "last"]
        assert result["content"][2]["text"].startswith("[cut: 1 of 3 blocks left out")
        assert result["_meta"][OUTCOME_META]["truncated"] is True
        assert each.unwrap().content[1] == big
        assert json_size(each.to_model()["result"]) <= 2000


def block_of(kind: str, size: int) -> dict[str, Any]:
    """A block, as JSON, of about ``size`` bytes."""
    if kind == "text":
        return {"type": "text", "text": "x" * size}
    data = base64.b64encode(bytes(size * 3 // 4)).decode()
    if kind == "blob":
        return {"type": "resource", "resource": {"uri": "file:///a", "blob": data}}
    return {"type": kind, "data": data, "mimeType": "image/png"}


def left(*blocks: tuple[str, int], limit: int) -> list[str]:
    """The kinds of the blocks that a bound leaves, but for the note."""
    shown = {"content": [block_of(*block) for block in blocks]}
    cut, truncated = bounded_content(shown, limit=limit, measured=json_size(shown))
    assert truncated
    return [block["type"] for block in cut["content"][:-1]]


@pytest.mark.req("M6.17")
@pytest.mark.parametrize(
    ("blocks", "kept"),
    [
        # The last go first.
        ([("text", 300), ("text", 300), ("text", 300)], ["text", "text"]),
        ([("image", 300), ("image", 300), ("image", 300)], ["image", "image"]),
        # Binary before text, where that keeps as much or more.
        ([("text", 100), ("image", 800), ("text", 100), ("text", 100)], ["text", "text", "text"]),
        ([("blob", 500), ("text", 500)], ["text"]),
        ([("image", 200), ("text", 300), ("audio", 300), ("text", 100)], ["image", "text", "text"]),
        # And not where it keeps less.
        ([("image", 200), ("image", 200), ("text", 900)], ["image", "image"]),
        ([("image", 2000)], []),
    ],
)
def test_what_goes_first_is_last_and_binary(blocks: list[tuple[str, int]], kept: list[str]) -> None:
    assert left(*blocks, limit=900) == kept


@pytest.mark.req("M6.17")
def test_where_no_block_is_short_enough_the_first_text_keeps_its_beginning() -> None:
    shown = {"content": [block_of("image", 5000), {"type": "text", "text": "abc" * 2000}]}
    cut, truncated = bounded_content(shown, limit=1000, measured=20_000)

    beginning, note = cut["content"]
    assert truncated
    assert beginning["text"].startswith("abcabc")
    assert "more characters]" in beginning["text"]
    assert "2 of 2 blocks left out" in note["text"]
    assert json_size(cut) <= 1000


_texts = st.text(max_size=600)
_blocks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, _texts),
    st.builds(
        lambda data: {"type": "image", "data": base64.b64encode(data).decode(), "mimeType": "image/png"},
        st.binary(max_size=600),
    ),
    st.builds(
        lambda data: {
            "type": "resource",
            "resource": {"uri": "file:///a", "blob": base64.b64encode(data).decode()},
        },
        st.binary(max_size=600),
    ),
    st.builds(lambda name: {"type": "resource_link", "uri": "file:///a", "name": name}, _texts),
)


@pytest.mark.req("M6.17")
@given(blocks=st.lists(_blocks, max_size=12), limit=st.integers(200, 3000))
def test_what_a_bound_leaves_is_whole_in_order_and_short_enough(
    blocks: list[dict[str, Any]], limit: int
) -> None:
    shown = {"content": blocks}
    measured = json_size(shown)
    cut, truncated = bounded_content(shown, limit=limit, measured=measured)

    assert truncated == (measured > limit)
    assert json_size(cut) <= limit
    Content.model_validate(cut)
    if truncated:
        kept = cut["content"][:-1]
        if any("more characters]" in block.get("text", "") for block in kept):
            assert len(kept) == 1
        else:
            rest = iter(blocks)
            assert all(any(block == candidate for candidate in rest) for block in kept)


@pytest.mark.req("M1.15")
def test_a_reconciled_effect_may_have_been_content() -> None:
    async def find(context: Any, args: Any) -> NotApplied | None:
        return None

    @tool(effect="write", roles={"support"}, idempotency="draw:{id}", reconcile=find)
    async def redraw(id: Annotated[int, Field(gt=0, le=9)]) -> Content:
        """Draw."""
        return Content(content=[])

    assert redraw.contract.output_schema is not None
