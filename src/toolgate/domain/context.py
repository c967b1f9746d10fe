"""What a tool and its predicates are told beside their arguments. Nothing in it comes from a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toolgate.domain.answers import Answer
    from toolgate.domain.approval import ApprovalFact
    from toolgate.domain.caller import Caller
    from toolgate.domain.progress import Progress
    from toolgate.domain.questions import Kind

D = TypeVar("D")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext(Generic[D]):
    """The call around one run of a tool.

    Attributes:
        caller: on whose behalf, from the application.
        deps: what the gateway's ``deps`` yielded for this call; ``None`` without one.
        call_id: this call's id, for logs and for downstream.
        idempotency_key: pass it downstream; the same on every attempt and retry of the same action. For a
            tool with effects but without ``idempotency=`` it is the call's id; for a read, ``None``.
        attempt: from 1.
        approval: who agreed, where the call was held and approved.
        remaining: seconds left before the deadline, as a function.
        answers: what whoever calls answered to this tool's own questions (``NeedsInput``), by their keys: it fits
            the question, and is the client's word all the same. Empty for the first run, and for predicates.
        can_ask: the questions that the client can show, of ``"form"``, ``"sample"`` and ``"roots"``. Empty where
            nobody said so, as in Python, where the application answers.
        trace: the request's W3C ``traceparent``, to be passed on downstream.
        listener: who hears of ``progress``; None where nobody does.
    """

    tool: str
    caller: Caller
    deps: D
    call_id: str
    workflow_id: str
    agent: str | None = None
    model: str | None = None
    request_id: str | None = None
    idempotency_key: str | None = None
    attempt: int = 1
    approval: ApprovalFact | None = None
    remaining: Callable[[], float] = lambda: 0.0
    trace: str | None = None
    answers: Mapping[str, Answer] = field(default_factory=dict, hash=False)
    can_ask: frozenset[Kind] = frozenset()
    listener: Progress | None = field(default=None, repr=False, compare=False)

    @property
    def tenant(self) -> str:
        """The caller's tenant."""
        return self.caller.tenant

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Tell whoever waits how far this run has come; from any thread. Never raises, never waits, keeps nothing.

        Where nobody listens, after the call was answered, and for a ``done`` that is no finite number of at least 0
        it does nothing. ``note`` is cut to one line of 500 characters, known secrets replaced: it may reach a model.
        """
        if self.listener is not None:
            self.listener(done, total, note)


Context = ToolContext[Any]
