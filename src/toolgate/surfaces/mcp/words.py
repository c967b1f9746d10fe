"""What a model is told of a tool beside its author's words: what it does, who may be asked, what repeating it does.

Each line follows from the contract and is true whatever the arguments. Who decides is nobody's business here. Not here:
schemas and hints (``listing``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from toolgate.domain.approval import spoken
from toolgate.domain.contract import WORKFLOW_FIELD, Effect
from toolgate.domain.idempotency import needs_workflow
from toolgate.domain.sensitive import ANY_DEPTH, EACH

if TYPE_CHECKING:
    from toolgate.domain.approval import Approval
    from toolgate.domain.contract import Contract

GET_CALL: Final = "get_call"
GET_JOB: Final = "get_job"
_EFFECTS: Final = {
    Effect.READ: "Effect: none, it only reads",
    Effect.WRITE: "Effect: it changes data",
    Effect.DESTRUCTIVE: "Effect: it may delete or overwrite data for good",
}
_PER: Final = {1.0: "a second", 60.0: "a minute", 3600.0: "an hour", 86_400.0: "a day"}


def description(contract: Contract) -> str:
    """The author's description, and below it what the contract says."""
    lines = [
        _effect(contract),
        *_asking(contract),
        *_job(contract),
        *_approval(contract),
        *_repeating(contract),
        _limits(contract),
    ]
    return "\n".join([contract.description, "", *lines]).strip()


def may_wait(contract: Contract) -> bool:
    """Whether a call may be answered before it ended: the contract asks a person, or the business may."""
    return contract.approval is not None or contract.has_effects or contract.job is not None


def _effect(contract: Contract) -> str:
    return f"{_EFFECTS[contract.effect]}{', outside this organisation too' if contract.external else ''}."


def _asking(contract: Contract) -> list[str]:
    return ["It may ask the user for input before it answers."] if contract.asks else []


def _job(contract: Contract) -> list[str]:
    if contract.job is None:
        return []
    words = "It takes long and runs as a job: the answer is started, with a job_id, at once."
    return [f"{words} Ask {GET_JOB} with it instead of calling again."]


def _approval(contract: Contract) -> list[str]:
    if contract.approval is None:
        return []
    asked = sorted({_asked(part, contract) for part in contract.approval.parts})
    meanwhile = (
        f"Until somebody has decided the answer is pending_approval: nothing ran yet. Ask {GET_CALL} with its call_id "
        "instead of calling again."
    )
    return [*asked, meanwhile]


def _asked(part: Approval, contract: Contract) -> str:
    who = "The user has to confirm" if part.own else "A person has to approve"
    if part.when is None:
        return f"{who} each call before it runs."
    if isinstance(part.when, Mapping) and not _hidden(part.when, contract):
        return f"{who} a call before it runs where {spoken(part.when)}."
    return f"{who} a call before it runs, depending on its arguments."


def _hidden(when: Mapping[str, object], contract: Contract) -> bool:
    """Whether a condition tells something of a sensitive argument."""
    first = {path[0] for path in contract.sensitive if path}
    return not first.isdisjoint({EACH, ANY_DEPTH}) or any(path.split(".")[0] in first for path in when)


def _repeating(contract: Contract) -> list[str]:
    if not contract.has_effects:
        return []
    if contract.idempotency is None:
        return ["Each call is an action of its own: do not repeat one whose answer was unknown."]
    within = " for the same piece of work" if needs_workflow(contract) else ""
    again = f"Calling it again with the same arguments{within} does not do it twice"
    lines = [f"{again}: once it was done, the recorded answer comes back."]
    if needs_workflow(contract):
        lines.append(
            f"It needs a {WORKFLOW_FIELD}, which the application sends beside the call; it is no argument."
        )
    return lines


def _limits(contract: Contract) -> str:
    parts = [f"at most {contract.timeout:g} s a {'call' if contract.job is None else 'job'}"]
    if (rate := contract.rate_limit) is not None:
        times = "once" if rate.count == 1 else f"{rate.count} times"
        unit = _PER.get(rate.per)
        parts.append(f"{times} {unit or f'in {rate.per:g} s'} for each caller")
    return f"Limits: {', '.join(parts)}."
