"""A call that waits for its own caller: asked in the client where it can show a question, by either era.

Between the outcome and the result of a call. Whatever an answer is worth is for the gate to say (``confirm_own``), and
what the call then answers is read from the ledger. Where nobody can be asked, or says neither yes nor no, the call
waits as any held call does. Not here: the words of the question, and what a client carries.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mcp.shared.exceptions import MCPError

from toolgate.domain.duration import MICRO
from toolgate.domain.errors import GateFault
from toolgate.domain.outcome import ErrorType, PendingApproval, unsuccessful
from toolgate.domain.principal import Declined
from toolgate.domain.rows import RUNNING
from toolgate.operations.confirm_own import confirm_own
from toolgate.operations.get_call import get_call
from toolgate.operations.review_approval import review_approval
from toolgate.surfaces.http.streams import next_of
from toolgate.surfaces.mcp.calls import INVALID_PARAMS
from toolgate.surfaces.mcp.elicit import client_of
from toolgate.surfaces.mcp.question import FIELD, askable, form, read_answer
from toolgate.surfaces.mcp.state import STALE, Shown, States

if TYPE_CHECKING:
    from toolgate.domain.outcome import Outcome
    from toolgate.surfaces.mcp.asked import Asked
    from toolgate.surfaces.mcp.handlers import Answered, Ask, McpCall
    from toolgate.surfaces.mcp.question import Answer
    from toolgate.surfaces.mcp.service import Service

GRACE: Final = 2.0
"""Seconds beyond the tool's own deadline in which a call that was confirmed is picked up and settles."""
_LONGEST_RUN: Final = 30.0
_UNDER_WAY: Final = frozenset({RUNNING, "pending_approval", "started"})
_UNREAD: Final = (
    "What came of the user's word cannot be read at this moment. Ask get_call; do not call again."
)
_log = logging.getLogger("toolgate")


class Confirming:
    """What one server asks of its clients' users; stands around each call (``handlers.Around``)."""

    def __init__(self) -> None:
        self._states = States()

    async def __call__(self, call: McpCall, ask: Ask) -> Answered:
        """The outcome, or the question as an ``InputRequiredResult``.

        Raises:
            MCPError: for a ``requestState`` that is not one of ours for this very call, or was used.
        """
        state = call.params.get("requestState")
        if (
            state is not None and not call.asks
        ):  # that of a tool that asks is ``Asking``'s, and it is never held
            return await self._resume(call, state)
        outcome = await ask()
        if not isinstance(outcome, PendingApproval):
            return outcome
        try:
            return await self._offer(call, outcome)
        except GateFault as fault:
            # Its caller cannot be asked now. That it is held stays true, and its call_id leads to what comes of it.
            _log.warning("nobody was asked about %s: %s", outcome.call_id, type(fault).__name__)
            return outcome

    async def _resume(self, call: McpCall, state: object) -> Outcome[Any]:
        """The user was asked before, and this is the client's second request."""
        asked = call.asked
        shown = await self._states.open(
            call.service.gate, state, by=asked.by, tool=call.request.tool, arguments=asked.given
        )
        if shown is None:
            raise MCPError(INVALID_PARAMS, STALE)
        responses = call.params.get("inputResponses")
        said = read_answer(responses.get(FIELD) if isinstance(responses, Mapping) else None)
        return await _conclude(call, shown, said)

    async def _offer(self, call: McpCall, outcome: PendingApproval) -> Answered:
        """``outcome``; or what came of the user's word; or the question."""
        asked, service, client = call.asked, call.service, client_of(call.context)
        if not client.answers_later and client.ask is None:
            return outcome
        review = await service.gate.operate(review_approval, outcome.approval_id, by=asked.by)
        if isinstance(review, Declined) or (words := askable(review)) is None:
            return outcome
        shown = Shown(approval_id=outcome.approval_id, call_id=outcome.call_id, digest=review.row.digest)
        if client.ask is None:
            left = (review.row.expires_at - review.now) / MICRO
            state = await self._states.seal(
                service.gate, shown, by=asked.by, tool=call.request.tool, arguments=asked.given, seconds=left
            )
            return _input_required(words, state)
        if service.waits.why_not(asked.by) is not None:
            return outcome
        with service.waits.held(asked.by):
            said = read_answer(await client.ask(words))
        return await _conclude(call, shown, said)


async def _conclude(call: McpCall, shown: Shown, said: Answer) -> Outcome[Any]:
    try:
        return await _told(call, shown, said)
    except GateFault as fault:
        # The word may have been written, and the call may run for it.
        _log.warning("what came of %s cannot be read: %s", shown.call_id, type(fault).__name__)
        return unsuccessful(ErrorType.OUTCOME_UNKNOWN, call_id=shown.call_id, message=_UNREAD)


async def _told(call: McpCall, shown: Shown, said: Answer) -> Outcome[Any]:
    if said == "nothing":
        return await _now(call, shown)
    why = await tell(
        call.service,
        call.asked,
        shown.approval_id,
        through=client_of(call.context).name,
        accepted=said == "yes",
        digest=shown.digest,
    )
    if why is not None:
        now = await _now(call, shown)
        if isinstance(now, PendingApproval):
            return replace(now, message=f"{not_confirmed(why)} {now.message}")
        return now
    if said == "yes":
        await _until_settled(call, shown)
    return await _now(call, shown)


async def tell(
    service: Service, asked: Asked, approval_id: str, *, through: str, accepted: bool, digest: bytes
) -> Declined | None:
    """Tell the gate what a user said in their client ``through``; why it counts for nothing, or None."""
    review = await service.gate.operate(
        confirm_own,
        approval_id,
        by=asked.by,
        accepted=accepted,
        through=f"{asked.surface}: {through}",
        digest=digest,
    )
    if isinstance(review, Declined):
        return review
    service.decided()
    return None


def not_confirmed(why: Declined) -> str:
    """What is said where a user's yes counts for nothing."""
    return f"It was not confirmed: {why.reason}."


async def _until_settled(call: McpCall, shown: Shown) -> None:
    """Wait for the run, but not for ever: whoever waits longer asks for the call."""
    service, by = call.service, call.asked.by
    if service.waits.why_not(by) is not None:
        return
    contracts = (tool.contract for tool in service.gate.tools(by.caller))
    timeouts = [each.timeout for each in contracts if each.name == call.request.tool]
    loop = asyncio.get_running_loop()
    until = loop.time() + max(timeouts, default=_LONGEST_RUN) + GRACE
    with service.waits.held(by):
        async with service.feed.watch(lambda event: event.call_id == shown.call_id) as watch:
            while await _runs(call, shown) and (left := until - loop.time()) > 0:
                if service.closing.begun:
                    return
                await next_of(watch, service.closing, left)


async def _runs(call: McpCall, shown: Shown) -> bool:
    """Whether it is on its way: not over, and not waiting for another person by now."""
    review = await call.service.gate.operate(review_approval, shown.approval_id, by=call.asked.by)
    if isinstance(review, Declined) or not review.requirement.own:
        return False
    return review.call.approval_id == shown.approval_id and review.call.status in _UNDER_WAY


async def _now(call: McpCall, shown: Shown) -> Outcome[Any]:
    return await call.service.gate.operate(get_call, shown.call_id, caller=call.asked.by.caller)


def _input_required(words: str, state: str) -> dict[str, Any]:
    """MCP 2026-07-28, multi round-trip requests: ``InputRequiredResult``."""
    return {
        "resultType": "input_required",
        "inputRequests": {FIELD: form(words)},
        "requestState": state,
    }
