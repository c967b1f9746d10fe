"""The gate as a surface over HTTP sees it: calls go in by ``request``, everything else by an operation.

``bootstrap.Gateway`` is one. Not here: any decision, and the world that operations get, which no surface looks into.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from toolgate.domain.answers import Answer
    from toolgate.domain.call import Workflow
    from toolgate.domain.caller import Caller
    from toolgate.domain.outcome import Outcome
    from toolgate.domain.principal import Declined, Principal
    from toolgate.domain.progress import Progress
    from toolgate.domain.questions import Kind
    from toolgate.domain.tool import Tool

P = ParamSpec("P")
T = TypeVar("T")


class Gate(Protocol):
    """What HTTP needs of a gateway that is open."""

    async def request(
        self,
        tool: str,
        arguments: Any,
        *,
        caller: Caller,
        workflow: Workflow,
        actor: Principal | None = None,
        request_id: str | None = None,
        rationale: str | None = None,
        trace: str | None = None,
        surface: str = "rest",
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        can_ask: frozenset[Kind] = frozenset(),
        on_received: Callable[[str], object] | None = None,
    ) -> Outcome[Any]:
        """Send one request through the pipeline. ``arguments`` may be JSON bytes, which the gate parses strictly.

        ``progress(done, total, note)`` is called in any thread; ``on_received`` at once, with the id for ``cancel``.
        ``answers`` are to what a tool asks, and ``can_ask`` is what the client can show.
        """

    def cancel(self, call_id: str) -> None:
        """Nobody waits for this call any more: what was not dispatched, and a read, is given up. From any thread."""

    async def operate(
        self, operation: Callable[Concatenate[Any, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``operation(world, …)`` in the gateway's service loop, from any loop."""

    async def look(
        self, operation: Callable[Concatenate[Any, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation that only looks up single rows of the ledger, here and now: a hop would cost more."""

    async def operate_near_tools(
        self, operation: Callable[Concatenate[Any, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T | Declined:
        """Run an operation that asks an author's code, in a loop of the tools and under a deadline."""

    def tools(self, caller: Caller) -> list[Tool[Any, Any]]:
        """The tools that ``caller`` may ask for, by name."""

    def make_workflow(
        self,
        id: str | None,
        *,
        agent: str | None = None,
        model: str | None = None,
        user_input: str | None = None,
    ) -> Workflow:
        """A piece of work, its names checked.

        Raises:
            UsageError: for a name that cannot be one, in words for whoever sent it.
        """

    def wake(self) -> None:
        """Something was decided: dispatch it now."""

    def watch(self, wake: Callable[[], object], *, elsewhere: bool = False) -> Callable[[], None]:
        """Call ``wake``, in any thread, when the ledger grew, until the result is called.

        ``elsewhere``: only by what other processes committed.
        """
