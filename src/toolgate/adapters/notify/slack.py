"""Slack's incoming webhooks, and whatever else takes ``{"text", "blocks"}``.

A message says that somebody has to look, and where. It holds no arguments, and its link decides nothing: looking
takes a login. Names and reasons are other people's words: escaped, printable, bounded, and never turned into links
or mentions.
"""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from toolgate.adapters.notify.post import Target
from toolgate.domain.duration import MICRO
from toolgate.domain.names import label
from toolgate.domain.notice import console_link

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.rows import NoticeRow
    from toolgate.ports import Failed, Sent

_TITLES: Final = {
    "approval.requested": "Approval needed",
    "approval.edited": "Changed, and to be approved again",
    "approval.approved": "Approved",
    "approval.denied": "Denied",
    "approval.expired": "Expired, nobody decided",
    "approval.cancelled": "Cancelled",
    "effect.unknown": "Unknown whether it happened",
}
_OPEN: Final = frozenset({"approval.requested", "approval.edited"})
_LONGEST_TITLE: Final = 100
_LONGEST_NAME: Final = 300
_LONGEST_REASON: Final = 500


class SlackNotifier:
    """Posts a message to an incoming webhook. Its URL is a secret.

    Args:
        url: https, or http on loopback.
        public_url: where the console is; without it the message says to look there and holds no link.
        ssl_context: your own certificate authorities.

    Raises:
        ConfigurationError: for an address that cannot be used; never with it in the words.
    """

    __slots__ = ("_public_url", "_target")

    def __init__(
        self, url: str, *, public_url: str | None = None, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._target = Target(url, ssl_context=ssl_context)
        self._public_url = public_url

    def __repr__(self) -> str:
        return "SlackNotifier()"

    async def send(self, notice: NoticeRow, *, now: int) -> Sent | Failed:
        """One attempt."""
        body = json.dumps(message(notice, public_url=self._public_url)).encode()
        return await self._target.post(body, {}, now=now)


def message(notice: NoticeRow, *, public_url: str | None) -> dict[str, Any]:
    """The message as Slack takes it: ``text`` for a phone's notification, ``blocks`` for the channel."""
    said = json.loads(notice.body)
    title = f"{_TITLES.get(notice.topic, notice.topic)}: {said.get('tool', 'a call')}"
    facts = [f"*{name}*\n{value}" for name, value in _facts(notice, said) if value]
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": label(title, limit=_LONGEST_TITLE), "emoji": False},
        },
        {"type": "section", "fields": [_mrkdwn(fact) for fact in facts]},
    ]
    if said.get("reason"):
        blocks.append({"type": "section", "text": _mrkdwn(_escaped(said["reason"], _LONGEST_REASON))})
    blocks.append(_way_there(notice, console_link(public_url, said)))
    return {"text": _escaped(title, _LONGEST_TITLE), "blocks": blocks}


def _facts(notice: NoticeRow, said: Mapping[str, Any]) -> list[tuple[str, str]]:
    agent = f", through {said['agent']}" if said.get("agent") else ""
    facts = [("Asked by", _escaped(f"{said.get('caller', '?')} of {notice.tenant}{agent}", _LONGEST_NAME))]
    if notice.topic not in _OPEN:
        return facts
    quorum = f"{said['quorum']} × " if said.get("quorum", 1) > 1 else ""
    facts += [
        ("Risk", _escaped(notice.risk or "", _LONGEST_NAME)),
        ("Needs", _escaped(f"{quorum}{said.get('requires_role', '')}", _LONGEST_NAME)),
    ]
    if isinstance(until := said.get("expires_at"), int):
        # Slack's own mark for a time, shown in the reader's time zone.
        plain = datetime.fromtimestamp(until / MICRO, UTC).strftime("%d %b %H:%M UTC")
        facts.append(("Until", f"<!date^{until // MICRO}^{{date_short_pretty}} {{time}}|{plain}>"))
    return facts


def _way_there(notice: NoticeRow, link: str | None) -> dict[str, Any]:
    if link is None:
        return {"type": "context", "elements": [_mrkdwn("Look in the console.")]}
    words = "Look and decide" if notice.topic in _OPEN else "Look"
    return {
        "type": "actions",
        "elements": [
            {"type": "button", "text": {"type": "plain_text", "text": words, "emoji": False}, "url": link}
        ],
    }


def _mrkdwn(text: str) -> dict[str, Any]:
    # Verbatim: what looks like a link, a channel or a name stays text.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escaped(value: object, limit: int) -> str:
    """Somebody's words as Slack shows them: its three control characters escaped, nothing invisible, bounded."""
    return label(value, limit=limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
