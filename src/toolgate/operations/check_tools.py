"""Try what a tool declares, and answer the eleven questions about it. Nothing of the author's tool is run.

Here: feeding wrong inputs to the tool's own validator, its errors to the gate's own classification, a canary through
its own redactor, its key template and its retries through the gate's own rules. Not here: the questions and their
rules (`domain.checklist`), and the gate in memory, which whoever calls this has to provide.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from pydantic import ValidationError

from toolgate.domain.call import ReceivedCall, SealedCall, Workflow
from toolgate.domain.caller import Caller
from toolgate.domain.canonical import canonical_json
from toolgate.domain.checklist import (
    ErrorTried,
    Evidence,
    Exhibit,
    Rehearsal,
    Report,
    Source,
    Tried,
    Verdict,
    WrongInput,
    exhibit_of,
    judge,
    review,
    wrong_inputs,
)
from toolgate.domain.checklist.sensitive_names import marked_places
from toolgate.domain.checklist.wrong_inputs import Error
from toolgate.domain.contract import WORKFLOW_FIELD, Contract
from toolgate.domain.errors import ToolError
from toolgate.domain.idempotency import render_key
from toolgate.domain.outcome import WorldEffect
from toolgate.domain.redaction import Redactor
from toolgate.domain.retry import FailureClass, may_retry
from toolgate.domain.tool import Tool
from toolgate.gateway.attempts import Raised, classify
from toolgate.gateway.finish.judge_end import judge_end

Rehearse = Callable[[Tool[Any, Any]], Rehearsal]
"""Puts the tool behind a gate in memory, with a function that must not run, and sends it calls to refuse."""

SourceOf = Callable[[Tool[Any, Any]], Source | None]

_CANARY: Final = "canary-in-a-sensitive-field"
_UNTOLD: Final = "canary in the text of an error that nobody declared"
_EFFECTS: Final = (None, "none", "applied", "unknown")


def check_tools(tools: Sequence[Tool[Any, Any]], *, rehearse: Rehearse, source_of: SourceOf) -> Report:
    """The answers about tools that can be tried, in the order given."""
    return Report(
        tools=tuple(
            review(exhibit_of(tool), try_out(tool, rehearse=rehearse), source=source_of(tool))
            for tool in tools
        )
    )


def check_definitions(exhibits: Iterable[Exhibit], *, source: Source | None) -> Report:
    """The answers about published definitions: nothing can be tried, so nothing is verified."""
    return Report(tools=tuple(review(exhibit, source=source) for exhibit in exhibits))


def try_out(tool: Tool[Any, Any], *, rehearse: Rehearse) -> Evidence:
    """Everything that can be tried without running the tool."""
    contract = tool.contract
    return Evidence(
        inputs=tuple(_inputs(tool)),
        errors=tuple(_errors(tool)),
        canaries=tuple(_canaries(tool)),
        unsafe_retries=tuple(_unsafe_retries(contract)),
        one_key=_one_key(contract),
        keys_tried=contract.idempotency is not None,
        rehearsal=rehearse(tool),
    )


# --- wrong inputs ---------------------------------------------------------------------------------------------


def _inputs(tool: Tool[Any, Any]) -> Iterator[Tried]:
    for wrong in wrong_inputs(exhibit_of(tool)):
        yield _fed(tool, wrong)


def _fed(tool: Tool[Any, Any], wrong: WrongInput) -> Tried:
    try:
        errors = _complaints(tool, wrong.document)
        verdict = judge(wrong, errors)
        if verdict is Verdict.UNCLEAR and wrong.control is not None:
            verdict = judge(wrong, errors, _complaints(tool, wrong.control))
    except Exception as fault:  # noqa: BLE001 - an author's validator may raise anything, and that is the finding
        return Tried(wrong=wrong, verdict=Verdict.BROKE, fault=type(fault).__name__)
    return Tried(wrong=wrong, verdict=verdict)


def _complaints(tool: Tool[Any, Any], document: Any) -> list[Error]:
    """What the tool's own validator says of ``document``; nothing if it accepts it."""
    try:
        tool.input.load(json.dumps(document).encode())
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        return [(each["loc"], each["type"]) for each in found]
    return []


# --- failures -------------------------------------------------------------------------------------------------


def _errors(tool: Tool[Any, Any]) -> Iterator[ErrorTried]:
    for kind in tool.raises:
        yield _declared(tool, kind)
    yield _undeclared(tool, RuntimeError(_UNTOLD))
    yield _undeclared(tool, ConnectionResetError(_UNTOLD))


def _declared(tool: Tool[Any, Any], kind: type[ToolError]) -> ErrorTried:
    if kind.effect not in _EFFECTS:
        return ErrorTried(
            error=kind.__name__, code="", effect="", problem=f"effect is {kind.effect!r}, which is no effect"
        )
    try:
        error = _raised(kind)
        judged = _judged(tool, error)
        code = error.error_code
    except Exception as fault:  # noqa: BLE001 - an author's class may be anything; that it cannot be read is the finding
        return ErrorTried(
            error=kind.__name__,
            code="",
            effect="",
            problem=f"the gate cannot read it ({type(fault).__name__}); its message and code must not raise",
        )
    claims = error.effect is not None
    wanted = {"none": WorldEffect.NONE, "applied": WorldEffect.APPLIED}.get(
        error.effect or "", WorldEffect.UNKNOWN
    )
    problem = None
    if not tool.contract.has_effects:
        wanted = WorldEffect.NONE
        problem = "it says that a read changed something" if error.effect == "applied" else None
    elif judged.effect is not wanted:
        problem = f"it claims {wanted.value} and the gate would tell {judged.effect.value}"
    return ErrorTried(
        error=kind.__name__, code=code, effect=judged.effect.value, claims=claims, problem=problem
    )


def _undeclared(tool: Tool[Any, Any], error: Exception) -> ErrorTried:
    judged = _judged(tool, error)
    told = json.dumps([judged.message, judged.code, judged.reasons])
    safe = judged.effect is (WorldEffect.UNKNOWN if tool.contract.has_effects else WorldEffect.NONE)
    return ErrorTried(
        error=type(error).__name__,
        code="",
        effect=judged.effect.value,
        leaks=_UNTOLD in told,
        problem=None if safe else f"the gate would tell {judged.effect.value}",
    )


def _raised(kind: type[ToolError]) -> ToolError:
    """An error of this class. Its own constructor may want what only its author knows."""
    for given in ((), ("",)):
        try:
            return kind(*given)
        except Exception:  # noqa: BLE001, S112 - an author's constructor may raise anything at values it does not know
            continue
    error = kind.__new__(kind)
    ToolError.__init__(error)
    return error


def _judged(tool: Tool[Any, Any], error: Exception) -> Any:
    claim = error.effect if isinstance(error, ToolError) else None
    ended = Raised(
        error,
        classify(error),
        in_doubt=tool.contract.has_effects and claim != "none",
        applied=claim == "applied",
    )
    return judge_end(_sealed(tool), ended, limit=1_024)


def _sealed(tool: Tool[Any, Any]) -> SealedCall:
    """A call that was never made: the classification reads no more of it than the contract."""
    received = ReceivedCall(
        call_id="call_checklist",
        tool=tool.contract.name,
        arguments={},
        caller=Caller("checklist"),
        workflow=Workflow(id="checklist", explicit=True),
        received_at=0,
        surface="checklist",
    )
    return SealedCall(
        received=received,
        tool=tool,
        contract=tool.contract,
        args=None,
        arguments={},
        canonical=b"{}",
        fingerprint=b"",
        key=None,
        key_mac=None,
        digest=b"",
        redacted={},
    )


# --- the trail, the key, the retries --------------------------------------------------------------------------


def _canaries(tool: Tool[Any, Any]) -> Iterator[tuple[str, bool]]:
    redactor = Redactor(_digest, tool.contract.sensitive)
    for place in marked_places(exhibit_of(tool)):
        written = canonical_json(redactor.redact(place.document(_CANARY)))
        yield place.shown, _CANARY.encode() in written


def _digest(data: bytes) -> str:
    return f"digest:{hashlib.sha256(data).hexdigest()[:16]}"


def _unsafe_retries(contract: Contract) -> Iterator[str]:
    """Failures that leave in doubt what happened, after which the gate would still repeat an effect."""
    if not contract.has_effects or contract.honours_key:
        return
    for failure in (FailureClass.CONNECTION, FailureClass.DECLARED, FailureClass.UNDECLARED):
        if may_retry(contract, failure, attempt=1):
            yield failure.value


def _one_key(contract: Contract) -> str | None:
    """Why two calls that differ in a field of the key would share it, if they would."""
    if contract.idempotency is None:
        return None
    for varied in contract.key_fields():
        if _key(contract, {varied: "one"}) == _key(contract, {varied: "another"}):
            return f"two calls that differ in {varied} share one key"
    if _key(contract, {}) != _key(contract, {}):
        return "the same call has two keys"
    return None


def _key(contract: Contract, varied: dict[str, str]) -> str:
    arguments: dict[str, Any] = {}
    for path in contract.key_fields():
        holder, *deeper = path.split(".")
        value: Any = varied.get(path, "same")
        for step in reversed(deeper):
            value = {step: value}
        arguments[holder] = _joined(arguments.get(holder), value)
    workflow = Workflow(id=varied.get(WORKFLOW_FIELD, "same"), explicit=True)
    return render_key(contract, arguments, workflow)


def _joined(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **{key: _joined(one.get(key), value) for key, value in other.items()}}
    return other


def where_written(tool: Tool[Any, Any]) -> tuple[str, int] | None:
    """The file and line of the tool's function, if it has one."""
    function = inspect.unwrap(tool.function)
    code = getattr(function, "__code__", None)
    return None if code is None else (code.co_filename, code.co_firstlineno)
