"""Any sequence of votes, denials, expiries, crashes and pick-ups by two gateways: consent is exact and spent once.

Two gateways stand on one ledger, both with the tool. The model beside them keeps who approved what and when
it ends; after each step the ledger must say the same, and nothing ran that was not approved, or ran twice.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.machines.effort import effort
from tests.machines.stage import Kind, Stage, sweep
from tests.people import decide_approval, resolve_call
from toolgate import Approval, Caller, ErrorType, Gateway, PendingApproval, Refused, Tool, ToolContext, tool
from toolgate.domain.lifecycle import ApprovalState, EffectState
from toolgate.domain.rows import ByApproval
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import ApprovalFilter

ANN = Caller("ann", {"clerk", "lead"}, "acme")
VOTERS = (
    ANN,
    Caller("lea", {"lead"}, "acme"),
    Caller("max", {"lead"}, "acme"),
    Caller("ida", {"boss"}, "acme"),
    Caller("bob", {"clerk"}, "acme"),
    Caller("eve", {"lead"}, "globex"),
)
EXPIRY = 100.0
QUORUM = 2
PATIENCE = 30.0
OVER = {ApprovalState.DENIED, ApprovalState.EXPIRED, ApprovalState.CANCELLED, ApprovalState.CONSUMED}


class Killed(Exception):
    """The process of this attempt is gone."""


@dataclass(slots=True)
class Draft:
    """What the model believes of one approval."""

    call_id: str
    order: int
    ends_at: float
    approved_by: set[str] = field(default_factory=set)
    denied: bool = False

    @property
    def granted(self) -> bool:
        return len(self.approved_by) >= QUORUM and not self.denied


class ApprovalMachine(RuleBasedStateMachine):
    """Two gateways, six people, one tool."""

    kind: ClassVar[Kind] = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="toolgate-machine-")
        self.runner = asyncio.Runner()
        self.stage = Stage(kind=self.kind, folder=Path(self.folder.name))
        self.drafts: dict[str, Draft] = {}
        self.ran: Counter[str] = Counter()
        self.entered: Counter[str] = Counter()
        self.dies_inside = False
        self.over: dict[str, ApprovalState] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(asyncio.wait_for(work, PATIENCE))

    def _tool(self) -> Tool[Any, int]:
        async def refund(context: ToolContext[Any], order: int) -> int:
            """Pay an order back."""
            self.entered[context.call_id] += 1
            if self.dies_inside:
                for store in self.stores:
                    store.fall()
                raise Killed
            self.ran[context.call_id] += 1
            assert context.approval is not None
            assert len(set(context.approval.approved_by)) >= QUORUM
            return order

        return tool(
            effect="write",
            roles={"clerk"},
            idempotency="refund:{order}:{workflow_id}",
            approval=Approval(approvers={"lead"}, quorum=QUORUM, expires_in=EXPIRY),
            timeout=5,
        )(refund)

    @initialize()
    def begin(self) -> None:
        self.run(self._open())

    async def _open(self) -> None:
        self.dies_inside = False
        self.stores = [self.stage.store(), self.stage.store()]
        self.gateways: list[Gateway] = []
        for store in self.stores:
            gateway = self.stage.gateway(self._tool(), store=store)
            await gateway.__aenter__()
            self.gateways.append(gateway)

    async def _close(self) -> None:
        for gateway in self.gateways:
            await gateway.__aexit__(None, None, None)

    @rule()
    def crash(self) -> None:
        for store in self.stores:
            store.fall()
        self.run(self._close())
        self.run(self._open())

    def teardown(self) -> None:
        try:
            if hasattr(self, "gateways"):
                report = self.run(verify_audit(self.gateways[0].store))
                assert report.intact, report
                self.run(self._close())
        finally:
            self.runner.close()
            self.stage.leave()
            self.folder.cleanup()

    # ---------------------------------------------------------------------------------------------- rules

    gateways_ = st.integers(0, 1)

    @rule(order=st.integers(1, 3), which=gateways_)
    def ask(self, order: int, which: int) -> None:
        call = self.gateways[which].call("refund", {"order": order}, caller=ANN, workflow="w")
        outcome = self.run(call)
        if any(draft.denied for draft in self.drafts.values() if draft.order == order):
            assert isinstance(outcome, Refused), "asked again for what a person denied"
            assert outcome.error_type is ErrorType.APPROVAL_DENIED
        if isinstance(outcome, PendingApproval) and outcome.approval_id not in self.drafts:
            assert not outcome.replayed
            self._drafted(outcome.approval_id, outcome.call_id, order)

    def _drafted(self, approval_id: str, call_id: str, order: int) -> None:
        self.drafts[approval_id] = Draft(call_id, order, self.stage.clock.monotonic() + EXPIRY)

    @rule(index=st.integers(0, 5), voter=st.sampled_from(VOTERS), yes=st.sampled_from([True] * 5 + [False]))
    def vote(self, index: int, voter: Caller, yes: bool) -> None:
        if not self.drafts:
            return
        approval_id = sorted(self.drafts)[index % len(self.drafts)]
        draft = self.drafts[approval_id]
        before = self.run(self._state(approval_id))
        said = self.run(
            decide_approval(
                self.gateways[index % 2],
                approval_id,
                "approve" if yes else "deny",
                voter=voter,
                reason="I looked",
            )
        )
        may = (
            before is ApprovalState.PENDING
            and self.stage.clock.monotonic() < draft.ends_at
            and voter.tenant == "acme"
            and voter.id != "ann"
            and "lead" in voter.roles
            and not (yes and voter.id in draft.approved_by)
        )
        assert isinstance(said, str) is not may, (said, before, voter)
        if may and yes:
            draft.approved_by.add(voter.id)
        elif may:
            draft.denied = True

    async def _state(self, approval_id: str) -> ApprovalState:
        row = (await self.gateways[0].store.find(ByApproval(approval_id))).approval
        assert row is not None
        return row.state

    @rule(which=gateways_)
    def sweep_one(self, which: int) -> None:
        self.run(sweep(self.gateways[which]))

    @rule()
    def sweep_both_at_once(self) -> None:
        async def both() -> None:
            await asyncio.gather(*(sweep(gateway) for gateway in (*self.gateways, *self.gateways)))

        self.run(both())

    @rule()
    def die_while_it_runs(self) -> None:
        async def die() -> None:
            self.dies_inside = True
            await asyncio.gather(*(sweep(gateway) for gateway in self.gateways), return_exceptions=True)
            for store in self.stores:
                store.fall()
            await self._close()
            await self._open()

        self.run(die())

    @rule(seconds=st.sampled_from([1.0, 20.0, 60.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.stage.clock.advance(seconds)

    @rule(index=st.integers(0, 3), which=gateways_)
    def resolve(self, index: int, which: int) -> None:
        async def resolve() -> None:
            gateway = self.gateways[which]
            if not (rows := list(await gateway.store.unknown())):
                return
            row = rows[index % len(rows)]
            happened = self.ran[row.call_id] > 0
            before = {
                one.approval_id
                for one in await gateway.store.approvals(ApprovalFilter(open_only=False, limit=1000))
            }
            after = await resolve_call(
                gateway.world, row.call_id, applied=happened, by=VOTERS[1], reason="I looked"
            )
            new = [
                one
                for one in await gateway.store.approvals(ApprovalFilter(open_only=False, limit=1000))
                if one.approval_id not in before
            ]
            assert len(new) == (0 if happened or isinstance(after, str) else 1)
            for one in new:
                self._drafted(one.approval_id, one.call_id, json.loads(one.shown)["arguments"]["order"])

        self.run(resolve())

    # ------------------------------------------------------------------------------------------ invariants

    @invariant()
    def consent_is_exact(self) -> None:
        if not hasattr(self, "gateways"):
            return
        found = {approval_id: self.run(self._find(approval_id)) for approval_id in self.drafts}
        for approval_id, (approval, call, events) in found.items():
            draft = self.drafts[approval_id]
            self._votes_are_the_models(draft, approval, events)
            consumed = approval.state is ApprovalState.CONSUMED
            assert consumed == (call.effect_state is not None)
            assert self.entered[draft.call_id] <= int(consumed), "run without consent, or twice on one"
            assert events.count("intended") == int(consumed)
            assert sum(events.count(f"approval_{end}") for end in ("denied", "expired", "cancelled")) <= 1
            if self.ran[draft.call_id]:
                assert call.effect_state is not EffectState.NOT_APPLIED
            if approval_id in self.over:
                assert approval.state is self.over[approval_id], "what was over moved"
            if approval.state in OVER:
                self.over[approval_id] = approval.state

    @staticmethod
    def _votes_are_the_models(draft: Draft, approval: Any, events: list[str]) -> None:
        assert events.count("approval_approved") == len(draft.approved_by)
        match approval.state:
            case ApprovalState.PENDING:
                assert not draft.granted
                assert not draft.denied
            case ApprovalState.APPROVED | ApprovalState.CONSUMED:
                assert draft.granted
            case ApprovalState.DENIED:
                assert draft.denied
            case _:
                assert not draft.denied

    async def _find(self, approval_id: str) -> tuple[Any, Any, list[str]]:
        store = self.gateways[0].store
        found = await store.find(ByApproval(approval_id))
        assert found.call is not None
        events = [
            json.loads(record.record)["toolgate.transition"]
            async for record in store.records(call_id=found.call.call_id)
        ]
        return found.approval, found.call, events


class SqliteApprovalMachine(ApprovalMachine):
    """The same over one file that two gateways share."""

    kind = "sqlite"


class PostgresApprovalMachine(ApprovalMachine):
    """The same over one database that two gateways share."""

    kind = "postgres"


TestApprovalsInMemory = ApprovalMachine.TestCase
TestApprovalsInMemory.settings = effort(50, 30)
TestApprovalsInMemory.pytestmark = [pytest.mark.req("X1.16"), pytest.mark.req("X2.6")]  # type: ignore[attr-defined]

TestApprovalsInSqlite = SqliteApprovalMachine.TestCase
TestApprovalsInSqlite.settings = effort(25, 25)
TestApprovalsInSqlite.pytestmark = [pytest.mark.req("X1.16"), pytest.mark.req("X2.6")]  # type: ignore[attr-defined]

TestApprovalsInPostgres = PostgresApprovalMachine.TestCase
TestApprovalsInPostgres.settings = effort(8, 20)
TestApprovalsInPostgres.pytestmark = [pytest.mark.req("X1.16"), pytest.mark.req("X2.6")]  # type: ignore[attr-defined]
