"""Keys: how one is rendered, and what a key that was used before answers.

A key comes from the workflow and the arguments, never from the model (HTTP Idempotency-Key semantics,
draft-ietf-httpapi-idempotency-key-header, but named by the application). Its claim is stored as a keyed
MAC scoped by tenant and tool. Not here: writing the claim, which happens with the intent (``ledger``).
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from string import Formatter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from toolgate.domain.canonical import canonical_json
from toolgate.domain.contract import WORKFLOW_FIELD
from toolgate.domain.jobs import STARTED
from toolgate.domain.lifecycle import ApprovalState, EffectState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.call import Workflow
    from toolgate.domain.contract import Contract
    from toolgate.domain.rows import ApprovalRow, Found


_SEPARATOR = ":"
_TEXT = "~"
"""Stands before a text that would read as a number, null or the like: "7" and 7 are two keys."""
_READS_AS_OTHER = re.compile(
    rf"{_TEXT}.*|[\[{{].*|true|false|null|-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.DOTALL
)
_NO_END = re.compile(rf"[A-Za-z0-9%{_TEXT}]")
"""What a quoted value may hold whatever the template: a literal that begins so does not show where a value ends."""


_PLAIN = frozenset("_.-@+=,")
"""Punctuation that stays as it is, unless a literal of the template begins with it."""


def render_key(contract: Contract, arguments: Mapping[str, Any], workflow: Workflow) -> str:
    """Fill in the contract's template; two keys are one only if each field has the same JSON value.

    A value is percent-encoded (RFC 3986, 2.1) wherever it could be taken for what stands behind it in the
    template; where nothing stands there that could not be part of a value, a ``:`` is put in.
    """
    pieces, ends = _pieces(contract.idempotency or "")
    rendered = ""
    open_ended = False
    for literal, name in pieces:
        if open_ended and (not literal or _NO_END.match(literal)):
            rendered += _SEPARATOR
        rendered += literal
        if name == WORKFLOW_FIELD:
            rendered += _quoted(workflow.id, ends)
        elif name is not None:
            rendered += _quoted(_as_text(_value(arguments, name)), ends)
        open_ended = name is not None
    return rendered


@lru_cache(maxsize=1024)
def _pieces(template: str) -> tuple[tuple[tuple[str, str | None], ...], frozenset[str]]:
    """Each literal with the field behind it, and the characters that a literal begins with."""
    pieces = tuple((literal, name) for literal, name, _, _ in Formatter().parse(template))
    return pieces, frozenset(literal[0] for literal, _ in pieces if literal)


def needs_workflow(contract: Contract) -> bool:
    """Whether the key names ``{workflow_id}``, so that the application must send one."""
    return contract.idempotency is not None and WORKFLOW_FIELD in contract.key_fields()


def key_scope(tenant: str, tool: str, key: str) -> bytes:
    """What the MAC is taken over: tenant and tool and key, each length-prefixed."""
    parts = [part.encode() for part in (tenant, tool, key)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _value(arguments: Mapping[str, Any], path: str) -> Any:
    value: Any = arguments
    for part in path.split("."):
        value = value[part] if isinstance(value, dict) else None
    return value


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        return canonical_json(value).decode()
    return _TEXT + value if _READS_AS_OTHER.fullmatch(value) else value


def _quoted(text: str, ends: frozenset[str]) -> str:
    # A model chooses argument values: without this, ("a:b", "c") and ("a", "b:c") would be one key.
    quoted = quote(text, safe="@+=,", errors="surrogatepass")
    for end in ends & _PLAIN:
        quoted = quoted.replace(end, f"%{ord(end):02X}")
    return quoted


class KeyUse(StrEnum):
    """What a key that was claimed before means for a new call."""

    FREE = "free"
    REPLAY = "replay"
    PENDING = "pending"
    STARTED = "started"
    IN_FLIGHT = "in_flight"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    DENIED = "denied"


def judge_claim(found: Found, *, caller_id: str, fingerprint: bytes) -> KeyUse:
    """What the ledger's rows under a key allow a call of ``caller_id`` with ``fingerprint``.

    Another caller's key conflicts whatever its arguments, so that a guessed key tells nothing.
    """
    claim, call, approval = found.claim, found.call, found.approval
    if claim is None:
        return KeyUse.FREE
    if claim.caller_id != caller_id or claim.fingerprint != fingerprint:
        return KeyUse.CONFLICT
    if call is None:
        return KeyUse.REPLAY
    if call.incident is not None:
        # What was resolved and what came to light contradict each other: running again might double the effect.
        return KeyUse.UNKNOWN
    match call.effect_state:
        case EffectState.APPLIED:
            return KeyUse.REPLAY
        case EffectState.UNKNOWN:
            return KeyUse.UNKNOWN
        case EffectState.INTENDED:
            return KeyUse.IN_FLIGHT
        case None if call.status == STARTED:
            return KeyUse.STARTED
        case EffectState.NOT_APPLIED | None:
            return _judge_approval(approval)


def _judge_approval(approval: ApprovalRow | None) -> KeyUse:
    """A key without an effect so far: only people can stand in its way."""
    if approval is not None and approval.state in {ApprovalState.PENDING, ApprovalState.APPROVED}:
        return KeyUse.PENDING
    if approval is not None and approval.state is ApprovalState.DENIED:
        return KeyUse.DENIED
    return KeyUse.FREE
