"""How an upstream MCP server is reached: as a child process over stdio, or over HTTP.

Here: values alone, read from configuration and handed to the connection. Secrets are resolved already and appear in
no repr. Not here: where they come from (``config.upstreams``), and what is done with them (``adapters.upstreams``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

MIB: Final = 1 << 20
MESSAGE_LIMIT: Final = 8 * MIB
"""Bytes of one message of an upstream, unless configured otherwise."""
OUTPUT_LIMIT: Final = 64 * MIB
"""Bytes that a child process may write between two answers that somebody waits for."""
CONNECT_TIMEOUT: Final = 10.0
"""Seconds for a handshake, or for the whole list of tools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StdioSettings:
    """A child process that speaks MCP on its standard input and output.

    Args:
        command: the program, looked up in the child's ``PATH`` unless it holds a slash.
        args: its arguments; shown nowhere, for people write keys there.
        env: what the child gets besides ``PATH``, ``HOME``, ``LANG`` and the like; values resolved.
        cwd: its working directory; None for the gateway's. A configuration says the folder of its file.
        memory_limit: bytes of data (``RLIMIT_DATA``) that each process of it may hold; None for no limit. See
            ``adapters.upstreams.process`` for what that counts.
        message_limit: bytes of one message.
        output_limit: bytes written between two answers that somebody waits for.
        connect_timeout: seconds for the handshake, and for reading the list.
    """

    command: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    memory_limit: int | None = None
    message_limit: int = MESSAGE_LIMIT
    output_limit: int = OUTPUT_LIMIT
    connect_timeout: float = CONNECT_TIMEOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """A fixed token, sent as ``Authorization: Bearer`` (RFC 6750, section 2.1)."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """OAuth client credentials (RFC 6749, section 4.4): the gate's own identity towards the upstream.

    Args:
        token_url: where tokens are issued; https, or http on loopback.
        client_id: ours.
        client_secret: ours.
        scope: what is asked for; None leaves it to the issuer.
        resource: whom the token is for (RFC 8707); None sends none.
        client_authentication: the secret in the Authorization header (RFC 6749, section 2.3.1) or in the body.
    """

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    resource: str | None = None
    client_authentication: Literal["basic", "post"] = "basic"


HttpAuth: TypeAlias = Bearer | ClientCredentials


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """An MCP server behind a URL (streamable HTTP).

    Args:
        url: its endpoint; https, or http where the operator means it. Redirects are not followed.
        headers: sent with each request; values resolved.
        auth: how the gate proves who it is; None if the headers do, or if nobody asks.
        per_user: whether the upstream tells its users apart. Then a connection is for one identity and is never
            shared with another.
        proxy: where to go through; what the environment says of proxies is not heeded.
        ca_file: certificate authorities in PEM instead of the usual ones.
        message_limit: bytes of one message.
        pool: connections kept to it, and so calls on their way at the same time over HTTP/1.1.
        connect_timeout: seconds for the handshake, and for reading the list.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: HttpAuth | None = None
    per_user: bool = False
    proxy: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    message_limit: int = MESSAGE_LIMIT
    pool: int = 100
    connect_timeout: float = CONNECT_TIMEOUT


ConnectionSettings: TypeAlias = StdioSettings | HttpSettings

_SHORTEST_SECRET: Final = 6


def without_secrets(text: str, settings: ConnectionSettings) -> str:
    """``text`` of an upstream without what it was given in confidence: values of its environment, headers, tokens."""
    for value in _confided(settings):
        if len(value) >= _SHORTEST_SECRET and value in text:
            text = text.replace(value, "[redacted:given]")
    return text


def _confided(settings: ConnectionSettings) -> tuple[str, ...]:
    if isinstance(settings, StdioSettings):
        return tuple(settings.env.values())
    match settings.auth:
        case Bearer(token=token):
            return (*settings.headers.values(), token)
        case ClientCredentials(client_secret=secret):
            return (*settings.headers.values(), secret)
        case None:
            return tuple(settings.headers.values())
