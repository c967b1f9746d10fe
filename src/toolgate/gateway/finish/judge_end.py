"""From how the run ended to what it means: status, effect on the world, words. Pure but for the redactor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolgate.domain.errors import BusinessRule, NeedsApproval, ToolError
from toolgate.domain.lifecycle import EffectCause
from toolgate.domain.names import label
from toolgate.domain.outcome import ERRORS, Advice, ErrorType, WorldEffect
from toolgate.domain.questions import NeedsInput
from toolgate.domain.redaction import redact_text
from toolgate.domain.retry import FailureClass
from toolgate.gateway.attempts import Ended, Raised
from toolgate.gateway.finish.check_result import BadResult, Checked, check_result

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall

MAX_MESSAGE = 2000
MAX_CODE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How the call ends. ``checked`` is the result where there is one to give, ``asks`` what the tool wants first."""

    effect: WorldEffect
    error_type: ErrorType | None = None
    checked: Checked | None = None
    message: str | None = None
    code: str | None = None
    advice: Advice | None = None
    reasons: tuple[str, ...] = ()
    healthy: bool = True
    asks: NeedsInput | None = None

    @property
    def cause(self) -> EffectCause:
        """The ledger's transition for it."""
        return {
            WorldEffect.APPLIED: EffectCause.SETTLED_APPLIED,
            WorldEffect.NONE: EffectCause.SETTLED_NOT_APPLIED,
            WorldEffect.UNKNOWN: EffectCause.IN_DOUBT,
        }[self.effect]

    def kept(self) -> dict[str, Any]:
        """What a replay needs to give the same answer."""
        if self.checked is not None:
            return {}
        kept = {
            "message": self.message,
            "code": self.code,
            "advice": self.advice.value if self.advice else None,
        }
        return {name: value for name, value in kept.items() if value is not None}


def judge_end(sealed: SealedCall, ended: Ended, *, limit: int) -> Judgement:
    """The truth about a run that ended within its deadline."""
    writes = sealed.contract.has_effects
    if isinstance(ended, Raised):
        return _raised(ended, writes=writes, asks=sealed.contract.asks)
    checked = check_result(sealed, ended.value, limit=limit)
    effect = WorldEffect.APPLIED if writes else WorldEffect.NONE
    if isinstance(checked, BadResult):
        message = (
            "It was done, but the tool's answer breaks its contract and is withheld. Do not repeat it."
            if writes
            else None
        )
        return Judgement(
            effect=effect, error_type=ErrorType.INVALID_RESULT, message=message, reasons=(checked.reason,)
        )
    return Judgement(effect=effect, checked=checked)


def timed_out(*, writes: bool, dispatched: bool, seconds: float) -> Judgement:
    """The deadline passed. A dispatched write may have happened; anything else did nothing."""
    reason = (f"the deadline of {seconds:g} s passed",)
    if writes and dispatched:
        message = (
            f"No answer within {seconds:g} s. It may or may not have happened. Do not repeat it, and do not report it "
            "as done or as failed; a person or the gate will find out."
        )
        return Judgement(
            effect=WorldEffect.UNKNOWN,
            error_type=ErrorType.OUTCOME_UNKNOWN,
            message=message,
            reasons=reason,
            healthy=False,
        )
    return Judgement(effect=WorldEffect.NONE, error_type=ErrorType.TIMEOUT, reasons=reason, healthy=False)


def called_off() -> Judgement:
    """Nobody waits for the call any more, and it changed nothing."""
    return Judgement(
        effect=WorldEffect.NONE, error_type=ErrorType.CANCELLED, reasons=("nobody waits for it any more",)
    )


def _raised(ended: Raised, *, writes: bool, asks: bool) -> Judgement:
    error = ended.error
    reason = (f"{type(error).__name__}: {ended.failure.value}",)
    if ended.applied and writes:
        return Judgement(
            effect=WorldEffect.APPLIED,
            error_type=ErrorType.TOOL_ERROR,
            message=_said(error),
            code=_code(error),
            reasons=reason,
        )
    if ended.in_doubt:
        return Judgement(
            effect=WorldEffect.UNKNOWN, error_type=ErrorType.OUTCOME_UNKNOWN, reasons=reason, healthy=False
        )
    if isinstance(error, NeedsInput):
        return _asks(error, ended, reason) if asks else _asks_undeclared(reason)
    if isinstance(error, ToolError):
        return _declared(error, ended.failure, reason)
    if ended.failure is FailureClass.CONNECTION:
        return Judgement(
            effect=WorldEffect.NONE, error_type=ErrorType.UPSTREAM_UNAVAILABLE, reasons=reason, healthy=False
        )
    return Judgement(effect=WorldEffect.NONE, error_type=ErrorType.INTERNAL_ERROR, reasons=reason)


def _declared(error: ToolError, failure: FailureClass, reason: tuple[str, ...]) -> Judgement:
    if failure in {FailureClass.DECLARED_NONE, FailureClass.CONNECTION}:
        return Judgement(
            effect=WorldEffect.NONE,
            error_type=ErrorType.UPSTREAM_UNAVAILABLE,
            message=_said(error),
            code=_code(error),
            reasons=reason,
            healthy=False,
        )
    advice = Advice.STOP if isinstance(error, BusinessRule | NeedsApproval) else None
    return Judgement(
        effect=WorldEffect.NONE,
        error_type=ErrorType.TOOL_ERROR,
        message=_said(error),
        code=_code(error),
        advice=advice,
        reasons=reason,
    )


def _asks(error: NeedsInput, ended: Raised, reason: tuple[str, ...]) -> Judgement:
    unfit = tuple(f"the answer to {key!r} is none: {why}" for key, why in (ended.misfits or {}).items())
    return Judgement(
        effect=WorldEffect.NONE,
        error_type=ErrorType.TOOL_ERROR,
        message=_said(error),
        code=_code(error),
        reasons=(*reason, *unfit),
        asks=error,
    )


def _asks_undeclared(reason: tuple[str, ...]) -> Judgement:
    why = "it raises NeedsInput, and its contract does not say so in raises="
    return Judgement(effect=WorldEffect.NONE, error_type=ErrorType.INTERNAL_ERROR, reasons=(*reason, why))


def _said(error: Exception) -> str | None:
    text = error.message if isinstance(error, ToolError) else ""
    return redact_text(text)[:MAX_MESSAGE] or None


def _code(error: Exception) -> str | None:
    return label(error.error_code, limit=MAX_CODE)[:MAX_CODE] if isinstance(error, ToolError) else None


def rule_status(error_type: ErrorType | None) -> str:
    """The row's status for an error type; ``succeeded`` without one."""
    return "succeeded" if error_type is None else ERRORS[error_type].status.value
