"""One call as steps and moments: how far it came through the spine, and what the trail tells of it, in words.

The trail holds one event per durable transition, so the gates of one pass share its moment; which of them ended a
call follows from its error type. Not here: who may see a call (``operations``), HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Reached = Literal["passed", "stopped", "waiting", "doubt", "skipped", "ahead"]
Tone = Literal["good", "warn", "bad", ""]

STEPS: Final = (
    ("found", "Found", "the contract, for a caller who may see it"),
    ("sealed", "Sealed", "arguments parsed strictly, key and digest fixed"),
    ("permission", "Permitted", "who may do this, on which object"),
    ("idempotency", "Not done before", "the key and its arguments"),
    ("budget", "Within limits", "rates, slots, breaker"),
    ("approval", "Approved", "by people, where the contract asks for them"),
    ("intent", "Intent written", "durable before anything runs"),
    ("run", "Run", "attempts under the deadline"),
    ("settled", "Settled", "outcome and audit in one transaction"),
)
"""The spine's steps in their order, as a reader names them."""

_ORDER: Final = tuple(name for name, _, _ in STEPS)

STOPPED_AT: Final[Mapping[str, str]] = {
    "unknown_tool": "found",
    "tool_quarantined": "found",
    "invalid_arguments": "sealed",
    "contract_changed": "sealed",
    "permission_denied": "permission",
    "idempotency_in_flight": "idempotency",
    "idempotency_conflict": "idempotency",
    "rate_limited": "budget",
    "overloaded": "budget",
    "circuit_open": "budget",
    "approval_denied": "approval",
    "approval_expired": "approval",
    "audit_unavailable": "intent",
}
"""The error type of a refusal → the step that said no."""

_TITLES: Final[Mapping[str, tuple[str, Tone]]] = {
    "held": ("Held: a person has to agree", "warn"),
    "requirement_raised": ("More people have to agree than before", "warn"),
    "approval_approved": ("Approved", "good"),
    "approval_denied": ("Denied", "bad"),
    "approval_expired": ("Expired: nobody decided in time", "bad"),
    "approval_cancelled": ("Withdrawn", "bad"),
    "approval_edited": ("Edited: earlier votes are void", "warn"),
    "approval_revealed": ("What is masked was shown to somebody", "warn"),
    "intended": ("Intent written, then dispatched", ""),
    "lapsed": ("Its owner's lease ran out without an outcome", "bad"),
    "job_started": ("Put into its queue: answered at once, to run as a job", ""),
    "job_requeued": ("Its worker was lost: put back into its queue", "warn"),
    "job_cancel_asked": ("Asked to end", "warn"),
    "job_cancelled": ("Cancelled before it began", "bad"),
    "job_ended": ("Ended without a run", "bad"),
    "replayed": ("Asked again: the recorded answer was given", ""),
    "late_evidence": ("A late result said what happened", "warn"),
    "incident": ("Two witnesses contradict each other", "bad"),
}

_TELLS_EFFECT: Final = frozenset(
    {"settled", "lapsed", "late_evidence", "incident", "refused", "job_cancelled", "job_ended"}
)
"""Transitions after which something is known of the world, or is known not to be; before them nothing is."""

EFFECTS: Final[Mapping[str, str]] = {
    "none": "nothing happened",
    "applied": "it happened",
    "unknown": "not known whether it happened",
}
"""What a trail's ``effect`` says of the world, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the spine and how this call fared there."""

    title: str
    says: str
    reached: Reached
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One event of the trail, for a reader."""

    title: str
    tone: Tone
    at: int | None
    actor: str | None
    words: tuple[str, ...]
    facts: tuple[str, ...]


def moments(events: Sequence[Mapping[str, Any]]) -> tuple[Moment, ...]:
    """Each event in words, in the order given."""
    return tuple(_moment(event) for event in events)


def _moment(event: Mapping[str, Any]) -> Moment:
    title, tone = _title(event)
    at = event.get("time")
    actor = event.get("actor")
    said = [str(reason) for reason in event.get("reasons", ())]
    if event.get("reason"):
        said.append(str(event["reason"]))
    return Moment(
        title=title,
        tone=tone,
        at=at if isinstance(at, int) else None,
        actor=str(actor) if actor else None,
        words=tuple(dict.fromkeys(said)),
        facts=tuple(_facts(event)),
    )


def _title(event: Mapping[str, Any]) -> tuple[str, Tone]:
    transition = str(event.get("transition") or event.get("event") or "an event")
    match transition:
        case "refused":
            step = STOPPED_AT.get(str(event.get("error_type")))
            where = next((title.lower() for name, title, _ in STEPS if name == step), None)
            return (f"Refused at “{where}”" if where else "Refused"), "bad"
        case "settled":
            return _settled(event)
        case "resolved":
            applied = event.get("effect") == "applied"
            who = "The contract's reconcile" if event.get("actor") == "reconcile" else "A person"
            return (
                f"{who} says: it {'happened' if applied else 'did not happen'}",
                "good" if applied else "warn",
            )
        case _:
            return _TITLES.get(transition, (transition.replace("_", " ").capitalize(), ""))


def _settled(event: Mapping[str, Any]) -> tuple[str, Tone]:
    status = str(event.get("status"))
    tones: dict[str, Tone] = {"succeeded": "good", "refused": "bad", "failed": "bad", "unknown": "bad"}
    return f"Settled: {status.replace('_', ' ')}", tones.get(status, "")


def _facts(event: Mapping[str, Any]) -> list[str]:
    facts = [f"through {event['through']}"] if event.get("through") else []
    if event.get("error_type"):
        facts.append(str(event["error_type"]))
    if event.get("approval_status") == "pending" and event.get("transition") == "approval_approved":
        facts.append("more people are needed")
    if event.get("toolgate.approval.voters"):
        facts.append("agreed by " + ", ".join(map(str, event["toolgate.approval.voters"])))
    if isinstance(attempts := event.get("attempts"), int):
        facts.append("1 attempt" if attempts == 1 else f"{attempts} attempts")
    if event.get("transition") in {"settled", "refused"} and isinstance(event.get("duration_ms"), int):
        facts.append(f"{event['duration_ms']} ms")
    if event.get("effect") in EFFECTS and event.get("transition") in _TELLS_EFFECT:
        facts.append(EFFECTS[str(event["effect"])])
    return facts


# --- the spine ------------------------------------------------------------------------------------------------


def spine(
    status: str, effect: str, error_type: str | None, events: Sequence[Mapping[str, Any]]
) -> tuple[Step, ...]:
    """How far a call came. ``status`` and ``error_type`` are those of its row, ``effect`` its contract's."""
    seen = {str(event.get("transition")) for event in events}
    reached = _reached(status, effect, error_type, seen)
    why = _why(events) if "stopped" in reached.values() else ""
    return tuple(
        Step(title=title, says=says, reached=reached[name], why=why if reached[name] == "stopped" else "")
        for name, title, says in STEPS
    )


def _reached(status: str, effect: str, error_type: str | None, seen: set[str]) -> dict[str, Reached]:
    stopped = STOPPED_AT.get(error_type or "") if status == "refused" else None
    if stopped is not None:
        return _until(stopped, "stopped", held="held" in seen)
    if status == "refused":
        return (
            _until("approval", "stopped", held=True)
            if "held" in seen
            else _until("found", "stopped", held=False)
        )
    if status == "pending_approval":
        return _until("approval", "waiting", held=True)
    if status == "started":
        # Its job waits for a worker, which writes the intent.
        return _until("intent", "waiting", held="held" in seen)
    if status == "running":
        return _until("run", "waiting", held="held" in seen)
    told = _until("settled", "doubt" if status == "unknown" else "passed", held="held" in seen)
    if effect == "read" and "intended" not in seen:
        told["intent"] = "skipped"
    if status == "unknown":
        told["run"] = "doubt"
    elif status == "failed":
        told["run"] = "stopped"
    return told


def _until(last: str, how: Reached, *, held: bool) -> dict[str, Reached]:
    place = _ORDER.index(last)
    told: dict[str, Reached] = {name: "passed" if at < place else "ahead" for at, name in enumerate(_ORDER)}
    told[last] = how
    if not held and told["approval"] == "passed":
        told["approval"] = "skipped"
    return told


def _why(events: Sequence[Mapping[str, Any]]) -> str:
    for event in reversed(events):
        reasons = [str(reason) for reason in event.get("reasons", ())]
        if event.get("decision") == "deny" or event.get("transition") == "settled":
            return "; ".join(reasons) or str(event.get("reason") or "")
    return ""
