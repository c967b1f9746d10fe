"""The door to connections: what one is, and how one is opened. Whoever uses them needs no other module but ``thread``.

Not here: how they are kept (``kept``) and what they are made of (``stdio``, ``http``).
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import ClientSession

from toolgate.adapters.upstreams.failures import (
    ConnectionFailure,
    ListOutdated,
    Lost,
    NoAnswer,
    NotSent,
    RpcError,
    UpstreamDown,
)
from toolgate.adapters.upstreams.http import HttpLink, open_session
from toolgate.adapters.upstreams.kept import KeptConnection
from toolgate.adapters.upstreams.link import Link
from toolgate.adapters.upstreams.oauth import Authorizer, authorizer_for, check_auth
from toolgate.adapters.upstreams.stdio import StdioLink
from toolgate.adapters.upstreams.terms import (
    ABSENT,
    Absent,
    Answering,
    Called,
    Connection,
    ConnectionKey,
    Phase,
    Progress,
    State,
)
from toolgate.domain.errors import UsageError
from toolgate.domain.upstream.settings import (
    ConnectionSettings,
    HttpSettings,
    StdioSettings,
    without_secrets,
)
from toolgate.ports import Clock

__all__ = [
    "ABSENT",
    "Absent",
    "Answering",
    "Authorizer",
    "Called",
    "Connection",
    "ConnectionFailure",
    "ConnectionKey",
    "ListOutdated",
    "Lost",
    "NoAnswer",
    "NotSent",
    "Phase",
    "Progress",
    "RpcError",
    "State",
    "UpstreamDown",
    "open_connection",
]


def open_connection(
    settings: ConnectionSettings,
    *,
    name: str,
    on_tools_changed: Callable[[], None],
    clock: Clock,
    identity: str | None = None,
    authorizer: Authorizer | None = None,
    answering: Answering | None = None,
    capabilities: Mapping[str, Any] | None = None,
    jitter: Callable[[], float] = random.random,  # noqa: S311 - it spreads waits
) -> Connection:
    """A connection to one upstream for one identity, which begins to connect at once. Inside the loop it lives in.

    Args:
        settings: how the upstream is reached.
        name: the upstream's name in the configuration.
        on_tools_changed: called each time that a link was made, and when the upstream says that its list changed.
        clock: for every wait and bound.
        identity: whose connection it is, where the upstream authenticates each user; None for the gate's own. It holds
            process, pool, session and token by itself and shares none of them.
        authorizer: what proves who we are over HTTP, instead of what the settings say.
        answering: answers what the upstream asks of us; the gate has none.
        capabilities: what we declare that we answer; nothing without ``answering``.
        jitter: a number from 0 to 1 by which waits of many gateways are spread.

    Raises:
        UsageError: if an upstream that tells its users apart is asked for without one, or another one for one.
        ConfigurationError: if the settings cannot be used.
    """
    per_user = isinstance(settings, HttpSettings) and settings.per_user
    if per_user != (identity is not None):
        raise UsageError(
            f"upstream {name}: a connection is for one identity where the upstream tells its users apart, "
            "and only there"
        )
    dial, release = _dialling(settings, authorizer, clock)
    particulars: dict[str, Any] = {
        "clock": clock,
        "tools_changed": on_tools_changed,
        "answering": answering,
        "capabilities": dict(capabilities or {}),
    }
    return KeptConnection(
        ConnectionKey(upstream=name, identity=identity),
        lambda: dial(name, **particulars),
        clock=clock,
        connect_timeout=settings.connect_timeout,
        on_ready=on_tools_changed,
        answering=answering,
        release=release,
        jitter=jitter,
        masked=lambda text: without_secrets(text, settings),
    )


def _dialling(
    settings: ConnectionSettings, authorizer: Authorizer | None, clock: Clock
) -> tuple[Callable[..., Awaitable[Link]], Callable[[], Awaitable[None]] | None]:
    """What makes a link, and what has to be let go of in the end."""
    if isinstance(settings, StdioSettings):
        return partial(_start, settings), None
    check_auth(settings.auth)
    http = open_session(settings)
    prove = authorizer or authorizer_for(settings.auth, http, clock)
    return partial(_reach, settings, http, prove), http.close


async def _start(settings: StdioSettings, name: str, **particulars: Any) -> Link:
    return await StdioLink.dial(name, settings, **particulars)


async def _reach(
    settings: HttpSettings, http: ClientSession, prove: Authorizer, name: str, **particulars: Any
) -> Link:
    return await HttpLink.dial(name, settings, http=http, authorizer=prove, **particulars)
