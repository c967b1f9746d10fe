"""What may be written as a URL. Nothing here looks a name up."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_core import Url

from toolgate.domain.argument_types import LOOPBACK, AllowedUrl, ArgumentRefusal, InternalHost, ParsedUrl
from toolgate.domain.errors import ContractError

pytestmark = pytest.mark.req("M2.7")

DOCS = AllowedUrl(hosts={"docs.example.com", "*.wiki.example.org", "xn--bcher-kva.example"})

ACCEPTED = [
    "https://docs.example.com",
    "https://docs.example.com/",
    "https://docs.example.com:443/a/b.html?q=1&r=a%20b",
    "https://docs.example.com?q=@evil.test",
    "https://docs.example.com/@evil.test/../x;y=1,2!$'()*+",
    "https://docs.example.com//evil.test/",
    "https://en.wiki.example.org/",
    "https://a.b-c.wiki.example.org/x",
    "https://xn--bcher-kva.example/",
]


@pytest.mark.parametrize("url", ACCEPTED)
def test_a_plain_url_on_a_listed_host_is_accepted(url: str) -> None:
    assert isinstance(DOCS.parse(url), ParsedUrl)


REFUSED = {
    # another host, however it is dressed up
    "https://evil.test/": "url_host_not_allowed",
    "https://docs.example.com.evil.test/": "url_host_not_allowed",
    "https://evildocs.example.com/": "url_host_not_allowed",
    "https://evil.test/https://docs.example.com/": "url_host_not_allowed",
    "https://evil.test?docs.example.com": "url_host_not_allowed",
    "https://wiki.example.org/": "url_host_not_allowed",
    "https://evilwiki.example.org/": "url_host_not_allowed",
    "https://.wiki.example.org/": "url_host",
    "https://a..wiki.example.org/": "url_host",
    "https://-a.wiki.example.org/": "url_host",
    "https://a-.wiki.example.org/": "url_host",
    "https://a_b.wiki.example.org/": "url_host",
    "https://*.wiki.example.org/": "url_host",
    "https://xn--80ak6aa92e.wiki.example.org/": "url_host_not_allowed",
    f"https://{'a' * 64}.wiki.example.org/": "url_host",
    "https://" + "a." * 120 + "wiki.example.org/": "url_host",
    "https://localhost/": "url_host_not_allowed",
    "https://docs.example.com%2eevil.test/": "url_host",
    "https://docs%2eexample.com/": "url_host",
    "https://%64ocs.example.com/": "url_host",
    # user info
    "https://docs.example.com@evil.test/": "url_userinfo",
    "https://evil.test@docs.example.com/": "url_userinfo",
    "https://docs.example.com:443@evil.test/": "url_userinfo",
    "https://user:secret@docs.example.com/": "url_userinfo",
    "https://@docs.example.com/": "url_userinfo",
    "https://docs.example.com%40evil.test/": "url_host",
    # separators that programs disagree on
    "https://evil.test\\@docs.example.com/": "url_characters",
    "https://docs.example.com\\@evil.test/": "url_characters",
    "https:\\\\docs.example.com/": "url_characters",
    "https://docs.example.com\\.evil.test/": "url_characters",
    "https:/docs.example.com/": "url_form",
    "https:docs.example.com/": "url_form",
    "https:///docs.example.com/": "url_host",
    "https:////docs.example.com/": "url_host",
    "//docs.example.com/": "url_form",
    "/docs.example.com/": "url_form",
    "docs.example.com": "url_form",
    "": "url_form",
    "https://": "url_host",
    "https://?": "url_host",
    "https://:443/": "url_host",
    "https://docs.example.com;evil.test/": "url_host",
    "https://docs.example.com,evil.test/": "url_host",
    "https://docs.example.com&@evil.test/": "url_userinfo",
    # fragments
    "https://docs.example.com/#x": "url_fragment",
    "https://docs.example.com#@evil.test/": "url_fragment",
    "https://evil.test#@docs.example.com/": "url_fragment",
    # control characters and blanks
    "https://docs.example.com/\r\nHost: evil.test": "url_characters",
    "https://docs.example.com\t.evil.test/": "url_characters",
    "https://docs.exam\nple.com/": "url_characters",
    " https://docs.example.com/": "url_characters",
    "https://docs.example.com/ ": "url_characters",
    "https://docs.example.com\x00.evil.test/": "url_characters",
    "https://docs.example.com/\x7f": "url_characters",
    "\x01https://docs.example.com/": "url_characters",
    "https://docs.example.com/\n": "url_characters",
    "https://docs.example.com/%0d%0aX: y": "url_characters",
    "https://docs.example.com/%0d%0aX": "url_characters",
    "https://docs.example.com/%00": "url_characters",
    "https://docs.example.com/%7F": "url_characters",
    "https://docs.example.com/%": "url_characters",
    "https://docs.example.com/%4": "url_characters",
    "https://docs.example.com/%zz": "url_characters",
    "https://docs.example.com/%u002f": "url_characters",
    "https://docs.example.com/<x>": "url_characters",
    "https://docs.example.com/{x}": "url_characters",
    "https://docs.example.com/?a[b]=c": "url_characters",
    # unicode dots, look-alikes, full-width letters, invisible characters
    "https://docs\u3002example.com/": "url_characters",
    "https://docs\uff0eexample.com/": "url_characters",
    "https://docs\uff61example.com/": "url_characters",
    "https://docs\u2024example.com/": "url_characters",
    "https://docs.example.com\uff0f.evil.test/": "url_characters",
    "https://docs.example.com\u2044evil.test/": "url_characters",
    "https://evil.test\u2215docs.example.com/": "url_characters",
    "https://evil.test\uff03docs.example.com/": "url_characters",
    "https://docs.example.com\u2100evil.test/": "url_characters",
    "https://d\u043ecs.example.com/": "url_characters",
    "https://\uff44ocs.example.com/": "url_characters",
    "https://docs.example\u00ad.com/": "url_characters",
    "https://docs.example\u200b.com/": "url_characters",
    "https://b\u00fccher.example/": "url_characters",
    "https://\u24d3ocs.example.com/": "url_characters",
    "https://docs.example.\u212aom/": "url_characters",
    "https://docs.example.com/\u202e": "url_characters",
    # one spelling
    "https://DOCS.example.com/": "url_host",
    "HTTPS://docs.example.com/": "url_scheme",
    "https://docs.example.com./": "url_host",
    "https://docs.example.com../": "url_host",
    # schemes
    "http://docs.example.com/": "url_scheme",
    "ftp://docs.example.com/": "url_scheme",
    "file://docs.example.com/etc/passwd": "url_scheme",
    "file:///etc/passwd": "url_scheme",
    "gopher://docs.example.com/": "url_scheme",
    "javascript://docs.example.com/%0aalert(1)": "url_characters",
    "javascript:alert(1)": "url_form",
    "data:text/html,x": "url_form",
    "jar:https://docs.example.com!/": "url_form",
    "view-source:https://docs.example.com/": "url_form",
    "ws://docs.example.com/": "url_scheme",
    # ports
    "https://docs.example.com:80/": "url_port",
    "https://docs.example.com:22/": "url_port",
    "https://docs.example.com:/": "url_port",
    "https://docs.example.com:0443/": "url_port",
    "https://docs.example.com:+443/": "url_port",
    "https://docs.example.com:65979/": "url_port",
    "https://docs.example.com:443:443/": "url_host",
    "https://docs.example.com:x/": "url_port",
    "https://docs.example.com:0/": "url_port",
}


@pytest.mark.parametrize(("url", "code"), REFUSED.items())
def test_a_url_that_leads_or_might_lead_elsewhere_is_refused(url: str, code: str) -> None:
    refusal = DOCS.parse(url)
    assert isinstance(refusal, ArgumentRefusal)
    assert refusal.code == code


ADDRESSES = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7F.1",
    "0X7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.01",
    "127.0.0.0x1",
    "0",
    "0.0.0.0",
    "0x",
    "1.2.3.4.5",
    "256.256.256.256",
    "999999999999",
    "docs.example.com.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "168.63.129.16",
    "100.100.100.200",
    "10.0.0.1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[fd00:ec2::254]",
    "[fe80::1%25eth0]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[::1%25lo]",
    "[v1.x]",
    "[docs.example.com]",
    "[]",
]


@pytest.mark.req("M2.8")
@pytest.mark.parametrize("host", ADDRESSES)
@pytest.mark.parametrize("url", ["https://{}/", "https://{}:443/latest/meta-data?x=y"])
def test_no_notation_of_an_ip_address_passes(host: str, url: str) -> None:
    assert isinstance(DOCS.parse(url.format(host)), ArgumentRefusal)


@pytest.mark.req("M2.8")
@pytest.mark.parametrize("host", [*ADDRESSES, "127.0.0.2", "[::2]"])
def test_a_listed_ip_address_passes_in_its_usual_form_only(host: str) -> None:
    listed = AllowedUrl(
        hosts=(InternalHost("127.0.0.1", LOOPBACK), InternalHost("::1", LOOPBACK)), schemes=("https",)
    )
    accepted = isinstance(listed.parse(f"https://{host}/"), ParsedUrl)
    assert accepted == (host in {"127.0.0.1", "[::1]"})


def test_a_url_longer_than_the_bound_is_refused_unread() -> None:
    refusal = AllowedUrl(hosts={"docs.example.com"}, max_length=30).parse(
        "https://docs.example.com/" + "a" * 6
    )
    assert isinstance(refusal, ArgumentRefusal)


@pytest.mark.parametrize(
    ("schemes", "ports", "accepted", "refused"),
    [
        (
            ("https", "http"),
            None,
            ["https://h.test/", "http://h.test/", "http://h.test:80/"],
            ["http://h.test:443/"],
        ),
        (("https",), {8443}, ["https://h.test:8443/"], ["https://h.test/", "https://h.test:443/"]),
        (("http",), {80, 8080}, ["http://h.test/", "http://h.test:8080/"], ["http://h.test:8081/"]),
    ],
)
def test_only_listed_ports_are_accepted(
    schemes: tuple[str, ...], ports: set[int] | None, accepted: Any, refused: list[str]
) -> None:
    allowed = AllowedUrl(hosts={"h.test"}, schemes=schemes, ports=ports)
    assert all(isinstance(allowed.parse(url), ParsedUrl) for url in accepted)
    assert all(isinstance(allowed.parse(url), ArgumentRefusal) for url in refused)


@pytest.mark.parametrize(
    "declaration",
    [
        {"hosts": set()},
        {"hosts": "docs.example.com"},
        {"hosts": {"*"}},
        {"hosts": {"*.com"}},
        {"hosts": {"*.*.example.com"}},
        {"hosts": {"a.*.example.com"}},
        {"hosts": {"Docs.example.com"}},
        {"hosts": {"docs.example.com."}},
        {"hosts": {"docs.example.com:443"}},
        {"hosts": {"https://docs.example.com"}},
        {"hosts": {"b\u00fccher.example"}},
        {"hosts": {"docs.example.com/"}},
        {"hosts": {""}},
        {"hosts": {"127.1"}},
        {"hosts": {"2130706433"}},
        {"hosts": {"0x7f.0.0.1"}},
        {"hosts": {"::ffff:127.0.0.1"}},
        {"hosts": {"0:0:0:0:0:0:0:1"}},
        {"hosts": {"fe80::1%eth0"}},
        {"hosts": ["docs.example.com", "docs.example.com"]},
        {"hosts": {"docs.example.com"}, "schemes": ()},
        {"hosts": {"docs.example.com"}, "schemes": "https"},
        {"hosts": {"docs.example.com"}, "schemes": ("file",)},
        {"hosts": {"docs.example.com"}, "ports": set()},
        {"hosts": {"docs.example.com"}, "ports": {0}},
        {"hosts": {"docs.example.com"}, "ports": {65_536}},
        {"hosts": {"docs.example.com"}, "max_length": 0},
    ],
)
def test_an_unclear_declaration_is_the_authors_error(declaration: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="AllowedUrl"):
        AllowedUrl(**declaration)


@pytest.mark.req("M2.8")
@pytest.mark.parametrize(
    "network", ["0.0.0.0/0", "::/0", "8.8.8.0/24", "169.254.0.0/16", "10.0.0.1/8", "x", "0.0.0.0/8"]
)
def test_an_internal_host_cannot_be_declared_in_public_or_link_local_space(network: str) -> None:
    with pytest.raises(ContractError):
        AllowedUrl(hosts=(InternalHost("inside.test", (network,)),))


@pytest.mark.req("M2.8")
@pytest.mark.parametrize("networks", [(), "10.0.0.0/8"])
def test_an_internal_host_without_networks_is_the_authors_error(networks: Any) -> None:
    with pytest.raises(ContractError, match="networks"):
        InternalHost("inside.test", networks)


def test_equal_declarations_are_equal_whatever_the_order() -> None:
    one = AllowedUrl(hosts={"a.test", "b.test"}, ports=[80, 443], schemes=("http", "https"))
    other = AllowedUrl(hosts={"b.test", "a.test"}, ports={443, 80}, schemes=["https", "http"])
    assert one == other
    assert hash(one) == hash(other)


# --- Three parsers see the same ------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *(
            "https://",
            "http://",
            "https:",
            "//",
            "/",
            "\\",
            "@",
            ":",
            "#",
            "?",
            "%",
            "%2e",
            "%40",
            "%00",
            ".",
            ";",
        ),
        *(
            "docs.example.com",
            "en.wiki.example.org",
            "evil.test",
            "DOCS.EXAMPLE.COM",
            "xn--bcher-kva.example",
        ),
        *(
            "127.0.0.1",
            "[::1]",
            "[",
            "]",
            "0x7f.1",
            "443",
            ":443",
            ":80",
            "a",
            "..",
            "\t",
            "\n",
            " ",
            "\u3002",
        ),
        *("\uff0f", "\u212a", "\u00ad", "&", "=", ",", "'", '"', "<", "^", "|", "`", "{", "~", "-", "_", "*"),
    ]
)
SOUP = st.lists(PIECES, max_size=8).map("".join)
MUTATED = st.builds(
    lambda url, at, piece, drop: url[: at % len(url)] + piece + url[at % len(url) + drop :],
    st.sampled_from(ACCEPTED),
    st.integers(0, 100),
    st.one_of(PIECES, st.characters()),
    st.integers(0, 2),
)


def _is_allowed(host: str | None) -> bool:
    exact = {"docs.example.com", "xn--bcher-kva.example"}
    return host is not None and (host in exact or host.endswith(".wiki.example.org"))


@given(st.one_of(SOUP, MUTATED))
@example("https://docs.example.com?q=@evil.test")
def test_every_parser_finds_exactly_an_allowed_host_in_what_is_accepted(url: str) -> None:
    if isinstance(DOCS.parse(url), ArgumentRefusal):
        return
    library, browser, client = urlsplit(url), Url(url), httpx.URL(url)
    assert _is_allowed(library.hostname)
    assert library.hostname == browser.host == client.raw_host.decode("ascii")
    assert {library.port or 443, browser.port, client.port or 443} == {443}
    assert {library.scheme, browser.scheme, client.scheme} == {"https"}
    assert [library.username, browser.username, client.userinfo] == [None, None, b""]
