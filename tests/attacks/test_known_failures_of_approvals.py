"""How approvals failed elsewhere: each a sentence, tried here on both ledgers.

What runs is other than what was shown, who may not agree does, consent counts twice or for something else, or is lost.
Not here: any sequence of these (``tests/machines``).
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, field_validator

from tests.machines.stage import KINDS, Guillotine, Stage, landed, sweep
from toolgate import (
    Approval,
    Caller,
    Gateway,
    NotApplied,
    Outcome,
    PendingApproval,
    PlainText,
    Refused,
    Sensitive,
    StoreUnavailable,
    Succeeded,
    Tool,
    ToolContext,
    Unknown,
    UsageError,
    tool,
)
from toolgate.domain.commands import Answer, Command, Dispatch
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.principal import Declined, Principal, in_person
from toolgate.domain.rows import ByApproval, ByCall, ByGrant, GrantRow
from toolgate.operations.decide_approval import decide_approval
from toolgate.operations.decide_batch import decide_batch
from toolgate.operations.edit_approval import edit_approval
from toolgate.operations.grants import make_grant, revoke_grant
from toolgate.operations.resolve_call import resolve_call
from toolgate.operations.reveal_masked import reveal_masked
from toolgate.operations.review import Review
from toolgate.operations.review_approval import review_approval
from toolgate.operations.verify_audit import verify_audit
from toolgate.operations.withdraw import Stopped, stop_all

ANN = Caller("ann", {"clerk"}, "acme")
BOB = Caller("bob", {"clerk"}, "acme")
LEA, MAX, NIA = (Caller(name, {"lead"}, "acme") for name in ("lea", "max", "nia"))
OPS = Caller("ops", {"operator"}, "acme")
KEY = "AKIAIOSFODNN7EXAMPLE"
OTHER_KEY = "AKIAIOSFODNN7ALIKE00"
HOUR = 3600.0


class Order(BaseModel):
    """What is paid back."""

    order: int = Field(ge=1, le=100)
    cents: int = Field(default=500, ge=1, le=5000)
    to: str = Field(default="the customer", max_length=100)
    label: Annotated[str, PlainText(max_length=40)] = ""
    card: Annotated[str, Sensitive()] = Field(default="0000", max_length=19)


class Desk:
    """What really happened."""

    def __init__(self) -> None:
        self.paid: list[Order] = []

    def tool(self, approval: Approval | None = None, **given: Any) -> Tool[Any, int]:
        """Paying back; nobody may touch order 13."""

        async def refund(context: ToolContext[Any], args: Order) -> int:
            """Pay an order back."""
            self.paid.append(args)
            return args.cents

        def allowed(context: ToolContext[Any], args: Order) -> bool:
            return args.order != 13

        keywords: dict[str, Any] = {
            "effect": "write",
            "roles": {"clerk"},
            "authorize": allowed,
            "idempotency": "refund:{order}:{workflow_id}",
            "timeout": 5,
        } | given
        return tool(approval=approval or Approval(approvers={"lead"}, expires_in=HOUR), **keywords)(refund)


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    """An empty ledger of each kind."""
    return Stage(kind=request.param, folder=tmp_path)


@pytest.fixture
def desk() -> Desk:
    return Desk()


# --- what people and models do ---------------------------------------------------------------------------------


async def ask(
    gateway: Gateway, order: int = 1, *, caller: Caller = ANN, agent: str | None = None, **args: Any
) -> Any:
    return await gateway.call("refund", {"order": order, **args}, caller=caller, workflow="w", agent=agent)


async def held(gateway: Gateway, order: int = 1, **given: Any) -> PendingApproval:
    outcome: Outcome[Any] = await ask(gateway, order, **given)
    assert isinstance(outcome, PendingApproval), outcome
    return outcome


async def look(gateway: Gateway, one: PendingApproval, by: Caller = LEA) -> Review:
    review = await gateway.operate(review_approval, one.approval_id, by=in_person(by))
    assert isinstance(review, Review), review
    return review


async def vote(
    gateway: Gateway, one: PendingApproval, by: Caller, *, digest: bytes | None = None, no: bool = False
) -> Review | Declined:
    return await gateway.operate(
        decide_approval,
        one.approval_id,
        "deny" if no else "approve",
        by=in_person(by),
        reason="I looked",
        digest=digest if digest is not None else (await look(gateway, one)).row.digest,
    )


async def edit(
    gateway: Gateway, one: PendingApproval, by: Caller = LEA, *, digest: bytes | None = None, **changes: Any
) -> Review | Declined:
    seen = digest if digest is not None else (await look(gateway, one)).row.digest
    return await gateway.operate_near_tools(
        edit_approval, one.approval_id, changes, by=in_person(by), reason="better so", digest=seen
    )


async def edited(gateway: Gateway, one: PendingApproval, by: Caller = LEA, **changes: Any) -> Review:
    review = await edit(gateway, one, by, **changes)
    assert isinstance(review, Review), review
    return review


async def reveal(gateway: Gateway, one: PendingApproval, by: Caller) -> Any:
    digest = (await look(gateway, one)).row.digest
    return await gateway.operate(
        reveal_masked, one.approval_id, by=in_person(by), reason="which?", digest=digest
    )


async def grant(gateway: Gateway, by: Caller = LEA, **given: Any) -> Any:
    asked: dict[str, Any] = {
        "tool": "refund",
        "bounds": {"cents": {"le": 1000}},
        "caller_id": None,
        "agent": "bot",
        "lasting": HOUR,
        "uses": 1,
        "reason": "small ones",
    }
    return await gateway.operate(make_grant, by=in_person(by), **(asked | given))


async def state_of(gateway: Gateway, one: PendingApproval) -> ApprovalState:
    row = (await gateway.store.find(ByApproval(one.approval_id))).approval
    assert row is not None
    return row.state


def paid(desk: Desk) -> list[tuple[int, int]]:
    return [(one.order, one.cents) for one in desk.paid]


# --- the approver sees other arguments than those that run ---------------------------------------------------------


@pytest.mark.req("X2.2", "X2.3")
async def test_defaults_are_shown_and_an_edit_runs_exactly_as_it_was_shown(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        one = await held(gateway, card="4242 4242 4242 4242")
        before = await look(gateway, one)
        after = await edited(gateway, one, to="the customer's bank")
        await vote(gateway, one, MAX, digest=after.row.digest)
        await sweep(gateway)

    assert before.shown["arguments"]["cents"] == 500
    assert after.row.digest != before.row.digest
    assert desk.paid == [Order(order=1, cents=500, to="the customer's bank", card="4242 4242 4242 4242")]
    assert after.shown["arguments"] | {"card": "4242 4242 4242 4242"} == desk.paid[0].model_dump()


class Letter(BaseModel):
    """A letter whose address is put into one form."""

    to: str = Field(max_length=100)
    copies: int = Field(default_factory=lambda: 1, ge=1, le=9)

    @field_validator("to")
    @classmethod
    def _in_one_form(cls, value: str) -> str:
        return value.strip().lower()


@pytest.mark.req("X2.2", "X2.3")
async def test_what_validators_and_factories_make_of_an_edit_is_shown_and_is_made_once(stage: Stage) -> None:
    sent: list[Letter] = []

    async def send(context: ToolContext[Any], args: Letter) -> None:
        """Send a letter."""
        sent.append(args)

    letter = tool(
        effect="write",
        roles={"clerk"},
        approval=Approval(approvers={"lead"}),
        idempotency="send:{to}:{workflow_id}",
        timeout=5,
    )(send)
    async with stage.gateway(letter) as gateway:
        one = await gateway.call("send", {"to": " Ann@Example.com "}, caller=ANN, workflow="w")
        assert isinstance(one, PendingApproval)
        before = await look(gateway, one)
        after = await edited(gateway, one, to=" BOB@Example.com ")
        same = await edit(gateway, one, to="bob@example.com")
        await vote(gateway, one, MAX)
        await sweep(gateway)

    assert after.shown["arguments"] == before.shown["arguments"] | {"to": "bob@example.com"}
    assert isinstance(same, Declined), "the same in another spelling changes nothing"
    assert [one.model_dump() for one in sent] == [after.shown["arguments"]]


@pytest.mark.req("M2.20", "X2.3")
async def test_an_edit_brings_in_no_hidden_character(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        one = await held(gateway)
        for text in ("paid\u200b", "\u202elasrever", "two\nlines\x00"):
            refused = await edit(gateway, one, label=text)
            assert isinstance(refused, Declined)
            assert refused.why == "invalid"

        assert (await look(gateway, one)).row.revision == 1


@pytest.mark.req("M12.12")
async def test_what_is_masked_for_its_likeness_is_seen_by_each_who_approves_and_again_after_an_edit(
    stage: Stage, desk: Desk
) -> None:
    two = Approval(approvers={"lead"}, quorum=2, expires_in=HOUR)
    async with stage.gateway(desk.tool(two)) as gateway:
        one = await held(gateway, to=KEY, card="4111")
        blind = await vote(gateway, one, LEA)
        seen = await reveal(gateway, one, LEA)
        by_her = await vote(gateway, one, LEA)
        by_another = await vote(gateway, one, MAX)
        await edited(gateway, one, MAX, to=OTHER_KEY)
        again = await vote(gateway, one, LEA)
        seen_again = await reveal(gateway, one, LEA)
        after = [await vote(gateway, one, by) for by in (LEA, NIA)]
        events = [record.record async for record in gateway.store.records(call_id=one.call_id)]

    assert isinstance(blind, Declined)
    assert "reveal it first" in blind.reason
    assert (seen["to"], seen["card"]) == (KEY, "4111")
    assert isinstance(by_her, Review)
    assert isinstance(by_another, Declined), "somebody else's look is not one's own"
    assert isinstance(again, Declined), "a look at another revision is not a look at this one"
    assert seen_again["to"] == OTHER_KEY
    assert [type(one) for one in after] == [Review, Declined]
    assert sum(b"approval_revealed" in event for event in events) == 2
    assert not any(KEY.encode() in event for event in events)


@pytest.mark.req("M12.12")
async def test_the_mark_that_was_shown_in_place_of_a_value_is_never_taken_for_the_value(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        one = await held(gateway, card="4242", to=f"see {KEY}")
        shown = (await look(gateway, one)).shown["arguments"]
        for field in ("card", "to"):
            refused = await edit(gateway, one, **{field: shown[field]})
            assert isinstance(refused, Declined)
            assert "stays" in refused.reason
        whole = await reveal(gateway, one, MAX)

    assert (whole["card"], whole["to"]) == ("4242", f"see {KEY}")


# --- an edit leads around a check ----------------------------------------------------------------------------------


@pytest.mark.req("X2.3")
@pytest.mark.parametrize(
    "changes",
    [
        {"tool": "erase"},
        {"caller": "bob"},
        {"workflow_id": "another"},
        {"idempotency_key": "refund:2:w"},
        {"cents": 5001},
        {"cents": 0},
        {"cents": "500"},
        {"cents": 5.0},
        {"order": 13},
        {"order": None},
        {"to": "x" * 101},
        {"__proto__": {}},
    ],
    ids=str,
)
async def test_an_edit_skips_nothing_that_the_call_itself_had_to_pass(
    changes: dict[str, Any], stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        one = await held(gateway)
        before = await look(gateway, one)
        refused = await edit(gateway, one, **changes)
        after = await look(gateway, one)
        await vote(gateway, one, MAX, digest=before.row.digest)
        await sweep(gateway)

    assert isinstance(refused, Declined)
    assert refused.why == "invalid"
    assert after.row == before.row
    assert paid(desk) == [(1, 500)]


@pytest.mark.req("X2.3", "X2.8", "X2.18")
async def test_whoever_edited_it_cannot_approve_it_under_any_spelling_and_an_edit_is_no_vote(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        one = await held(gateway)
        await edited(gateway, one, LEA, cents=400)
        refused = [
            await vote(gateway, one, Caller(name, {"lead"}, "acme"))
            for name in ("lea", "LEA", " lea ", "\uff4cea", "ANN", "ann ")
        ]
        await sweep(gateway)
        nothing_yet = paid(desk)
        taken = await vote(gateway, one, MAX)
        await sweep(gateway)

    assert all(isinstance(one, Declined) and one.why == "forbidden" for one in refused)
    assert nothing_yet == []
    assert isinstance(taken, Review)
    assert paid(desk) == [(1, 400)]


@pytest.mark.req("X2.3")
async def test_an_edit_back_to_what_was_approved_revives_no_vote(stage: Stage, desk: Desk) -> None:
    two = Approval(approvers={"lead"}, quorum=2, expires_in=HOUR)
    async with stage.gateway(desk.tool(two)) as gateway:
        one = await held(gateway)
        await vote(gateway, one, MAX)
        await edited(gateway, one, LEA, cents=400)
        await edited(gateway, one, LEA, cents=500)
        alone = await vote(gateway, one, NIA)
        await sweep(gateway)
        nothing_yet = paid(desk)
        again = await vote(gateway, one, MAX)
        await sweep(gateway)

    assert isinstance(alone, Review)
    assert alone.row.state is ApprovalState.PENDING
    assert nothing_yet == []
    assert isinstance(again, Review)
    assert paid(desk) == [(1, 500)]


@pytest.mark.req("X2.3", "X2.10", "X2.20")
async def test_an_edit_below_the_bound_takes_back_nothing_that_was_demanded(stage: Stage, desk: Desk) -> None:
    big = Approval(approvers={"lead"}, when={"cents": {"gt": 100}}, quorum=2, expires_in=HOUR)
    async with stage.gateway(desk.tool(big)) as gateway:
        one = await held(gateway)
        after = await edited(gateway, one, cents=50)
        await vote(gateway, one, MAX)
        await sweep(gateway)

    assert after.requirement.quorum == 2
    assert desk.paid == []


@pytest.mark.req("X2.3", "X2.7", "X2.20")
async def test_an_edit_gives_nobody_more_time_and_may_leave_less(stage: Stage, desk: Desk) -> None:
    soon = Approval(approvers={"lead"}, when={"cents": {"gt": 1000}}, expires_in=60.0)
    both = Approval(approvers={"lead"}, expires_in=HOUR).and_also(soon)
    async with stage.gateway(desk.tool(both)) as gateway:
        one = await held(gateway)
        before = (await look(gateway, one)).row.expires_at
        stage.clock.advance(600.0)
        same = (await edited(gateway, one, cents=400)).row.expires_at
        less = (await edited(gateway, one, cents=2000)).row

    assert same == before
    assert less.expires_at == less.updated_at + 60_000_000 < before


# --- keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("X2.3", "X2.12", "X2.19", "M9.12")
async def test_a_model_that_repeats_its_call_after_an_edit_is_told_of_it_and_makes_no_second_one(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        one = await held(gateway, cents=900, card="4242")
        await edited(gateway, one, cents=300)
        waiting = await ask(gateway, cents=900, card="4242")
        await vote(gateway, one, MAX)
        await sweep(gateway)
        done = await ask(gateway, cents=900, card="4242")
        other = await ask(gateway, cents=901, card="4242")

    assert isinstance(waiting, PendingApproval)
    assert (waiting.call_id, waiting.approval_id) == (one.call_id, one.approval_id)
    assert waiting.edited is not None
    assert waiting.edited["cents"] == 300
    assert isinstance(done, Succeeded)
    assert (done.call_id, done.result, done.replayed) == (one.call_id, 300, True)
    assert done.edited == waiting.edited
    assert "4242" not in str(done.to_model()) + str(waiting.to_model())
    assert other.error_type == "idempotency_conflict"
    assert paid(desk) == [(1, 300)]


@pytest.mark.req("X2.4", "X2.19", "M9.3", "M9.4")
async def test_after_an_edit_of_the_key_both_keys_are_the_calls_and_no_third_call_runs_under_either(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        one = await held(gateway, 1)
        await edited(gateway, one, order=2)
        during = [await ask(gateway, 1), await ask(gateway, 2)]
        others = [
            await ask(gateway, order, caller=caller, cents=cents)
            for order, caller, cents in ((1, ANN, 600), (2, ANN, 600), (1, BOB, 500), (2, BOB, 500))
        ]
        await vote(gateway, one, MAX)
        await sweep(gateway)
        after = [await ask(gateway, 1), await ask(gateway, 2)]

    assert [told.call_id for told in (*during, *after)] == [one.call_id] * 4
    assert all(isinstance(told, PendingApproval) for told in during)
    assert all(isinstance(told, Succeeded) for told in after)
    assert all(isinstance(told, Refused) and told.error_type == "idempotency_conflict" for told in others)
    assert paid(desk) == [(2, 500)]


@pytest.mark.req("X2.4")
async def test_an_edit_onto_a_key_that_another_call_has_is_refused(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        one, two = await held(gateway, 1), await held(gateway, 2)
        waiting = await edit(gateway, one, order=2)
        await vote(gateway, two, MAX)
        await sweep(gateway)
        applied = await edit(gateway, one, order=2)
        await vote(gateway, one, MAX)
        await sweep(gateway)

    for refused in (waiting, applied):
        assert isinstance(refused, Declined)
        assert "another call has claimed" in refused.reason
    assert sorted(paid(desk)) == [(1, 500), (2, 500)]


@pytest.mark.req("X2.4", "M9.17")
async def test_an_edit_races_a_call_for_the_new_key_and_one_of_them_gets_it(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway, stage.gateway(desk.tool()) as other:
        for order in range(20, 30):
            one = await held(gateway, order)
            digest = (await look(gateway, one)).row.digest
            changed, rival = await asyncio.gather(
                edit(gateway, one, digest=digest, order=order + 20), ask(other, order + 20, caller=BOB)
            )
            won = isinstance(changed, Review)
            assert won is not isinstance(rival, PendingApproval), (changed, rival)
            if isinstance(changed, Declined):
                assert "another call has claimed" in changed.reason
            else:
                assert rival.error_type == "idempotency_conflict"


# --- who decides at the same moment --------------------------------------------------------------------------------


@pytest.mark.req("X2.2", "X2.3")
async def test_a_vote_for_what_stood_there_before_an_edit_is_refused(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        one = await held(gateway)
        seen = (await look(gateway, one)).row.digest
        await edited(gateway, one, cents=5000)
        late = [await vote(gateway, one, MAX, digest=seen, no=no) for no in (False, True)]
        second_edit = await edit(gateway, one, MAX, digest=seen, cents=1)
        await sweep(gateway)

    for refused in (*late, second_edit):
        assert isinstance(refused, Declined)
        assert refused.why == "conflict"
        assert "look at it again" in refused.reason
    assert desk.paid == []


@pytest.mark.req("X2.6", "X2.9", "M5.12")
async def test_deny_races_approve_and_one_of_them_stands(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway, stage.gateway(desk.tool()) as other:
        for order in range(1, 11):
            one = await held(gateway, order)
            digest = (await look(gateway, one)).row.digest
            yes, no, *_ = await asyncio.gather(
                vote(gateway, one, LEA, digest=digest),
                vote(other, one, MAX, digest=digest, no=True),
                gateway.sweep(),
                other.sweep(),
            )
            await sweep(gateway)
            await sweep(other)
            assert isinstance(yes, Review) is not isinstance(no, Review)
            assert (order in [ran.order for ran in desk.paid]) is isinstance(yes, Review)


@pytest.mark.req("X2.6", "X2.9")
async def test_two_approve_at_once_and_two_gateways_consume_it_once(stage: Stage, desk: Desk) -> None:
    two = Approval(approvers={"lead"}, quorum=2, expires_in=HOUR)
    async with stage.gateway(desk.tool(two)) as gateway, stage.gateway(desk.tool(two)) as other:
        for order in range(1, 11):
            one = await held(gateway, order)
            digest = (await look(gateway, one)).row.digest
            votes = await asyncio.gather(
                vote(gateway, one, LEA, digest=digest),
                vote(other, one, MAX, digest=digest),
                vote(other, one, LEA, digest=digest),
            )
            await asyncio.gather(*(sweep(one) for one in (gateway, other, gateway, other)))
            assert sum(isinstance(said, Review) for said in votes) == 2

    assert [ran.order for ran in desk.paid] == list(range(1, 11))


@pytest.mark.req("M12.14", "X2.2")
async def test_in_a_batch_one_stale_digest_keeps_only_itself_back(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        ones = [await held(gateway, order) for order in (1, 2, 3)]
        items = [(one.approval_id, (await look(gateway, one)).row.digest) for one in ones]
        await edited(gateway, ones[1], cents=5000)
        answers = await gateway.operate(decide_batch, items, "approve", by=in_person(MAX), reason="alike")
        twice = await gateway.operate(
            decide_batch, [items[0], items[0]], "approve", by=in_person(NIA), reason="alike"
        )
        await sweep(gateway)

    assert not isinstance(answers, Declined)
    assert [type(answer) for _, answer in answers] == [Review, Declined, Review]
    assert isinstance(twice, Declined)
    assert sorted(paid(desk)) == [(1, 500), (3, 500)]


# --- time ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("X2.7")
async def test_at_the_very_microsecond_of_its_end_nothing_is_open_any_more(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        voted, edits, looks, approved = [await held(gateway, order) for order in (1, 2, 3, 4)]
        digests = [(await look(gateway, one)).row.digest for one in (voted, edits, looks)]
        await vote(gateway, approved, MAX)
        stage.clock.advance(HOUR)
        said = [
            await vote(gateway, voted, MAX, digest=digests[0]),
            await edit(gateway, edits, digest=digests[1], cents=1),
            await reveal(gateway, looks, MAX),
        ]
        await sweep(gateway)
        states = [await state_of(gateway, one) for one in (voted, edits, looks, approved)]

    assert all(isinstance(one, Declined) for one in said), said
    assert states == [ApprovalState.EXPIRED] * 4
    assert desk.paid == []


@pytest.mark.req("X2.7")
async def test_a_moment_before_its_end_it_is_still_open(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        one = await held(gateway)
        stage.clock.advance(HOUR - 0.000001)
        taken = await vote(gateway, one, MAX)
        await sweep(gateway)

    assert isinstance(taken, Review)
    assert paid(desk) == [(1, 500)]


@pytest.mark.req("X1.23", "X2.7", "X7.2")
async def test_a_clock_that_is_set_back_revives_neither_a_request_nor_a_grant(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        one = await held(gateway)
        assert isinstance(await grant(gateway), GrantRow)
        stage.clock.advance(HOUR)
        # Any record moves the store's time on.
        await ask(gateway, 13)
        stage.clock.set_back(HOUR)
        late = await vote(gateway, one, MAX)
        through = await ask(gateway, 2, agent="bot")
        await sweep(gateway)

    assert isinstance(late, Declined)
    assert isinstance(through, PendingApproval)
    assert desk.paid == []


# --- what changed while it waited ----------------------------------------------------------------------------------


@pytest.mark.req("X2.11", "X2.3")
async def test_under_a_changed_contract_nothing_is_edited_granted_or_run(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        approved, waiting = await held(gateway, 1), await held(gateway, 2)
        await vote(gateway, approved, MAX)
        given = await grant(gateway)
    assert isinstance(given, GrantRow)
    async with stage.gateway(desk.tool(version="2")) as gateway:
        changed = await edit(gateway, waiting, cents=1)
        through = await ask(gateway, 3, agent="bot")
        await sweep(gateway)
        state = await state_of(gateway, approved)

    assert isinstance(changed, Declined)
    assert "contract changed" in changed.reason
    assert isinstance(through, PendingApproval)
    assert state is ApprovalState.CANCELLED
    assert desk.paid == []


@pytest.mark.req("X2.5")
@pytest.mark.parametrize("now", [None, Caller("ann", {"guest"}, "acme")], ids=["gone", "another role"])
async def test_a_caller_who_lost_their_rights_while_waiting_gets_neither_an_edit_nor_a_run(
    now: Caller | None, stage: Stage, desk: Desk
) -> None:
    known: dict[str, Caller | None] = {"ann": ANN}

    async def callers(id: str, tenant: str) -> Caller | None:
        return known[id]

    async with stage.gateway(desk.tool(), callers=callers) as gateway:
        approved, waiting = await held(gateway, 1), await held(gateway, 2)
        await vote(gateway, approved, MAX)
        known["ann"] = now
        changed = await edit(gateway, waiting, cents=1)
        await sweep(gateway)
        await sweep(gateway)
        state = await state_of(gateway, approved)

    assert isinstance(changed, Declined)
    assert state is ApprovalState.CANCELLED
    assert desk.paid == []


# --- an approval is used up, and nothing ran -----------------------------------------------------------------------


class DiesAfterConsuming(Guillotine):
    """The process is killed between the commit that consumes an approval and the dispatch."""

    async def execute(self, command: Command) -> Answer:
        answer = await super().execute(command)
        if isinstance(command, Dispatch):
            self.fall()
            raise StoreUnavailable("this process was killed")
        return answer


async def _dies_between_consuming_and_dispatching(stage: Stage, tools: Tool[Any, int]) -> PendingApproval:
    store = stage.store()
    async with stage.gateway(tools, store=DiesAfterConsuming(store.inner)) as gateway:
        one = await held(gateway, 1)
        await edited(gateway, one, LEA, order=2)
        await vote(gateway, one, MAX)
        with contextlib.suppress(StoreUnavailable):
            await gateway.sweep()
        await landed(gateway)
    stage.clock.advance(60.0)
    return one


@pytest.mark.req("X2.13", "X2.3", "X2.4", "X2.18", "X2.19")
async def test_an_approval_that_was_used_up_for_nothing_is_unknown_and_opened_anew_as_it_was(
    stage: Stage, desk: Desk
) -> None:
    one = await _dies_between_consuming_and_dispatching(stage, desk.tool())
    async with stage.gateway(desk.tool()) as gateway:
        await sweep(gateway)
        in_doubt = [await ask(gateway, order) for order in (1, 2)]
        done = await gateway.operate_near_tools(
            resolve_call, one.call_id, applied=False, by=in_person(OPS), reason="the bank knows nothing"
        )
        again = await ask(gateway, 1)
        by_its_new_key = await ask(gateway, 2)
        by_editor = await vote(gateway, again, LEA)
        await sweep(gateway)
        nothing_yet = paid(desk)
        by_other = await vote(gateway, again, MAX)
        await sweep(gateway)
        ran = [await ask(gateway, order) for order in (1, 2)]
        report = await verify_audit(gateway.store)

    assert all(isinstance(told, Unknown) and told.call_id == one.call_id for told in in_doubt)
    assert not isinstance(done, Declined)
    assert isinstance(again, PendingApproval)
    assert again.approval_id != one.approval_id
    assert by_its_new_key.call_id == again.call_id, "both keys go with the call"
    assert again.edited is not None
    assert again.edited["order"] == 2
    assert isinstance(by_editor, Declined), "who edited it approves it, drafted anew"
    assert isinstance(by_other, Review)
    assert nothing_yet == []
    assert paid(desk) == [(2, 500)]
    assert all(isinstance(told, Succeeded) and told.call_id == again.call_id for told in ran)
    assert report.intact


@pytest.mark.req("X2.13", "X1.5")
async def test_what_its_contract_can_look_up_is_opened_anew_without_anybody(stage: Stage, desk: Desk) -> None:
    def looked_up(context: ToolContext[Any], args: Order) -> NotApplied:
        return NotApplied("not in the books")

    tools = desk.tool(reconcile=looked_up, horizon=1.0)
    one = await _dies_between_consuming_and_dispatching(stage, tools)
    async with stage.gateway(tools) as gateway:
        await sweep(gateway)
        await sweep(gateway)
        again = await ask(gateway, 1)
        by_editor = await vote(gateway, again, LEA)

    assert isinstance(again, PendingApproval)
    assert again.call_id != one.call_id
    assert isinstance(by_editor, Declined)
    assert desk.paid == []


# --- grants --------------------------------------------------------------------------------------------------------


@pytest.mark.req("X7.1", "X7.2")
async def test_two_calls_race_for_the_last_use_of_a_grant_and_one_is_held(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway, stage.gateway(desk.tool()) as other:
        given = await grant(gateway)
        told = await asyncio.gather(ask(gateway, 1, agent="bot"), ask(other, 2, agent="bot"))
        row = (await gateway.store.find(ByGrant(given.grant_id))).grant

    assert sorted(type(one).__name__ for one in told) == ["PendingApproval", "Succeeded"]
    assert len(desk.paid) == 1
    assert row is not None
    assert (row.uses, row.max_uses) == (1, 1)


@pytest.mark.req("X7.1")
@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, {"cents": 1001}),
        ({}, {"agent": "another"}),
        ({}, {"agent": None}),
        ({"caller_id": "bob"}, {}),
        ({"caller_id": "ann", "agent": None, "bounds": {"order": {"in": [2, 3]}}}, {}),
        ({"bounds": {"to": {"eq": "the customer"}}}, {"to": "The customer"}),
        ({"by": Caller("eve", {"lead"}, "globex")}, {}),
        ({"by": Caller("olga", {"lead"}, "acme")}, {}),
    ],
    ids=str,
)
async def test_a_grant_admits_nothing_but_what_it_is_for(
    given: dict[str, Any], asked: dict[str, Any], stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool(), agents={"bot": "olga"}) as gateway:
        made = await grant(gateway, **given)
        told = await ask(gateway, **({"agent": "bot"} | asked))

    assert isinstance(made, GrantRow | Declined)
    assert isinstance(told, PendingApproval)
    assert desk.paid == []


@pytest.mark.req("X7.1", "X7.3")
async def test_a_grant_of_one_replaces_no_quorum(stage: Stage, desk: Desk) -> None:
    two = Approval(approvers={"lead"}, when={"cents": {"gt": 100}}, quorum=2, expires_in=HOUR)
    both = Approval(approvers={"lead"}, expires_in=HOUR).and_also(two)
    async with stage.gateway(desk.tool(both)) as gateway:
        given = await grant(gateway, uses=5)
        small, big = await ask(gateway, 1, agent="bot", cents=50), await ask(gateway, 2, agent="bot")

    assert isinstance(given, GrantRow)
    assert isinstance(small, Succeeded)
    assert isinstance(big, PendingApproval)
    assert paid(desk) == [(1, 50)]


@pytest.mark.req("X7.2")
async def test_a_grant_that_was_revoked_stopped_or_is_over_admits_nothing(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        revoked, stopped = await grant(gateway), await grant(gateway, tool="refund", uses=9)
        await gateway.operate(revoke_grant, revoked.grant_id, by=in_person(MAX), reason="enough")
        at_work = await ask(gateway, 1, agent="bot")
        ended = await gateway.operate(stop_all, by=in_person(OPS), reason="something is odd")
        after_stop = await ask(gateway, 2, agent="bot")
        over = await grant(gateway, uses=9)
        stage.clock.advance(HOUR)
        after_end = await ask(gateway, 3, agent="bot")

    assert isinstance(at_work, Succeeded)
    assert isinstance(ended, Stopped)
    assert ended.grants == 1
    assert {type(stopped), type(over)} == {GrantRow}
    assert isinstance(after_stop, PendingApproval)
    assert isinstance(after_end, PendingApproval)
    assert paid(desk) == [(1, 500)]


@pytest.mark.req("X7.1", "X7.3", "M4.1")
async def test_a_grant_for_an_agent_is_not_for_somebody_whose_credential_names_another_or_none(
    stage: Stage, desk: Desk
) -> None:
    """In process the application says which agent it is, and answers for that; a credential says it by itself."""
    async with stage.gateway(desk.tool()) as gateway:
        await grant(gateway, uses=9)
        as_bot = gateway.make_workflow("w", agent="bot")
        for agent in (None, "another"):
            with pytest.raises(UsageError, match="another agent"):
                await gateway.request(
                    "refund",
                    {"order": 1},
                    caller=ANN,
                    workflow=as_bot,
                    actor=Principal(caller=ANN, agent=agent, credential="tok_1"),
                )
        by_itself = await gateway.request(
            "refund",
            {"order": 2},
            caller=ANN,
            workflow=as_bot,
            actor=Principal(caller=ANN, agent="bot", owner="lea", credential="tok_2"),
        )
        of_another_owner = await gateway.request(
            "refund",
            {"order": 3},
            caller=ANN,
            workflow=as_bot,
            actor=Principal(caller=ANN, agent="bot", owner="nia", credential="tok_3"),
        )

    assert isinstance(by_itself, PendingApproval), "who answers for the agent agreed beforehand"
    assert isinstance(of_another_owner, Succeeded)
    assert paid(desk) == [(3, 500)]


@pytest.mark.req("M12.14", "M9.10")
async def test_the_kill_switch_ends_what_was_approved_too_and_leaves_other_tenants_alone(
    stage: Stage, desk: Desk
) -> None:
    there = Caller("tom", {"clerk"}, "globex")
    async with stage.gateway(desk.tool()) as gateway:
        waiting, approved, elsewhere = await held(gateway, 1), await held(gateway, 2), None
        elsewhere = await held(gateway, 3, caller=there)
        await vote(gateway, approved, MAX)
        by_lead = await gateway.operate(stop_all, by=in_person(LEA), reason="odd")
        ended = await gateway.operate(stop_all, by=in_person(OPS), reason="odd")
        await sweep(gateway)
        states = [await state_of(gateway, one) for one in (waiting, approved, elsewhere)]
        call = (await gateway.store.find(ByCall(approved.call_id))).call
        again = await ask(gateway, 2)

    assert isinstance(by_lead, Declined)
    assert ended == Stopped(2, 0)
    assert states == [ApprovalState.CANCELLED, ApprovalState.CANCELLED, ApprovalState.PENDING]
    assert desk.paid == []
    assert call is not None
    assert (call.status, call.effect_state) == ("refused", None)
    assert isinstance(again, PendingApproval)
    assert again.call_id != approved.call_id
