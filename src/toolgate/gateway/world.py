"""What the pipeline works with: the ports, the registry of tools, and what this process keeps in memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from toolgate.domain.caller import ANYONE, Caller
from toolgate.domain.commands import Append, LateEvidence
from toolgate.domain.contract import Contract
from toolgate.domain.errors import ContractError, StoreInDoubt, StoreUnavailable
from toolgate.domain.limits import Limits
from toolgate.domain.redaction import Redactor
from toolgate.domain.retention import NOTHING_SAID, Retention
from toolgate.domain.rows import Event
from toolgate.domain.tool import Tool
from toolgate.domain.trail import plain_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from toolgate.domain.call import SealedCall
    from toolgate.domain.canonical import JsonValue
    from toolgate.gateway.flight import Flight
    from toolgate.ports import (
        Callers,
        Clock,
        Decider,
        Deps,
        Ids,
        Issuer,
        JobEngine,
        Keys,
        Meter,
        Reservations,
        Runner,
        SignIn,
        Sink,
        Store,
        Telemetry,
        Upstreams,
    )


_DEEPER_THAN_ARGUMENTS = 96
_LONGER_BY_MARKS = 8


@dataclass(frozen=True, slots=True)
class Registered:
    """A tool under this gateway, with what is worth computing once."""

    tool: Tool[Any, Any]
    contract: Contract
    redactor: Redactor
    result_size: int
    argument_size: int

    def visible_to(self, caller: Caller) -> bool:
        """Whether the caller holds a role that the contract grants. Nothing else opens a tool."""
        roles = self.contract.roles
        if not self.contract.enabled:
            return False
        return roles == ANYONE or not roles.isdisjoint(caller.roles)

    def shown(self, arguments: Mapping[str, JsonValue], keys: Keys) -> JsonValue:
        """The arguments for an approver: without secrets as in the trail, and with nothing cut.

        What is too long for a row of the trail runs all the same; nobody may agree to what they cannot read.
        """
        size = self.argument_size
        whole = Redactor(
            keys.redaction_mac,
            self.contract.sensitive,
            max_depth=_DEEPER_THAN_ARGUMENTS,
            max_nodes=size,
            max_string=size,
            # A mark may be longer than the secret in whose place it stands.
            max_total=_LONGER_BY_MARKS * size,
        )
        return whole.redact(dict(arguments))

    def said(self, text: object, sealed: SealedCall) -> str:
        """The author's words about this call, without what is sensitive in its arguments."""
        return self.redactor.said(text, sealed.arguments)


def register(tools: Iterable[Tool[Any, Any]], keys: Keys, limits: Limits) -> dict[str, Registered]:
    """The tools by name.

    Raises:
        ContractError: for two tools of one name, something that is no tool, or a tool that nothing can grant.
    """
    found: dict[str, Registered] = {}
    for tool in tools:
        if not isinstance(tool, Tool):
            raise ContractError(f"{tool!r} is no tool; put @tool(...) on the function")
        contract = tool.contract
        if contract.name in found:
            raise ContractError(f"two tools are named {contract.name!r}; give one another name=")
        if not contract.roles:
            raise ContractError(
                f"tool {contract.name!r}: nothing can grant it; say who may call it with "
                "roles={'support'}, or roles='anyone' if everybody may"
            )
        found[contract.name] = Registered(
            tool,
            contract,
            Redactor(keys.redaction_mac, contract.sensitive),
            contract.result_size or limits.result_size,
            limits.argument_size,
        )
    return found


class Trail:
    """Whether the audit trail can be written. Once it could not, nothing runs until a probe was committed."""

    __slots__ = ("_down",)

    def __init__(self) -> None:
        self._down = False

    def failed(self) -> None:
        """A write failed."""
        self._down = True

    async def writable(self, store: Store, now: int) -> bool:
        """True at once while all is well; after a failure only once a probe write commits."""
        if not self._down:
            return True
        probe = Event(None, now, plain_record("trail_probed", at=now, fields={}))
        try:
            await store.execute(Append((probe,)))
        except (StoreUnavailable, StoreInDoubt):
            return False
        self._down = False
        return True


@dataclass(slots=True, kw_only=True)
class World:
    """Everything a step may use. Built by ``bootstrap``, one a gateway."""

    registry: Mapping[str, Registered]
    store: Store
    keys: Keys
    clock: Clock
    ids: Ids
    runner: Runner
    reservations: Reservations
    limits: Limits
    owner: str
    deps: Deps | None = None
    callers: Callers | None = None
    may_decide: Decider | None = None
    issuer: Issuer | None = None
    sign_in: SignIn | None = None
    upstreams: Upstreams | None = None
    agents: Mapping[str, str] = field(default_factory=dict)
    session_life: float = 8 * 3600.0
    session_idle: float = 30 * 60.0
    sessions_seen: dict[str, tuple[float, int]] = field(default_factory=dict)
    sinks: Mapping[str, Sink] = field(default_factory=dict)
    chance: Callable[[], float] = Random().random  # noqa: S311 - spreads attempts in time, and guards nothing
    lease_margin: float = 10.0
    retention: Retention = NOTHING_SAID
    job_lease: float = 30.0
    """Seconds for which a running job is believed to be alive; renewed while it is."""
    jobs: JobEngine | None = None
    settle_grace: float = 10.0
    trail: Trail = field(default_factory=Trail)
    anonymous: Redactor = field(init=False)
    flights: dict[str, Flight] = field(default_factory=dict)
    ended_approvals: deque[tuple[str, tuple[str, ...], str]] = field(default_factory=deque)
    patience: dict[str, tuple[float, float]] = field(default_factory=dict)
    unsettled: deque[LateEvidence] = field(default_factory=lambda: deque(maxlen=10_000))
    opened_at: int | None = None
    """When this gateway began (µs, the store's time)."""
    meter: Meter | None = None
    telemetry: Telemetry | None = None
    house_kept_at: float | None = None
    """When a round of housekeeping last came to its end (monotonic seconds)."""

    def __post_init__(self) -> None:
        self.anonymous = Redactor(self.keys.redaction_mac, ())
