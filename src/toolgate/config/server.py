"""``[server]``: where the server listens, what it is called, and how much it takes.

Whether it may listen there at all depends on whether anybody can sign in, which is decided where the server is put
together (``bootstrap.server``). Not here: how people sign in (``[auth]``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from toolgate.config.problems import Where
from toolgate.config.sections import Given, byte_size, duration, names, table, text

_ADDRESS: Final = re.compile(r"(?:(?P<host>[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\]):)?(?P<port>\d{1,5})")
_MOST_PORT: Final = 65_535
_SMALLEST_BODY: Final = 1024
_LARGEST_BODY: Final = 64 * 1024 * 1024
_LONGEST_DRAIN: Final = 300.0
"""Seconds."""


class Address(NamedTuple):
    """Where to listen. ``port`` 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        """As in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


DEFAULT_PORTS: Final[Mapping[str, int]] = MappingProxyType({"http": 80, "https": 443})
DEFAULT_ADDRESS: Final = Address("127.0.0.1", 8080)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What the files say about the server; None where they say nothing."""

    listen: Given[Address] | None = None
    public_url: Given[str] | None = None
    trusted_proxies: Given[tuple[IPv4Network | IPv6Network, ...]] | None = None
    metrics: Given[Literal["protected", "public"]] | None = None
    body_limit: Given[int] | None = None
    drain: Given[float] | None = None


def read_address(said: str) -> Address | None:
    """``HOST:PORT``, ``[::1]:PORT``, or a port alone, which is then on loopback. None for anything else."""
    found = _ADDRESS.fullmatch(said)
    if found is None or int(found["port"]) > _MOST_PORT:
        return None
    return Address((found["host"] or DEFAULT_ADDRESS.host).strip("[]"), int(found["port"]))


def _listen(value: Any, where: Where) -> Address:
    said = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    address = read_address(text(said, where, example=str(DEFAULT_ADDRESS)))
    if address is None:
        raise where.wrong(f"write HOST:PORT, for example '{DEFAULT_ADDRESS}'")
    return address


def _public_url(value: Any, where: Where) -> str:
    example = "https://gate.example.com"
    said = text(value, where, example=example)
    wrong = where.wrong(f"write scheme, name and port alone, for example {example!r}")
    try:
        parts = urlsplit(said)
        _ = parts.port
    except ValueError:
        raise wrong from None
    plain = parts.path in {"", "/"} and not (
        parts.query or parts.fragment or parts.username or parts.password
    )
    if parts.scheme not in {"http", "https"} or not parts.hostname or not plain or not said.isascii():
        raise wrong
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # As browsers write an origin: in lower case, and without the port that the scheme implies.
    port = "" if parts.port in {None, DEFAULT_PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _trusted_proxies(value: Any, where: Where) -> tuple[IPv4Network | IPv6Network, ...]:
    found = []
    for place, network in enumerate(names(value, where, example='["10.0.0.0/8"]')):
        try:
            found.append(ip_network(network))
        except ValueError:
            raise where.below(place).wrong(
                "write an address or a network, for example '10.0.0.0/8'"
            ) from None
    return tuple(found)


def _metrics(value: Any, where: Where) -> str:
    if value not in {"protected", "public"}:
        raise where.wrong("write 'protected' (a credential is needed off this machine) or 'public'")
    return str(value)


def _body_limit(value: Any, where: Where) -> int:
    limit = byte_size(value, where)
    if not _SMALLEST_BODY <= limit <= _LARGEST_BODY:
        raise where.wrong("write a size between '1KiB' and '64MiB'")
    return limit


def _drain(value: Any, where: Where) -> float:
    found = duration(value, where)
    if found > _LONGEST_DRAIN:
        raise where.wrong(f"write at most {_LONGEST_DRAIN:g} seconds")
    return found


KEYS: Final[Mapping[str, Callable[[Any, Where], Any]]] = MappingProxyType(
    {
        "listen": _listen,
        "public_url": _public_url,
        "trusted_proxies": _trusted_proxies,
        "metrics": _metrics,
        "body_limit": _body_limit,
        "drain": _drain,
    }
)


def read_server(tables: list[Given[Any]]) -> Server:
    """What the files' ``[server]`` tables come to, a later one winning key by key.

    Raises:
        ConfigurationError: at the first key that is unknown or has a value that cannot be used.
    """
    found: dict[str, Given[Any]] = {}
    for given in tables:
        for key, item in table(given.value, given.where, example="[server]").items():
            where = given.where.below(key)
            if key not in KEYS:
                raise where.unknown(KEYS)
            found[key] = Given(where, KEYS[key](item, where))
    return Server(**found)
