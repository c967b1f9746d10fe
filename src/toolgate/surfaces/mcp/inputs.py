"""The questions of a tool as MCP writes them, what a client can show of them, and its responses read. Pure.

What a client sends is read by its form alone (``InputResponse``, 2026-07-28). To which question it belongs, and whether
it answers it, is the gate's to say. Not here: how it travels (``asking``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, assert_never

from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from toolgate.domain.answers import ACTIONS, Answer
from toolgate.domain.questions import KEY, Form, Question, Roots, Sample
from toolgate.surfaces.mcp.elicit import shows_forms

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from toolgate.domain.questions import Kind

_CAPABILITIES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {"form": {"elicitation": {"form": {}}}, "sample": {"sampling": {}}, "roots": {"roots": {}}}
)


def kinds_of(ctx: ServerRequestContext[Any, Any]) -> frozenset[Kind]:
    """The questions that the client said it can show, and for which there is a way to it."""
    declared = ctx.session.client_capabilities
    reached = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS or ctx.session.can_send_request
    if declared is None or not reached:
        return frozenset()
    shown: dict[Kind, bool] = {
        "form": shows_forms(ctx),
        "sample": declared.sampling is not None,
        "roots": declared.roots is not None,
    }
    return frozenset(kind for kind, shows in shown.items() if shows)


def capabilities(kinds: Iterable[str]) -> dict[str, Any]:
    """What a client has to declare for questions of these ``kinds``, as ``ClientCapabilities``."""
    needed: dict[str, Any] = {}
    for kind in sorted(kinds):
        needed.update(_CAPABILITIES[kind])
    return needed


def written(question: Question) -> dict[str, Any]:
    """``question`` as an ``InputRequest``."""
    asked: dict[str, Any]
    match question:
        case Form():
            asked = {"mode": "form", "message": question.message, "requestedSchema": question.schema}
            return {"method": "elicitation/create", "params": asked}
        case Sample():
            message = {"role": "user", "content": {"type": "text", "text": question.prompt}}
            system = {} if question.system is None else {"systemPrompt": question.system}
            asked = {"messages": [message], "maxTokens": question.max_tokens, **system}
            return {"method": "sampling/createMessage", "params": asked}
        case Roots():
            return {"method": "roots/list", "params": {}}
        case _:
            assert_never(question)


def read_responses(responses: object) -> dict[str, Answer]:
    """What of ``inputResponses`` can be read, by its key; the rest is not there."""
    if not isinstance(responses, Mapping):
        return {}
    read = {key: read_response(each) for key, each in responses.items() if KEY.fullmatch(key)}
    return {key: answer for key, answer in read.items() if answer is not None}


def read_response(response: object) -> Answer | None:
    """An ``ElicitResult``, ``CreateMessageResult`` or ``ListRootsResult``; None for what is none of them.

    Only a form can be declined by what the protocol says. Whoever declines another question so is understood.
    """
    if not isinstance(response, Mapping):
        return None
    if (action := response.get("action")) in ACTIONS:
        content = response.get("content")
        return Answer(action=action, content=dict(content) if isinstance(content, Mapping) else {})
    if "roots" in response:
        return Answer(action="accept", content={"roots": response["roots"]})
    text = _text_of(response.get("content"))
    if text is None:
        return None
    return Answer(action="accept", content={"text": text, "model": response.get("model", "")})


def _text_of(content: object) -> str | None:
    """The text of one block, or of several; a prompt of words is answered with words."""
    blocks = content if isinstance(content, list) else [content]
    texts = [
        block.get("text") for block in blocks if isinstance(block, Mapping) and block.get("type") == "text"
    ]
    whole = len(texts) == len(blocks) and bool(texts)
    known = [text for text in texts if isinstance(text, str)]
    return "".join(known) if whole and len(known) == len(texts) else None
