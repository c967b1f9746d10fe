"""Toolgate: the gate between a model and your systems.

Everything public is here. ``gateway/spine.py`` shows the whole pipeline; ``domain/`` holds the rules.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from toolgate.bootstrap import Gateway
from toolgate.domain.answers import Answer
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
from toolgate.domain.content import (
    Annotations,
    AudioBlock,
    BlobResource,
    Content,
    EmbeddedResource,
    ImageBlock,
    ResourceLink,
    TextBlock,
    TextResource,
)
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
from toolgate.domain.jobs import Job
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
from toolgate.domain.questions import Form, NeedsInput, Roots, Sample
from toolgate.domain.sensitive import Sensitive
from toolgate.domain.tool import Tool, tool
from toolgate.operations.validate import validate

if TYPE_CHECKING:
    from toolgate.adapters.guards import ConfinedDirectory, guarded_async_client, guarded_client

_GUARDS = frozenset({"ConfinedDirectory", "guarded_async_client", "guarded_client"})


def __getattr__(name: str) -> object:
    """The guards bring httpx with them, half of what an import would cost: they come when they are asked for."""
    if name in _GUARDS:
        return getattr(import_module("toolgate.adapters.guards"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "LOOPBACK",
    "Advice",
    "AllowedUrl",
    "Annotations",
    "Answer",
    "Applied",
    "Approval",
    "ApprovalFact",
    "AudioBlock",
    "BlobResource",
    "Breaker",
    "BusinessRule",
    "Caller",
    "ConfigurationError",
    "ConfinedDirectory",
    "ConfinedPath",
    "Content",
    "Contract",
    "ContractError",
    "Currency",
    "Denied",
    "Effect",
    "EmailAddress",
    "EmbeddedResource",
    "ErrorType",
    "Failed",
    "Form",
    "Gateway",
    "Identifier",
    "ImageBlock",
    "InternalHost",
    "Job",
    "Limits",
    "Money",
    "MoneyRange",
    "NeedsApproval",
    "NeedsInput",
    "NotApplied",
    "NotBuiltYet",
    "Outcome",
    "OutcomeError",
    "PendingApproval",
    "PlainText",
    "Rate",
    "Refused",
    "ResourceLink",
    "Retry",
    "Roots",
    "Sample",
    "Sensitive",
    "Started",
    "Status",
    "StoreInDoubt",
    "StoreUnavailable",
    "Succeeded",
    "TextBlock",
    "TextResource",
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
    "validate",
]
