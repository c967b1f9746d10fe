"""What trying a tool showed. Data only: an operation does the trying, `review` draws the conclusions."""

from __future__ import annotations

from dataclasses import dataclass

from toolgate.domain.checklist.wrong_inputs import Tried


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTried:
    """How the gate's own classification ends a call that raised one error.

    Attributes:
        code: what the model would get.
        effect: what the outcome would say of the world.
        claims: whether the error itself says what it did.
        leaks: whether the message for the model holds what the error's text was not meant to.
        problem: why the error could not be tried, or what is wrong with it.
    """

    error: str
    code: str
    effect: str
    claims: bool = True
    leaks: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What a gateway in memory, with the tool behind it and nothing run, answered.

    Attributes:
        refused_wrong_arguments: whether a call with an unknown field was refused as such.
        refused_stranger: whether a caller without the roles was refused; ``None`` where everybody may call.
        problem: why there is no such gateway, or what went wrong in it.
    """

    refused_wrong_arguments: bool = False
    refused_stranger: bool | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was tried on one tool; ``None`` where nothing could be.

    Attributes:
        inputs: wrong arguments and what became of them.
        errors: each declared error, then an undeclared one.
        canaries: places whose value was put into a record, and whether it could be read there.
        unsafe_retries: kinds of failure after which the gate would repeat an effect that may have happened.
        one_key: why the idempotency key does not tell calls apart, if it does not.
    """

    inputs: tuple[Tried, ...] | None = None
    errors: tuple[ErrorTried, ...] | None = None
    canaries: tuple[tuple[str, bool], ...] | None = None
    unsafe_retries: tuple[str, ...] | None = None
    one_key: str | None = None
    keys_tried: bool = False
    rehearsal: Rehearsal | None = None


NOTHING_TRIED = Evidence()
