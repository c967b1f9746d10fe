"""Any sequence of what people and models do to held calls: consent is exact, is of enough others, and is spent once.

Two gateways stand on one ledger. The model beside them (``consent``) keeps who said what of which revision; after each
step whatever ran must follow from it alone. Not here: attempts that end badly (``test_ledger_machine``).
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pydantic import BaseModel, Field

from tests.machines.consent import (
    ASKS_ONE,
    ASKS_TWO,
    FORBIDDEN_ORDER,
    KEY,
    OWNERS,
    Args,
    Claim,
    Granted,
    Held,
    Ran,
    who,
)
from tests.machines.effort import effort
from tests.machines.stage import Kind, Stage, sweep
from toolgate import Approval, Caller, Gateway, PendingApproval, Refused, Succeeded, Tool, ToolContext, tool
from toolgate.domain.lifecycle import ApprovalState, EffectState
from toolgate.domain.principal import Declined, in_person
from toolgate.domain.rows import ByApproval, ByGrant
from toolgate.operations.decide_approval import decide_approval
from toolgate.operations.edit_approval import edit_approval
from toolgate.operations.grants import make_grant, revoke_grant
from toolgate.operations.resolve_call import resolve_call
from toolgate.operations.reveal_masked import reveal_masked
from toolgate.operations.verify_audit import verify_audit
from toolgate.operations.withdraw import stop_all, withdraw
from toolgate.ports import ApprovalFilter

ASKERS = (Caller("ann", {"clerk", "lead"}, "acme"), Caller("bob", {"clerk"}, "acme"))
LEA, MAX, NIA = (Caller(name, {"lead"}, "acme") for name in ("lea", "max", "nia"))
OPS = Caller("ops", {"operator"}, "acme")
PEOPLE = (
    *(LEA, MAX, NIA, LEA, MAX, NIA),
    ASKERS[0],
    Caller("ANN ", {"lead"}, "acme"),
    Caller("Lea", {"lead"}, "acme"),
    Caller("ida", {"boss"}, "acme"),
    OPS,
    Caller("eve", {"lead"}, "globex"),
)
EXPIRY = 100.0
LASTING = 80.0
LEASE = 20.0
PATIENCE = 30.0

people = st.sampled_from(PEOPLE)
agents = st.sampled_from([None, "bot", "crawler"])
cents = st.sampled_from([5, 20, 20, 25, 40])
indices = st.integers(0, 5)
gateways = st.integers(0, 1)


class Killed(Exception):
    """The process of this attempt is gone."""


class Payment(BaseModel):
    """What is paid."""

    order: int = Field(ge=1, le=9)
    cents: int = Field(ge=1, le=50)
    note: str = Field(default="", max_length=60)


class PeopleMachine(RuleBasedStateMachine):
    """Two gateways, two who ask through two agents, six people of many names, and grants."""

    kind: ClassVar[Kind] = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="toolgate-people-")
        self.runner = asyncio.Runner()
        self.stage = Stage(kind=self.kind, folder=Path(self.folder.name))
        self.version = "1"
        self.dies_inside = False
        self.fell = False
        self.held: dict[str, Held] = {}
        self.grants: dict[str, Granted] = {}
        self.claims: dict[int, Claim] = {}
        self.ran: list[Ran] = []
        self.judged = 0
        self.unknown: set[str] = set()
        self.free: set[str] = set()
        self.applied: set[str] = set()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(asyncio.wait_for(work, PATIENCE))

    @property
    def now(self) -> float:
        return self.stage.clock.monotonic()

    def _tool(self) -> Tool[Any, int]:
        async def pay(context: ToolContext[Any], args: Payment) -> int:
            """Pay an order back."""
            fact = context.approval
            self.ran.append(
                Ran(
                    context.call_id,
                    context.caller.id,
                    context.agent,
                    Args(args.order, args.cents, args.note),
                    None if fact is None else fact.approval_id,
                    () if fact is None else fact.approved_by,
                    self.now,
                    self.version,
                    self.dies_inside,
                )
            )
            if self.dies_inside:
                for store in self.stores:
                    store.fall()
                raise Killed
            return args.cents

        def allowed(context: ToolContext[Any], args: Payment) -> bool:
            return args.order != FORBIDDEN_ORDER

        one = Approval(approvers={"lead"}, when={"cents": {"gt": ASKS_ONE}}, expires_in=EXPIRY)
        two = Approval(approvers={"lead"}, when={"cents": {"gt": ASKS_TWO}}, expires_in=EXPIRY, quorum=2)
        return tool(
            effect="write",
            roles={"clerk"},
            authorize=allowed,
            idempotency="pay:{order}:{workflow_id}",
            approval=one.and_also(two),
            version=self.version,
            timeout=5,
            breaker=None,
        )(pay)

    # ---------------------------------------------------------------------------------- opening and dying

    @initialize(agent=agents, cents=st.sampled_from([20, 40]))
    def begin(self, agent: str | None, cents: int) -> None:
        self.run(self._open())
        self._ask(Args(1, cents, ""), ASKERS[0], agent, 0)
        self._ask(Args(2, 20, KEY), ASKERS[1], "crawler", 1)

    async def _open(self) -> None:
        self.dies_inside = False
        self.stores = [self.stage.store(), self.stage.store()]
        self.gateways: list[Gateway] = []
        for store in self.stores:
            gateway = self.stage.gateway(self._tool(), store=store, agents=OWNERS)
            await gateway.__aenter__()
            self.gateways.append(gateway)

    async def _close(self) -> None:
        for gateway in self.gateways:
            await gateway.__aexit__(None, None, None)

    @rule(upgrade=st.sampled_from([False, False, True]))
    def crash(self, upgrade: bool) -> None:
        for store in self.stores:
            store.fall()
        self.run(self._close())
        if upgrade:
            self.version = "2" if self.version == "1" else "1"
        self.run(self._open())

    @rule(index=indices, waited=st.booleans(), which=gateways)
    def its_owner_dies_while_it_runs(self, index: int, waited: bool, which: int) -> None:
        async def die() -> None:
            self.dies_inside = True
            await asyncio.gather(*(sweep(gateway) for gateway in self.gateways), return_exceptions=True)
            for store in self.stores:
                store.fall()
            await self._close()
            await self._open()

        self.they_agree(index, 0)
        self.run(die())
        # Whatever was consumed at the same moment died with it, before or after it had begun.
        self.fell = True
        self._whatever_ran_was_consented_to()
        self.run(self._the_ledger_says_the_same())
        if waited:
            self.stage.clock.advance(LEASE)
            self.somebody_looks_what_happened(which)

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

    # ------------------------------------------------------------------------------------------- asking

    @rule(
        order=st.sampled_from([1, 1, 2, 3]),
        cents=cents,
        note=st.sampled_from(["", "", KEY]),
        caller=st.sampled_from(ASKERS),
        agent=agents,
        which=gateways,
    )
    def ask(self, order: int, cents: int, note: str, caller: Caller, agent: str | None, which: int) -> None:
        self._ask(Args(order, cents, note), caller, agent, which)

    @rule(order=st.integers(1, 3), which=gateways)
    def ask_again(self, order: int, which: int) -> None:
        if (claim := self.claims.get(order)) is not None:
            caller = next(one for one in ASKERS if one.id == claim.caller)
            self._ask(claim.args, caller, None, which)

    def _ask(self, args: Args, caller: Caller, agent: str | None, which: int) -> None:
        claim = self.claims.get(args.order)
        told = self.run(self._called(args, caller, agent, which))
        if claim is not None and (claim.caller, claim.args) != (caller.id, args):
            assert isinstance(told, Refused), told
            assert told.error_type == "idempotency_conflict", told
        elif getattr(told, "error_type", None) == "idempotency_in_flight":
            assert claim is not None
            begun = self._of_call(claim.call_id)
            assert begun is not None
            assert begun.over == "consumed"
        elif claim is not None and not self._is_free(claim.call_id):
            assert told.call_id == claim.call_id, "asked again, and it became a second call"
            self._told_what_was_changed(told)
        elif isinstance(told, PendingApproval):
            self._drafted(told, args, caller, agent)
        elif isinstance(told, Succeeded):
            self.claims[args.order] = Claim(told.call_id, caller.id, args)

    async def _called(self, args: Args, caller: Caller, agent: str | None, which: int) -> Any:
        return await self.gateways[which].call(
            "pay", args._asdict(), caller=caller, workflow="w", agent=agent
        )

    def _is_free(self, call_id: str) -> bool:
        if call_id in self.free:
            return True
        held = self._of_call(call_id)
        return held is not None and held.over in {"withdrawn", "expired"}

    def _of_call(self, call_id: str) -> Held | None:
        return next((held for held in self.held.values() if held.call_id == call_id), None)

    def _told_what_was_changed(self, told: Any) -> None:
        held = self._of_call(told.call_id)
        edited = held is not None and len(held.revisions) > 1
        assert (told.edited is not None) == edited, told
        if held is not None and edited:
            assert (told.edited["order"], told.edited["cents"]) == held.args[:2]

    def _drafted(self, told: PendingApproval, args: Args, caller: Caller, agent: str | None) -> None:
        assert told.approval_id not in self.held
        assert args.demanded, "asked for what needs nobody"
        self._hold(told.call_id, told.approval_id, args, caller.id, agent)
        self.claims[args.order] = Claim(told.call_id, caller.id, args)

    def _hold(self, call_id: str, approval_id: str, args: Args, caller: str, agent: str | None) -> Held:
        held = Held(
            call_id, approval_id, caller, agent, self.version, [args], self.now + EXPIRY, args.demanded
        )
        self.held[approval_id] = held
        return held

    # ------------------------------------------------------------------------------------ what people say

    def _pick(self, index: int) -> Held | None:
        """One of those that wait, rather than of those that are over."""
        waiting = [held for held in self.held.values() if held.over is None] or list(self.held.values())
        return waiting[index % len(waiting)] if waiting else None

    async def _digest(self, held: Held) -> bytes:
        row = (await self.gateways[0].store.find(ByApproval(held.approval_id))).approval
        assert row is not None
        return row.digest

    async def _vote(self, held: Held, by: Caller, yes: bool, digest: bytes, which: int) -> bool:
        answer = await self.gateways[which].operate(
            decide_approval,
            held.approval_id,
            "approve" if yes else "deny",
            by=in_person(by),
            reason="I looked",
            digest=digest,
        )
        return not isinstance(answer, Declined)

    def _may_vote(self, held: Held, by: Caller, yes: bool) -> bool:
        looked = KEY not in held.args.note or who(by.id) in held.seen
        return (
            held.waits(self.now)
            and self._may_look(held, by)
            and (not yes or (who(by.id) not in held.barred | held.votes and looked))
        )

    @staticmethod
    def _may_look(held: Held, by: Caller) -> bool:
        return by.tenant == "acme" and "lead" in by.roles and who(by.id) != who(held.caller)

    @rule(index=indices, by=people, yes=st.sampled_from([True] * 9 + [False]), which=gateways)
    def vote(self, index: int, by: Caller, yes: bool, which: int) -> None:
        if (held := self._pick(index)) is None:
            return
        may = self._may_vote(held, by, yes)
        digest = self.run(self._digest(held))
        assert self.run(self._vote(held, by, yes, digest, which)) is may, (held, by, yes)
        self._voted(held, by, yes, may)

    @rule(index=indices, which=gateways)
    def they_agree(self, index: int, which: int) -> None:
        """Everybody who may looks at it and approves."""
        for by in (LEA, MAX, NIA):
            if (held := self._pick(index)) is not None:
                if KEY in held.args.note:
                    self.reveal(index, by)
                self.vote(index, by, True, which)

    @rule(index=indices, order=st.integers(1, 3), cents=cents, which=gateways)
    def somebody_edits_it_well(self, index: int, order: int, cents: int, which: int) -> None:
        if (held := self._pick(index)) is not None:
            self.edit(index, LEA if held.barred.isdisjoint({"lea"}) else MAX, order, cents, "", which)

    @rule(index=indices, cents=st.sampled_from([35, 40]), which=gateways)
    def one_agrees_another_edits_and_a_third_agrees(self, index: int, cents: int, which: int) -> None:
        """What takes two people: the first vote is void, and one alone does not suffice."""
        if (held := self._pick(index)) is not None:
            self.vote(index, NIA, True, which)
            self.edit(index, MAX, held.args.order, cents, "", which)
            self.vote(index, LEA, True, which)

    def _voted(self, held: Held, by: Caller, yes: bool, taken: bool) -> None:
        if taken and yes:
            held.votes.add(who(by.id))
        elif taken:
            held.over = "denied"
        elif held.over is None and self.now >= held.ends_at:
            held.over = "expired"

    @rule(index=indices, by=people)
    def reveal(self, index: int, by: Caller) -> None:
        if (held := self._pick(index)) is None:
            return
        digest = self.run(self._digest(held))
        answer = self.run(
            self.gateways[0].operate(
                reveal_masked, held.approval_id, by=in_person(by), reason="which one?", digest=digest
            )
        )
        may = held.over is None and self.now < held.ends_at and self._may_look(held, by)
        assert isinstance(answer, Declined) is not may, (held, by, answer)
        if may:
            assert Args(**answer) == held.args, "what is revealed is not what would run"
            held.seen.add(who(by.id))
        elif held.over is None and self.now >= held.ends_at and self._may_look(held, by):
            held.over = "expired"

    @rule(
        index=indices,
        by=people,
        order=st.sampled_from([1, 2, 2, 3, FORBIDDEN_ORDER]),
        cents=cents,
        note=st.sampled_from(["", "", "", KEY]),
        which=gateways,
    )
    def edit(self, index: int, by: Caller, order: int, cents: int, note: str, which: int) -> None:
        if (held := self._pick(index)) is None:
            return
        args = Args(order, cents, note)
        digest = self.run(self._digest(held))
        taken = self.run(self._edit(held, by, args, digest, which))
        assert taken is self._may_edit(held, by, args), (held, by, args)
        self._edited(held, by, args, taken)

    async def _edit(self, held: Held, by: Caller, args: Args, digest: bytes, which: int) -> bool:
        answer = await self.gateways[which].operate_near_tools(
            edit_approval,
            held.approval_id,
            args._asdict(),
            by=in_person(by),
            reason="better so",
            digest=digest,
        )
        return not isinstance(answer, Declined)

    def _may_edit(self, held: Held, by: Caller, args: Args) -> bool:
        return (
            held.waits(self.now)
            and self._may_look(held, by)
            and held.version == self.version
            and args != held.args
            and args.order != FORBIDDEN_ORDER
            and self._may_claim(held, args)
        )

    def _may_claim(self, held: Held, args: Args) -> bool:
        claim = self.claims.get(args.order)
        if claim is None or claim.call_id == held.call_id or args.order == held.args.order:
            return True
        return (claim.caller, claim.args) == (held.caller, args) and self._is_free(claim.call_id)

    def _edited(self, held: Held, by: Caller, args: Args, taken: bool) -> None:
        if not taken:
            return
        claim = self.claims.get(args.order)
        if claim is None or claim.call_id != held.call_id:
            self.claims[args.order] = Claim(held.call_id, held.caller, args)
        held.edited(by.id, args)

    @rule(index=indices, by=st.sampled_from([*ASKERS, *PEOPLE, *[PEOPLE[-1]] * 8]), which=gateways)
    def take_back(self, index: int, by: Caller, which: int) -> None:
        if (held := self._pick(index)) is None:
            return
        answer = self.run(self._withdraw(held, by, which))
        own = by.tenant == "acme" and by.id == held.caller
        may = held.over is None and (own or self._may_look(held, by) or by is OPS)
        assert answer is may, (held, by)
        if may:
            held.over = "withdrawn"

    async def _withdraw(self, held: Held, by: Caller, which: int) -> bool:
        answer = await self.gateways[which].operate(
            withdraw, held.approval_id, by=in_person(by), reason="no need any more"
        )
        return not isinstance(answer, Declined)

    @rule(by=st.sampled_from([LEA, LEA, LEA, LEA, OPS]))
    def stop_everything(self, by: Caller) -> None:
        answer = self.run(self.gateways[0].operate(stop_all, by=in_person(by), reason="something is odd"))
        assert isinstance(answer, Declined) is (by is not OPS)
        if by is not OPS:
            return
        for held in self.held.values():
            held.over = held.over or "withdrawn"
        for grant in self.grants.values():
            grant.revoked = grant.revoked or grant.tenant == "acme"

    # ------------------------------------------------------------------------------------------- grants

    @rule(
        by=people,
        caller=st.sampled_from([None, "ann", "bob"]),
        agent=agents,
        cents=st.sampled_from([20, 50]),
        uses=st.integers(1, 3),
    )
    def grant(self, by: Caller, caller: str | None, agent: str | None, cents: int, uses: int) -> None:
        made = self.run(self._grant(by, caller, agent, cents, uses))
        may = "lead" in by.roles and (caller or agent) is not None and who(by.id) != caller
        assert (made is not None) is may, (by, caller, agent)

    async def _grant(
        self, by: Caller, caller: str | None, agent: str | None, cents: int, uses: int
    ) -> Granted | None:
        row = await self.gateways[0].operate(
            make_grant,
            by=in_person(by),
            tool="pay",
            bounds={"cents": {"le": cents}},
            caller_id=caller,
            agent=agent,
            lasting=LASTING,
            uses=uses,
            reason="small ones",
        )
        if isinstance(row, Declined):
            return None
        made = Granted(
            row.grant_id, by.tenant, by.id, caller, agent, self.version, cents, self.now + LASTING, uses
        )
        self.grants[row.grant_id] = made
        return made

    @rule(index=indices, by=people)
    def revoke(self, index: int, by: Caller) -> None:
        if not self.grants:
            return
        grant = list(self.grants.values())[index % len(self.grants)]
        answer = self.run(
            self.gateways[1].operate(revoke_grant, grant.grant_id, by=in_person(by), reason="enough")
        )
        may = by.tenant == grant.tenant and bool(by.roles & {"lead", "operator"})
        assert may or isinstance(answer, Declined), (grant, by)
        grant.revoked = grant.revoked or not isinstance(answer, Declined)

    @rule(uses=st.integers(1, 2), which=gateways)
    def the_last_use_is_raced(self, uses: int, which: int) -> None:
        """Three calls at two gateways, and a grant for fewer: exactly so many pass, the others are held."""
        orders = (7, 8, 9)
        if any(order in self.claims for order in orders):
            return
        made = self.run(self._grant(NIA, "bob", "crawler", 20, uses))
        assert made is not None
        able = sum(
            grant.uses - grant.used
            for grant in self.grants.values()
            if grant.covers("bob", "crawler", Args(7, 20, ""), version=self.version, now=self.now)
        )

        async def race() -> list[Any]:
            calls = [
                self._called(Args(order, 20, ""), ASKERS[1], "crawler", (which + order) % 2)
                for order in orders
            ]
            return list(await asyncio.gather(*calls))

        told = self.run(race())
        passed = [one for one in told if isinstance(one, Succeeded)]
        assert len(passed) == min(able, len(orders)), told
        for order, one in zip(orders, told, strict=True):
            if isinstance(one, PendingApproval):
                self._drafted(one, Args(order, 20, ""), ASKERS[1], "crawler")
            else:
                self.claims[order] = Claim(one.call_id, "bob", Args(order, 20, ""))

    # -------------------------------------------------------------------------------------------- races

    @rule(index=indices, editor=st.sampled_from([LEA, MAX]), cents=cents, yes=st.booleans())
    def an_edit_races_a_vote_and_both_sweep(self, index: int, editor: Caller, cents: int, yes: bool) -> None:
        if (held := self._pick(index)) is None:
            return
        args = held.args._replace(cents=cents)
        could_vote, could_edit = self._may_vote(held, NIA, yes), self._may_edit(held, editor, args)

        async def race() -> tuple[bool, bool]:
            digest = await self._digest(held)
            done = await asyncio.gather(
                self._edit(held, editor, args, digest, 0),
                self._vote(held, NIA, yes, digest, 1),
                *(gateway.sweep() for gateway in self.gateways),
            )
            await asyncio.gather(*(sweep(gateway) for gateway in self.gateways))
            return bool(done[0]), bool(done[1])

        edited, voted = self.run(race())
        assert could_vote or not voted, held
        assert could_edit or not edited, held
        assert not (could_vote or could_edit) or voted or edited, "each kept the other back"
        # A vote for the old revision can only have come before the edit, which voids it.
        if voted:
            self._voted(held, NIA, yes, taken=True)
        if edited:
            assert held.over is None, "edited after it was denied"
            assert not held.approved, "edited after it was approved"
        self._edited(held, editor, args, edited)
        if self.now >= held.ends_at:
            held.over = held.over or "expired"

    @rule(index=indices, deny=st.booleans(), voters=st.sampled_from([(LEA, MAX), (MAX, NIA), (NIA, LEA)]))
    def two_decide_at_once_and_both_sweep(
        self, index: int, deny: bool, voters: tuple[Caller, Caller]
    ) -> None:
        if (held := self._pick(index)) is None:
            return
        said = [True, not deny]
        could = [self._may_vote(held, by, yes) for by, yes in zip(voters, said, strict=True)]

        async def race() -> list[bool]:
            digest = await self._digest(held)
            votes = [self._vote(held, by, said[place], digest, place) for place, by in enumerate(voters)]
            done = await asyncio.gather(*votes, *(gateway.sweep() for gateway in self.gateways))
            await asyncio.gather(*(sweep(gateway) for gateway in self.gateways))
            return [bool(taken) for taken in done[:2]]

        taken = self.run(race())
        assert all(may or not was for may, was in zip(could, taken, strict=True)), (held, taken)
        assert any(taken) or not any(could)
        for by, yes, was in zip(voters, said, taken, strict=True):
            if was:
                self._voted(held, by, yes, taken=True)

    @rule(index=indices)
    def a_withdrawal_races_its_pick_up(self, index: int) -> None:
        if (held := self._pick(index)) is None:
            return

        async def race() -> bool:
            taken, *_ = await asyncio.gather(
                self._withdraw(held, OPS, 0), *(gateway.sweep() for gateway in self.gateways)
            )
            await asyncio.gather(*(sweep(gateway) for gateway in self.gateways))
            return bool(taken)

        if self.run(race()):
            assert held.call_id not in {one.call_id for one in self.ran}, "withdrawn, and it ran"
            held.over = held.over or "withdrawn"

    # --------------------------------------------------------------------------- time, housekeeping, people

    @rule(which=gateways)
    def sweep_one(self, which: int) -> None:
        self.run(sweep(self.gateways[which]))

    @rule()
    def sweep_both_at_once(self) -> None:
        async def both() -> None:
            await asyncio.gather(*(sweep(gateway) for gateway in (*self.gateways, *self.gateways)))

        self.run(both())

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 20.0, 60.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.stage.clock.advance(seconds)

    @rule(which=gateways)
    def somebody_looks_what_happened(self, which: int) -> None:
        """Whatever died while it ran did nothing; once nothing can run any more, an operator says so."""

        async def resolve() -> list[tuple[str, list[Any]]]:
            gateway = self.gateways[which]
            await sweep(gateway)
            found = []
            for row in await gateway.store.unknown():
                before = {one.approval_id for one in await self._approvals(gateway)}
                answer = await gateway.operate_near_tools(
                    resolve_call, row.call_id, applied=False, by=in_person(OPS), reason="it did nothing"
                )
                assert not isinstance(answer, Declined), answer
                new = [one for one in await self._approvals(gateway) if one.approval_id not in before]
                found.append((row.call_id, new))
            return found

        for call_id, new in self.run(resolve()):
            self.free.add(call_id)
            held = self._of_call(call_id)
            if held is None or held.version != self.version:
                assert not new
                continue
            (row,) = new
            again = self._hold(row.call_id, row.approval_id, held.args, held.caller, held.agent)
            again.quorum, again.editors = held.quorum, set(held.editors)
            again.revisions = list(held.revisions)
            for claim in self.claims.values():
                # Both keys belong to the call, and go with it.
                claim.call_id = again.call_id if claim.call_id == call_id else claim.call_id

    @staticmethod
    async def _approvals(gateway: Gateway) -> Any:
        return await gateway.store.approvals(ApprovalFilter(open_only=False, limit=1000))

    # ------------------------------------------------------------------------------------------ invariants

    @invariant()
    def consent_is_exact(self) -> None:
        if hasattr(self, "gateways"):
            self._whatever_ran_was_consented_to()
            self.run(self._the_ledger_says_the_same())

    def _whatever_ran_was_consented_to(self) -> None:
        assert max(Counter(one.call_id for one in self.ran).values(), default=0) <= 1, "ran twice"
        for one in self.ran[self.judged :]:
            if one.consent is None:
                assert not one.args.demanded, f"nobody agreed: {one}"
            elif one.consent in self.grants:
                self._spent(self.grants[one.consent], one)
            else:
                self._consumed(self.held[one.consent], one)
        self.judged = len(self.ran)

    @staticmethod
    def _spent(grant: Granted, one: Ran) -> None:
        assert grant.covers(one.caller, one.agent, one.args, version=one.version, now=one.at), (grant, one)
        assert one.by == (grant.maker,)
        grant.used += 1

    def _consumed(self, held: Held, one: Ran) -> None:
        assert (one.call_id, one.caller, one.agent, one.args) == (
            held.call_id,
            held.caller,
            held.agent,
            held.args,
        ), (held, one)
        assert held.over is None, (held, one)
        assert held.approved, (held, one)
        assert set(map(who, one.by)) == held.votes, (held, one)
        assert one.at < held.ends_at
        assert one.version == held.version
        held.over = "consumed"

    async def _the_ledger_says_the_same(self) -> None:
        store = self.gateways[0].store
        for held in self.held.values():
            found = await store.find(ByApproval(held.approval_id))
            assert found.approval is not None
            assert found.call is not None
            self._same_state(held, found.approval.state, found.call.effect_state)
        self.fell = False
        for grant in self.grants.values():
            row = (await store.find(ByGrant(grant.grant_id))).grant
            assert row is not None
            assert row.uses == grant.used <= row.max_uses, grant
        events: dict[str, list[dict[str, Any]]] = {}
        async for stored in store.records():
            record = json.loads(stored.record)
            events.setdefault(record.get("toolgate.call.id"), []).append(record)
        for one in self.ran:
            self._on_record(one, events.get(one.call_id, []))

    def _same_state(self, held: Held, state: ApprovalState, effect: EffectState | None) -> None:
        match held.over:
            case None if state is ApprovalState.EXPIRED:
                assert self.now >= held.ends_at
                held.over = "expired"
            case None if state is ApprovalState.CONSUMED:
                assert self.fell, "used up, and nothing ran"
                assert held.approved
                held.over = "consumed"
            case None if state is ApprovalState.CANCELLED:
                assert held.approved
                assert held.version != self.version
                held.over = "withdrawn"
            case None:
                assert state is (ApprovalState.APPROVED if held.approved else ApprovalState.PENDING), held
            case "consumed":
                assert state is ApprovalState.CONSUMED
            case "denied":
                assert state is ApprovalState.DENIED
            case "withdrawn":
                assert state is ApprovalState.CANCELLED
            case _:
                assert state is ApprovalState.EXPIRED or not self._written(state), held
        assert (effect is not None) == (state is ApprovalState.CONSUMED)

    @staticmethod
    def _written(state: ApprovalState) -> bool:
        return state not in {ApprovalState.PENDING, ApprovalState.APPROVED}

    @staticmethod
    def _on_record(one: Ran, events: list[dict[str, Any]]) -> None:
        """No effect without its record: the intent, once, and the arguments as they ran."""
        told = [event["toolgate.transition"] for event in events]
        assert told.count("intended") == 1, (one, told)
        # What a repetition asked for is told with it, and is not what runs.
        arguments = [
            event["gen_ai.tool.call.arguments"]
            for event in events[: told.index("intended") + 1]
            if event["toolgate.transition"] in {"held", "approval_edited", "intended"}
            and "gen_ai.tool.call.arguments" in event
        ]
        assert (arguments[-1]["order"], arguments[-1]["cents"]) == one.args[:2], (one, told)


class SqlitePeopleMachine(PeopleMachine):
    """The same over one file that two gateways share."""

    kind = "sqlite"


class PostgresPeopleMachine(PeopleMachine):
    """The same over one database that two gateways share."""

    kind = "postgres"


TestPeopleInMemory = PeopleMachine.TestCase
TestPeopleInMemory.settings = effort(120, 35)
TestPeopleInMemory.pytestmark = [  # type: ignore[attr-defined]
    pytest.mark.req("X1.16", "X2.3", "X2.4", "X2.6", "X2.18", "X2.19"),
    pytest.mark.req("X7.1", "X7.2", "X7.3", "M12.12", "M12.14"),
]

TestPeopleInSqlite = SqlitePeopleMachine.TestCase
TestPeopleInSqlite.settings = effort(40, 25)
TestPeopleInSqlite.pytestmark = [  # type: ignore[attr-defined]
    pytest.mark.req("X1.16", "X2.3", "X2.4", "X2.6", "X2.18", "X2.19"),
    pytest.mark.req("X7.1", "X7.2", "X7.3", "M12.12", "M12.14"),
]

TestPeopleInPostgres = PostgresPeopleMachine.TestCase
TestPeopleInPostgres.settings = effort(6, 20)
TestPeopleInPostgres.pytestmark = [  # type: ignore[attr-defined]
    pytest.mark.req("X1.16", "X2.3", "X2.4", "X2.6", "X2.18", "X2.19"),
    pytest.mark.req("X7.1", "X7.2", "X7.3", "M12.12", "M12.14"),
]
