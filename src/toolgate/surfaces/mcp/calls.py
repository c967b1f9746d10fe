"""A call over MCP: what its parameters say about it, and its outcome as a result. Plain dicts in and out.

Nothing of the SDK is imported here: whoever serves ``tools/call`` without it uses the same functions. Not here: how
parameters arrive, and any decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.names import MAX_RATIONALE, MAX_USER_INPUT, label, name_problem, traceparent
from toolgate.domain.outcome import ErrorType, Refused

if TYPE_CHECKING:
    from toolgate.domain.outcome import Outcome
    from toolgate.surfaces.mcp.asked import Asked

WORKFLOW: Final = "dev.toolgate/workflow_id"
MODEL: Final = "dev.toolgate/model"
RATIONALE: Final = "dev.toolgate/rationale"
USER_INPUT: Final = "dev.toolgate/user_input"
"""Keys of ``_meta`` of a request."""
TRACEPARENT: Final = "traceparent"
"""In ``_meta``, and as a header for a client whose HTTP library traces."""
WORKFLOW_HEADER: Final = "Toolgate-Workflow-Id"
INVALID_PARAMS: Final = -32602
"""JSON-RPC 2.0, section 5.1."""
_SHOWN: Final = 100
"""Characters of a name that nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """What somebody asks for, as ``Gate.request`` takes it."""

    tool: str
    workflow: str | None
    model: str | None
    user_input: str | None
    rationale: str | None
    trace: str | None
    reports: bool


@dataclass(frozen=True, slots=True)
class Malformed:
    """Parameters that cannot be used, in words for the integrator. JSON-RPC error −32602."""

    words: str


def read_call(params: Mapping[str, Any], asked: Asked) -> CallRequest | Malformed:
    """The request that ``params`` of ``tools/call`` say. ``reports``: whether progress is asked for."""
    name, meta = params.get("name"), params.get("_meta") or {}
    if not isinstance(name, str):
        return Malformed("params.name is the name of a tool")
    if not isinstance(meta, Mapping):
        return Malformed("params._meta is an object")
    workflow = _workflow(meta, asked)
    if isinstance(workflow, Malformed):
        return workflow
    for key, value in ((WORKFLOW, workflow), (MODEL, meta.get(MODEL))):
        if value is not None and (problem := name_problem(value, of=f"_meta {key!r}")) is not None:
            return Malformed(problem)
    for key, most in ((RATIONALE, MAX_RATIONALE), (USER_INPUT, MAX_USER_INPUT)):
        said = meta.get(key)
        if said is not None and not (isinstance(said, str) and len(said) <= most):
            return Malformed(f"_meta {key!r} is a text of at most {most} characters")
    return CallRequest(
        tool=name,
        workflow=workflow,
        model=meta.get(MODEL),
        user_input=meta.get(USER_INPUT),
        rationale=meta.get(RATIONALE),
        trace=traceparent(meta.get(TRACEPARENT)) or asked.trace,
        reports=meta.get("progressToken") is not None,
    )


def _workflow(meta: Mapping[str, Any], asked: Asked) -> Any:
    """The piece of work. The header is the host application's, which may not reach ``_meta``."""
    said = meta.get(WORKFLOW)
    if len(asked.workflows) > 1:
        return Malformed(f"the header {WORKFLOW_HEADER} stands there more than once")
    header = asked.workflows[0] if asked.workflows else None
    if (
        header is not None
        and (problem := name_problem(header, of=f"the header {WORKFLOW_HEADER}")) is not None
    ):
        return Malformed(problem)
    if said is not None and header is not None and said != header:
        return Malformed(
            f"_meta {WORKFLOW!r} and the header {WORKFLOW_HEADER} name two pieces of work; send one"
        )
    if said is not None:
        return said
    return asked.workflow if header is None else header


def is_unknown_tool(outcome: Outcome[Any]) -> bool:
    """Whether there is no such tool for this caller: a protocol error (MCP, server/tools, "Error Handling")."""
    return isinstance(outcome, Refused) and outcome.error_type is ErrorType.UNKNOWN_TOOL


def unknown_tool(name: str) -> str:
    """The words of that error, which a span may keep."""
    return f"Unknown tool: {label(name, limit=_SHOWN)}"


def result_of(outcome: Outcome[Any]) -> dict[str, Any]:
    """The ``CallToolResult`` of an outcome."""
    return dict(outcome.to_mcp())
