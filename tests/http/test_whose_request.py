"""Host, Origin and address: whether a request means this server, who sent it, and who may say so."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from tests.http.desk import Desk, open_desk
from toolgate.surfaces.http.middleware.client_address import client_behind

pytestmark = pytest.mark.req("M4.26")

PROXIES = (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1", "127.0.0.1:8081", "", "LOCALHOST"]
)
async def test_a_name_that_was_rebound_to_this_machine_gets_no_further(desk: Desk, host: str) -> None:
    answer = await desk.client.post("/echo", headers={"host": host}, content=b"{}")

    assert answer.status_code == 421
    assert answer.json()["type"] == "/problems/wrong_host"
    assert not desk.seen


async def test_a_name_of_ours_is_taken_in_any_case_of_letters(desk: Desk) -> None:
    assert (await desk.client.get("/echo", headers={"host": "LocalHost:8080"})).status_code == 200


async def test_a_prober_may_ask_for_health_under_any_name(desk: Desk) -> None:
    assert (await desk.client.get("/healthz", headers={"host": "10.1.2.3:8080"})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8080"},
        {"origin": "null"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "cross-site"},
        {"cookie": "toolgate=tgt_x"},
    ],
)
async def test_what_another_sites_page_sends_is_refused(desk: Desk, headers: dict[str, str]) -> None:
    answer = await desk.client.post("/echo", headers=headers, content=b"{}")

    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/cross_origin"
    assert not desk.seen


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "http://localhost:8080", "cookie": "toolgate=tgt_x"},
        {"sec-fetch-site": "same-origin", "cookie": "toolgate=tgt_x"},
        {"origin": "null", "sec-fetch-site": "same-origin", "cookie": "toolgate=tgt_x"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_a_page_of_ours_and_a_program_may_send(desk: Desk, headers: dict[str, str]) -> None:
    assert (await desk.client.post("/echo", headers=headers, content=b"{}")).status_code == 200


async def test_two_origins_are_none(desk: Desk) -> None:
    two = [("origin", "http://127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")]

    assert (await desk.client.post("/echo", headers=two, content=b"{}")).status_code == 403


async def test_looking_is_not_asked_where_it_comes_from(desk: Desk) -> None:
    assert (await desk.client.get("/echo", headers={"origin": "https://evil.example"})).status_code == 200


async def test_behind_tls_a_page_without_tls_is_another_site() -> None:
    names = frozenset({"gate.example.com"})
    async with open_desk(public_url="https://gate.example.com", names=names, local=False) as desk:
        headers = {"host": "gate.example.com"}
        plain = await desk.client.post("/echo", headers=headers | {"origin": "http://gate.example.com"})
        ours = await desk.client.post("/echo", headers=headers | {"origin": "https://gate.example.com"})

    assert (plain.status_code, ours.status_code) == (403, 200)


@pytest.mark.parametrize(
    ("peer", "forwarded", "counts"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.1, 10.0.0.7"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.7"], "10.0.0.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_only_a_trusted_proxy_says_for_whom_it_asks(peer: str, forwarded: list[str], counts: str) -> None:
    assert client_behind(peer, forwarded, PROXIES) == counts
