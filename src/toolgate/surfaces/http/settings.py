"""What an operator said about the server, as the HTTP surface uses it: its address, its names, its limits.

Not here: reading ``[server]`` from a file (``config``), and how people sign in (``[auth]``).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Literal

Network = IPv4Network | IPv6Network

BODY_LIMIT: Final = 1024 * 1024
"""Bytes of a request's body where nothing else is said."""
REQUEST_SECONDS: Final = 60.0
"""Seconds until a request has to be answered, unless its handler asked for more."""
BODY_SECONDS: Final = 15.0
"""Seconds in which a request's body has to have arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How the server is reached.

    Attributes:
        host, port: where it listens.
        public_url: what people and programs call it, scheme, name and port alone: ``https://gate.example.com``.
            Links in notifications begin with it. By default what it listens on.
        names: values of the Host header that are ours, in lower case, with their ports where they have one.
        local: whether it is only meant for people on this machine.
        trusted_proxies: who may say in X-Forwarded-For on whose behalf they ask.
        metrics: whether ``/metrics`` asks for a credential from other machines.
        body_limit: bytes.
        issuers: who gives credentials for this server besides itself; clients are told.
    """

    host: str
    port: int
    public_url: str
    names: frozenset[str]
    local: bool
    trusted_proxies: tuple[Network, ...] = ()
    metrics: Literal["protected", "public"] = "protected"
    body_limit: int = BODY_LIMIT
    request_seconds: float = REQUEST_SECONDS
    body_seconds: float = BODY_SECONDS
    issuers: tuple[str, ...] = ()

    @property
    def secure(self) -> bool:
        """Whether people reach it over TLS: cookies are then marked so, and browsers told to insist."""
        return self.public_url.startswith("https://")

    @property
    def origins(self) -> frozenset[str]:
        """The origins of pages of ours (RFC 6454, section 6.2)."""
        found = {self.public_url.lower()}
        return frozenset(found if self.secure else found | {f"http://{name}" for name in self.names})
