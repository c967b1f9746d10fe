"""Signatures of webhooks, computed here once more from the text of Standard Webhooks 1.0.0 and from nothing of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from email.message import Message
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers

from tests.notify.conftest import SECRET, Opened, Receiver, Request, one_notice, sink
from toolgate.adapters.notify import WebhookNotifier
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import ConfigurationError
from toolgate.operations import notify
from toolgate.testing import FakeClock
from toolgate.webhooks import WebhookRefused, verify

pytestmark = pytest.mark.req("M12.19")

RAW = "a raw secret of more than 24 characters"
OLD = "whsec_b2xkIHNlY3JldCB0aGF0IGlzIGJlaW5nIHJlcGxhY2Vk"
BODY = b'{"data":{"tool":"refund"},"type":"approval.requested"}'
AT = 1_800_000_000


def by_the_text(id: str, timestamp: str, body: bytes, secret: str) -> str:
    """``v1,`` and the base64 of HMAC-SHA256 over ``{msg_id}.{timestamp}.{payload}``."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signed = id.encode() + b"." + timestamp.encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(secret: str = SECRET, *, id: str = "msg_1", at: int = AT, body: bytes = BODY) -> dict[str, str]:
    return {
        "Webhook-Id": id,
        "Webhook-Timestamp": str(at),
        "Webhook-Signature": by_the_text(id, str(at), body, secret),
        "Content-Type": "application/json",
    }


async def sent(opened: Opened, receiver: Receiver, *secrets: str) -> Request:
    async with opened(
        sink(WebhookNotifier(receiver.url, secrets, public_url="https://gate.example.com/"))
    ) as gateway:
        await one_notice(gateway)
        await notify.plan_notices(gateway.world)
        await notify.deliver_due(gateway.world, gateway.world.sinks["ops"])
    return receiver.requests[0]


@pytest.mark.parametrize("secret", [SECRET, RAW])
async def test_what_is_sent_is_signed_as_the_standard_says(
    opened: Opened, receiver: Receiver, clock: FakeClock, secret: str
) -> None:
    request = await sent(opened, receiver, secret)

    timestamp = request.headers["webhook-timestamp"]
    assert timestamp == str(clock.now() // MICRO)
    expected = by_the_text(request.headers["webhook-id"], timestamp, request.body, secret)
    assert request.headers["webhook-signature"] == expected
    received = verify(request.headers, request.body, secret, now=float(timestamp))
    assert received.id == request.headers["webhook-id"]
    assert received.type == "approval.requested"
    assert (
        received.data["url"] == f"https://gate.example.com/console/approvals/{received.data['approval_id']}"
    )


async def test_while_a_secret_is_replaced_both_sign(opened: Opened, receiver: Receiver) -> None:
    request = await sent(opened, receiver, SECRET, OLD)

    id, timestamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    assert request.headers["webhook-signature"].split(" ") == [
        by_the_text(id, timestamp, request.body, SECRET),
        by_the_text(id, timestamp, request.body, OLD),
    ]
    for known in (SECRET, OLD, [RAW, OLD]):
        assert verify(request.headers, request.body, known, now=float(timestamp)).id == id


async def test_the_body_says_what_happened_and_when(opened: Opened, receiver: Receiver) -> None:
    said = json.loads((await sent(opened, receiver, SECRET)).body)

    assert set(said) == {"type", "timestamp", "data"}
    assert said["timestamp"] == "2026-01-01T00:00:00.000000Z"


def test_a_genuine_request_is_taken_whatever_the_case_of_its_headers() -> None:
    received = verify(headers(), BODY, SECRET, now=AT)

    assert (received.id, received.sent_at, received.data) == ("msg_1", AT, {"tool": "refund"})


def message_of(given: dict[str, str]) -> Message:
    made = Message()
    for name, value in given.items():
        made[name] = value
    return made


@pytest.mark.parametrize("kind", [dict, httpx.Headers, Headers, message_of])
def test_headers_are_taken_as_web_frameworks_give_them(kind: Any) -> None:
    assert verify(kind(headers()), BODY, SECRET, now=AT).id == "msg_1"


def test_a_header_that_stands_there_twice_is_refused() -> None:
    twice = message_of(headers())
    twice["webhook-signature"] = "v1,aGk="

    with pytest.raises(WebhookRefused, match="twice"):
        verify(twice, BODY, SECRET, now=AT)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_within_the_tolerance_it_is_taken(seconds: int) -> None:
    assert verify(headers(), BODY, SECRET, now=AT + seconds).id == "msg_1"


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_an_old_request_sent_again_is_refused(seconds: int) -> None:
    with pytest.raises(WebhookRefused, match="seconds from now"):
        verify(headers(), BODY, SECRET, now=AT + seconds)


def test_a_receiver_chooses_its_tolerance() -> None:
    assert verify(headers(), BODY, SECRET, tolerance=600, now=AT + 500).id == "msg_1"
    with pytest.raises(WebhookRefused):
        verify(headers(), BODY, SECRET, tolerance=10, now=AT + 11)


def test_without_a_moment_given_the_clock_of_the_machine_counts() -> None:
    with pytest.raises(WebhookRefused, match="seconds from now"):
        verify(headers(at=1_000_000_000), BODY, SECRET)


@pytest.mark.parametrize(
    ("changed", "body"),
    [
        ({}, BODY + b" "),
        ({"Webhook-Id": "msg_2"}, BODY),
        ({"Webhook-Timestamp": str(AT + 1)}, BODY),
        ({"Webhook-Timestamp": f"0{AT}"}, BODY),
        ({"Webhook-Timestamp": f"+{AT}"}, BODY),
        ({"Webhook-Timestamp": "٣"}, BODY),
        ({"Webhook-Timestamp": ""}, BODY),
        ({"Webhook-Timestamp": "9" * 400}, BODY),
        ({"Webhook-Id": ""}, BODY),
        ({"Webhook-Id": "x" * 300}, BODY),
        ({"Webhook-Id": f"msg_1.{AT}", "Webhook-Timestamp": "1"}, BODY),
        ({"Webhook-Signature": ""}, BODY),
        ({"Webhook-Signature": "v1,"}, BODY),
        ({"Webhook-Signature": "v1,not base64"}, BODY),
        ({"webhook-id": "msg_1"}, BODY),
        ({"Webhook-Signature": by_the_text("msg_1", str(AT), BODY, SECRET).replace("v1,", "v1a,")}, BODY),
        ({"Webhook-Signature": by_the_text("msg_1", str(AT), BODY, OLD)}, BODY),
        ({"Webhook-Signature": by_the_text("msg_1", str(AT), BODY, SECRET)[:-2]}, BODY),
    ],
)
def test_whatever_was_changed_on_the_way_is_refused(changed: dict[str, str], body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        verify(headers() | changed, body, SECRET, now=AT)


@pytest.mark.parametrize("missing", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_request_that_is_not_signed_is_refused(missing: str) -> None:
    given = headers()
    del given[missing]

    with pytest.raises(WebhookRefused, match=missing.lower()):
        verify(given, BODY, SECRET, now=AT)


def test_among_many_signatures_one_has_to_be_right() -> None:
    genuine = headers()
    others = " ".join([f"v1,{base64.b64encode(bytes(32)).decode()}", "v1a,aGk=", "garbage"])
    genuine["Webhook-Signature"] = f"{others} {genuine['Webhook-Signature']}"

    assert verify(genuine, BODY, SECRET, now=AT).id == "msg_1"
    with pytest.raises(WebhookRefused):
        verify(genuine | {"Webhook-Signature": others}, BODY, SECRET, now=AT)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"type":1,"data":{}}', b'{"type":"x"}', b"\xff", b"[" * 99_999]
)
def test_what_is_signed_and_no_webhook_of_ours_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookRefused, match="it is signed, but"):
        verify(headers(body=body), body, SECRET, now=AT)


@pytest.mark.parametrize(
    "secret", ["", "short", "whsec_", "whsec_c2hvcnQ=", "whsec_?" * 9, [], [SECRET, "short"]]
)
def test_a_secret_that_protects_nothing_is_an_error_and_no_passage(secret: Any) -> None:
    with pytest.raises(ValueError, match=r"secret|base64") as caught:
        verify(headers(), BODY, secret, now=AT)

    assert not isinstance(secret, str) or len(secret) < 6 or secret not in str(caught.value)


def test_a_body_that_was_parsed_already_is_an_error() -> None:
    with pytest.raises(TypeError, match="raw bytes"):
        verify(headers(), json.loads(BODY), SECRET, now=AT)


@pytest.mark.parametrize(
    ("url", "secrets", "words"),
    [
        ("http://ops.example.com/x", [SECRET], "write https://"),
        ("ftp://ops.example.com/x", [SECRET], "begins with https://"),
        ("https://user:geheim@ops.example.com/x", [SECRET], "take the user and password out"),
        ("https://ops.example.com:99999/x", [SECRET], "no URL"),
        ("https://ops.example.com/x y", [SECRET], "no spaces"),
        ("https://ops.example.com/geheim", ["geheim"], "24 random ones"),
        ("https://ops.example.com/x", [], "needs a secret"),
    ],
)
def test_a_webhook_that_cannot_be_sent_safely_is_not_made(url: str, secrets: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        WebhookNotifier(url, secrets)

    assert "geheim" not in str(caught.value)
    assert "ops.example.com/x" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://10.0.0.7/x", "https://ops.internal/x", "http://[::1]:8080/x", "http://localhost/x"]
)
def test_an_operator_may_name_a_host_of_the_house(url: str) -> None:
    assert repr(WebhookNotifier(url, [SECRET])) == "WebhookNotifier()"
