"""What a tool and its predicates are told beside their arguments. Nothing in it comes from a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from toolgate.domain.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from toolgate.domain.answers import Answer
    from toolgate.domain.approval import ApprovalFact
    from toolgate.domain.caller import Caller
    from toolgate.domain.progress import Progress
    from toolgate.domain.questions import Kind

D = TypeVar("D")
T = TypeVar("T")


class DurableSteps(Protocol):
    """Where the steps of a job are recorded."""

    async def run(self, name: str, work: Callable[[], Any]) -> Any:
        """What ``work`` gave, now or in an earlier run."""

    def run_blocking(self, name: str, work: Callable[[], Any]) -> Any:
        """The same, in the thread of a sync tool."""


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
        job_id: of the job that this run belongs to; None where the tool is no job.
        steps: where ``step`` records; None where the tool is no job.
        stopping: whether somebody wants this run to end, as a function; see ``cancelled``.
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
    job_id: str | None = None
    steps: DurableSteps | None = field(default=None, repr=False, compare=False)
    stopping: Callable[[], bool] = field(default=lambda: False, repr=False, compare=False)

    @property
    def tenant(self) -> str:
        """The caller's tenant."""
        return self.caller.tenant

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Tell whoever waits how far this run has come; from any thread. Never raises and never waits.

        Of a job the latest word is kept, about twice a second at most; of any other call nothing is. Where nobody
        listens, after the call was answered, and for a ``done`` that is no finite number of at least 0 it does nothing.
        ``note`` is cut to one line of 500 characters, known secrets replaced: it may reach a model.
        """
        if self.listener is not None:
            self.listener(done, total, note)

    @property
    def cancelled(self) -> bool:
        """Whether somebody wants this job to end. An async tool is cancelled besides; a sync one has to look."""
        return self.stopping()

    @overload
    async def step(self, name: str, work: Callable[[], Awaitable[T]]) -> T: ...
    @overload
    async def step(self, name: str, work: Callable[[], T]) -> T: ...
    async def step(self, name: str, work: Callable[[], Any]) -> Any:
        """Do ``work`` once for this job, however often the job is run, and give what it gave.

        What it returns is plain JSON of at most 1 MiB: it is recorded, encrypted, and read again by a later run, whose
        worker took over from one that died. A worker that dies between the work and its record leaves no record, so
        the work is done at least once: give what it calls the ``idempotency_key``. What it raises is raised, and
        nothing is recorded. Steps run one at a time; one of a name that this run had already is numbered, so the
        order of the steps must not change from run to run.

        Raises:
            UsageError: where the tool is no job, for a result that is no plain JSON, or a step inside another.
            GateFault: if the job was cancelled or taken over: nothing more of this run may begin.
        """
        return await self._recorder(name).run(name, work)

    def step_sync(self, name: str, work: Callable[[], T]) -> T:
        """``step`` for a sync tool: ``work`` runs in the tool's own thread."""
        value: T = self._recorder(name).run_blocking(name, work)
        return value

    def _recorder(self, name: str) -> DurableSteps:
        if self.steps is None:
            raise UsageError(
                f"step {name!r}: {self.tool} does not run as a job here, so nothing would be recorded; "
                "write @tool(job=True, ...), without isolation='process', and take no step in a predicate"
            )
        return self.steps


Context = ToolContext[Any]
