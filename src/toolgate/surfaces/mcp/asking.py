"""A reading tool that asks whoever calls it (``NeedsInput``): asked in their client, by either era.

Since 2026-07-28 the questions are the answer to the call, and the client asks again with its user's answers; those of
earlier rounds travel sealed. Before, they are requests of ours to the client, while the call waits. Either way the gate
is asked anew each time, and says what fits. Not here: how a question and an answer are written (``inputs``).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    CreateMessageRequest,
    CreateMessageResult,
    ElicitRequest,
    ElicitResult,
    ListRootsRequest,
    ListRootsResult,
)
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from toolgate.domain.answers import MOST_ANSWERS, Answer
from toolgate.domain.errors import GateFault
from toolgate.domain.outcome import Failed
from toolgate.surfaces.mcp.calls import INVALID_PARAMS
from toolgate.surfaces.mcp.elicit import PATIENCE
from toolgate.surfaces.mcp.inputs import capabilities, kinds_of, read_response, read_responses, written
from toolgate.surfaces.mcp.state import STALE, Carried

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp_types import Result, ServerRequest
    from typing_extensions import TypeIs

    from toolgate.domain.questions import Kind, Question
    from toolgate.surfaces.mcp.handlers import Answered, Ask, McpCall

MOST_ROUNDS: Final = 8
"""Questions after one another; then the call fails with the next one open."""
MOST_CARRIED: Final = 65_536
"""Characters of all answers to one call, as JSON in ASCII."""
LONGEST: Final = 2 * MOST_CARRIED
"""Characters of a state."""
_REFUSED: Final = -1
"""The error by which a client says that its user declined (MCP 2025-11-25, sampling)."""
_TYPES: Final[Mapping[Kind, tuple[type[ServerRequest], type[Result]]]] = {
    "form": (ElicitRequest, ElicitResult),
    "sample": (CreateMessageRequest, CreateMessageResult),
    "roots": (ListRootsRequest, ListRootsResult),
}
_log = logging.getLogger("toolgate")


class Asking:
    """What the tools of one server ask of its clients' users; stands around each call (``handlers.Around``)."""

    def __init__(self) -> None:
        self._states = Carried(purpose="input", longest=LONGEST)

    async def __call__(self, call: McpCall, ask: Ask) -> Answered:
        """The outcome, or the questions as an ``InputRequiredResult``.

        Raises:
            MCPError: for a ``requestState`` that is not one of ours for this very call, or was used; and where the
                client did not say that it can show what the tool asks.
        """
        if not call.params.keys().isdisjoint({"requestState", "inputResponses"}) and call.asks:
            await self._take(call)
        answer = await ask()
        if not _is_asking(answer):
            return answer
        if call.context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await _asked_at_once(call, ask, answer)
        missing = {question.kind for question in answer.input_requests.values()} - kinds_of(call.context)
        if missing:
            raise MCPError(
                MISSING_REQUIRED_CLIENT_CAPABILITY,
                "The tool asks its user for something that this client does not declare that it can show",
                {"requiredCapabilities": capabilities(missing)},
            )
        if call.rounds.count >= MOST_ROUNDS:
            return answer
        try:
            return await self._input_required(call, answer.input_requests)
        except GateFault as fault:
            # It did nothing, and may be asked for again.
            _log.warning("nobody was asked about %s: %s", answer.call_id, type(fault).__name__)
            return answer

    async def _take(self, call: McpCall) -> None:
        """The client's answers, with those of earlier rounds where it brings their state."""
        given, rounds = read_responses(call.params.get("inputResponses")), call.rounds
        state = call.params.get("requestState")
        if state is not None:
            asked = call.asked
            said = await self._states.open_said(
                call.service.gate, state, by=asked.by, tool=call.request.tool, arguments=asked.given
            )
            if said is None or call.request.workflow not in {None, said["workflow"]}:
                raise MCPError(INVALID_PARAMS, STALE)
            given = {key: answer for key, answer in given.items() if key in said["open"]}
            rounds.count, rounds.workflow = said["round"], said["workflow"]
            rounds.answers.update((key, _opened(each)) for key, each in said["answers"].items())
        rounds.answers.update(given)
        if len(rounds.answers) > MOST_ANSWERS or _size(rounds.answers) > MOST_CARRIED:
            raise MCPError(
                INVALID_PARAMS, f"inputResponses: at most {MOST_ANSWERS}, of {MOST_CARRIED} characters in all"
            )

    async def _input_required(self, call: McpCall, questions: Mapping[str, Question]) -> dict[str, Any]:
        """MCP 2026-07-28, multi round-trip requests: ``InputRequiredResult``."""
        asked, rounds = call.asked, call.rounds
        said = {
            "answers": {key: _sealed(answer) for key, answer in rounds.answers.items()},
            "open": list(questions),
            "round": rounds.count + 1,
            "workflow": rounds.workflow,
        }
        state = await self._states.seal_said(
            call.service.gate, said, by=asked.by, tool=call.request.tool, arguments=asked.given
        )
        return {
            "resultType": "input_required",
            "inputRequests": {key: written(question) for key, question in questions.items()},
            "requestState": state,
        }


def _is_asking(answer: Answered) -> TypeIs[Failed]:
    return isinstance(answer, Failed) and bool(answer.input_requests)


async def _asked_at_once(call: McpCall, ask: Ask, answer: Answered) -> Answered:
    """Ask on the way back of the call, and the gate again, until the tool asks no more or nobody answers."""
    service, by = call.service, call.asked.by
    while _is_asking(answer) and call.rounds.count < MOST_ROUNDS:
        questions = answer.input_requests
        shown = {question.kind for question in questions.values()} <= kinds_of(call.context)
        if not shown or service.waits.why_not(by) is not None:
            return answer
        with service.waits.held(by):
            said = await asyncio.gather(*(_put(call.context, each) for each in questions.values()))
        given = {key: each for key, each in zip(questions, said, strict=True) if each is not None}
        if len(given) < len(questions):
            return answer
        call.rounds.answers.update(given)
        call.rounds.count += 1
        answer = await ask()
    return answer


async def _put(ctx: ServerRequestContext[Any, Any], question: Question) -> Answer | None:
    """Put one question before the user. None where no answer came."""
    asks, answers = _TYPES[question.kind]
    try:
        result = await ctx.session.send_request(
            asks.model_validate(written(question), by_name=False),
            answers,
            request_read_timeout_seconds=PATIENCE,
            metadata=ServerMessageMetadata(related_request_id=ctx.request_id),
        )
    except MCPError as error:
        return Answer(action="decline") if error.error.code == _REFUSED else None
    except ValidationError:
        return None
    return read_response(result.model_dump(mode="json", by_alias=True, exclude_none=True))


def _sealed(answer: Answer) -> list[Any]:
    return [answer.action, dict(answer.content)]


def _opened(said: list[Any]) -> Answer:
    return Answer(action=said[0], content=said[1])


def _size(answers: Mapping[str, Answer]) -> int:
    return len(json.dumps([_sealed(answer) for answer in answers.values()]))
