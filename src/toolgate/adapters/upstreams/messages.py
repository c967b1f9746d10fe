"""JSON-RPC 2.0 as MCP uses it: what is written, and what a message that came is.

Pure: bytes to values and back. Not here: who waits for an answer (``dialogue``), how bytes travel (``process``,
``http``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, TypeAlias

from pydantic_core import from_json

from toolgate.adapters.upstreams.failures import NotSent, RpcError

METHOD_NOT_FOUND: Final = -32601
HEADER_MISMATCH: Final = -32020
MISSING_CAPABILITY: Final = -32021
UNSUPPORTED_VERSION: Final = -32022

MODERN_VERSIONS: Final = ("2026-07-28",)
"""Each request carries its own envelope; there is no handshake and no session."""
HANDSHAKE_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Agreed on by ``initialize``; oldest first."""

MAX_BATCH: Final = 1_000
"""Messages in one batch: a few bytes each would otherwise cost as much as a whole message."""

_VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
_INFO_KEY: Final = "io.modelcontextprotocol/clientInfo"
_CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
SERVER_INFO_KEY: Final = "io.modelcontextprotocol/serverInfo"

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _own_version() -> str:
    try:
        return version("toolgate")
    except PackageNotFoundError:
        return "0"


CLIENT_INFO: Final[Mapping[str, str]] = {"name": "toolgate", "version": _own_version()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How requests are worded: the version agreed on, and whether each carries the envelope of the modern era.

    ``version`` is None before a handshake has agreed on one.
    """

    version: str | None
    modern: bool
    capabilities: Mapping[str, Any]

    def worded(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """``params`` with the envelope (2026-07-28, basic/index, "Per-request protocol fields"); it beats theirs."""
        if not self.modern:
            return params
        meta = {
            **params.get("_meta", {}),
            _VERSION_KEY: self.version,
            _INFO_KEY: CLIENT_INFO,
            _CAPABILITIES_KEY: self.capabilities,
        }
        return {**params, "_meta": meta}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came in answer to a request of ours."""

    id: object
    result: Any = None
    error: RpcError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request of the upstream."""

    id: int | str
    method: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notification of the upstream."""

    method: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """Something that is no message."""

    why: str


Heard: TypeAlias = Answer | Question | Notice | Stray


def encoded(message: Mapping[str, Any]) -> bytes:
    """One line of JSON, without its end.

    Raises:
        NotSent: if it has no JSON form.
    """
    try:
        return _encode(message).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise NotSent(f"the arguments have no JSON form: {type(error).__name__}") from error


def request(id: int, method: str, params: Mapping[str, Any]) -> bytes:
    """A request. Raises ``NotSent`` where the parameters have no JSON form."""
    return encoded({"jsonrpc": "2.0", "id": id, "method": method, "params": params})


def notification(method: str, params: Mapping[str, Any]) -> bytes:
    """A notification, which nobody answers."""
    return encoded({"jsonrpc": "2.0", "method": method, "params": params})


def refusal(id: int | str, code: int, message: str) -> bytes:
    """Our answer to a request that we do not serve."""
    return encoded({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})


def reply(id: int | str, result: Mapping[str, Any]) -> bytes:
    """Our answer to a request of the upstream."""
    return encoded({"jsonrpc": "2.0", "id": id, "result": result})


def heard_json(data: bytes | bytearray) -> Any:
    """Any JSON value; None where it is none."""
    try:
        return from_json(data, allow_inf_nan=False)
    except ValueError:
        return None


def heard(data: bytes | bytearray) -> tuple[Heard, ...]:
    """The messages in ``data``; more than one only in a batch, which 2025-03-26 allowed. Never raises."""
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError:
        return (Stray(why="no JSON"),)
    if type(value) is list:
        if len(value) > MAX_BATCH:
            return (Stray(why=f"a batch of more than {MAX_BATCH} messages"),)
        return tuple(_message(each) for each in value) or (Stray(why="an empty batch"),)
    return (_message(value),)


def _message(value: Any) -> Heard:
    if type(value) is not dict or value.get("jsonrpc") != "2.0":
        return Stray(why="no JSON-RPC message")
    if "method" in value:
        return _spoken(value)
    if "id" not in value or ("result" in value) == ("error" in value):
        return Stray(why="an answer with neither or both of result and error")
    if "result" in value:
        return Answer(id=value["id"], result=value["result"])
    error = rpc_error(value["error"])
    return Stray(why="an error of no known form") if error is None else Answer(id=value["id"], error=error)


def _spoken(value: dict[str, Any]) -> Heard:
    method, params = value["method"], value.get("params", {})
    if type(method) is not str or type(params) is not dict:
        return Stray(why="a message whose method or params are of no known form")
    if "id" not in value:
        return Notice(method=method, params=params)
    if type(value["id"]) not in {int, str}:
        return Stray(why="a request whose id is neither number nor text")
    return Question(id=value["id"], method=method, params=params)


def rpc_error(value: Any, *, status: int | None = None) -> RpcError | None:
    """The error object of an answer (JSON-RPC 2.0, section 5.1); None where it is none."""
    if type(value) is not dict or type(value.get("code")) is not int:
        return None
    message = value.get("message", "")
    if type(message) is not str:
        return None
    return RpcError(value["code"], message, data=value.get("data"), status=status)
