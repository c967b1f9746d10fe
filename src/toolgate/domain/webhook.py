"""Signatures of webhooks, as Standard Webhooks 1.0.0 has them: HMAC-SHA256 over ``id.timestamp.body``.

Sender and receiver use the same few functions. Not here: sending (``adapters.notify``), what the body says.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from toolgate.domain.errors import ToolgateError

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
PREFIX: Final = "whsec_"
MIN_SECRET: Final = 24
"""Bytes: what Standard Webhooks asks of a symmetric secret."""
TOLERANCE: Final = 300
"""Seconds that the clocks of sender and receiver may be apart, and for which a recorded request could be sent again."""

_SCHEME: Final = "v1"
_MAX_SIGNATURES: Final = 16
_MAX_ID: Final = 256
_MAX_DIGITS: Final = 12


class WebhookRefused(ToolgateError):
    """A request that did not come from who holds the secret, or not now. Answer 400 or 401, and do nothing."""


class Headers(Protocol):
    """Headers as web frameworks give them: names and values, names in any case."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Every header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A webhook whose signature was verified.

    Attributes:
        id: the same at every attempt to deliver it: whoever keeps the ids they have seen handles each once.
        sent_at: when this attempt was made, seconds since the epoch.
        type: the topic, such as ``approval.requested``.
        data: what it says.
    """

    id: str
    sent_at: int
    type: str
    data: Mapping[str, Any]


def key_of(secret: str) -> bytes:
    """The bytes of a secret: ``whsec_`` and base64, or any other text as it is.

    Raises:
        ValueError: if it cannot be read or is shorter than ``MIN_SECRET`` bytes; never with the secret in it.
    """
    key = secret.encode()
    if secret.startswith(PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("what follows whsec_ is not base64") from None
    if len(key) < MIN_SECRET:
        raise ValueError(f"the secret has {len(key)} bytes; {MIN_SECRET} random ones are the least")
    return key


def signed_headers(id: str, body: bytes, keys: Iterable[bytes], *, at: int) -> dict[str, str]:
    """The three headers of an attempt ``at`` (seconds since the epoch), one signature a key, the current one first."""
    signatures = [f"{_SCHEME},{base64.b64encode(_signature(id, at, body, key)).decode()}" for key in keys]
    return {ID_HEADER: id, TIMESTAMP_HEADER: str(at), SIGNATURE_HEADER: " ".join(signatures)}


def verified(
    headers: Headers, body: bytes, keys: Iterable[bytes], *, tolerance: float, now: float
) -> Received:
    """What was sent, if one of ``keys`` signed it within ``tolerance`` seconds of ``now``.

    Raises:
        WebhookRefused: otherwise, whatever the reason; its words are for the receiver's own log.
    """
    id, sent_at, signatures = _read(headers)
    if not any(_matches(signatures, _signature(id, sent_at, body, key)) for key in keys):
        raise WebhookRefused("no signature is that of a secret known here")
    # Judged only now: nobody without the secret learns what the clock here says.
    if abs(now - sent_at) > tolerance:
        raise WebhookRefused(
            f"it was sent more than {tolerance:g} seconds from now: an old request sent again?"
        )
    return _parsed(id, sent_at, body)


def _read(headers: Headers) -> tuple[str, int, list[bytes]]:
    found: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower in found:
            raise WebhookRefused(f"the header {lower} stands there twice")
        if lower in {ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER}:
            found[lower] = value
    for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER):
        if not found.get(name):
            raise WebhookRefused(f"the header {name} is missing")
    id, timestamp = found[ID_HEADER], found[TIMESTAMP_HEADER]
    if "." in id or not id.isascii() or not id.isprintable() or len(id) > _MAX_ID:
        # A full stop is what parts id, timestamp and body.
        raise WebhookRefused("the webhook-id cannot be one")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _MAX_DIGITS):
        raise WebhookRefused("the webhook-timestamp is no whole number of seconds")
    if str(int(timestamp)) != timestamp:
        raise WebhookRefused("the webhook-timestamp is not written as it was signed")
    return id, int(timestamp), _signatures(found[SIGNATURE_HEADER])


def _signatures(header: str) -> list[bytes]:
    found = []
    for part in header.split(" ")[:_MAX_SIGNATURES]:
        scheme, comma, text = part.partition(",")
        if comma and scheme == _SCHEME:
            try:
                found.append(base64.b64decode(text, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found


def _matches(signatures: Iterable[bytes], expected: bytes) -> bool:
    # In constant time each: how much of a forged one is right must not show.
    return any(hmac.compare_digest(one, expected) for one in signatures)


def _signature(id: str, at: int, body: bytes, key: bytes) -> bytes:
    return hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()


def _parsed(id: str, sent_at: int, body: bytes) -> Received:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise WebhookRefused("it is signed, but its body is no JSON") from None
    kind, data = (said.get("type"), said.get("data")) if isinstance(said, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise WebhookRefused("it is signed, but its body has no type and data")
    return Received(id=id, sent_at=sent_at, type=kind, data=data)
