"""Which version to speak: ``server/discover`` first, and ``initialize`` with whoever does not know it.

The rules are those of 2026-07-28, basic/versioning, "Backward Compatibility", as the official SDK reads them: only a
server that says it speaks nothing that we do is refused; whatever else is not a discovery is taken for an older server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from toolgate.adapters.upstreams.failures import ConnectionFailure, Lost, NoAnswer, NotSent, RpcError
from toolgate.adapters.upstreams.link import Peer, Wire
from toolgate.adapters.upstreams.messages import (
    CLIENT_INFO,
    HANDSHAKE_VERSIONS,
    MODERN_VERSIONS,
    SERVER_INFO_KEY,
    UNSUPPORTED_VERSION,
    Manner,
)
from toolgate.domain.names import label
from toolgate.ports import Clock

MAX_PEER_NAME: Final = 100
_NO_VERDICT: Final = frozenset({401, 403, 407, 429, 502, 503, 504})
"""Statuses that say nothing of the version: whoever answered was asked for credentials, or could not reach it."""


async def shake_hands(wire: Wire, *, seconds: float, clock: Clock, capabilities: Mapping[str, Any]) -> Peer:
    """Agree on a version within ``seconds``; half of it is for finding out whether the server is of the modern era.

    Raises:
        ConnectionFailure: if there is no agreement.
    """
    until = clock.monotonic() + seconds
    version = MODERN_VERSIONS[-1]
    for last in (False, True):
        modern = Manner(version=version, modern=True, capabilities=capabilities)
        try:
            found = await wire.ask("server/discover", {}, seconds=seconds / 2, manner=modern)
        except ConnectionFailure as failure:
            if not last and (other := _named_version(failure, MODERN_VERSIONS)) is not None:
                version = other
                continue
            _raise_if_hopeless(failure)
        else:
            if (peer := _discovered(found)) is not None:
                return peer
        try:
            return await _initialize(wire, seconds=until - clock.monotonic(), capabilities=capabilities)
        except RpcError as failure:
            # A slow starter answers late that it is of the modern era after all.
            if last or (other := _named_version(failure, MODERN_VERSIONS)) is None:
                raise
            version = other
    raise NotSent(
        "no agreement on a version of the protocol"
    )  # pragma: no cover - the second round ends above


def _named_version(failure: ConnectionFailure, ours: tuple[str, ...]) -> str | None:
    """The newest of ``ours`` that a refusal of our version says the server speaks."""
    if not isinstance(failure, RpcError) or failure.code != UNSUPPORTED_VERSION:
        return None
    named = failure.data.get("supported") if isinstance(failure.data, dict) else None
    return next((each for each in reversed(ours) if isinstance(named, list) and each in named), None)


def _raise_if_hopeless(failure: ConnectionFailure) -> None:
    if isinstance(failure, RpcError):
        if failure.code == UNSUPPORTED_VERSION and isinstance(failure.data, dict):
            named = failure.data.get("supported")
            if isinstance(named, list) and not any(each in HANDSHAKE_VERSIONS for each in named):
                raise NotSent("it speaks no version of the protocol that we do") from failure
        return
    if isinstance(failure, NoAnswer):
        return
    if failure.status is None or failure.status in _NO_VERDICT:
        raise failure


def _discovered(found: Any) -> Peer | None:
    """Who it is, if ``found`` is a discovery that offers a modern version; else it is taken for an older server."""
    if not isinstance(found, dict) or not isinstance(offered := found.get("supportedVersions"), list):
        return None
    version = next((each for each in reversed(MODERN_VERSIONS) if each in offered), None)
    if version is None:
        return None
    meta = found.get("_meta")
    info = meta.get(SERVER_INFO_KEY) if isinstance(meta, dict) else None
    return _peer(version, info or found.get("serverInfo"), found.get("capabilities"), modern=True)


async def _initialize(wire: Wire, *, seconds: float, capabilities: Mapping[str, Any]) -> Peer:
    manner = Manner(version=None, modern=False, capabilities=capabilities)
    params = {
        "protocolVersion": HANDSHAKE_VERSIONS[-1],
        "capabilities": capabilities,
        "clientInfo": CLIENT_INFO,
    }
    result = await wire.ask("initialize", params, seconds=seconds, manner=manner)
    if not isinstance(result, dict):
        raise Lost("its answer to initialize is of no known form")
    version = result.get("protocolVersion")
    if version not in HANDSHAKE_VERSIONS:
        raise NotSent(f"it speaks version {label(version, limit=20)} of the protocol, which we do not")
    agreed = Manner(version=version, modern=False, capabilities=capabilities)
    await wire.tell("notifications/initialized", {}, manner=agreed)
    return _peer(version, result.get("serverInfo"), result.get("capabilities"), modern=False)


def _peer(version: str, info: Any, capabilities: Any, *, modern: bool) -> Peer:
    named = info if isinstance(info, dict) else {}
    tools = capabilities.get("tools") if isinstance(capabilities, dict) else None
    return Peer(
        version=version,
        modern=modern,
        name=label(named.get("name", ""), limit=MAX_PEER_NAME),
        server_version=label(named.get("version", ""), limit=MAX_PEER_NAME),
        tells_of_changes=isinstance(tools, dict) and tools.get("listChanged") is True,
    )
