"""The exceptions, one tree. A refusal is a value (``verdict``, ``outcome``) and does not belong here.

ToolgateError
├── AuthorFault            the tool's author must mend it
│   └── ContractError      a contract that cannot be built, or that nothing can grant
├── OperatorFault          configuration, keys, files
│   ├── ConfigurationError
│   └── NotBuiltYet        asked for, designed, not there: never silently ignored
├── CallerFault            the program that calls the gateway
│   ├── UsageError
│   └── OutcomeError       raised by ``Outcome.unwrap`` when there is no result to give
├── GateFault              ours, or the machine's
│   ├── StoreUnavailable   nothing was written
│   └── StoreInDoubt       a commit was sent and its answer lost
└── ToolError              raised by a tool to say, in its own words, what went wrong
    ├── TransientError     nothing happened, trying again may help
    ├── BusinessRule       the service said no, before any effect
    └── NeedsApproval      the service wants a person, before any effect

``questions.NeedsInput``, with which a tool asks whoever calls it, is a ``ToolError`` too, beside its questions.
"""

from __future__ import annotations

from typing import ClassVar, Literal

EffectClaim = Literal["none", "applied", "unknown"]
INPUT_REQUIRED = "input_required"
"""The code of ``NeedsInput``, and of nothing else."""


class ToolgateError(Exception):
    """The root of every exception that Toolgate raises on purpose."""


class AuthorFault(ToolgateError):
    """The author of a tool has to change the tool."""


class ContractError(AuthorFault, ValueError):
    """A contract is incomplete or contradicts itself. The message says which keyword to change."""


class OperatorFault(ToolgateError):
    """Whoever runs the gateway has to change its configuration or its files."""


class ConfigurationError(OperatorFault, ValueError):
    """A configured value cannot be used. The message names the key."""


class NotBuiltYet(OperatorFault, NotImplementedError):
    """A designed feature that this version does not have. Asking for it fails; it is never ignored."""


class CallerFault(ToolgateError):
    """The program that embeds the gateway used it in a way that cannot work."""


class UsageError(CallerFault, RuntimeError):
    """The gateway was used out of order, for example ``call_sync`` inside a running event loop."""


class OutcomeError(CallerFault):
    """``unwrap`` was asked for the result of a call that has none.

    ``str()`` gives the same message the model would get; ``outcome`` holds all of it.
    """

    def __init__(self, message: str, *, error_type: str, call_id: str) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.call_id = call_id


class GateFault(ToolgateError):
    """The gate, its store or its machine failed. Errors close: nothing runs because of one."""


class StoreUnavailable(GateFault):
    """A command was not written, for certain: locked, full, read-only, corrupt or closed."""


class StoreInDoubt(GateFault):
    """A COMMIT was sent and its answer was lost. The row has to be read again before anything runs."""


class ToolError(ToolgateError):
    """A failure that the author of a tool declares, in words meant for the model.

    Args:
        message: shown to the model, so it must hold no secret and nothing internal.
        effect: what this attempt did to the world. ``"none"`` promises that nothing happened;
            ``"applied"`` that it did; ``None`` (the default of this class) promises nothing, which
            a tool with effects settles as ``unknown``.
        code: a stable identifier, by default the class attribute ``code``.

    Subclasses set ``code`` and ``effect`` as class attributes.
    """

    code: ClassVar[str] = "tool_error"
    effect: EffectClaim | None = None

    def __init__(
        self, message: str = "", *, effect: EffectClaim | None = None, code: str | None = None
    ) -> None:
        super().__init__(message or _first_line(type(self)))
        if effect is not None:
            self.effect = effect
        self._own_code = code

    # An author's subclass may leave out ``super().__init__``: its class attributes still say what it is.
    _own_code: str | None = None

    @property
    def message(self) -> str:
        """The words for the model."""
        return str(self.args[0]) if self.args else _first_line(type(self))

    @property
    def error_code(self) -> str:
        """The stable identifier: the one given, or the class's ``code``."""
        return self._own_code or type(self).code

    @error_code.setter
    def error_code(self, code: str) -> None:
        self._own_code = code


def _first_line(kind: type[ToolError]) -> str:
    return ((kind.__doc__ or "").strip() or kind.__name__).splitlines()[0]


class TransientError(ToolError):
    """The attempt did nothing and another may succeed: it may be retried whatever the tool's effect."""

    code: ClassVar[str] = "transient"
    effect: EffectClaim | None = "none"


class BusinessRule(ToolError):
    """The business service refuses, before any effect. Asking again with the same values will not help."""

    code: ClassVar[str] = "business_rule"
    effect: EffectClaim | None = "none"


class NeedsApproval(ToolError):
    """The business service wants a person to agree, and has done nothing so far.

    The call settles as ``not_applied`` and becomes a hold under the same key. Once approved the tool
    runs again with ``context.approval`` set; raising this again then is a failure, not another hold.

    Args:
        reason: why a person is asked; shown to the approver and the model.
        approvers: roles that may decide; empty means those of the contract's ``approval``.
        risk: ``"low"``, ``"medium"`` or ``"high"``.
    """

    code: ClassVar[str] = "needs_approval"
    effect: EffectClaim | None = "none"

    def __init__(
        self,
        reason: str,
        *,
        approvers: frozenset[str] | set[str] = frozenset(),
        risk: Literal["low", "medium", "high"] = "medium",
    ) -> None:
        if isinstance(approvers, str):  # type: ignore[unreachable]
            raise TypeError("approvers is a set of role names, not one text: write approvers={'lead'}")
        super().__init__(reason)
        self.approvers = frozenset(approvers)
        self.risk = risk
