"""What agents, people and the gate do in the demo: asking, deciding, carrying out, looking up.

Belongs here: one action each, done through the real gate and shown on the stage. Which actions make a scene is
in `scenes`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from toolgate import Caller, Gateway, Outcome, PendingApproval, Tool
from toolgate.examples.support_desk.personas import personas
from toolgate.examples.support_desk.stage import Stage
from toolgate.examples.support_desk.world import World
from toolgate.ports import ApprovalFilter

AGENT = "support_assistant"
MODEL = "scripted"
_SPOKEN = {"approve": "approves", "deny": "denies"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The stage, the desk and the gate between them."""

    stage: Stage
    world: World
    gateway: Gateway

    def caller(self, who: str) -> Caller:
        """One of the people, as the gate knows them."""
        return personas[who].caller

    async def ask(
        self, who: str, tool: Tool[Any, Any], arguments: Mapping[str, Any], *, case: str
    ) -> Outcome[Any]:
        """Let the agent of `who` ask, within the piece of work `case`, and show both."""
        self.stage.ask(who, tool, arguments)
        outcome: Outcome[Any] = await self.gateway.call(
            tool, arguments, caller=personas[who].caller, workflow=case, agent=AGENT, model=MODEL
        )
        self.stage.answer(outcome)
        return outcome

    async def decide(
        self, who: str, held: Outcome[Any], decision: Literal["approve", "deny"], reason: str
    ) -> str | None:
        """Let a person decide on a held call. Why it was not recorded, or None if it was."""
        if not isinstance(held, PendingApproval):
            return "nothing is held"
        self.stage.person(who, f'{_SPOKEN[decision]}: "{reason}"')
        vote = self.gateway.approve if decision == "approve" else self.gateway.deny
        answer = await vote(held.approval_id, by=personas[who].caller, reason=reason)
        if isinstance(answer, str):
            self.stage.aside("gate", f"not recorded: {answer}")
            return answer
        return None

    async def show_request(self, who: str, held: Outcome[Any]) -> None:
        """Show what a person who decides is shown: the gate's own words, made from what would run."""
        open_requests = await self.gateway.store.approvals(ApprovalFilter(open_only=True))
        request = next((row for row in open_requests if row.call_id == held.call_id), None)
        if request is None:
            self.stage.check("a request waits for a person", holds=False)
            return
        shown = json.loads(request.shown)
        self.stage.aside(
            f"{who} sees", f"{shown['preview']} Asked for by {shown['caller']} ({shown['agent']})."
        )

    async def carried_out(self, who: str, held: Outcome[Any]) -> Outcome[Any]:
        """Let the gate carry out what was approved, and show what became of it."""
        await self.gateway.sweep()
        outcome: Outcome[Any] = await self.gateway.wait_for(held, caller=personas[who].caller, timeout="5s")
        self.stage.answer(outcome)
        return outcome

    def true_reason(self, outcome: Outcome[Any]) -> None:
        """Show the reason that the trail and the application have, and the model has not."""
        self.stage.aside("trail", f"the true reason: {'; '.join(outcome.reasons)}")

    async def attempts(self, call_id: str) -> int:
        """Look up in the trail how often a call was tried."""
        tried = 0
        async for record in self.gateway.store.records(call_id=call_id):
            tried = max(tried, int(json.loads(record.record).get("toolgate.attempts", 0)))
        return tried
