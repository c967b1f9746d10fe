"""A call in its three forms, each a type of its own, so that an illegal order does not type-check.

``ReceivedCall`` is what a surface was asked. ``SealedCall`` is parsed, its digest fixed: nothing rewrites
it after that. ``ClearedCall`` has passed every gate and has its permit; only it can be run, and only the
spine makes one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.approval import ApprovalFact
    from toolgate.domain.caller import Caller
    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.contract import Contract
    from toolgate.domain.tool import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """The application's name for a piece of work, and who works on it.

    Attributes:
        id: the same on every retry of the same work.
        explicit: False where the application gave none and the gate made one up, which no key may use.
        agent: the program that asks, if not the caller in person.
        model: the model behind it.
        user_input: the user's own words, trusted context of provenance.
    """

    id: str
    explicit: bool
    agent: str | None = None
    model: str | None = None
    user_input: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedCall:
    """A request as a surface took it, nothing of it believed yet but who calls.

    ``request_id`` and ``trace`` are the transport's, for tracing; they are never part of a key.
    ``rationale`` is the model's own reason: kept and shown as its claim, never part of a decision.
    ``barred`` are people who may not approve it besides its caller: who answers for the agent.
    ``priority`` and ``delay`` (seconds) are for a job, and the application's alone; None is the contract's priority.
    ``claimed``: of a held call that was edited, the keys (as MACs) that it had before, each with the fingerprint that
    claimed it.
    """

    call_id: str
    tool: str
    arguments: Any
    caller: Caller
    workflow: Workflow
    received_at: int
    surface: str = "python"
    request_id: str | None = None
    trace: str | None = None
    rationale: str | None = None
    barred: tuple[str, ...] = ()
    claimed: tuple[tuple[bytes, bytes], ...] = ()
    priority: int | None = None
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedCall:
    """A parsed call. ``args`` is what the tool gets, ``arguments`` the same as JSON with defaults filled in.

    ``digest`` binds tool, version, schema, tenant, caller, agent, arguments and key: what a person approves.
    ``fingerprint`` is that of the arguments alone: what the same key must come with. Both are empty for a
    read that nobody can be asked about: it is run at once, and nothing ever refers to it.
    """

    received: ReceivedCall
    tool: Tool[Any, Any]
    contract: Contract
    args: Any
    arguments: dict[str, JsonValue]
    canonical: bytes
    fingerprint: bytes
    key: str | None
    key_mac: bytes | None
    digest: bytes
    redacted: Mapping[str, JsonValue]

    def args_to_run(self) -> Any:
        """What one attempt gets. Of a call that is bound to its arguments it is read anew from the sealed bytes.

        A predicate or an earlier attempt may have changed the objects that it was shown; what runs is what was
        digested, approved and claimed all the same.

        Raises:
            Unstable: if the input's own validators make something else of the sealed bytes.
        """
        return self.tool.input.load_stable(self.canonical) if self.canonical else self.args

    @property
    def call_id(self) -> str:
        """Ours, one per call."""
        return self.received.call_id

    @property
    def caller(self) -> Caller:
        """On whose behalf."""
        return self.received.caller

    @property
    def workflow(self) -> Workflow:
        """In which piece of work."""
        return self.received.workflow


class Clearance:
    """Proof that the spine made a ``ClearedCall``; ``gateway.spine`` holds the only instance in use."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearedCall:
    """A call that may run: allowed, within limits, approved where needed, its intent durable where it has effects.

    ``granted``: people agreed beforehand, to calls like this one; what its business asks of people is still asked.
    """

    sealed: SealedCall
    clearance: Clearance = field(repr=False)
    deadline: float
    approval: ApprovalFact | None = None
    granted: bool = False

    def __post_init__(self) -> None:
        if type(self.clearance) is not Clearance:
            raise TypeError("only the spine clears a call")


def fingerprint(canonical: bytes) -> bytes:
    """SHA-256 of the canonical arguments."""
    return hashlib.sha256(canonical).digest()


def call_digest(contract: Contract, received: ReceivedCall, canonical: bytes, key_mac: bytes | None) -> bytes:
    """SHA-256 over everything that a person agrees to, each part length-prefixed so that none can spill over."""
    caller = received.caller
    parts = (
        contract.digest.encode(),
        caller.tenant.encode(),
        caller.id.encode(),
        (received.workflow.agent or "").encode(),
        canonical,
        key_mac or b"",
    )
    digest = hashlib.sha256(b"toolgate/call/1")
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
