"""Toolgate: the gate between a model and your systems.

Everything public is here. ``gateway/spine.py`` shows the whole pipeline; ``domain/`` holds the rules.
"""

from toolgate.adapters.guards import ConfinedDirectory, guarded_async_client, guarded_client
from toolgate.bootstrap import Gateway
from toolgate.domain.approval import Approval, ApprovalFact
from toolgate.domain.argument_types import (
    LOOPBACK,
    AllowedUrl,
    ConfinedPath,
    Currency,
    EmailAddress,
    Identifier,
    InternalHost,
    Money,
    MoneyRange,
    PlainText,
)
from toolgate.domain.caller import Applied, Caller, Denied, NotApplied
from toolgate.domain.context import ToolContext
from toolgate.domain.contract import Contract, Effect, Retry
from toolgate.domain.errors import (
    BusinessRule,
    ConfigurationError,
    ContractError,
    NeedsApproval,
    NotBuiltYet,
    OutcomeError,
    StoreInDoubt,
    StoreUnavailable,
    ToolError,
    ToolgateError,
    TransientError,
    UsageError,
)
from toolgate.domain.limits import Breaker, Limits, Rate
from toolgate.domain.outcome import (
    Advice,
    ErrorType,
    Failed,
    Outcome,
    PendingApproval,
    Refused,
    Started,
    Status,
    Succeeded,
    Unknown,
    WorldEffect,
)
from toolgate.domain.sensitive import Sensitive
from toolgate.domain.tool import Tool, tool

__all__ = [
    "Advice",
    "AllowedUrl",
    "Applied",
    "Approval",
    "ApprovalFact",
    "Breaker",
    "BusinessRule",
    "Caller",
    "ConfigurationError",
    "ConfinedDirectory",
    "ConfinedPath",
    "Contract",
    "ContractError",
    "Currency",
    "Denied",
    "Effect",
    "EmailAddress",
    "ErrorType",
    "Failed",
    "Gateway",
    "Identifier",
    "InternalHost",
    "LOOPBACK",
    "Limits",
    "Money",
    "MoneyRange",
    "NeedsApproval",
    "NotApplied",
    "NotBuiltYet",
    "Outcome",
    "OutcomeError",
    "PendingApproval",
    "PlainText",
    "Rate",
    "Refused",
    "Retry",
    "Sensitive",
    "Started",
    "Status",
    "StoreInDoubt",
    "StoreUnavailable",
    "Succeeded",
    "Tool",
    "ToolContext",
    "ToolError",
    "ToolgateError",
    "TransientError",
    "Unknown",
    "UsageError",
    "WorldEffect",
    "guarded_async_client",
    "guarded_client",
    "tool",
]
