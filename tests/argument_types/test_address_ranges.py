"""Which addresses a host may have."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolgate.domain.argument_types.address_ranges import METADATA_ADDRESSES, refused_range

pytestmark = pytest.mark.req("M2.8")


@pytest.mark.parametrize(
    "address",
    [
        *(
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
        ),
        *("127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "169.254.170.2"),
        *(
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.9",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
        ),
        *("192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
        *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.31.196.1", "192.175.48.1"),
        *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8"),
        *(
            "64:ff9b::8.8.8.8",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:1::1",
            "2001:20::1",
        ),
        *(
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
            "2002:808:808::1",
            "2002:7f00:1::",
            "3fff::1",
        ),
        *(
            "3ffe::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::1",
            "fe80::1%eth0",
            "fec0::1",
        ),
        *("ff02::1", "ff0e::1", "4000::1", "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a9fe:a9fe"),
        "2606:4700::1%eth0",
    ],
)
def test_an_address_that_is_not_plainly_public_is_refused(address: str) -> None:
    assert refused_range(ip_address(address)) is not None


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.215.14", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1", "2a00::1"],
)
def test_a_public_address_is_not_refused(address: str) -> None:
    assert refused_range(ip_address(address)) is None


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_is_permitted_that_the_standard_library_calls_other_than_global(
    address: IPv4Address | IPv6Address,
) -> None:
    if refused_range(address) is None:
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_private
        assert not address.is_reserved


@given(st.ip_addresses(v=4))
def test_no_ipv6_form_of_an_ipv4_address_is_permitted(address: IPv4Address) -> None:
    number = int(address)
    carriers = [
        number,
        0xFFFF_0000_0000 | number,
        (0x64FF9B << 96) | number,
        (0x2002 << 112) | (number << 80),
        (0x2001_0000 << 96) | (number ^ 0xFFFF_FFFF),
        (0x2606_4700 << 96) | (0x5EFE << 32) | number,
    ]
    assert all(refused_range(IPv6Address(carrier)) is not None for carrier in carriers)


@pytest.mark.parametrize("address", sorted(METADATA_ADDRESSES, key=str))
def test_declared_networks_never_open_a_metadata_address(address: IPv4Address | IPv6Address) -> None:
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert refused_range(address, everything) == "cloud metadata"


def test_a_host_declared_inside_may_be_there_and_nowhere_else() -> None:
    inside = (ip_network("10.2.0.0/16"),)
    assert refused_range(IPv4Address("10.2.3.4"), inside) is None
    assert refused_range(IPv4Address("10.3.0.1"), inside) is not None
    assert refused_range(IPv4Address("8.8.8.8"), inside) is not None
    assert refused_range(IPv6Address("::ffff:10.2.3.4"), inside) is not None
