"""What every store does, said once and run on each: the commands, the look-ups, the trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ledger import rows as make
from toolgate.domain.audit import verify_chains
from toolgate.domain.commands import Append, Done, Lapse, NotAllowed, Renew, Superseded, Taken
from toolgate.domain.errors import StoreUnavailable
from toolgate.domain.idempotency import KeyUse
from toolgate.domain.lifecycle import ApprovalCause, ApprovalState, EffectCause, EffectState
from toolgate.domain.rows import ByApproval, ByCall, ByKey, Found
from toolgate.ports import ApprovalFilter, CallFilter

if TYPE_CHECKING:
    from tests.stores.conftest import Hands
    from toolgate.domain.audit import StoredRecord
    from toolgate.ports import Store

pytestmark = pytest.mark.req("M14.8")


async def trail(store: Store, **wanted: object) -> list[StoredRecord]:
    return [record async for record in store.records(**wanted)]  # type: ignore[arg-type]


async def state_of(store: Store, call_id: str = "call_1") -> EffectState | None:
    call = (await store.find(ByCall(call_id))).call
    assert call is not None
    return call.effect_state


async def approval_state(store: Store, call_id: str = "call_1") -> ApprovalState:
    approval = (await store.find(ByApproval(f"appr_{call_id}"))).approval
    assert approval is not None
    return approval.state


# --- commands -------------------------------------------------------------------------------------------------


async def test_a_recorded_call_is_found_as_it_was_written(store: Store) -> None:
    command = make.record("call_r", agent=None, request_id="req_1", error_type="timeout", status="failed")

    assert isinstance(await store.execute(command), Done)

    assert await store.find(ByCall("call_r")) == Found(call=command.call)


async def test_what_was_never_written_is_not_found(store: Store) -> None:
    assert await store.find(ByCall("call_x")) == Found()
    assert await store.find(ByKey(b"nothing")) == Found()
    assert await store.find(ByApproval("appr_x")) == Found()
    assert await store.sealed("call_x", "request") is None
    assert await store.token("nothing") is None


@pytest.mark.req("X1.1")
async def test_an_intent_keeps_its_claim_call_and_request(store: Store) -> None:
    command = make.intend(key=b"k")

    assert await store.execute(command) == Done(command.call)

    assert await store.find(ByKey(b"k")) == Found(claim=command.claim, call=command.call)
    assert await store.sealed("call_1", "request") == command.request


@pytest.mark.req("M9.5")
async def test_a_key_in_flight_writes_nothing_for_the_second(store: Store) -> None:
    await store.execute(make.intend(key=b"k"))
    before = await trail(store)

    answer = await store.execute(make.intend("call_2", key=b"k"))

    assert isinstance(answer, Taken)
    assert answer.use is KeyUse.IN_FLIGHT
    assert await store.find(ByCall("call_2")) == Found()
    assert await store.sealed("call_2", "request") is None
    assert await trail(store) == before


@pytest.mark.req("M9.4")
async def test_another_caller_with_the_same_key_meets_a_conflict(store: Store) -> None:
    await store.execute(make.intend(key=b"k"))

    answer = await store.execute(make.intend("call_2", key=b"k", caller_id="u-eve"))

    assert isinstance(answer, Taken)
    assert answer.use is KeyUse.CONFLICT


@pytest.mark.req("M9.9")
async def test_a_key_whose_call_did_nothing_is_claimed_anew(store: Store) -> None:
    await store.execute(make.intend(key=b"k"))
    await store.execute(make.settle(cause=EffectCause.SETTLED_NOT_APPLIED, key_mac=b"k"))

    answer = await store.execute(make.intend("call_2", key=b"k"))

    assert isinstance(answer, Done)
    found = await store.find(ByKey(b"k"))
    assert found.call is not None
    assert found.call.call_id == "call_2"


@pytest.mark.req("X1.2")
async def test_a_settled_intent_has_its_result_and_its_event(store: Store) -> None:
    await store.execute(make.intend())
    command = make.settle(duration_us=7)

    assert await store.execute(command) == Done(command.call)

    assert await store.find(ByCall("call_1")) == Found(call=command.call)
    assert await store.sealed("call_1", "result") == command.result
    records = await trail(store, call_id="call_1")
    assert [record.record for record in records][1:] == [command.event.record]


async def test_a_second_settle_is_superseded_and_changes_nothing(store: Store) -> None:
    await store.execute(make.intend())
    await store.execute(make.settle())
    before = await trail(store)

    answer = await store.execute(make.settle(cause=EffectCause.SETTLED_NOT_APPLIED, result=b"other"))

    assert isinstance(answer, Superseded)
    assert await state_of(store) is EffectState.APPLIED
    assert await store.sealed("call_1", "result") == make.sealed_row(kind="result", sealed=b"result")
    assert await trail(store) == before


async def test_a_hold_is_drafted_and_asking_again_finds_it(store: Store) -> None:
    command = make.draft()

    assert await store.execute(command) == Done(command.call, command.approval)
    answer = await store.execute(make.draft("call_2"))

    assert isinstance(answer, Taken)
    assert answer.use is KeyUse.PENDING
    assert answer.found.call == command.call
    assert await store.find(ByApproval("appr_call_1")) == Found(call=command.call, approval=command.approval)


async def test_a_call_without_a_key_attaches_to_an_open_hold_only(store: Store) -> None:
    await store.execute(make.draft(attach_only=True))
    attached = await store.execute(make.draft("call_2", attach_only=True))
    await store.execute(make.deny())

    anew = await store.execute(make.draft("call_3", attach_only=True))

    assert isinstance(attached, Taken)
    assert isinstance(anew, Done)


@pytest.mark.req("M3.4")
async def test_an_intent_that_wants_a_person_becomes_a_hold(store: Store) -> None:
    await store.execute(make.intend(key=b"k"))

    answer = await store.execute(make.rehold(key_mac=b"k"))

    assert isinstance(answer, Done)
    found = await store.find(ByKey(b"k"))
    assert found.call is not None
    assert found.call.effect_state is None
    assert found.approval is not None
    assert found.approval.state is ApprovalState.PENDING


@pytest.mark.req("M12.7")
async def test_a_vote_says_who_and_why(store: Store) -> None:
    await store.execute(make.draft(required=make.requirement(2)))

    await store.execute(make.approve())

    (vote,) = (await store.find(ByApproval("appr_call_1"))).votes
    assert (vote.voter, vote.reason, vote.roles, vote.revision) == (
        "u-ben",
        "checked",
        frozenset({"billing"}),
        1,
    )


@pytest.mark.req("X2.9")
async def test_a_quorum_is_reached_by_distinct_people(store: Store) -> None:
    await store.execute(make.draft(required=make.requirement(2)))

    await store.execute(make.approve())
    again = await store.execute(make.approve())
    assert await approval_state(store) is ApprovalState.PENDING
    await store.execute(make.approve(voter=make.person("u-ann")))

    assert isinstance(again, NotAllowed)
    assert await approval_state(store) is ApprovalState.APPROVED
    assert [row.approval_id for row in await store.dispatchable()] == ["appr_call_1"]


@pytest.mark.req("X2.9")
async def test_one_denial_ends_it_and_the_call(store: Store) -> None:
    await store.execute(make.draft(required=make.requirement(2)))
    await store.execute(make.approve())

    await store.execute(make.deny(voter=make.person("u-ann")))

    found = await store.find(ByApproval("appr_call_1"))
    assert found.approval is not None
    assert found.call is not None
    assert (found.approval.state, found.approval.reason) == (ApprovalState.DENIED, "not this one")
    assert (found.call.status, found.call.error_type) == ("refused", "approval_denied")
    assert await store.approvals(ApprovalFilter(open_only=True)) == []


@pytest.mark.req("X2.6")
async def test_an_approval_is_consumed_with_the_intent_and_once(store: Store) -> None:
    await store.execute(make.draft())
    await store.execute(make.approve())

    first = await store.execute(make.dispatch())
    second = await store.execute(make.dispatch(owner="boot_b"))

    assert isinstance(first, Done)
    assert isinstance(second, Superseded)
    found = await store.find(ByApproval("appr_call_1"))
    assert found.call is not None
    assert found.approval is not None
    assert (found.call.effect_state, found.call.owner) == (EffectState.INTENDED, make.OWNER)
    assert found.approval.state is ApprovalState.CONSUMED
    assert await store.dispatchable() == []


@pytest.mark.req("X2.7")
async def test_an_approval_whose_time_ran_out_is_ended_by_whoever_sees_it(store: Store, hands: Hands) -> None:
    await store.execute(make.draft())
    await store.execute(make.approve())
    hands.at = make.EXPIRY

    answer = await store.execute(make.dispatch())

    assert isinstance(answer, NotAllowed)
    assert answer.wrote
    assert await approval_state(store) is ApprovalState.EXPIRED


async def test_a_withdrawn_approval_is_cancelled_and_the_key_is_free(store: Store) -> None:
    await store.execute(make.draft())

    await store.execute(make.end(cause=ApprovalCause.WITHDRAWN))

    assert await approval_state(store) is ApprovalState.CANCELLED
    assert isinstance(await store.execute(make.draft("call_2")), Done)


@pytest.mark.req("X1.4", "X1.11")
async def test_an_intent_lapses_once_and_only_after_its_lease(store: Store, hands: Hands) -> None:
    await store.execute(make.intend())
    early = await store.execute(Lapse("call_1", "boot_b"))
    hands.at = make.LEASE

    first = await store.execute(Lapse("call_1", "boot_b"))
    second = await store.execute(Lapse("call_1", "boot_c"))

    assert isinstance(early, Superseded)
    assert isinstance(first, Done)
    assert isinstance(second, Superseded)
    assert await state_of(store) is EffectState.UNKNOWN


@pytest.mark.req("X1.17")
async def test_a_renewed_lease_holds_longer_and_never_shorter(store: Store, hands: Hands) -> None:
    await store.execute(make.intend())

    await store.execute(Renew("call_1", make.OWNER, make.LEASE + 5))
    await store.execute(Renew("call_1", make.OWNER, make.LEASE - 5))
    stranger = await store.execute(Renew("call_1", "boot_b", make.LEASE + 50))

    call = (await store.find(ByCall("call_1"))).call
    assert call is not None
    assert call.lease_until == make.LEASE + 5
    assert isinstance(stranger, Superseded)


@pytest.mark.req("X1.7")
async def test_a_person_settles_an_unknown_call_once(store: Store) -> None:
    await store.execute(make.intend())
    await store.execute(make.settle(cause=EffectCause.IN_DOUBT, result=None))

    first = await store.execute(make.resolve(result=b"null"))
    second = await store.execute(make.resolve(cause=EffectCause.RESOLVED_NOT_APPLIED))

    assert isinstance(first, Done)
    assert isinstance(second, NotAllowed)
    assert await state_of(store) is EffectState.APPLIED
    assert await store.sealed("call_1", "result") == make.sealed_row(kind="result", sealed=b"null")


@pytest.mark.req("X2.13")
async def test_what_is_settled_as_not_applied_opens_its_approval_anew(store: Store, hands: Hands) -> None:
    await store.execute(make.draft())
    await store.execute(make.approve())
    await store.execute(make.dispatch())
    hands.at = make.LEASE
    await store.execute(Lapse("call_1", "boot_b"))

    await store.execute(make.resolve(cause=EffectCause.RESOLVED_NOT_APPLIED, reopen=make.draft("call_2")))

    found = await store.find(ByKey(b"key"))
    assert found.call is not None
    assert found.call.call_id == "call_2"
    assert await approval_state(store, "call_1") is ApprovalState.CONSUMED
    assert await approval_state(store, "call_2") is ApprovalState.PENDING
    assert await state_of(store, "call_1") is EffectState.NOT_APPLIED


@pytest.mark.req("X1.9")
async def test_late_evidence_settles_an_unknown_call(store: Store) -> None:
    await store.execute(make.intend())
    await store.execute(make.settle(cause=EffectCause.IN_DOUBT, result=None))

    await store.execute(make.evidence(result=b"late"))

    assert await state_of(store) is EffectState.APPLIED
    assert await store.sealed("call_1", "result") == make.sealed_row(kind="result", sealed=b"late")


@pytest.mark.req("X1.10")
async def test_late_evidence_against_a_resolution_is_an_incident(store: Store, hands: Hands) -> None:
    await store.execute(make.intend())
    await store.execute(make.settle(cause=EffectCause.IN_DOUBT, result=None))
    hands.at = make.LEASE
    await store.execute(make.resolve(cause=EffectCause.RESOLVED_NOT_APPLIED))

    await store.execute(make.evidence())

    (found,) = (await store.calls(CallFilter(unresolved=True))).rows
    assert found.effect_state is EffectState.NOT_APPLIED
    assert found.incident is not None


async def test_a_token_is_kept_found_by_its_hash_and_revoked(store: Store) -> None:
    await store.execute(make.put_token("tok_1", "h1"))
    await store.execute(make.put_token("tok_2", "h2"))

    await store.execute(make.put_token("tok_1", "h1", revoked_at=make.NOW + 1))

    found = await store.token("h1")
    assert found is not None
    assert (found.revoked_at, found.roles) == (make.NOW + 1, frozenset({"billing", "support"}))
    assert [row.token_id for row in await store.tokens()] == ["tok_2", "tok_1"]


async def test_what_came_and_went_by_itself_is_listed_only_while_it_lasts(store: Store) -> None:
    for name, kind, ends in (("1", "api", -5), ("2", "session", -5), ("3", "session", 5), ("4", "api", 5)):
        row = make.put_token(f"tok_{name}", f"h{name}")
        token = row.token._replace(kind=kind, expires_at=make.NOW + ends)
        await store.execute(row._replace(token=token))
    other = make.put_token("tok_5", "h5")
    await store.execute(other._replace(token=other.token._replace(tenant="globex")))

    live = await store.tokens(tenant=other.token.tenant, live_at=make.NOW)
    every = await store.tokens(tenant=other.token.tenant)
    latest = await store.tokens(tenant=other.token.tenant, live_at=make.NOW, limit=2)

    assert [row.token_id for row in live] == ["tok_4", "tok_3", "tok_1"]
    assert [row.token_id for row in every] == ["tok_4", "tok_3", "tok_2", "tok_1"]
    assert [row.token_id for row in latest] == ["tok_4", "tok_3"]


async def test_a_token_never_takes_the_place_of_another(store: Store) -> None:
    await store.execute(make.put_token("tok_1", "h1"))

    with pytest.raises(StoreUnavailable):
        await store.execute(make.put_token("tok_2", "h1"))

    assert [row.token_id for row in await store.tokens()] == ["tok_1"]


async def test_events_that_move_nothing_are_in_the_trail(store: Store) -> None:
    await store.execute(Append((make.note("one"), make.note("two"))))

    assert [b'"event":"one"' in record.record for record in await trail(store)] == [False, True, False]


async def test_a_call_id_is_used_once(store: Store) -> None:
    await store.execute(make.record("call_r"))

    with pytest.raises(StoreUnavailable):
        await store.execute(make.record("call_r", status="failed"))

    found = await store.find(ByCall("call_r"))
    assert found.call is not None
    assert found.call.status == "succeeded"


# --- look-ups -------------------------------------------------------------------------------------------------


async def fill(store: Store) -> None:
    await store.execute(make.record("call_1", tenant="acme", workflow_id="f1", received_at=make.NOW))
    await store.execute(make.record("call_2", tenant="acme", tool="notes", received_at=make.NOW + 1))
    await store.execute(make.record("call_3", tenant="globex", caller_id="u-ken", received_at=make.NOW + 2))
    await store.execute(make.record("call_4", tenant="acme", status="failed", received_at=make.NOW + 3))
    await store.execute(make.intend("call_5", received_at=make.NOW + 4))
    await store.execute(make.settle("call_5", cause=EffectCause.IN_DOUBT, received_at=make.NOW + 4))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CallFilter(), "54321"),
        (CallFilter(limit=2), "54"),
        (CallFilter(before="call_4", limit=2), "32"),
        (CallFilter(tenant="acme"), "5421"),
        (CallFilter(tenant="globex", tool="notes"), ""),
        (CallFilter(tool="notes"), "2"),
        (CallFilter(caller_id="u-ken"), "3"),
        (CallFilter(status="failed"), "4"),
        (CallFilter(workflow_id="f1"), "1"),
        (CallFilter(since=make.NOW + 2), "543"),
        (CallFilter(unresolved=True), "5"),
        (CallFilter(unresolved=True, tenant="globex"), ""),
    ],
)
async def test_calls_are_listed_newest_first_as_asked(store: Store, wanted: CallFilter, found: str) -> None:
    await fill(store)

    assert [row.call_id for row in (await store.calls(wanted)).rows] == [f"call_{digit}" for digit in found]


async def test_open_approvals_come_oldest_first_and_all_newest_first(store: Store) -> None:
    for number in "123":
        await store.execute(make.draft(f"call_{number}", key=number.encode()))
    await store.execute(make.deny("call_2"))
    await store.execute(make.approve("call_3"))

    waiting = await store.approvals(ApprovalFilter(open_only=True))
    every = await store.approvals(ApprovalFilter(open_only=False, tenant="acme", limit=2))

    assert [row.approval_id for row in waiting] == ["appr_call_1", "appr_call_3"]
    assert [row.approval_id for row in every] == ["appr_call_3", "appr_call_2"]
    assert await store.approvals(ApprovalFilter(open_only=True, tenant="globex")) == []


async def test_lapsed_intents_and_unknown_effects_come_longest_waiting_first(
    store: Store, hands: Hands
) -> None:
    for number, lease in (("1", 30), ("2", 10), ("3", 20), ("4", 90)):
        await store.execute(make.intend(f"call_{number}", lease_until=make.NOW + lease))
    hands.at = make.NOW + 30

    assert [row.call_id for row in await store.lapsed()] == ["call_2", "call_3", "call_1"]
    for row in await store.lapsed(limit=2):
        await store.execute(Lapse(row.call_id, "boot_b"))

    assert [row.call_id for row in await store.unknown()] == ["call_2", "call_3"]
    assert [row.call_id for row in await store.unknown(limit=1)] == ["call_2"]
    assert [row.call_id for row in await store.lapsed()] == ["call_1"]


# --- trail ----------------------------------------------------------------------------------------------------


@pytest.mark.req("X5.1")
async def test_the_trail_is_one_chain_without_a_gap_that_verifies(store: Store) -> None:
    await fill(store)

    records = await trail(store)

    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert verify_chains(records, known_heads=await store.heads()).problems == ()
    assert (await store.heads()).keys() == {"boot_a"}


async def test_the_trail_of_one_call_and_its_newest_records_can_be_asked_for(store: Store) -> None:
    await fill(store)
    every = await trail(store)

    assert len(await trail(store, call_id="call_5")) == 2
    assert await trail(store, newest=3) == every[-3:]
    assert await trail(store, newest=0) == []
    assert await trail(store, newest=1_000) == every


@pytest.mark.req("X1.23")
async def test_a_clock_set_back_does_not_set_back_the_store(store: Store, hands: Hands) -> None:
    await store.execute(make.draft())
    hands.at = make.EXPIRY
    await store.execute(make.record("call_r"))

    hands.at = make.NOW

    assert await store.now() == make.EXPIRY
    answer = await store.execute(make.approve())
    assert isinstance(answer, NotAllowed)
    assert await approval_state(store) is ApprovalState.EXPIRED


@pytest.mark.req("X1.23")
async def test_a_time_that_was_told_is_not_taken_back(store: Store, hands: Hands) -> None:
    hands.at = make.EXPIRY
    told = await store.now()

    hands.at = make.NOW

    assert await store.now() == told


@pytest.mark.req("X1.8", "X1.23")
async def test_a_lease_taken_after_the_clock_was_set_back_lasts_as_long(store: Store, hands: Hands) -> None:
    hands.at = make.NOW + 3600 * make.SECOND
    await store.execute(make.record("call_r"))
    hands.at = make.NOW

    await store.execute(make.intend())

    assert await store.lapsed() == []
    assert isinstance(await store.execute(Lapse("call_1", "boot_b")), Superseded)


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()

    with pytest.raises(StoreUnavailable, match="closed"):
        await store.execute(make.record())
