"""Fetching through the guard, on a network in memory: what is dialled is what was judged."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

import httpcore
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.argument_types.fakes import (
    OK,
    OTHER_PUBLIC,
    PUBLIC,
    PUBLIC_IPV6,
    Fetch,
    Network,
    fetch_sync,
    public_network,
    redirect,
    reply,
)
from toolgate.adapters.guards import (
    AsyncGuardedTransport,
    GuardedTransport,
    UrlRefused,
    aread_up_to,
    guarded_async_client,
    guarded_client,
    read_up_to,
)
from toolgate.adapters.guards.pinned_network import MAX_ATTEMPTS, AsyncPinnedBackend, PinnedBackend
from toolgate.domain.argument_types import LOOPBACK, AllowedUrl, InternalHost
from toolgate.domain.argument_types.address_ranges import refused_range
from toolgate.domain.errors import ContractError

DOCS = AllowedUrl(hosts={"docs.example.com", "*.wiki.example.org"})
PLAIN = AllowedUrl(hosts={"docs.example.com", "en.wiki.example.org"}, schemes=("https", "http"))
URL = "https://docs.example.com/a"

REFUSED_ADDRESSES = [
    *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "168.63.129.16"),
    *("100.100.100.200", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fd00:ec2::254", "fe80::1"),
    *("fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "2001:0:1::1"),
    *("ff02::1", "not an address", "", "127.1", "2130706433"),
]


@pytest.mark.req("M2.9")
class TestTheAddressThatWasJudged:
    def test_is_the_one_that_is_dialled_and_the_name_stays_in_tls_and_in_the_host_header(
        self, fetch: Fetch
    ) -> None:
        network = public_network("docs.example.com")
        assert fetch(DOCS, network, URL).text == "ok"
        assert network.dialled == [(PUBLIC, 443)]
        assert network.tls_names == ["docs.example.com"]
        assert b"\r\nHost: docs.example.com\r\n" in network.sent[0]

    @pytest.mark.req("M2.8")
    @pytest.mark.parametrize("address", REFUSED_ADDRESSES)
    def test_is_never_private_local_or_metadata(self, fetch: Fetch, address: str) -> None:
        network = Network(answers={"docs.example.com": [[address]]})
        with pytest.raises(UrlRefused) as refused:
            fetch(DOCS, network, URL)
        assert refused.value.error_code == "address_refused"
        assert network.dialled == []

    @pytest.mark.parametrize(
        "order", [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC, "fd00:ec2::254"]]
    )
    def test_is_not_chosen_from_a_mixed_answer(self, fetch: Fetch, order: list[str]) -> None:
        network = Network(answers={"docs.example.com": [order]})
        with pytest.raises(UrlRefused):
            fetch(DOCS, network, URL)
        assert network.dialled == []

    def test_is_not_looked_up_again_so_a_name_that_changes_its_answer_gains_nothing(
        self, fetch: Fetch
    ) -> None:
        network = Network(answers={"docs.example.com": [[PUBLIC], ["169.254.169.254"]]})
        assert fetch(DOCS, network, URL).text == "ok"
        assert network.lookups == ["docs.example.com"]
        assert network.dialled == [(PUBLIC, 443)]

    def test_is_judged_anew_for_a_new_connection(self, fetch: Fetch) -> None:
        network = Network(
            answers={"docs.example.com": [[PUBLIC], ["169.254.169.254"]]},
            replies=[b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"],
        )
        with pytest.raises(UrlRefused):
            fetch(DOCS, network, URL, URL)
        assert network.dialled == [(PUBLIC, 443)]

    def test_is_kept_with_the_connection_while_that_lives(self, fetch: Fetch) -> None:
        network = Network(answers={"docs.example.com": [[PUBLIC], ["127.0.0.1"]]})
        assert fetch(DOCS, network, URL, URL).text == "ok"
        assert network.dialled == [(PUBLIC, 443)]

    def test_may_be_the_next_of_several_when_the_first_cannot_be_reached(self, fetch: Fetch) -> None:
        network = Network(answers={"docs.example.com": [[PUBLIC_IPV6, PUBLIC]]}, unreachable={PUBLIC_IPV6})
        assert fetch(DOCS, network, URL).text == "ok"
        assert network.dialled == [(PUBLIC_IPV6, 443), (PUBLIC, 443)]

    def test_is_tried_a_few_times_however_many_the_name_answers(self, fetch: Fetch) -> None:
        many = [f"93.184.215.{last}" for last in range(1, 100)]
        network = Network(answers={"docs.example.com": [many]}, unreachable=set(many))
        with pytest.raises(httpx.ConnectError):
            fetch(DOCS, network, URL)
        assert len(network.dialled) == MAX_ATTEMPTS

    def test_must_be_where_the_connection_ends(self, fetch: Fetch) -> None:
        network = Network(answers={"docs.example.com": [[PUBLIC]]}, rerouted_to="10.0.0.1")
        with pytest.raises(UrlRefused):
            fetch(DOCS, network, URL)
        assert network.sent == []
        assert network.closed == 1

    @pytest.mark.parametrize("answers", [{}, {"docs.example.com": [[]]}])
    def test_may_not_exist_which_is_a_fault_of_the_network_and_no_refusal(
        self, fetch: Fetch, answers: dict[str, Any]
    ) -> None:
        with pytest.raises(httpx.ConnectError):
            fetch(DOCS, Network(answers=answers), URL)

    @pytest.mark.req("M2.8")
    def test_of_a_host_declared_inside_is_inside_and_nowhere_else(self, fetch: Fetch) -> None:
        inside = AllowedUrl(hosts=(InternalHost("demo.test", LOOPBACK),))
        near = Network(answers={"demo.test": [["127.0.0.1"]]})
        assert fetch(inside, near, "https://demo.test/").text == "ok"
        for elsewhere in (PUBLIC, "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"):
            far = Network(answers={"demo.test": [[elsewhere]]})
            with pytest.raises(UrlRefused):
                fetch(inside, far, "https://demo.test/")
            assert far.dialled == []

    @pytest.mark.req("M2.8")
    def test_of_a_public_host_stays_public_beside_one_declared_inside(self, fetch: Fetch) -> None:
        both = AllowedUrl(hosts=(InternalHost("demo.test", LOOPBACK), "docs.example.com"))
        network = Network(answers={"docs.example.com": [["127.0.0.1"]]})
        with pytest.raises(UrlRefused):
            fetch(both, network, URL)
        assert network.dialled == []

    @pytest.mark.req("M2.8")
    @pytest.mark.parametrize(
        ("literal", "url"), [("127.0.0.1", "https://127.0.0.1/"), ("::1", "https://[::1]/")]
    )
    def test_written_into_the_url_is_dialled_without_a_look_up_if_it_is_declared(
        self, fetch: Fetch, literal: str, url: str
    ) -> None:
        network = Network()
        assert fetch(AllowedUrl(hosts=(InternalHost(literal, LOOPBACK),)), network, url).text == "ok"
        assert network.lookups == []
        assert network.dialled == [(literal, 443)]

    @pytest.mark.req("M2.8")
    @pytest.mark.parametrize("literal", ["127.0.0.1", "169.254.169.254", "168.63.129.16"])
    def test_listed_as_a_plain_host_is_still_no_way_inside(self, fetch: Fetch, literal: str) -> None:
        network = Network()
        with pytest.raises(UrlRefused):
            fetch(AllowedUrl(hosts={literal}), network, f"https://{literal}/")
        assert network.dialled == []

    @given(st.lists(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str), max_size=5))
    def test_passed_the_range_check_whatever_the_resolver_says(self, answer: list[str]) -> None:
        network = Network(answers={"docs.example.com": [answer]})
        try:
            fetch_sync(DOCS, network, URL)
        except (UrlRefused, httpx.ConnectError):
            assert network.dialled == []
        assert all(refused_range(ip_address(address)) is None for address, _ in network.dialled)


@pytest.mark.req("M2.7")
class TestARequest:
    @pytest.mark.parametrize(
        "url",
        [
            "https://evil.test/",
            "http://docs.example.com/",
            "https://docs.example.com:8443/",
            "https://docs.example.com@evil.test/",
            "https://docs\u3002example.com.evil.test/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://2130706433/",
            "https://docs.example.com./",
            "https://evil.test\\@docs.example.com/",
            "https://xn--80ak6aa92e.wiki.example.org/",
        ],
    )
    def test_to_what_is_not_listed_is_neither_looked_up_nor_dialled(self, fetch: Fetch, url: str) -> None:
        network = Network(answers={"evil.test": [[PUBLIC]], "docs.example.com": [[PUBLIC]]})
        with pytest.raises(UrlRefused):
            fetch(DOCS, network, url)
        assert network.lookups == []
        assert network.dialled == []

    def test_may_name_a_fragment_which_is_not_sent(self, fetch: Fetch) -> None:
        network = public_network("docs.example.com")
        fetch(DOCS, network, f"{URL}#part")
        assert network.sent[0].startswith(b"GET /a HTTP/1.1\r\n")

    @pytest.mark.req("M2.21")
    @pytest.mark.parametrize(
        "request_options",
        [
            {"headers": {"Host": "evil.test"}},
            {"headers": [("Host", "docs.example.com"), ("Host", "evil.test")]},
            {"headers": {"Host": ""}},
            {"auth": None, "headers": {"host": "docs.example.com.evil.test"}},
        ],
    )
    def test_cannot_speak_to_another_virtual_host(
        self, fetch: Fetch, request_options: dict[str, Any]
    ) -> None:
        network = public_network("docs.example.com")
        with pytest.raises(UrlRefused) as refused:
            fetch(DOCS, network, URL, request=request_options)
        assert refused.value.error_code == "request_rewritten"
        assert network.dialled == []

    @pytest.mark.req("M2.21")
    def test_cannot_replace_the_tls_name_or_the_target_through_extensions(self, fetch: Fetch) -> None:
        network = public_network("docs.example.com")
        extensions = {"sni_hostname": "evil.test", "target": b"http://evil.test/"}
        fetch(DOCS, network, URL, request={"extensions": extensions})
        assert network.tls_names == ["docs.example.com"]
        assert network.sent[0].startswith(b"GET /a HTTP/1.1\r\n")

    @pytest.mark.req("M2.21")
    def test_is_not_led_through_a_proxy_of_the_environment(
        self, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        network = public_network("docs.example.com")
        fetch(DOCS, network, URL)
        assert network.dialled == [(PUBLIC, 443)]

    @pytest.mark.req("M2.21")
    def test_cannot_reach_a_socket_file_or_an_undeclared_origin_through_the_backend(self) -> None:
        network = public_network("docs.example.com", "evil.test")
        backend = PinnedBackend(allowed=DOCS, resolver=network.resolve, connector=network.connect)
        abackend = AsyncPinnedBackend(allowed=DOCS, resolver=network.aresolve, connector=network.aconnect)
        attempts: tuple[Callable[[], object], ...] = (
            lambda: backend.connect_unix_socket("/run/docker.sock"),
            lambda: backend.connect_tcp("evil.test", 443),
            lambda: backend.connect_tcp("docs.example.com", 22),
            lambda: asyncio.run(_awaited(abackend.connect_unix_socket("/run/docker.sock"))),
            lambda: asyncio.run(_awaited(abackend.connect_tcp("evil.test", 443))),
        )
        for attempt in attempts:
            with pytest.raises(UrlRefused):
                attempt()
        assert network.dialled == []


async def _awaited(awaitable: Awaitable[object]) -> object:
    return await awaitable


@pytest.mark.req("M2.10")
class TestARedirect:
    def test_is_an_answer_like_any_other_unless_following_was_asked_for(self, fetch: Fetch) -> None:
        network = public_network("docs.example.com", replies=[redirect("https://evil.test/")])
        assert fetch(DOCS, network, URL).status_code == 302
        assert len(network.dialled) == 1

    def test_to_a_listed_host_is_followed_and_judged_there(self, fetch: Fetch) -> None:
        network = Network(
            answers={"docs.example.com": [[PUBLIC]], "en.wiki.example.org": [[OTHER_PUBLIC]]},
            replies=[redirect("https://en.wiki.example.org/b"), OK],
        )
        assert fetch(DOCS, network, URL, max_redirects=3).url == "https://en.wiki.example.org/b"
        assert network.dialled == [(PUBLIC, 443), (OTHER_PUBLIC, 443)]
        assert network.tls_names == ["docs.example.com", "en.wiki.example.org"]

    @pytest.mark.parametrize(
        "location",
        [
            "https://evil.test/",
            "//evil.test/",
            "https://127.0.0.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[fd00:ec2::254]/",
            "https://2852039166/",
            "http://docs.example.com/",
            "https://docs.example.com:8443/",
            "https://docs.example.com@evil.test/",
            "https://user:pw@docs.example.com/",
            "\\\\evil.test/",
            "https:\\\\evil.test/",
            "https://evil.test\\@docs.example.com/",
            "gopher://docs.example.com/",
            "file:///etc/passwd",
            "https://docs.example.com./",
        ],
    )
    def test_to_anywhere_else_is_refused_and_not_dialled(self, fetch: Fetch, location: str) -> None:
        network = Network(
            answers={"docs.example.com": [[PUBLIC]], "evil.test": [[OTHER_PUBLIC]]},
            replies=[redirect(location)],
        )
        try:
            response = fetch(DOCS, network, URL, max_redirects=3)
        except (UrlRefused, httpx.InvalidURL, httpx.RemoteProtocolError, httpx.UnsupportedProtocol):
            pass
        else:
            assert response.url.host == "docs.example.com"
            assert response.url.scheme == "https"
        assert network.dialled == [(PUBLIC, 443)]
        assert "evil.test" not in network.lookups

    def test_to_a_listed_name_that_leads_inside_is_refused(self, fetch: Fetch) -> None:
        network = Network(
            answers={"docs.example.com": [[PUBLIC]], "en.wiki.example.org": [["169.254.169.254"]]},
            replies=[redirect("https://en.wiki.example.org/")],
        )
        with pytest.raises(UrlRefused):
            fetch(DOCS, network, URL, max_redirects=3)
        assert network.dialled == [(PUBLIC, 443)]

    def test_chain_is_judged_at_every_hop(self, fetch: Fetch) -> None:
        hops = [redirect(f"https://docs.example.com/{hop}") for hop in range(3)]
        network = public_network(
            "docs.example.com", "evil.test", replies=[*hops, redirect("https://evil.test/"), OK]
        )
        with pytest.raises(UrlRefused):
            fetch(DOCS, network, URL, max_redirects=9)
        assert len(network.sent) == 4

    def test_chain_ends_at_the_bound(self, fetch: Fetch) -> None:
        network = public_network("docs.example.com", replies=[redirect("/again")] * 9)
        with pytest.raises(httpx.TooManyRedirects):
            fetch(DOCS, network, URL, max_redirects=2)
        assert len(network.sent) == 3

    def test_to_another_port_needs_that_port_declared(self, fetch: Fetch) -> None:
        network = public_network("docs.example.com", replies=[redirect("http://docs.example.com:22/")])
        with pytest.raises(UrlRefused):
            fetch(PLAIN, network, "http://docs.example.com/", max_redirects=1)
        assert network.dialled == [(PUBLIC, 80)]


@pytest.mark.req("M6.7")
class TestAResponse:
    @pytest.mark.parametrize("size", [9, 10])
    def test_up_to_the_bound_is_read_whole(self, fetch: Fetch, size: int) -> None:
        network = public_network("docs.example.com", replies=[reply(b"x" * size)])
        assert len(fetch(DOCS, network, URL, max_bytes=10).content) == size

    @pytest.mark.parametrize("size", [11, 1_000_000])
    def test_beyond_the_bound_is_refused(self, fetch: Fetch, size: int) -> None:
        network = public_network("docs.example.com", replies=[reply(b"x" * size)])
        with pytest.raises(UrlRefused) as refused:
            fetch(DOCS, network, URL, max_bytes=10)
        assert refused.value.error_code == "response_too_large"

    def test_without_a_length_is_bounded_all_the_same(self, fetch: Fetch) -> None:
        endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"a\r\n0123456789\r\n" * 50
        with pytest.raises(UrlRefused):
            fetch(DOCS, public_network("docs.example.com", replies=[endless]), URL, max_bytes=100)

    @pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "identity, gzip"])
    def test_that_is_compressed_is_refused_because_it_could_grow(self, fetch: Fetch, encoding: str) -> None:
        bomb = gzip.compress(b"0" * 10_000_000)
        network = public_network("docs.example.com", replies=[reply(bomb, f"Content-Encoding: {encoding}")])
        with pytest.raises(UrlRefused) as refused:
            fetch(DOCS, network, URL, request={"headers": {"Accept-Encoding": "gzip"}})
        assert refused.value.error_code == "response_compressed"
        assert b"Accept-Encoding: identity" in network.sent[0]
        assert b"gzip" not in network.sent[0]

    def test_that_says_identity_is_read(self, fetch: Fetch) -> None:
        network = public_network("docs.example.com", replies=[reply(b"ok", "Content-Encoding: identity")])
        assert fetch(DOCS, network, URL).text == "ok"

    @pytest.mark.req("M2.21")
    def test_does_not_hand_out_the_raw_connection(self, fetch: Fetch) -> None:
        response = fetch(DOCS, public_network("docs.example.com"), URL)
        assert "network_stream" not in response.extensions

    @pytest.mark.parametrize(("limit", "cut"), [(1, True), (9, True), (10, False), (11, False)])
    @pytest.mark.parametrize("max_bytes", [10, 1000])
    def test_can_be_cut_and_says_so(self, limit: int, cut: bool, max_bytes: int) -> None:
        network = public_network("docs.example.com", replies=[reply(b"0123456789")])
        client = guarded_client(
            DOCS, resolver=network.resolve, connector=network.connect, max_bytes=max_bytes
        )
        with client, client.stream("GET", URL) as response:
            body = read_up_to(response, limit)
        assert (body.text(), body.cut) == ("0123456789"[:limit], cut)

    @pytest.mark.parametrize(
        ("limit", "content", "cut"), [(4, b"0123", True), (8, b"01234567", True), (20, b"01234567", True)]
    )
    async def test_beyond_the_transports_own_bound_counts_as_cut(
        self, limit: int, content: bytes, cut: bool
    ) -> None:
        network = public_network("docs.example.com", replies=[reply(b"0123456789")])
        client = guarded_async_client(
            DOCS, resolver=network.aresolve, connector=network.aconnect, max_bytes=8
        )
        async with client, client.stream("GET", URL) as response:
            body = await aread_up_to(response, limit)
        assert (body.content, body.cut) == (content, cut)

    def test_that_never_comes_is_an_error_of_httpx(self, fetch: Fetch) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            fetch(DOCS, public_network("docs.example.com", replies=[b"nonsense\r\n\r\n"]), URL)


@pytest.mark.req("M2.21")
class TestATransport:
    def test_refuses_a_tls_context_that_believes_everybody(self) -> None:
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        nameless = ssl.create_default_context()
        nameless.check_hostname = False
        nameless.verify_mode = ssl.CERT_NONE
        for context in (trusting, nameless):
            with pytest.raises(ContractError, match="ssl_context"):
                GuardedTransport(DOCS, ssl_context=context)
            with pytest.raises(ContractError, match="ssl_context"):
                AsyncGuardedTransport(DOCS, ssl_context=context)

    @pytest.mark.req("M6.7")
    def test_refuses_a_bound_that_bounds_nothing(self) -> None:
        with pytest.raises(ContractError, match="max_bytes"):
            GuardedTransport(DOCS, max_bytes=0)

    @pytest.mark.req("M2.10")
    def test_judges_redirects_in_a_client_that_was_built_around_it(self) -> None:
        network = public_network("docs.example.com", replies=[redirect("https://evil.test/")])
        transport = GuardedTransport(DOCS, resolver=network.resolve, connector=network.connect)
        with httpx.Client(transport=transport, follow_redirects=True) as client, pytest.raises(UrlRefused):
            client.get(URL)
        assert network.dialled == [(PUBLIC, 443)]

    async def test_gives_up_on_a_resolver_that_does_not_answer(self) -> None:
        network = Network()

        async def silent(host: str, port: int) -> list[str]:
            await asyncio.Event().wait()
            raise AssertionError

        backend = AsyncPinnedBackend(allowed=DOCS, resolver=silent, connector=network.aconnect)
        with pytest.raises(httpcore.ConnectTimeout):
            await backend.connect_tcp("docs.example.com", 443, timeout=0)
        assert network.dialled == []

    @pytest.mark.req("M3.5")
    def test_explains_without_repeating_the_url(self, fetch: Fetch) -> None:
        with pytest.raises(UrlRefused) as refused:
            fetch(DOCS, Network(), "https://hostile-name.test/secret-path")
        assert "hostile-name" not in str(refused.value)
        assert "docs.example.com" in str(refused.value)
