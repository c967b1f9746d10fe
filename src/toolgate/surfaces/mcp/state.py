"""``requestState``: what a client of 2026-07-28 carries between our question and its user's answer.

Sealed with the gateway's keys, so that any gateway on the same store opens it; bound to who was asked, the tool and the
arguments; good for minutes, and once in a process. An approval is consumed once whatever a client presents, and what a
tool asks (``asking``) has no effect. Not here: the question, and what an answer counts for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolgate.operations.client_state import open_state, seal_state

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.surfaces.http.gate import Gate

GOOD_FOR: Final = 600.0
"""Seconds that a user has for an answer."""
LONGEST: Final = 4_096
"""Characters of a state of a confirmation that is looked at: ours have a few hundred."""
STALE: Final = "Invalid or expired requestState"
"""The same for whatever is wrong with one."""
MOST_REMEMBERED: Final = 10_000
"""Used states that are remembered; past that the oldest is forgotten, and the approval refuses by itself."""
_PREFIX: Final = "v1."


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What was put before the user: which approval, of which call, and the digest of what they saw."""

    approval_id: str
    call_id: str
    digest: bytes


class Carried:
    """States of one server and one ``purpose``, of at most ``longest`` characters.

    ``monotonic`` is a clock in seconds that never goes back.
    """

    def __init__(
        self, *, purpose: str, longest: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._purpose = purpose
        self._longest = longest
        self._monotonic = monotonic
        self._used: dict[str, float] = {}

    async def seal_said(
        self,
        gate: Gate,
        said: Mapping[str, Any],
        *,
        by: Principal,
        tool: str,
        arguments: Any,
        seconds: float = GOOD_FOR,
    ) -> str:
        """``said`` (values of JSON) for ``by``, good for this very call and for ``seconds``, at most ``GOOD_FOR``."""
        sealed = await gate.operate(
            seal_state,
            {**said, "once": secrets.token_hex(16)},
            by=by,
            bound_to=_bound_to(self._purpose, tool, arguments),
            seconds=min(seconds, GOOD_FOR),
        )
        return _PREFIX + _encoded(sealed)

    async def open_said(
        self, gate: Gate, state: object, *, by: Principal, tool: str, arguments: Any
    ) -> dict[str, Any] | None:
        """What was sealed, once; None where ``state`` is not one of ours for ``by`` and this very call."""
        sealed = _decoded(state, longest=self._longest)
        if sealed is None:
            return None
        bound_to = _bound_to(self._purpose, tool, arguments)
        said = await gate.operate(open_state, sealed, by=by, bound_to=bound_to)
        return said if said is not None and self._first(said["once"]) else None

    def _first(self, once: str) -> bool:
        now = self._monotonic()
        # In the order of their use, which is that of their ends: what is over stands in front.
        while self._used:
            oldest = next(iter(self._used))
            if self._used[oldest] > now and len(self._used) < MOST_REMEMBERED:
                break
            del self._used[oldest]
        if once in self._used:
            return False
        self._used[once] = now + GOOD_FOR
        return True


class States(Carried):
    """Of what was put before a user to be confirmed."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(purpose="confirm", longest=LONGEST, monotonic=monotonic)

    async def seal(
        self, gate: Gate, shown: Shown, *, by: Principal, tool: str, arguments: Any, seconds: float = GOOD_FOR
    ) -> str:
        """A state for ``by``, good for this very call and for ``seconds``, at most ``GOOD_FOR``."""
        said = {"approval": shown.approval_id, "call": shown.call_id, "digest": shown.digest.hex()}
        return await self.seal_said(gate, said, by=by, tool=tool, arguments=arguments, seconds=seconds)

    async def open(
        self, gate: Gate, state: object, *, by: Principal, tool: str, arguments: Any
    ) -> Shown | None:
        """What ``state`` was made for, once; None where it is not one of ours for ``by`` and this very call."""
        said = await self.open_said(gate, state, by=by, tool=tool, arguments=arguments)
        if said is None:
            return None
        return Shown(approval_id=said["approval"], call_id=said["call"], digest=bytes.fromhex(said["digest"]))


def _bound_to(purpose: str, tool: str, arguments: Any) -> str:
    """SHA-256 of the call as the client writes it, and what it is carried for; equal for equal JSON."""
    plain = arguments.hex() if isinstance(arguments, bytes) else arguments
    text = json.dumps([purpose, tool, type(arguments).__name__, plain], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(state: object, *, longest: int) -> bytes | None:
    """The bytes of a state; None for what no ``seal`` wrote. Only the one spelling that it writes is read."""
    if not isinstance(state, str) or len(state) > longest or not state.startswith(_PREFIX):
        return None
    text = state.removeprefix(_PREFIX)
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if _encoded(data) == text else None
