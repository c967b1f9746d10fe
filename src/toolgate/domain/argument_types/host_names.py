"""Host names as an author declares them, and whether a name from outside is one of them.

Here: exact names, ``*.example.com``, IP literals written out, and names of internal hosts with their networks. Not
here: looking a name up. The rule is equality of strings first, so that no parser has a say in it; patterns come
second and only for names of plain labels (RFC 1123 section 2.1, RFC 5890 for ``xn--``).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from toolgate.domain.argument_types.address_ranges import INTERNAL_RANGES
from toolgate.domain.argument_types.string_schema import literally
from toolgate.domain.errors import ContractError

Network = IPv4Network | IPv6Network

#: The networks of a host that runs on the same machine, for demo servers and tests.
LOOPBACK: tuple[str, ...] = ("127.0.0.0/8", "::1/128")

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# WHATWG URL section 3.5, "ends in a number checker": such a host is read as an IPv4 address, whatever its spelling.
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")
_LONGEST_NAME = 253  # RFC 1035 section 2.3.4, in presentation form


@dataclass(frozen=True, slots=True)
class InternalHost:
    """A host that is meant to be inside: it may resolve to ``networks``, and to nothing else.

    Use it for a demo server, a test, or a service of your own; every other host must resolve to public addresses.
    Cloud metadata addresses stay refused even when a network holds them.

    Args:
        name: as in ``AllowedUrl(hosts=...)``.
        networks: in CIDR form, inside loopback, private-use, carrier-grade NAT or unique-local space.

    Raises:
        ContractError: no networks.
    """

    name: str
    networks: Collection[str]

    def __post_init__(self) -> None:
        if isinstance(self.networks, str) or not self.networks:
            raise ContractError(f"InternalHost {self.name!r}: a tuple of networks such as ('10.2.0.0/16',)")
        object.__setattr__(self, "networks", tuple(self.networks))


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRule:
    """One declared host, read once.

    Attributes:
        name: the exact name, or the part of a pattern after ``*.``.
        subdomains: whether this is a pattern.
        address: set when the host is an IP literal.
        networks: where an internal host may be; empty for a public one.
    """

    name: str
    subdomains: bool
    address: IPv4Address | IPv6Address | None = None
    networks: tuple[Network, ...] = ()

    def matches(self, host: str) -> bool:
        """Whether ``host``, as it stands in a URL, is this host."""
        if not self.subdomains:
            return host == self.name
        below = host.removesuffix(f".{self.name}")
        return (
            below != host
            and is_plain_name(host)
            and not any(label.startswith("xn--") for label in below.split("."))
        )

    @property
    def shown(self) -> str:
        """The rule as its author wrote it."""
        return f"*.{self.name}" if self.subdomains else self.name

    @property
    def pattern(self) -> str:
        """The rule as a regular expression for a JSON Schema."""
        return f"([a-z0-9-]+\\.)+{literally(self.name)}" if self.subdomains else literally(self.name)


def is_plain_name(host: str) -> bool:
    """Whether ``host`` is a lower-case DNS name that no parser reads as an IP address."""
    return (
        len(host) <= _LONGEST_NAME
        and _NAME.fullmatch(host) is not None
        and _ENDS_IN_A_NUMBER.fullmatch(host) is None
    )


def looks_like_an_address(host: str) -> bool:
    """Whether some parser would read ``host`` as an IP address in any notation."""
    return host.startswith("[") or ":" in host or _ENDS_IN_A_NUMBER.fullmatch(host) is not None


def host_rules(declared: Collection[str | InternalHost], *, of: str) -> tuple[HostRule, ...]:
    """Read an author's list of hosts.

    Args:
        declared: names, patterns, IP literals, internal hosts.
        of: the keyword to name in an error.

    Raises:
        ContractError: an empty list, or an entry that is not one clear host.
    """
    if isinstance(declared, str) or not declared:
        raise ContractError(f"{of}: list each host that may be reached, for example {{'docs.example.com'}}")
    entries = declared if isinstance(declared, list | tuple) else sorted(declared, key=_name_of)
    rules = tuple(_rule(entry, of=of) for entry in entries)
    if len({rule.shown for rule in rules}) != len(rules):
        raise ContractError(f"{of}: a host is listed twice; keep one entry for each")
    return rules


def match(rules: tuple[HostRule, ...], host: str) -> HostRule | None:
    """The rule for ``host``: an exact one before any pattern, so that its networks are the ones that count."""
    exact = (rule for rule in rules if not rule.subdomains and rule.matches(host))
    wild = (rule for rule in rules if rule.subdomains and rule.matches(host))
    return next(exact, None) or next(wild, None)


def _name_of(entry: str | InternalHost) -> str:
    return entry if isinstance(entry, str) else entry.name


def _rule(entry: str | InternalHost, *, of: str) -> HostRule:
    name = _name_of(entry)
    networks = () if isinstance(entry, str) else _networks(entry, of=of)
    if looks_like_an_address(name):
        address = _literal(name, of=of)
        shown = str(address) if isinstance(address, IPv4Address) else f"[{address}]"
        return HostRule(name=shown, subdomains=False, address=address, networks=networks)
    subdomains = name.startswith("*.")
    base = name.removeprefix("*.")
    if not is_plain_name(base):
        raise ContractError(
            f"{of}: {name!r} is no host name; write it in lower case, without scheme, port or final dot, "
            "and an international name in its xn-- form"
        )
    if subdomains and "." not in base:
        raise ContractError(f"{of}: {name!r} covers a whole top-level domain; name the domain below it")
    return HostRule(name=base, subdomains=subdomains, networks=networks)


def _literal(name: str, *, of: str) -> IPv4Address | IPv6Address:
    text = name.removeprefix("[").removesuffix("]")
    try:
        address = ip_address(text)
    except ValueError:
        raise ContractError(f"{of}: {name!r} is neither a host name nor an IP address in full form") from None
    if str(address) != text or "%" in text or getattr(address, "ipv4_mapped", None) is not None:
        raise ContractError(f"{of}: write {name!r} in its shortest usual form, without zone or embedded IPv4")
    return address


def _networks(entry: InternalHost, *, of: str) -> tuple[Network, ...]:
    networks: list[Network] = []
    for text in entry.networks:
        try:
            network = ip_network(text)
        except ValueError as error:
            raise ContractError(f"{of}: {text!r} is no network in CIDR form: {error}") from None
        if not any(_inside(network, range_) for range_ in INTERNAL_RANGES):
            raise ContractError(f"{of}: network {text!r} is not inside loopback or private space")
        networks.append(network)
    return tuple(networks)


def _inside(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)
