"""What is known of one tool before it is judged: from a contract, or from a definition that somebody published.

Here: the facts, in the same words for both. Not here: reading a definition (`definitions`) and judging (`review`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from toolgate.domain.checklist.long_work import takes_steps
from toolgate.domain.checklist.places import Place, places
from toolgate.domain.schema import Shape

if TYPE_CHECKING:
    from toolgate.domain.contract import Contract, Effect, Retry
    from toolgate.domain.errors import ToolError
    from toolgate.domain.sensitive import SensitivePath
    from toolgate.domain.tool import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """The facts about one tool. ``None`` means that nothing was said.

    Attributes:
        contract: the contract, where there is one.
        runs: whether there is a function behind it, which an answer can be tried on.
        overlaid: whether it is an upstream's, and its contract an overlay in ``toolgate.toml``.
        external: whether it leaves the house; where nothing was said of a tool with effects it is taken to.
        external_said: whether that was said.
        repeatable: a published definition's word that a second call changes nothing more.
        approval: who is asked and when, in words.
        own_word: nobody is asked but whoever calls.
        job: whether it runs as a job.
        isolated: whether it runs in a process of its own.
        takes_steps: whether its function asks for durable steps.
        tests: where a published definition says that it is tested without a model.
    """

    name: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None = None
    contract: Contract | None = None
    runs: bool = False
    overlaid: bool = False
    takes_context: bool = True
    effect: Effect | None = None
    external: bool = False
    external_said: bool = True
    repeatable: bool = False
    roles: frozenset[str] | Literal["anyone"] = frozenset()
    authorize: str | None = None
    timeout: float | None = None
    retries: Retry | None = None
    idempotency: str | None = None
    honours_key: bool = False
    reconcile: str | None = None
    approval: str | None = None
    own_word: bool = False
    approval_waiver: str | None = None
    raises: tuple[str, ...] = ()
    error_types: tuple[type[ToolError], ...] = ()
    sensitive: tuple[SensitivePath, ...] = ()
    tags: frozenset[str] = frozenset()
    job: bool = False
    isolated: bool = False
    takes_steps: bool = False
    tests: str | None = None
    arguments: tuple[Place, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "arguments", tuple(places(self.input_schema)))

    def mend(self, how: str, *, overlay: str | None = None) -> str:
        """How to mend the contract, and where it is written; ``overlay`` is the same for a tool of an upstream."""
        if self.overlaid and overlay is not None:
            return f"{overlay}; in its overlay"
        return how if self.runs else f'{how}; in _meta, under "toolgate/contract"'

    @property
    def has_effects(self) -> bool:
        """Whether it may change the world. Unsaid counts as yes."""
        return self.effect is None or self.effect.value != "read"


def exhibit_of(tool: Tool[Any, Any]) -> Exhibit:
    """The facts about a tool that has a contract."""
    contract = tool.contract
    return Exhibit(
        name=contract.name,
        description=contract.description,
        input_schema=contract.input_schema,
        output_schema=contract.output_schema,
        contract=contract,
        runs=True,
        overlaid=not isinstance(tool.input, Shape),
        takes_context=tool.takes_context,
        effect=contract.effect if contract.effect_declared else None,
        external=contract.external,
        roles=contract.roles,
        authorize=contract.authorize,
        timeout=contract.timeout if contract.timeout_declared else None,
        retries=contract.retries,
        idempotency=contract.idempotency,
        honours_key=contract.honours_key,
        reconcile=contract.reconcile,
        approval=_spoken(contract),
        own_word=contract.approval is not None and all(part.own for part in contract.approval.parts),
        approval_waiver=contract.approval_waiver,
        raises=contract.raises,
        error_types=tool.raises,
        sensitive=contract.sensitive,
        tags=contract.tags,
        job=contract.job is not None,
        isolated=contract.isolation == "process",
        takes_steps=tool.takes_context and takes_steps(tool.function),
    )


def _spoken(contract: Contract) -> str | None:
    if contract.approval is None:
        return None
    approval = contract.approval
    people = f"{approval.quorum} of {approval.who}" if approval.quorum > 1 else approval.who
    return f"{people} {'always' if approval.when is None else 'under a condition'}"
