"""The Python surface: typed calls of a gateway, with a workflow around them or without.

Not here: anything that decides. What a call is worth is the same from every surface.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from toolgate.domain.call import Workflow
from toolgate.domain.errors import UsageError
from toolgate.domain.tool import Tool

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from toolgate.domain.answers import Answer
    from toolgate.domain.caller import Caller
    from toolgate.domain.duration import Duration
    from toolgate.domain.outcome import Outcome
    from toolgate.domain.progress import Progress

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")


class Gate(Protocol):
    """What a flow needs of its gateway."""

    async def request(
        self,
        tool: str,
        arguments: Any,
        *,
        caller: Caller,
        workflow: Workflow,
        request_id: str | None = None,
        rationale: str | None = None,
        trace: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[Any]:
        """Send one request through the pipeline."""

    async def wait_for(self, outcome: Outcome[R], *, caller: Caller, timeout: Duration) -> Outcome[R]:
        """Wait for a held call, or for a job."""

    def run_sync(self, work: Any) -> Any:
        """Run a coroutine to its end, outside of any loop."""


class Flow:
    """One piece of work: a caller, an agent, and the id that its keys are made of. Made by ``Gateway.workflow``."""

    def __init__(self, gate: Gate, workflow: Workflow, caller: Caller) -> None:
        self._gate = gate
        self._workflow = workflow
        self._caller = caller

    @property
    def workflow(self) -> Workflow:
        """The piece of work."""
        return self._workflow

    @property
    def caller(self) -> Caller:
        """On whose behalf every call of this flow is made; another caller needs another flow."""
        return self._caller

    @property
    def id(self) -> str:
        """The workflow's id."""
        return self.workflow.id

    def __repr__(self) -> str:
        return f"<Flow {self.id} for {self.caller.id}>"

    @overload
    async def call(
        self,
        tool: Tool[A, R],
        args: A,
        *,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[R]: ...
    @overload
    async def call(
        self,
        tool: Tool[Any, R],
        args: Mapping[str, Any] | bytes | str,
        *,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[R]: ...
    @overload
    async def call(
        self,
        tool: str,
        args: Mapping[str, Any] | bytes | str,
        *,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[Any]: ...
    async def call(
        self,
        tool: Tool[Any, Any] | str,
        args: Any,
        *,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[Any]:
        """Ask for one call. The answer is always an outcome; only faults of the program raise.

        Args:
            tool: the tool, for a typed result, or its name.
            args: the input model, a mapping, or JSON.
            request_id: the transport's id, for tracing; no part of any key.
            rationale: the model's own reason: shown to approvers as its claim, never part of a decision.
            progress: ``(done, total, note)``, told how far the tool says it has come: in any thread, so it must not
                block. Of a call that is held it hears nothing.
            answers: to what the tool asked (``Failed.input_requests``), by its keys. They are the user's word as the
                application passes it on: the tool gets those that fit, and the gate believes none.
            priority: of a job among those that wait, 0 (first) to 2 147 483 647; by default the contract's.
            delay: before which a job does not run, about a second late at most; a year (366 days) at the longest.

        Raises:
            UsageError: if the gateway is not open, for answers that are none, or for ``priority`` or ``delay`` of a
                tool that does not run as a job.
        """
        return await self._gate.request(
            _name_of(tool),
            args,
            caller=self.caller,
            workflow=self.workflow,
            request_id=request_id,
            rationale=rationale,
            progress=progress,
            answers=answers,
            priority=priority,
            delay=delay,
        )

    async def wait(self, outcome: Outcome[R], *, timeout: Duration = "10m") -> Outcome[R]:
        """The outcome of a held call, or of a job, once it is over; as it stands when ``timeout`` is."""
        return await self._gate.wait_for(outcome, caller=self.caller, timeout=timeout)

    @overload
    def call_sync(
        self,
        tool: Tool[A, R],
        args: A,
        *,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[R]: ...
    @overload
    def call_sync(
        self,
        tool: Tool[Any, R],
        args: Mapping[str, Any] | bytes | str,
        *,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[R]: ...
    @overload
    def call_sync(
        self,
        tool: str,
        args: Mapping[str, Any] | bytes | str,
        *,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[Any]: ...
    def call_sync(
        self,
        tool: Any,
        args: Any,
        *,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[Any]:
        """As ``call``, for programs without an event loop.

        Raises:
            UsageError: inside a running loop, where it would block everything.
        """
        outcome: Outcome[Any] = self._gate.run_sync(
            self.call(
                tool,
                args,
                request_id=request_id,
                rationale=rationale,
                progress=progress,
                answers=answers,
                priority=priority,
                delay=delay,
            )
        )
        return outcome


def _name_of(tool: object) -> str:
    if isinstance(tool, str):
        return tool
    if isinstance(tool, Tool):
        return tool.name
    raise UsageError(f"call takes a tool's name, or what @tool returned, not {type(tool).__name__}")


class Calls(ABC):
    """Single calls, typed by their tool: what a gateway offers to programs beside flows."""

    @abstractmethod
    def workflow(
        self,
        id: str | None = None,
        *,
        caller: Caller,
        agent: str | None = None,
        model: str | None = None,
        user_input: str | None = None,
    ) -> Flow:
        """A piece of work."""

    @abstractmethod
    def run_sync(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, outside of any loop."""

    @overload
    async def call(
        self,
        tool: Tool[A, R],
        args: A,
        *,
        caller: Caller,
        workflow: str | None = None,
        agent: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[R]: ...
    @overload
    async def call(
        self,
        tool: Tool[Any, R],
        args: Mapping[str, Any] | bytes | str,
        *,
        caller: Caller,
        workflow: str | None = None,
        agent: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[R]: ...
    @overload
    async def call(
        self,
        tool: str,
        args: Mapping[str, Any] | bytes | str,
        *,
        caller: Caller,
        workflow: str | None = None,
        agent: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[Any]: ...
    async def call(
        self,
        tool: Any,
        args: Any,
        *,
        caller: Caller,
        workflow: str | None = None,
        agent: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[Any]:
        """One call without a flow. See ``Flow.call``."""
        flow = self.workflow(workflow, caller=caller, agent=agent, model=model)
        return await flow.call(
            tool,
            args,
            request_id=request_id,
            rationale=rationale,
            progress=progress,
            answers=answers,
            priority=priority,
            delay=delay,
        )

    @overload
    def call_sync(
        self,
        tool: Tool[A, R],
        args: A,
        *,
        caller: Caller,
        workflow: str | None = None,
        agent: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[R]: ...
    @overload
    def call_sync(
        self,
        tool: Tool[Any, R],
        args: Mapping[str, Any] | bytes | str,
        *,
        caller: Caller,
        workflow: str | None = None,
        agent: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[R]: ...
    @overload
    def call_sync(
        self,
        tool: str,
        args: Mapping[str, Any] | bytes | str,
        *,
        caller: Caller,
        workflow: str | None = None,
        agent: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[Any]: ...
    def call_sync(
        self,
        tool: Any,
        args: Any,
        *,
        caller: Caller,
        workflow: str | None = None,
        agent: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        rationale: str | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[Any]:
        """As ``call``, for programs without an event loop.

        Raises:
            UsageError: inside a running loop, where it would block everything.
        """
        flow = self.workflow(workflow, caller=caller, agent=agent, model=model)
        outcome: Outcome[Any] = self.run_sync(
            flow.call(
                tool,
                args,
                request_id=request_id,
                rationale=rationale,
                progress=progress,
                answers=answers,
                priority=priority,
                delay=delay,
            )
        )
        return outcome
