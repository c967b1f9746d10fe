"""``tools/call`` and ``tools/list`` of 2026-07-28 without the SDK: what a well-formed message needs, and no more.

What is plainly good (``plain``) is answered here with what the SDK would have answered; a test holds the two against
each other. Everything else is the SDK's: every no to a message, every older protocol, and whatever may need more than
one answer (progress, a question to the user, a task). Where the operator traces, nothing is answered here, because the
spans are the SDK's. Not here: what a call says beside its arguments (``calls``), what a tool looks like in a list
(``listing``), and how an answer that takes long is sent (``patience``).
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final

from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS, X_MCP_HEADER_KEY
from mcp_types import SERVER_INFO_META_KEY, methods
from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider

from toolgate.domain.errors import INPUT_REQUIRED
from toolgate.surfaces.mcp.calls import (
    INVALID_PARAMS,
    Malformed,
    is_unknown_tool,
    read_call,
    result_of,
    unknown_tool,
)
from toolgate.surfaces.mcp.faults import told
from toolgate.surfaces.mcp.listing import listed, plain
from toolgate.surfaces.mcp.patience import Patience
from toolgate.surfaces.mcp.plain import LIST, MODERN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp.server.lowlevel import Server
    from starlette.types import Receive, Send

    from toolgate.domain.contract import Contract
    from toolgate.domain.outcome import Outcome
    from toolgate.domain.principal import Principal
    from toolgate.surfaces.mcp.asked import Asked
    from toolgate.surfaces.mcp.calls import CallRequest
    from toolgate.surfaces.mcp.plain import Plain
    from toolgate.surfaces.mcp.service import Service

_OK: Final = 200
_MOST_LISTS: Final = 64
"""Of different sets of tools, such as every combination of roles has one."""


class Hot:
    """Answers plain messages. ``server`` is the SDK's, which says what every answer of it holds."""

    def __init__(self, service: Service, server: Server[Any]) -> None:
        self._service = service
        self._server = server
        self._simple: dict[str, bool] = {}
        self._lists: dict[tuple[str, ...], str] = {}
        meta = json.dumps({SERVER_INFO_META_KEY: server.server_info_stamp})
        self._ending = f'"resultType":"complete","_meta":{meta}}}'

    async def answered(self, message: Plain, asked: Asked, receive: Receive, send: Send) -> bool:
        """Answer ``message``. False where it is one for the SDK after all; then nothing was done."""
        if not isinstance(get_tracer_provider(), ProxyTracerProvider):
            return False
        if message.method == LIST:
            await Patience(receive, send).answer(_success(message, self._list(asked.by)), _OK)
            return True
        request = read_call(message.params, asked)
        if isinstance(request, Malformed) or not self._is_simple(request.tool, asked.by):
            return False
        await self._call(message, request, asked, Patience(receive, send))
        return True

    async def _call(self, message: Plain, request: CallRequest, asked: Asked, patience: Patience) -> None:
        """As ``handlers.ask``, and what the SDK makes of it."""
        gate, by = self._service.gate, asked.by
        known: list[str] = []

        def give_up() -> None:
            for call_id in known:
                gate.cancel(call_id)

        try:
            workflow = gate.make_workflow(
                request.workflow, agent=by.agent, model=request.model, user_input=request.user_input
            )
            with patience.waiting(give_up):
                outcome = await gate.request(
                    request.tool,
                    asked.given,
                    caller=by.caller,
                    workflow=workflow,
                    actor=by,
                    request_id=asked.request_id,
                    rationale=request.rationale,
                    trace=request.trace,
                    surface=asked.surface,
                    on_received=known.append,
                )
            answer, status = self._told(message, request, outcome)
        except Exception as fault:  # noqa: BLE001 - named in the log, never shown
            give_up()
            error = told(fault, "tools/call").error
            answer, status = _failure(message, error.code, error.message)
        except BaseException:
            give_up()
            raise
        await patience.answer(answer, status)

    def _told(self, message: Plain, request: CallRequest, outcome: Outcome[Any]) -> tuple[str, int]:
        if is_unknown_tool(outcome):
            return _failure(message, INVALID_PARAMS, unknown_tool(request.tool))
        return _success(message, self._result(outcome)), _OK

    def _result(self, outcome: Outcome[Any]) -> str:
        """The ``CallToolResult``, as JSON."""
        result = result_of(outcome)
        if "structuredContent" not in result:
            # The tool's own blocks: the SDK knows what each kind of them may hold.
            return self._sieved("tools/call", result)
        text = result["content"][0]["text"]
        body = text if text.isascii() else json.dumps(result["structuredContent"])
        failed = "true" if result["isError"] else "false"
        return (
            f'{{"content":[{{"type":"text","text":{encode_basestring_ascii(text)}}}],'
            f'"structuredContent":{body},"isError":{failed},{self._ending}'
        )

    def _list(self, by: Principal) -> str:
        """The ``ListToolsResult`` for ``by``, as JSON. Which tools are theirs is asked each time; its words stay."""
        contracts = self._contracts(by)
        names = tuple(contract.name for contract in contracts)
        found = self._lists.get(names)
        if found is None:
            hint = self._server.cache_hints[LIST]
            shown = {"ttlMs": hint.ttl_ms, "cacheScope": hint.scope, "tools": listed(contracts)}
            found = self._sieved(LIST, shown)
            if len(self._lists) < _MOST_LISTS:
                self._lists[names] = found
        return found

    def _sieved(self, method: str, result: dict[str, Any]) -> str:
        """``result`` as the SDK sends it: what the protocol's version knows of it, and who the server is."""
        known = methods.serialize_server_result(method, MODERN, {"resultType": "complete", **result})
        meta = {**known.get("_meta", {}), SERVER_INFO_META_KEY: self._server.server_info_stamp}
        return json.dumps({**known, "_meta": meta}, separators=(",", ":"))

    def _is_simple(self, name: str, by: Principal) -> bool:
        """Whether calls of this tool are never answered with a question, and mirror no argument in a header."""
        if name not in self._simple:
            self._simple.update((contract.name, _is_simple(contract)) for contract in self._contracts(by))
        return self._simple.get(name, False)

    def _contracts(self, by: Principal) -> Sequence[Contract]:
        return [tool.contract for tool in self._service.gate.tools(by.caller)]


def _is_simple(contract: Contract) -> bool:
    asks = contract.approval is not None or INPUT_REQUIRED in contract.raises
    return not asks and X_MCP_HEADER_KEY not in json.dumps(plain(contract.input_schema))


def _success(message: Plain, result: str) -> str:
    return f'{{"jsonrpc":"2.0","id":{message.id},"result":{result}}}'


def _failure(message: Plain, code: int, words: str) -> tuple[str, int]:
    error = json.dumps({"code": code, "message": words}, separators=(",", ":"))
    answer = f'{{"jsonrpc":"2.0","id":{message.id},"error":{error}}}'
    return answer, ERROR_CODE_HTTP_STATUS.get(code, _OK)
