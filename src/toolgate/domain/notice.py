"""Which notices there are, who wants which, where they may be sent, and when another attempt is made.

Not here: what a notice says (``ledger.notices``, with what it tells), signatures (``webhook``), sending.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from toolgate.domain.canonical import JsonValue

TOPICS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "approval.requested": "Somebody has to decide.",
        "approval.edited": "A person changed what is asked for; votes given before are void.",
        "approval.approved": "Enough people agreed; it runs now.",
        "approval.denied": "A person refused; it does not run.",
        "approval.expired": "Nobody decided in time; it does not run.",
        "approval.cancelled": "It was withdrawn or stopped; it does not run.",
        "effect.unknown": "It is not known whether a call happened; a person has to look.",
    }
)
"""Every topic → what it says. New ones may come, none changes its meaning."""

MAX_ATTEMPTS: Final = 30
"""After so many a delivery is dead, about half a day after the first: longer than that an approval rarely waits."""
FIRST_PAUSE: Final = 10.0
LONGEST_PAUSE: Final = 3_600.0
"""Seconds: the ceiling of the first pause, doubled each time up to this one. An hour after a receiver is back at
most, people hear of what waits for them."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which notices a sink wants; ``None`` means any. All that is said must hold.

    ``risks`` judges requests for approval alone: a notice that has no risk, such as ``effect.unknown``, passes it.
    """

    topics: frozenset[str] | None = None
    risks: frozenset[str] | None = None
    tools: frozenset[str] | None = None
    tenants: frozenset[str] | None = None

    def covers(self, *, topic: str, risk: str | None, tool: object, tenant: str) -> bool:
        """Whether such a notice is wanted."""
        return (
            (self.topics is None or topic in self.topics)
            and (self.risks is None or risk is None or risk in self.risks)
            and (self.tools is None or tool in self.tools)
            and (self.tenants is None or tenant in self.tenants)
        )


def pause_after(attempt: int, chance: float, *, asked: float | None = None) -> float:
    """Seconds until the attempt after number ``attempt`` (from 1): exponential, with full jitter.

    ``chance`` is in [0, 1). ``asked`` is what the receiver wished (``Retry-After``, seconds): never sooner than that,
    but it cannot put us off for longer than ``LONGEST_PAUSE``.
    """
    ceiling = min(FIRST_PAUSE * 2.0 ** min(attempt - 1, 30), LONGEST_PAUSE)
    return max(chance * ceiling, min(asked or 0.0, LONGEST_PAUSE))


def name_problem(name: str) -> str | None:
    """Why ``name`` cannot name a sink, in words; None where it can."""
    if _NAME.fullmatch(name):
        return None
    return "a sink's name is 1 to 63 of a-z, 0-9, _ and -, such as 'ops-pager'"


def target_problem(url: str) -> str | None:
    """Why nothing may be sent to ``url``, in words that do not repeat it; None where it may.

    Operators name targets, so an internal host is theirs to choose. What is sent must not be read on the way: only
    loopback goes without TLS.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "this is no URL; write one such as https://ops.example.com/toolgate"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "a URL holds no spaces and nothing but ASCII"
    if parts.scheme not in {"https", "http"} or not host:
        return "write a URL that begins with https://"
    if parts.username is not None or parts.password is not None:
        return "take the user and password out of the URL; a secret is given by reference"
    if parts.fragment:
        return "take the part behind # out of the URL; it is never sent"
    if parts.scheme == "http" and not _is_loopback(host):
        return "write https://; http:// is for this machine itself alone (127.0.0.1, localhost)"
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def console_link(public_url: str | None, body: Mapping[str, JsonValue]) -> str | None:
    """Where the console shows what a notice is about; None where nobody said where the console is.

    Looking there takes a login, and deciding a vote: a link decides nothing.
    """
    if public_url is None:
        return None
    base = f"{public_url.rstrip('/')}/console"
    if body.get("approval_id"):
        return f"{base}/approvals/{body['approval_id']}"
    return f"{base}/calls/{body['call_id']}" if body.get("call_id") else None
