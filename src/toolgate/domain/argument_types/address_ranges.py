"""Which IP addresses a public host may have.

Here: the ranges of the IANA special-purpose registries (RFC 6890 and its updates), the addresses at which clouds serve
credentials, and the verdict on one address. Not here: resolving, connecting.

IPv6 is judged the safe way round: only global unicast (2000::/3, RFC 4291 section 2.4) may pass, less the ranges in it
that lead elsewhere. Ranges that carry an IPv4 address inside are refused whole, never decoded.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

_REFUSED_IPV4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), name)
    for network, name in (
        ("0.0.0.0/8", "this network (RFC 791)"),
        ("10.0.0.0/8", "private use (RFC 1918)"),
        ("100.64.0.0/10", "carrier-grade NAT (RFC 6598)"),
        ("127.0.0.0/8", "loopback (RFC 1122)"),
        ("169.254.0.0/16", "link-local (RFC 3927)"),
        ("172.16.0.0/12", "private use (RFC 1918)"),
        ("192.0.0.0/24", "IETF protocol assignments (RFC 6890)"),
        ("192.0.2.0/24", "documentation (RFC 5737)"),
        ("192.31.196.0/24", "AS112 (RFC 7535)"),
        ("192.52.193.0/24", "multicast relay (RFC 7450)"),
        ("192.88.99.0/24", "6to4 relay (RFC 7526)"),
        ("192.168.0.0/16", "private use (RFC 1918)"),
        ("192.175.48.0/24", "AS112 (RFC 7534)"),
        ("198.18.0.0/15", "benchmarking (RFC 2544)"),
        ("198.51.100.0/24", "documentation (RFC 5737)"),
        ("203.0.113.0/24", "documentation (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("240.0.0.0/4", "reserved or broadcast (RFC 1112)"),
    )
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")

_REFUSED_IPV6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), name)
    for network, name in (
        ("::1/128", "loopback (RFC 4291)"),
        ("::ffff:0:0/96", "IPv4-mapped (RFC 4291)"),
        ("::/96", "unspecified or IPv4-compatible (RFC 4291)"),
        ("64:ff9b::/96", "NAT64 (RFC 6052)"),
        ("64:ff9b:1::/48", "local NAT64 (RFC 8215)"),
        ("2001::/32", "Teredo (RFC 4380)"),
        ("2001::/23", "IETF protocol assignments (RFC 2928)"),
        ("2001:db8::/32", "documentation (RFC 3849)"),
        ("2002::/16", "6to4 (RFC 3056)"),
        ("2620:4f:8000::/48", "AS112 (RFC 7534)"),
        ("3fff::/20", "documentation (RFC 9637)"),
        ("3ffe::/16", "6bone, returned (RFC 3701)"),
        ("fc00::/7", "unique-local (RFC 4193)"),
        ("fe80::/10", "link-local (RFC 4291)"),
        ("fec0::/10", "site-local (RFC 3879)"),
        ("ff00::/8", "multicast (RFC 4291)"),
    )
)

#: Where clouds answer with credentials or control the machine. No declaration opens these.
METADATA_ADDRESSES: frozenset[Address] = frozenset(
    {
        IPv4Address("169.254.169.254"),  # the usual one
        IPv4Address("169.254.170.2"),  # AWS ECS tasks
        IPv4Address("169.254.170.23"),  # AWS EKS pod identity
        IPv4Address("168.63.129.16"),  # Azure's platform; the only one in public space
        IPv4Address("100.100.100.200"),  # Alibaba Cloud
        IPv4Address("192.0.0.192"),  # Oracle Cloud
        IPv6Address("fd00:ec2::254"),  # AWS
        IPv6Address("fd00:ec2::23"),  # AWS EKS pod identity
        IPv6Address("fd20:ce::254"),  # Google Cloud
    }
)

#: Where an author may say that a host of theirs lives. Link-local is not among them: metadata lives there.
INTERNAL_RANGES: tuple[IPv4Network | IPv6Network, ...] = (
    IPv4Network("127.0.0.0/8"),
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("100.64.0.0/10"),
    IPv6Network("::1/128"),
    IPv6Network("fc00::/7"),
)

_ISATAP_MARKS = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214 section 6.1: an IPv4 address follows


def refused_range(address: Address, networks: tuple[IPv4Network | IPv6Network, ...] = ()) -> str | None:
    """Why ``address`` may not be dialled, or ``None`` if it may.

    Args:
        address: an answer of a resolver, or an IP literal of a URL.
        networks: where the author declared this host to be. With them only these are permitted; without them only
            public addresses are. Cloud metadata addresses are refused either way.
    """
    if address in METADATA_ADDRESSES:
        return "cloud metadata"
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "an address with a zone"
    if networks:
        return None if any(address in network for network in networks) else "outside the declared networks"
    return _not_public_ipv4(address) if isinstance(address, IPv4Address) else _not_public_ipv6(address)


def _not_public_ipv4(address: IPv4Address) -> str | None:
    return next((name for network, name in _REFUSED_IPV4 if address in network), None)


def _not_public_ipv6(address: IPv6Address) -> str | None:
    named = next((name for network, name in _REFUSED_IPV6 if address in network), None)
    if named is not None:
        return named
    if address not in _GLOBAL_UNICAST:
        return "outside global unicast (RFC 4291)"
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP_MARKS:
        return "ISATAP (RFC 5214)"
    return None
