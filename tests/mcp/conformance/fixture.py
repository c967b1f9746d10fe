"""The gateway that the official suite talks to: tools with the names that its scenarios call, written as any others.

Not here: how the suite is run (``suite``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from tests.mcp.conformance.asking import ASKING
from tests.mcp.conformance.waiting import PASSING, WAITING, deciding, rights
from tests.mcp.served import Served
from toolgate import Approval, Caller, Contract, Effect, Tool, ToolContext, ToolError, tool
from toolgate.adapters.upstreams.connection import ABSENT, Called
from toolgate.adapters.upstreams.tools import Placed, governed
from toolgate.bootstrap.upstreams import shapes_of
from toolgate.domain.content import (
    AudioBlock,
    Content,
    EmbeddedResource,
    ImageBlock,
    TextBlock,
    TextResource,
)
from toolgate.domain.upstream.definition import Definition, Unusable

SUITE: Final = Caller("u-suite", roles={"suite", PASSING}, tenant="conformance")
"""On whose behalf every request of the suite is made; it sends no credentials."""

PIXEL: Final = ImageBlock(
    mimeType="image/png",
    data="iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==",
)
SILENCE: Final = AudioBlock(
    mimeType="audio/wav", data="UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA=="
)
"""One sample of it."""
BETWEEN_STEPS: Final = 0.5
"""Seconds between two words of progress: a client that is slower than a tool is told the newest only."""

reads: Final[dict[str, Any]] = {"effect": "read", "roles": {"suite"}, "timeout": 30.0}


confirmed: Final[dict[str, Any]] = {**reads, "approval": Approval(approvers="caller")}
"""What its caller has to confirm, in their client where it can show a question."""


@tool(**reads)
async def test_simple_text() -> Content:
    """Answer with one text."""
    return Content(content=[TextBlock(text="This is a simple text response for testing.")])


@tool(**reads)
async def test_image_content() -> Content:
    """Answer with an image."""
    return Content(content=[PIXEL])


@tool(**reads)
async def test_audio_content() -> Content:
    """Answer with a sound."""
    return Content(content=[SILENCE])


@tool(**reads)
async def test_embedded_resource() -> Content:
    """Answer with a resource and what it holds."""
    text = "This is an embedded resource content."
    resource = TextResource(uri="test://embedded-resource", mimeType="text/plain", text=text)
    return Content(content=[EmbeddedResource(resource=resource)])


@tool(**reads)
async def test_multiple_content_types() -> Content:
    """Answer with content of several kinds."""
    resource = TextResource(
        uri="test://mixed-content-resource", mimeType="application/json", text='{"test":"data","value":123}'
    )
    return Content(
        content=[TextBlock(text="Multiple content types test:"), PIXEL, EmbeddedResource(resource=resource)]
    )


@tool(**reads)
async def test_tool_with_progress(context: ToolContext[Any]) -> str:
    """Tell how far it has come, three times."""
    for step in (0, 50, 100):
        context.progress(step, 100)
        await asyncio.sleep(BETWEEN_STEPS)
    return "done"


@tool(**reads)
async def test_error_handling() -> str:
    """Fail."""
    raise ToolError("This tool intentionally returns an error for testing", effect="none")


@tool(**reads)
async def test_custom_headers(
    region: Annotated[
        str, Field(max_length=100, description="Where.", json_schema_extra={"x-mcp-header": "Region"})
    ],
) -> str:
    """Take an argument that a header has to say as well."""
    return region


@tool(**reads)
async def test_logging_tool() -> str:
    """Say nothing to the client's log, which it did not ask for."""
    return "nothing was logged"


@tool(**reads)
async def test_streaming_elicitation() -> str:
    """Answer, and ask nothing."""
    return "nothing was asked"


@tool(**confirmed)
async def test_input_required_result_tampered_state() -> str:
    """Answer nothing for a state that was changed on its way."""
    return "confirmed"


@tool(**confirmed)
async def test_elicitation(message: Annotated[str, Field(max_length=200)]) -> str:
    """Answer once the caller has confirmed."""
    return message


SCHEMA_2020_12: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
"""As the suite gives it: what a schema of an upstream may hold, and no type of Python says."""


def of_an_upstream(name: str, schema: dict[str, Any]) -> Tool[Any, Any]:
    """A tool as an upstream defines it; its schema passes everything that those of upstreams pass."""
    definition = Definition.of({"name": name, "description": "Tool with a schema.", "inputSchema": schema})
    assert isinstance(definition, Definition)
    shapes = shapes_of(definition)
    assert not isinstance(shapes, Unusable)

    async def call(tool: str, arguments: Mapping[str, Any], **_: Any) -> Called:
        return Called(content=({"type": "text", "text": tool},), structured=ABSENT, is_error=False)

    contract = Contract(
        name=name,
        description=definition.description,
        input_schema=shapes[0].schema,
        output_schema=None,
        effect=Effect.READ,
        roles=frozenset({"suite"}),
        timeout=30.0,
    )
    placed = Placed(
        upstream="suite", tool=name, contract=contract, input=shapes[0], output=None, error_effect="unknown"
    )
    return governed(placed, call)


json_schema_2020_12_tool: Final = of_an_upstream("json_schema_2020_12_tool", SCHEMA_2020_12)

TOOLS: Final[list[Tool[Any, Any]]] = [each for each in globals().values() if isinstance(each, Tool)]


def served(folder: Path) -> Served:
    """Its server, where requests without a credential are those of ``SUITE``."""
    return Served(folder, [*TOOLS, *ASKING, *WAITING], signed_in=SUITE, beside=deciding, callers=rights)
