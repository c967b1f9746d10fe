"""What a tool promises: one name, one purpose, one strict schema, and every rule that the gate holds it to.

``Contract`` is data: it can be shown, digested, compared and written in a file; the functions that an
author gave beside it (the tool itself, predicates, ``reconcile``) live on ``tool.Tool``. Not here: how a
signature becomes a schema (``schema``) or whether the contract is a good one (``checklist``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, Literal

from toolgate.domain.caller import ANYONE
from toolgate.domain.canonical import NotCanonical, canonical_json
from toolgate.domain.duration import Duration, seconds
from toolgate.domain.errors import INPUT_REQUIRED, ContractError
from toolgate.domain.limits import Breaker

if TYPE_CHECKING:
    from toolgate.domain.approval import Approval
    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.jobs import Job
    from toolgate.domain.limits import Rate

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
WORKFLOW_FIELD = "workflow_id"
MAX_ATTEMPTS = 10
SHORTEST_WAIVER = 10
RESERVED_FIELDS = frozenset({"idempotency_key", "call_id", "approval_id"})
"""Fields of these names would invite a model to choose what only the application may."""


class Effect(StrEnum):
    """What calling the tool does to the world."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Retry:
    """How often and how fast one call is tried again, inside the deadline.

    Args:
        attempts: in all, the first one included; 1 to 10.
        delay: before the second attempt; doubled each time, at most ``max_delay``, with up to 50 % jitter.
    """

    attempts: int = 3
    delay: float = 0.1
    max_delay: float = 5.0

    def __init__(self, attempts: int = 3, delay: Duration = 0.1, max_delay: Duration = 5.0) -> None:
        if not 1 <= attempts <= MAX_ATTEMPTS:
            raise ContractError(f"retries.attempts: {attempts} is not between 1 and {MAX_ATTEMPTS}")
        object.__setattr__(self, "attempts", attempts)
        object.__setattr__(self, "delay", seconds(delay, of="retries.delay"))
        object.__setattr__(self, "max_delay", seconds(max_delay, of="retries.max_delay"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Everything that the gate knows of a tool before a call. See ``toolgate.tool`` for each keyword."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None
    effect: Effect
    effect_declared: bool = True
    title: str | None = None
    external: bool = False
    version: str = "0"
    owner: str | None = None
    roles: frozenset[str] | Literal["anyone"] = frozenset()
    authorize: str | None = None
    timeout: float = 30.0
    timeout_declared: bool = False
    retries: Retry | None = None
    idempotency: str | None = None
    honours_key: bool = False
    reconcile: str | None = None
    horizon: float = 3600.0
    approval: Approval | None = None
    approval_waiver: str | None = None
    rate_limit: Rate | None = None
    concurrency: int | None = None
    breaker: Breaker | None = field(default_factory=Breaker)
    result_size: int | None = None
    raises: tuple[str, ...] = ()
    sensitive: tuple[tuple[str, ...], ...] = ()
    result_trust: Literal["trusted", "untrusted"] = "trusted"
    isolation: Literal["shared", "process"] = "shared"
    tags: frozenset[str] = frozenset()
    enabled: bool = True
    job: Job | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        check(self)
        try:
            described = canonical_json(self.described())
        except NotCanonical as unfit:
            raise ContractError(
                f"tool {self.name!r}: {unfit}; nothing else can be shown or digested"
            ) from None
        object.__setattr__(self, "digest", hashlib.sha256(described).hexdigest())

    @property
    def has_effects(self) -> bool:
        """Whether running it may change the world."""
        return self.effect is not Effect.READ

    @property
    def may_run_again(self) -> bool:
        """Whether a run that was lost may be followed by another without doing anything twice."""
        return not self.has_effects or self.honours_key

    @property
    def asks(self) -> bool:
        """Whether it may ask whoever calls for input."""
        return INPUT_REQUIRED in self.raises

    def annotations(self) -> dict[str, bool]:
        """The hints of MCP's ``ToolAnnotations`` (2025-06-18) that follow from the contract."""
        return {
            "readOnlyHint": not self.has_effects,
            "destructiveHint": self.effect is Effect.DESTRUCTIVE,
            "idempotentHint": not self.has_effects or self.idempotency is not None,
            "openWorldHint": self.external,
        }

    def described(self) -> dict[str, JsonValue]:
        """What the digest is taken of: whatever, if changed, makes an earlier consent void."""
        # Contracts that are no jobs keep the digest they had before there were any.
        as_job: dict[str, JsonValue] = {} if self.job is None else {"job": True}
        return {
            **as_job,
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "input_schema": _plain(self.input_schema),
            "output_schema": None if self.output_schema is None else _plain(self.output_schema),
            "effect": self.effect.value,
            "external": self.external,
            "owner": self.owner,
            "roles": ANYONE if self.roles == ANYONE else sorted(self.roles),
            "authorize": self.authorize,
            "timeout": self.timeout,
            "idempotency": self.idempotency,
            "honours_key": self.honours_key,
            "approval": self.approval.described() if self.approval else None,
            "sensitive": [".".join(path) for path in self.sensitive],
        }

    def key_fields(self) -> tuple[str, ...]:
        """The placeholders of the idempotency template."""
        return template_fields(self.idempotency) if self.idempotency else ()


def template_fields(template: str) -> tuple[str, ...]:
    """The placeholders of ``"refund:{order_id}:{workflow_id}"``.

    Raises:
        ContractError: if the template is malformed, or uses conversions, formats or indexing.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as broken:
        raise ContractError(f"idempotency: {template!r} is malformed: {broken}") from None
    fields = []
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if spec or conversion or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*", name):
            raise ContractError(f"idempotency: {{{name}}} must be a plain field name, such as {{order_id}}")
        fields.append(name)
    return tuple(fields)


LONGEST_TIMEOUT: Final = 366 * 24 * 3600.0
"""Seconds. A moment that lies further off may be in no calendar, and in no column of a store."""


def check(contract: Contract) -> None:  # noqa: C901 - one line a rule
    """Refuse what cannot work or contradicts itself; what is merely unwise is the checklist's.

    Raises:
        ContractError: naming the keyword to change.
    """
    where = f"tool {contract.name!r}"
    if not NAME.fullmatch(contract.name):
        raise ContractError(
            f"{where}: a name is lower case letters, digits and _, at most 64, starting with a letter"
        )
    properties = contract.input_schema.get("properties", {})
    if taken := RESERVED_FIELDS & set(properties):
        raise ContractError(f"{where}: rename the field {min(taken)!r}; only the application may choose it")
    if contract.approval is not None:
        _check_conditions(contract.approval, contract.input_schema, where)
    if contract.idempotency is not None:
        _check_key(contract, properties, where)
    if not contract.has_effects:
        _check_read(contract, where)
    if contract.asks:
        _check_asking(contract, where)
    if not 0 < contract.timeout <= LONGEST_TIMEOUT:
        raise ContractError(f"{where}: timeout= is more than nothing and at most 366 days")
    if contract.asks and contract.job is not None:
        raise ContractError(
            f"{where}: job= and NeedsInput exclude each other; nobody waits for a job's question"
        )
    if contract.honours_key and contract.idempotency is None:
        raise ContractError(f"{where}: honours_key=True needs idempotency=, the key that downstream knows")
    if contract.concurrency is not None and contract.concurrency < 1:
        raise ContractError(f"{where}: concurrency= is at least 1")
    if contract.approval_waiver is not None and len(contract.approval_waiver.strip()) < SHORTEST_WAIVER:
        raise ContractError(
            f"{where}: approval_waiver= is the reason why no person is asked; "
            f"write at least {SHORTEST_WAIVER} characters"
        )


def _check_asking(contract: Contract, where: str) -> None:
    """What runs is what was agreed to: nobody agrees to answers that come later."""
    if contract.has_effects:
        raise ContractError(
            f"{where}: NeedsInput is for effect='read'; let a tool with effects take arguments"
        )
    if contract.approval is not None:
        raise ContractError(
            f"{where}: approval= and NeedsInput exclude each other; make the answers arguments"
        )
    if contract.isolation == "process":
        raise ContractError(f"{where}: NeedsInput is not built for isolation='process'")


def _check_key(contract: Contract, properties: Mapping[str, Any], where: str) -> None:
    fields = template_fields(contract.idempotency or "")
    if not fields:
        raise ContractError(f"{where}: idempotency= names no field, so every call would share one key")
    for name in fields:
        if name != WORKFLOW_FIELD and not is_argument(contract.input_schema, name):
            raise ContractError(f"{where}: idempotency= names {{{name}}}, which is no argument of the tool")
    if WORKFLOW_FIELD in properties:
        raise ContractError(
            f"{where}: rename the field 'workflow_id'; the application chooses it, not the model"
        )


def _check_conditions(approval: Approval, schema: Mapping[str, Any], where: str) -> None:
    """A condition on what is no argument would ask each time, which nobody means."""
    for part in approval.parts:
        for path in part.when if isinstance(part.when, Mapping) else ():
            if not is_argument(schema, path):
                known = ", ".join(sorted(schema.get("properties", {}))) or "none"
                raise ContractError(
                    f"{where}: approval.when: {path!r} is no argument of the tool; it has {known}"
                )


def is_argument(schema: Mapping[str, Any], path: str) -> bool:
    """Whether the dotted ``path`` may lead to a value. What a union or an open mapping holds is not known before."""
    node: Mapping[str, Any] = schema
    for part in path.split("."):
        if "$ref" in node:
            node = schema.get("$defs", {}).get(str(node["$ref"]).rpartition("/")[2], {})
        if node.get("type") == "array" and part.isdigit():
            node = node.get("items", {})
            continue
        if "properties" not in node:
            return node.get("type") not in {"string", "integer", "number", "boolean", "array", "null"}
        if part not in node["properties"]:
            return False
        node = node["properties"][part]
    return True


def _check_read(contract: Contract, where: str) -> None:
    if contract.idempotency is not None or contract.honours_key:
        raise ContractError(f"{where}: idempotency= is for tools with effects; a read needs no key")
    if contract.reconcile is not None:
        raise ContractError(f"{where}: reconcile= is for tools with effects; a read leaves nothing in doubt")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
