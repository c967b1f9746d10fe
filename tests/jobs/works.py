"""Tools that run as jobs, and what such tests read afterwards. Not here: any expectation."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolgate import Approval, Caller, NeedsApproval, Started, Tool, ToolContext, TransientError, tool
from toolgate.domain.principal import OPERATOR, Declined, in_person
from toolgate.operations.jobs import JobView, see_job

if TYPE_CHECKING:
    from toolgate import Gateway, Outcome

ANA = Caller("u-ana", roles={"support"}, tenant="acme")
BEN = Caller("u-ben", roles={"support"}, tenant="acme")
OPA = Caller("u-opa", roles={OPERATOR}, tenant="acme")
LEE = Caller("u-lee", roles={"lead"}, tenant="acme")
GIL = Caller("u-ana", roles={"support", OPERATOR}, tenant="globex")
PATIENCE = 30.0
"""Real seconds after which a test that waits for something that must happen has failed."""


@dataclass(slots=True)
class Works:
    """What happened, and hands on what is happening.

    Attributes:
        done: what took place in the world, in order.
        worked: the steps that were worked, in order; one that was found again is not here.
        standing: set once a tool stands still at ``stand``.
        go: lets it go on.
    """

    done: list[Any] = field(default_factory=list)
    worked: list[str] = field(default_factory=list)
    standing: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    failures: int = 0

    def let_go(self) -> None:
        """Let whatever stands still go on."""
        self.go.set()

    async def stand(self) -> None:
        """Stand still until the test lets it go on."""
        self.standing.set()
        assert await asyncio.to_thread(self.go.wait, PATIENCE)

    async def stands(self) -> None:
        """Wait until a tool stands still, and take note of the next one anew."""
        assert await asyncio.to_thread(self.standing.wait, PATIENCE)
        self.standing.clear()

    def work(self, name: str, value: Any = None) -> Any:
        """The work of a step."""
        self.worked.append(name)
        return name if value is None else value

    def crawl(self, **given: Any) -> Tool[Any, Any]:
        """A read in three steps, that stands still between the second and the third."""

        @tool(**_with({"effect": "read", "roles": {"support"}, "timeout": "1h", "job": True}, given))
        async def crawl(context: ToolContext[Any], site: str) -> list[str]:
            """Look at every page of a site."""
            found = [await context.step("first", lambda: self.work(f"first {site}"))]
            context.progress(1, 3, "one page")
            found.append(await context.step("second", lambda: self.work(f"second {site}")))
            context.progress(2, 3, "two pages")
            await self.stand()
            found.append(await context.step("third", lambda: self.work(f"third {site}")))
            return found

        return crawl

    def pay(self, **given: Any) -> Tool[Any, Any]:
        """An effect that may not run twice. It stands still before and after it happens."""

        @tool(
            **_with(
                {
                    "effect": "write",
                    "roles": {"support"},
                    "timeout": "1h",
                    "job": True,
                    "idempotency": "{order}:{workflow_id}",
                },
                given,
            )
        )
        async def pay(context: ToolContext[Any], order: int) -> int:
            """Pay an order."""
            context.progress(0, 1)
            await self.stand()
            self.done.append(context.idempotency_key)
            return order * 100

        return pay

    def flaky(self, **given: Any) -> Tool[Any, Any]:
        """A read whose second step fails as often as the test says."""

        @tool(
            **_with(
                {"effect": "read", "roles": {"support"}, "timeout": "1h", "job": True, "retries": 3}, given
            )
        )
        async def flaky(context: ToolContext[Any]) -> list[str]:
            """Fetch twice."""

            def second() -> str:
                if self.failures:
                    self.failures -= 1
                    raise TransientError("not now")
                return str(self.work("fetch 2"))

            return [
                await context.step("fetch", lambda: self.work("fetch 1")),
                await context.step("fetch", second),
            ]

        return flaky

    def asks(self, **given: Any) -> Tool[Any, Any]:
        """An effect whose business asks for a person once it runs."""

        @tool(
            **_with(
                {
                    "effect": "write",
                    "roles": {"support"},
                    "timeout": "1h",
                    "job": True,
                    "approval": Approval(when={"order": {"gt": 1000}}, approvers={"lead"}),
                },
                given,
            )
        )
        async def asks(context: ToolContext[Any], order: int) -> str:
            """Ship an order."""
            if context.approval is None and order > 10:
                raise NeedsApproval("it is a large order", approvers={"lead"})
            self.done.append(order)
            return "alone" if context.approval is None else ", ".join(context.approval.approved_by)

        return asks


def _with(settings: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    return settings | given


async def job_of(gateway: Gateway, outcome: Outcome[Any], *, by: Caller = ANA) -> JobView:
    """The job as somebody who may see it sees it."""
    assert isinstance(outcome, Started)
    seen = await gateway.operate(see_job, outcome.job_id, by=in_person(by))
    assert not isinstance(seen, Declined), seen.reason
    return seen


async def over(gateway: Gateway, outcome: Outcome[Any], *, caller: Caller = ANA) -> Outcome[Any]:
    """The outcome of a job once it is over."""
    return await gateway.wait_for(outcome, caller=caller, timeout="10h")


async def transitions(gateway: Gateway, call_id: str) -> list[str]:
    """What the trail says of a call, in order."""
    records = [json.loads(row.record) async for row in gateway.store.records(call_id=call_id)]
    return [record["toolgate.transition"] for record in records if "toolgate.transition" in record]
