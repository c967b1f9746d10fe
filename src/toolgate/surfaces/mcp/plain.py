"""Which messages of 2026-07-28 are plainly good: each header and member there once, valid, and fitting the others.

A message that is none of these is no bad one: the SDK judges it. So this may be narrow, and must never take what the
SDK refuses. Not here: any no, and what is answered (``hot``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from mcp_types import CLIENT_CAPABILITIES_META_KEY, CallToolRequestParams, PaginatedRequestParams, methods
from pydantic import ValidationError

from toolgate.domain.canonical import UnfitJson, parse_json
from toolgate.surfaces.mcp.calls import WORKFLOW_HEADER

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.types import Scope

MODERN: Final = "2026-07-28"
CALL: Final = "tools/call"
LIST: Final = "tools/list"
TASKS: Final = "io.modelcontextprotocol/tasks"
"""The extension with which a call may be answered with a task."""
_VERSION_META: Final = "io.modelcontextprotocol/protocolVersion"
_MEMBERS: Final = frozenset({"jsonrpc", "id", "method", "params"})
_PARAMS: Final = MappingProxyType(
    {CALL: frozenset({"name", "arguments", "_meta"}), LIST: frozenset({"_meta"})}
)
_TYPES: Final[Mapping[str, type[BaseModel]]] = MappingProxyType(
    {CALL: CallToolRequestParams, LIST: PaginatedRequestParams}
)
_METHODS: Final = MappingProxyType({method.encode(): method for method in _PARAMS})
_TYPE, _ACCEPT, _VERSION, _METHOD, _NAME = (
    *(b"content-type", b"accept"),
    *(b"mcp-protocol-version", b"mcp-method", b"mcp-name"),
)
_ONCE: Final = frozenset({_TYPE, _ACCEPT, _VERSION, _METHOD, _NAME})
_WORKFLOW: Final = WORKFLOW_HEADER.lower().encode()
_ENCODED: Final = "=?base64?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """One message.

    Attributes:
        id: its own, as JSON.
        workflows: what the header says about the piece of work, each time that it stands there.
    """

    id: str
    method: str
    params: dict[str, Any]
    workflows: tuple[str, ...]


def recognised(scope: Scope, body: bytes) -> Plain | None:
    """The message that a request plainly is; ``body`` is the whole of its body."""
    if scope["method"] != "POST":
        return None
    said: dict[bytes, bytes] = {}
    workflows: list[str] = []
    for name, value in scope["headers"]:
        if name in _ONCE:
            if name in said:
                return None
            said[name] = value
        elif name == _WORKFLOW:
            workflows.append(value.decode("latin-1"))
        elif name.startswith(b"mcp-"):
            return None
    method = _METHODS.get(said.get(_METHOD, b""))
    if (
        method is None
        or said.get(_VERSION) != MODERN.encode()
        or not _fits(said.get(_TYPE), said.get(_ACCEPT))
    ):
        return None
    message = _request(body, method)
    if message is None or (method == CALL and not _is_named(message["params"]["name"], said.get(_NAME))):
        return None
    return Plain(
        id=json.dumps(message["id"]), method=method, params=message["params"], workflows=tuple(workflows)
    )


@lru_cache(maxsize=64)
def _fits(content_type: bytes | None, accept: bytes | None) -> bool:
    """Whether JSON comes, and JSON or a stream of events may go back (2026-07-28, transports)."""
    takes = {each.strip() for each in (accept or b"").split(b",")}
    return content_type == b"application/json" and {b"application/json", b"text/event-stream"} <= takes


def _is_named(name: str, header: bytes | None) -> bool:
    """Whether ``Mcp-Name`` says it as it is; a name that had to be encoded is the SDK's to decode."""
    return header is not None and header.decode("latin-1") == name and not name.startswith(_ENCODED)


def _request(body: bytes, method: str) -> dict[str, Any] | None:
    """The JSON-RPC request of ``method`` that ``body`` strictly is, with nothing in it that is not known here."""
    try:
        message = parse_json(body)
    except UnfitJson:
        return None
    if not isinstance(message, dict) or message.keys() != _MEMBERS:
        return None
    params = message["params"]
    good = (
        message["jsonrpc"] == "2.0"
        and message["method"] == method
        and type(message["id"]) in {str, int}
        and isinstance(params, dict)
        and params.keys() <= _PARAMS[method]
        and _is_valid(method, params)
    )
    return message if good else None


def _is_valid(method: str, params: dict[str, Any]) -> bool:
    """Whether the SDK takes the parameters, and they ask neither for progress nor for a task."""
    try:
        methods.validate_client_request(method, MODERN, params)
        _TYPES[method].model_validate(params, by_name=False)
    except ValidationError:
        return False
    meta = params["_meta"]
    extensions = meta[CLIENT_CAPABILITIES_META_KEY].get("extensions") or {}
    return (
        meta[_VERSION_META] == MODERN
        and "progressToken" not in meta
        and TASKS not in extensions
        and isinstance(params.get("arguments", {}), dict)
    )
