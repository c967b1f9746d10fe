"""What a call answers: six outcomes, one table of error types, and the JSON that a model gets.

``ERRORS`` is the only place that maps an ``error_type`` to a status, to what it did to the world and to
what to do next; the reference page is generated from it. Not here: deciding which outcome a call has.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Generic, NoReturn, TypeVar

from toolgate.domain.content import Content
from toolgate.domain.errors import OutcomeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.questions import Form, Roots, Sample

R = TypeVar("R")
OUTCOME_META: Final = "dev.toolgate/outcome"
"""The key in an MCP result's ``_meta`` for what an outcome says beside its content."""


class Status(StrEnum):
    """How a call stands."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    PENDING_APPROVAL = "pending_approval"
    STARTED = "started"
    FAILED = "failed"
    UNKNOWN = "unknown"


class WorldEffect(StrEnum):
    """What happened to the world."""

    NONE = "none"
    APPLIED = "applied"
    UNKNOWN = "unknown"


class Advice(StrEnum):
    """What to do next."""

    NONE = "none"
    FIX_ARGUMENTS = "fix_arguments"
    RETRY = "retry"
    RETRY_LATER = "retry_later"
    WAIT_FOR_APPROVAL = "wait_for_approval"
    CHECK_JOB = "check_job"
    ASK_HUMAN = "ask_human"
    STOP = "stop"


class ErrorType(StrEnum):
    """Stable codes: new ones may come, none changes its meaning."""

    UNKNOWN_TOOL = "unknown_tool"
    INVALID_ARGUMENTS = "invalid_arguments"
    PERMISSION_DENIED = "permission_denied"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    CIRCUIT_OPEN = "circuit_open"
    CONTRACT_CHANGED = "contract_changed"
    APPROVAL_DENIED = "approval_denied"
    APPROVAL_EXPIRED = "approval_expired"
    IDEMPOTENCY_IN_FLIGHT = "idempotency_in_flight"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    TOOL_ERROR = "tool_error"
    INVALID_RESULT = "invalid_result"
    TOOL_QUARANTINED = "tool_quarantined"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    OUTCOME_UNKNOWN = "outcome_unknown"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One row of the table: the status and advice of an error type, and its words where a call has no better."""

    status: Status
    effect: WorldEffect
    advice: Advice
    message: str


_REFUSED, _FAILED, _UNKNOWN = Status.REFUSED, Status.FAILED, Status.UNKNOWN
_NONE = WorldEffect.NONE

ERRORS: Mapping[ErrorType, ErrorRule] = MappingProxyType(
    {
        ErrorType.UNKNOWN_TOOL: ErrorRule(
            _REFUSED, _NONE, Advice.STOP, "There is no such tool for this caller. Use a tool from the list."
        ),
        ErrorType.INVALID_ARGUMENTS: ErrorRule(
            _REFUSED, _NONE, Advice.FIX_ARGUMENTS, "The arguments do not fit the tool's input schema."
        ),
        ErrorType.PERMISSION_DENIED: ErrorRule(
            _REFUSED, _NONE, Advice.STOP, "This caller may not do this. Asking again will not change that."
        ),
        ErrorType.RATE_LIMITED: ErrorRule(
            _REFUSED, _NONE, Advice.RETRY_LATER, "Too many calls in a short time. Wait before the next one."
        ),
        ErrorType.OVERLOADED: ErrorRule(
            _REFUSED, _NONE, Advice.RETRY_LATER, "Too much is running at this moment. Nothing was started."
        ),
        ErrorType.CIRCUIT_OPEN: ErrorRule(
            _REFUSED,
            _NONE,
            Advice.RETRY_LATER,
            "What this tool depends on keeps failing. Nothing was started.",
        ),
        ErrorType.CONTRACT_CHANGED: ErrorRule(
            _REFUSED, _NONE, Advice.RETRY, "The tool changed since this was approved. Nothing ran; ask anew."
        ),
        ErrorType.APPROVAL_DENIED: ErrorRule(
            _REFUSED, _NONE, Advice.STOP, "A person denied this action. Nothing ran. Do not ask for it again."
        ),
        ErrorType.APPROVAL_EXPIRED: ErrorRule(
            _REFUSED,
            _NONE,
            Advice.ASK_HUMAN,
            "Nobody approved this in time, or it was withdrawn. Nothing ran.",
        ),
        ErrorType.IDEMPOTENCY_IN_FLIGHT: ErrorRule(
            _REFUSED,
            _NONE,
            Advice.RETRY_LATER,
            "The same action is running already. This call started nothing.",
        ),
        ErrorType.IDEMPOTENCY_CONFLICT: ErrorRule(
            _REFUSED,
            _NONE,
            Advice.STOP,
            "This piece of work already used its key with something else. Nothing ran.",
        ),
        ErrorType.TIMEOUT: ErrorRule(
            _FAILED, _NONE, Advice.RETRY, "The tool took too long and was given up. It changed nothing."
        ),
        ErrorType.CANCELLED: ErrorRule(
            _FAILED, _NONE, Advice.RETRY, "The call was cancelled before it changed anything."
        ),
        ErrorType.UPSTREAM_UNAVAILABLE: ErrorRule(
            _FAILED,
            _NONE,
            Advice.RETRY,
            "What this tool depends on could not be reached. It changed nothing.",
        ),
        ErrorType.TOOL_ERROR: ErrorRule(
            _FAILED, _NONE, Advice.ASK_HUMAN, "The tool reports that it could not do this."
        ),
        ErrorType.INVALID_RESULT: ErrorRule(
            _FAILED,
            _NONE,
            Advice.ASK_HUMAN,
            "The tool answered with something its contract does not allow; withheld.",
        ),
        ErrorType.TOOL_QUARANTINED: ErrorRule(
            _REFUSED,
            _NONE,
            Advice.ASK_HUMAN,
            "This tool changed without review and is set aside. Nothing ran.",
        ),
        ErrorType.AUDIT_UNAVAILABLE: ErrorRule(
            _REFUSED,
            _NONE,
            Advice.RETRY_LATER,
            "The audit trail cannot be written, so nothing may run or be told.",
        ),
        ErrorType.OUTCOME_UNKNOWN: ErrorRule(
            _UNKNOWN,
            WorldEffect.UNKNOWN,
            Advice.ASK_HUMAN,
            "It is not known whether this happened. Do not repeat it, and do not report it as done or as failed.",
        ),
        ErrorType.INTERNAL_ERROR: ErrorRule(
            _FAILED, _NONE, Advice.ASK_HUMAN, "The tool failed in an unexpected way. A person has to look."
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """``edited``: the arguments that an approver put in place of those asked for, sensitive values replaced."""

    call_id: str
    effect: WorldEffect = WorldEffect.NONE
    advice: Advice = Advice.NONE
    replayed: bool = False
    reasons: tuple[str, ...] = ()
    edited: Mapping[str, JsonValue] | None = None

    @property
    def ok(self) -> bool:
        """Whether there is a result."""
        return False

    def _body(self) -> dict[str, JsonValue]:
        raise NotImplementedError

    def to_model(self) -> dict[str, JsonValue]:
        """The JSON that the model gets: nothing internal, bounded, and true about the world."""
        body = self._body()
        body["advice"] = self.advice.value
        body["effect"] = self.effect.value
        body["call_id"] = self.call_id
        if self.replayed:
            body["replayed"] = True
        if self.edited is not None:
            body["edited"] = dict(self.edited)
        return body

    def to_mcp(self) -> dict[str, JsonValue]:
        """The same as an MCP ``CallToolResult``: text, ``structuredContent`` and ``isError``.

        Held and started calls are no errors (MCP 2025-06-18, tools: errors of execution). Of a result that is
        ``Content`` the blocks themselves are the content, without ``structuredContent``; the rest of the outcome stands
        beside them in ``_meta``, under ``OUTCOME_META``.
        """
        return mcp_result(self.to_model())


def mcp_result(body: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The JSON of an outcome as a ``CallToolResult``."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    failed = body.get("status") in {"refused", "failed", "unknown"}
    return {"content": [{"type": "text", "text": text}], "structuredContent": dict(body), "isError": failed}


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded(_Outcome, Generic[R]):
    """The tool did it, its result fits the contract, and the trail says so.

    ``result`` is typed as the tool's return value; ``shown`` is the JSON for the model, cut to the limit
    where ``truncated``.
    """

    result: R
    shown: bytes = b"null"
    truncated: bool = False
    status: Status = Status.SUCCEEDED

    @property
    def ok(self) -> bool:
        return True

    def unwrap(self) -> R:
        """The result."""
        return self.result

    def to_mcp(self) -> dict[str, JsonValue]:
        # ``super()`` without arguments does not find a class that was made anew for its slots.
        if type(self.result) is not Content:
            return _Outcome.to_mcp(self)
        body = self.to_model()
        shown = body.pop("result")
        assert isinstance(shown, dict)
        return {"content": shown["content"], "isError": False, "_meta": {OUTCOME_META: body}}

    def _body(self) -> dict[str, JsonValue]:
        body: dict[str, JsonValue] = {"ok": True, "status": "succeeded", "result": json.loads(self.shown)}
        if self.truncated:
            body["truncated"] = True
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unsuccessful(_Outcome):
    error_type: ErrorType
    message: str
    code: str | None = None
    retry_after: float | None = None
    approval_id: str | None = None

    @property
    def status(self) -> Status:
        raise NotImplementedError

    def unwrap(self) -> NoReturn:
        """Raise: there is no result.

        Raises:
            OutcomeError: always, with the words the model would get.
        """
        raise OutcomeError(self.message, error_type=self.error_type.value, call_id=self.call_id)

    def _body(self) -> dict[str, JsonValue]:
        body: dict[str, JsonValue] = {
            "ok": False,
            "status": self.status.value,
            "error_type": self.error_type.value,
            "message": self.message,
        }
        if self.code is not None:
            body["code"] = self.code
        if self.retry_after is not None:
            body["retry_after_s"] = round(self.retry_after, 3)
        if self.approval_id is not None:
            body["approval_id"] = self.approval_id
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(_Unsuccessful):
    """The gate, the business or a person said no: nothing ran."""

    @property
    def status(self) -> Status:
        return Status.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(_Unsuccessful):
    """It ran and failed; ``effect`` says what it did to the world.

    ``input_requests``: what the tool asks of whoever calls, by its keys, where its code is ``input_required``. For the
    application: a model is told the keys alone.
    """

    input_requests: Mapping[str, Form | Sample | Roots] = field(default_factory=dict, hash=False)

    @property
    def status(self) -> Status:
        return Status.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(_Unsuccessful):
    """It may have happened. Nothing repeats it until it is known."""

    @property
    def status(self) -> Status:
        return Status.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingApproval(_Outcome):
    """A person decides; nothing ran yet. Asking again answers the same."""

    approval_id: str
    message: str
    expires_at: str
    status: Status = Status.PENDING_APPROVAL

    def unwrap(self) -> NoReturn:
        """Raise: there is no result yet.

        Raises:
            OutcomeError: always.
        """
        raise OutcomeError(self.message, error_type=self.status.value, call_id=self.call_id)

    def _body(self) -> dict[str, JsonValue]:
        return {
            "ok": False,
            "status": self.status.value,
            "message": self.message,
            "approval_id": self.approval_id,
            "expires_at": self.expires_at,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(_Outcome):
    """A job runs; its id tells how it goes."""

    job_id: str
    message: str = "Started. Ask for the job's status with its id."
    status: Status = Status.STARTED

    def unwrap(self) -> NoReturn:
        """Raise: there is no result yet.

        Raises:
            OutcomeError: always.
        """
        raise OutcomeError(self.message, error_type=self.status.value, call_id=self.call_id)

    def _body(self) -> dict[str, JsonValue]:
        return {"ok": False, "status": self.status.value, "message": self.message, "job_id": self.job_id}


Outcome = Succeeded[R] | Refused | PendingApproval | Started | Failed | Unknown


def unsuccessful(
    error_type: ErrorType,
    *,
    call_id: str,
    message: str | None = None,
    effect: WorldEffect | None = None,
    advice: Advice | None = None,
    reasons: tuple[str, ...] = (),
    code: str | None = None,
    retry_after: float | None = None,
    approval_id: str | None = None,
    replayed: bool = False,
    ran: bool = False,
) -> Refused | Failed | Unknown:
    """The outcome that ``ERRORS`` gives for ``error_type``, with better words or a truer effect where known.

    ``ran`` turns a refusal into a failure (a result withheld because its trail cannot be written).
    """
    rule = ERRORS[error_type]
    status = Status.FAILED if ran and rule.status is Status.REFUSED else rule.status
    build: type[Refused | Failed | Unknown]
    build = {Status.REFUSED: Refused, Status.FAILED: Failed}.get(status, Unknown)
    return build(
        call_id=call_id,
        effect=rule.effect if effect is None else effect,
        advice=rule.advice if advice is None else advice,
        replayed=replayed,
        reasons=reasons,
        error_type=error_type,
        message=rule.message if message is None else message,
        code=code,
        retry_after=retry_after,
        approval_id=approval_id,
    )
