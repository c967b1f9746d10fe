"""A webhook, signed as Standard Webhooks 1.0.0 says. ``toolgate.webhooks`` verifies it, and so do other libraries."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from toolgate.adapters.notify.post import Target
from toolgate.domain.canonical import canonical_json
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import ConfigurationError
from toolgate.domain.notice import console_link
from toolgate.domain.webhook import key_of, signed_headers

if TYPE_CHECKING:
    from toolgate.domain.rows import NoticeRow
    from toolgate.ports import Failed, Sent


class WebhookNotifier:
    """Posts ``{"type", "timestamp", "data"}``.

    Args:
        url: https, or http on loopback.
        secrets: the current one first; the others are those that receivers may still hold. ``whsec_…`` or raw text.
        public_url: where the console is, for links.
        ssl_context: your own certificate authorities.

    Raises:
        ConfigurationError: for an address or a secret that cannot be used; never with either in it.
    """

    __slots__ = ("_keys", "_public_url", "_target")

    def __init__(
        self,
        url: str,
        secrets: Sequence[str],
        *,
        public_url: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if not secrets:
            raise ConfigurationError("a webhook needs a secret to sign with")
        try:
            self._keys = tuple(key_of(secret) for secret in secrets)
        except ValueError as unfit:
            raise ConfigurationError(f"a webhook's secret: {unfit}") from None
        self._target = Target(url, ssl_context=ssl_context)
        self._public_url = public_url

    def __repr__(self) -> str:
        return "WebhookNotifier()"

    async def send(self, notice: NoticeRow, *, now: int) -> Sent | Failed:
        """One attempt, signed for ``now`` (µs)."""
        body = payload(notice, public_url=self._public_url)
        headers = signed_headers(notice.notice_id, body, self._keys, at=now // MICRO)
        return await self._target.post(body, headers, now=now)


def payload(notice: NoticeRow, *, public_url: str | None) -> bytes:
    """What is sent: the same bytes at every attempt. ``timestamp`` is when it happened, not when it was sent."""
    data = json.loads(notice.body)
    happened = datetime.fromtimestamp(notice.at / MICRO, UTC).isoformat(timespec="microseconds")
    return canonical_json(
        {
            "type": notice.topic,
            "timestamp": happened.replace("+00:00", "Z"),
            "data": {**data, "url": console_link(public_url, data)},
        }
    )
