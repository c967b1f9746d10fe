"""What retention removes from a store, and what stays whatever its age. True of every store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.ledger import rows as make
from tests.postgres.ledgers import settled
from toolgate.domain.commands import Append, Done, MoveDelivery, PlanNotice, Taken
from toolgate.domain.idempotency import KeyUse
from toolgate.domain.lifecycle import EffectCause, EffectState
from toolgate.domain.retention import DAY, HOUR, PruneTrail, Retention, pruned_events
from toolgate.domain.rows import ByApproval, ByCall, ByKey, Found
from toolgate.operations.retention import keep_within, plan_retention
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import ApprovalFilter, CallFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.stores.conftest import Hands
    from toolgate.domain.commands import Command
    from toolgate.ports import Store

pytestmark = pytest.mark.req("M11.17")

MICRO = 1_000_000
KEPT = Retention(audit=10 * DAY, calls=5 * DAY, arguments=2 * DAY, idempotency=8 * DAY)


async def did(store: Store, *commands: Command) -> None:
    for command in commands:
        assert isinstance(await store.execute(command), Done), command


async def did_at_once(store: Store, commands: Iterable[Command]) -> None:
    """Many commands that have nothing to do with one another, in few groups."""
    answers = await asyncio.gather(*(store.execute(command) for command in commands))
    assert all(isinstance(answer, Done) for answer in answers)


async def applied(store: Store, call_id: str = "call_1", key: bytes | None = b"k") -> None:
    """A refund that was made."""
    await did(store, make.intend(call_id, key=key), make.settle(call_id, key_mac=key))


async def days_pass(store: Store, hands: Hands, days: float, kept: Retention = KEPT) -> dict[str, int]:
    """Time goes by, and a round of retention is made. What it removed."""
    hands.at += round(days * DAY * MICRO)
    return dict(await keep_within(store, kept))


async def call_there(store: Store, call_id: str = "call_1") -> bool:
    return (await store.find(ByCall(call_id))).call is not None


# --- what goes, and when --------------------------------------------------------------------------------------


async def test_nothing_goes_where_nothing_is_said(store: Store, hands: Hands) -> None:
    await applied(store)

    assert await days_pass(store, hands, 4_000, Retention()) == {}

    assert await store.sealed("call_1", "result") is not None


async def test_arguments_and_result_go_and_the_call_stays(store: Store, hands: Hands) -> None:
    await applied(store)
    assert await days_pass(store, hands, 1.9) == {}

    removed = await days_pass(store, hands, 0.2)

    assert removed == {"arguments": 1}
    assert await store.sealed("call_1", "request") is None
    assert await store.sealed("call_1", "result") is None
    assert await call_there(store)


@pytest.mark.req("M9.13")
async def test_a_key_answers_that_it_was_applied_after_its_call_is_gone(store: Store, hands: Hands) -> None:
    await applied(store)

    await days_pass(store, hands, 5.1)

    assert not await call_there(store)
    again = await store.execute(make.intend("call_2", key=b"k"))
    assert again == Taken(KeyUse.REPLAY, Found(claim=make.claim_row(b"k")))
    other_arguments = await store.execute(make.intend("call_3", key=b"k", fingerprint=b"other"))
    assert isinstance(other_arguments, Taken)
    assert other_arguments.use is KeyUse.CONFLICT
    somebody_else = await store.execute(make.intend("call_4", key=b"k", caller_id="u-eve"))
    assert isinstance(somebody_else, Taken)
    assert somebody_else.use is KeyUse.CONFLICT


@pytest.mark.req("M9.13")
async def test_a_tombstone_goes_when_its_own_time_is_over_and_its_key_is_free(
    store: Store, hands: Hands
) -> None:
    await applied(store)
    await days_pass(store, hands, 5.1)
    assert await days_pass(store, hands, 2.8) == {}

    assert await days_pass(store, hands, 0.2) == {"keys": 1}

    assert await store.find(ByKey(b"k")) == Found()
    await did(store, make.intend("call_2", key=b"k", lease_until=hands.at + MICRO))


async def test_a_key_may_go_before_its_call(store: Store, hands: Hands) -> None:
    await applied(store)

    removed = await days_pass(store, hands, 2.1, Retention(calls=90 * DAY, idempotency=2 * DAY))

    assert removed == {"keys": 1}
    assert await call_there(store)
    await did(store, make.intend("call_2", key=b"k", lease_until=hands.at + MICRO))


async def test_a_call_that_did_nothing_takes_its_key_along(store: Store, hands: Hands) -> None:
    await did(store, make.intend(key=b"k"), make.settle(cause=EffectCause.SETTLED_NOT_APPLIED, key_mac=b"k"))

    await days_pass(store, hands, 5.1)

    assert await store.find(ByKey(b"k")) == Found()
    assert not await call_there(store)


async def test_a_denial_stays_as_long_as_its_key(store: Store, hands: Hands) -> None:
    await did(store, make.draft(key=b"k", key_mac=b"k"), make.deny())

    await days_pass(store, hands, 7.9)

    again = await store.execute(make.intend("call_2", key=b"k"))
    assert isinstance(again, Taken)
    assert again.use is KeyUse.DENIED
    await days_pass(store, hands, 0.2)
    assert await store.find(ByApproval("appr_call_1")) == Found()
    assert await store.find(ByKey(b"k")) == Found()


async def test_what_did_something_and_failed_stays_as_long_as_its_key(store: Store, hands: Hands) -> None:
    await did(
        store,
        make.intend(key=b"k"),
        make.settle(key_mac=b"k", status="failed", error_type="invalid_result"),
    )

    await days_pass(store, hands, 7.9)

    assert await call_there(store)
    assert (await days_pass(store, hands, 0.2))["calls"] == 1


async def test_an_approval_goes_with_its_call(store: Store, hands: Hands) -> None:
    await did(store, make.draft(key=b"k"), make.approve(), make.end())

    await days_pass(store, hands, 5.1)

    assert await store.find(ByApproval("appr_call_1")) == Found()
    assert await store.approvals(ApprovalFilter(open_only=False)) == []
    assert (await store.calls(CallFilter())).rows == []


async def test_every_page_of_calls_is_walked(store: Store, hands: Hands) -> None:
    await did_at_once(store, (make.record(f"call_{number:04}") for number in range(230)))
    hands.at += round(4 * DAY * MICRO)
    await did(store, make.record("call_9999", received_at=hands.at, updated_at=hands.at))

    removed = await days_pass(store, hands, 2)

    assert removed["calls"] == 230
    assert [row.call_id for row in (await store.calls(CallFilter())).rows] == ["call_9999"]


# --- what stays -----------------------------------------------------------------------------------------------

_OPEN: dict[str, tuple[Command, ...]] = {
    "an intent": (make.intend(key=b"k"),),
    "an unknown effect": (make.intend(key=b"k"), make.settle(cause=EffectCause.IN_DOUBT, key_mac=b"k")),
    "an incident": (
        make.intend(key=b"k"),
        make.settle(cause=EffectCause.SETTLED_NOT_APPLIED, key_mac=b"k"),
        make.evidence(),
    ),
    "a pending approval": (make.draft(key=b"k", key_mac=b"k"),),
    "an approved one": (make.draft(key=b"k", key_mac=b"k"), make.approve()),
}


@pytest.mark.req("M11.50")
@pytest.mark.parametrize("name", _OPEN)
async def test_what_is_open_stays_however_old_it_is(store: Store, hands: Hands, name: str) -> None:
    await did(store, *_OPEN[name])
    before = await store.find(ByCall("call_1"))
    everything = Retention(calls=HOUR, arguments=HOUR, idempotency=HOUR)

    assert await days_pass(store, hands, 4_000, everything) == {}

    assert await store.find(ByCall("call_1")) == before
    assert await store.sealed("call_1", "request") is not None
    assert (await store.find(ByKey(b"k"))).claim is not None


@pytest.mark.req("M11.50")
async def test_what_may_still_be_running_stays(store: Store, hands: Hands) -> None:
    await did(store, make.intend(key=b"k", lease_until=make.NOW + round(30 * DAY * MICRO)))
    await did(store, make.settle(key_mac=b"k"))

    everything = Retention(calls=HOUR, arguments=HOUR, idempotency=HOUR)
    assert await days_pass(store, hands, 29, everything) == {}

    assert (await days_pass(store, hands, 2, everything))["calls"] == 1


@pytest.mark.req("M11.50")
async def test_what_a_person_resolved_long_after_is_kept_from_then_on(store: Store, hands: Hands) -> None:
    await did(store, make.intend(key=b"k"), make.settle(cause=EffectCause.IN_DOUBT, key_mac=b"k"))
    await days_pass(store, hands, 100)
    await did(store, make.resolve())

    assert await days_pass(store, hands, 1.9) == {}

    assert (await store.find(ByKey(b"k"))).call is not None
    assert await store.sealed("call_1", "request") is not None


# --- credentials and notices ----------------------------------------------------------------------------------


async def test_sessions_links_and_exchanged_tokens_go_some_time_after_their_end(
    store: Store, hands: Hands
) -> None:
    late = make.NOW + round(400 * DAY * MICRO)
    await did(
        store,
        make.put_token("tok_api", "hash_a"),
        make.put_token("tok_session", "hash_b", kind="session"),
        make.put_token("tok_link", "hash_c", kind="link", expires_at=late, revoked_at=make.NOW),
        make.put_token("tok_agent", "hash_d", kind="exchanged"),
        make.put_token("tok_long", "hash_e", kind="session", expires_at=late),
    )

    removed = await days_pass(store, hands, 7.1, Retention())

    assert removed == {"sessions": 3}
    assert {row.token_id for row in await store.tokens()} == {"tok_api", "tok_long"}


async def test_notices_go_once_they_were_delivered_and_never_before(store: Store, hands: Hands) -> None:
    await did(
        store, *(make.draft(f"call_{name}", key=name.encode()) for name in ("sent", "dead", "way", "new"))
    )
    notices = {notice.notice_id: notice for notice in await store.unplanned()}
    assert len(notices) == 4
    sent, dead, way, new = sorted(notices)
    await did(store, *(PlanNotice(one, ("chat",)) for one in (sent, dead, way)))
    ways = {row.notice_id: row for row, _ in await store.deliveries(state="pending")}
    await did(store, MoveDelivery(ways[sent]._replace(state="delivered", attempts=1), 0))
    await did(store, MoveDelivery(ways[dead]._replace(state="dead", attempts=1), 0))

    assert await days_pass(store, hands, 31, Retention()) == {"notices": 1}

    assert [row.notice_id for row, _ in await store.deliveries(state="dead")] == [dead]
    assert [row.notice_id for row, _ in await store.deliveries(state="pending")] == [way]
    assert [row.notice_id for row in await store.unplanned()] == [new]
    # What was given up is somebody's to look at as long as the call itself is.
    assert await days_pass(store, hands, 0, Retention(calls=20 * DAY)) == {"notices": 1}


# --- plans and turns ------------------------------------------------------------------------------------------


async def test_a_plan_says_what_would_go_and_removes_nothing(store: Store, hands: Hands) -> None:
    ids = [f"call_{number:03}" for number in range(120)]
    await did_at_once(store, (make.intend(call_id, key=call_id.encode()) for call_id in ids))
    await did_at_once(store, (make.settle(call_id, key_mac=call_id.encode()) for call_id in ids))
    await did(store, make.put_token("tok_session", "hash_b", kind="session"))
    hands.at += round(11 * DAY * MICRO)

    kept = replace(KEPT, audit=None)

    planned = await plan_retention(store, kept)

    assert planned["calls"] == planned["arguments"] == planned["keys"] == 120
    assert planned["sessions"] == 1
    assert await plan_retention(store, kept) == planned
    assert dict(await keep_within(store, kept)) == planned
    assert await plan_retention(store, kept) == {}


async def test_a_round_can_be_stopped_anywhere_and_goes_on_later(store: Store, hands: Hands) -> None:
    await did_at_once(store, (make.record(f"call_{number:04}") for number in range(300)))
    hands.at += round(6 * DAY * MICRO)
    # The walks over encrypted bytes and keys find nothing; the next one is stopped after its first page.
    steps = iter([False, False, False, True])

    first = await keep_within(store, KEPT, stop=lambda: next(steps, True))

    assert 0 < first["calls"] < 300
    assert first["calls"] + (await keep_within(store, KEPT))["calls"] == 300


async def test_one_turn_is_taken_in_each_period(store: Store, hands: Hands) -> None:
    assert await store.turn_taken("cleaning") is None
    assert await store.turn("cleaning", every=60.0)
    began = hands.at
    assert not await store.turn("cleaning", every=60.0)
    assert await store.turn("washing", every=60.0)
    hands.at += 59 * MICRO
    assert not await store.turn("cleaning", every=60.0)
    assert await store.turn_taken("cleaning") == began
    hands.at += MICRO
    assert await store.turn("cleaning", every=60.0)


# --- the trail ------------------------------------------------------------------------------------------------


async def written(store: Store, hands: Hands, *, days: int) -> None:
    """A record a day."""
    for _ in range(days):
        hands.at += round(DAY * MICRO)
        await did(store, Append((make.note(),)))


# Postgres removes whole months, the others to the day.
LEAST_OF_100, MOST_OF_100 = 60, 90


@pytest.mark.req("X5.30")
async def test_a_trail_that_retention_cut_verifies_and_says_what_was_removed(
    store: Store, hands: Hands
) -> None:
    await written(store, hands, days=100)

    removed = await days_pass(store, hands, 0)

    report = await verify_audit(store)
    assert report.intact, report
    assert LEAST_OF_100 < removed["audit"] <= MOST_OF_100
    assert report.removed_records == removed["audit"]
    said = [record async for record in store.records(newest=3) if b"audit_pruned" in record.record]
    assert report.records == 1 + 100 + len(said) - removed["audit"]
    ((chain, (seq, link)),) = report.removed.items()
    assert (chain, seq, len(link)) == ("boot_a", removed["audit"], 32)


@pytest.mark.req("X5.30")
async def test_a_trail_is_cut_again_and_again_and_still_verifies(store: Store, hands: Hands) -> None:
    for _ in range(6):
        await written(store, hands, days=25)
        await days_pass(store, hands, 0)

        assert (await verify_audit(store)).intact
    report = await verify_audit(store)
    assert report.records < 60
    assert report.removed_records > 100


@pytest.mark.req("X5.30")
async def test_heads_that_were_kept_elsewhere_hold_behind_the_cut_and_fall_away_before_it(
    store: Store, hands: Hands
) -> None:
    await written(store, hands, days=5)
    early = [("boot_a", head) for head in (await store.heads()).values()]
    await written(store, hands, days=95)
    late = [("boot_a", head) for head in (await store.heads()).values()]
    assert (await days_pass(store, hands, 0))["audit"] > LEAST_OF_100

    assert (await verify_audit(store, kept_heads=[*early, *late])).intact
    other = [("boot_a", (late[0][1][0], bytes(32)))]
    assert not (await verify_audit(store, kept_heads=other)).intact


@pytest.mark.req("X5.30")
async def test_the_trail_goes_on_where_its_readers_were(store: Store, hands: Hands) -> None:
    await written(store, hands, days=100)
    await settled(store)
    (newest,) = await store.changes(None)

    await days_pass(store, hands, 0)

    await settled(store)
    behind = await store.changes(newest.seq)
    assert behind
    assert all(b"audit_pruned" in change.record for change in behind)
    assert [change.seq for change in await store.newest_changes(before=newest.seq + 1, limit=1)] == [
        newest.seq
    ]
    everything = await store.changes(0)
    assert everything[-1] == behind[-1]
    assert len(everything) == len([record async for record in store.records()])
    assert len([record async for record in store.records(newest=3)]) == 3


@pytest.mark.req("X5.30")
async def test_a_removal_that_was_interrupted_verifies_at_every_point(store: Store, hands: Hands) -> None:
    await written(store, hands, days=100)
    now = await store.now()
    cut = await store.oldest(now - round(10 * DAY * MICRO))
    assert cut is not None
    await did(store, Append(pruned_events(cut, now=now, kept=10 * DAY)))
    assert (await verify_audit(store)).intact

    after: str | None = ""
    while after is not None:
        after = (await store.prune(PruneTrail(cut, now, limit=20))).after
        assert (await verify_audit(store)).intact

    assert (await keep_within(store, KEPT)).get("audit", 0) <= MOST_OF_100
    assert (await verify_audit(store)).intact


async def test_effects_survive_when_their_trail_is_gone(store: Store, hands: Hands) -> None:
    await did(store, make.intend(key=b"k"), make.settle(cause=EffectCause.IN_DOUBT, key_mac=b"k"))
    await written(store, hands, days=60)

    await days_pass(store, hands, 0)

    assert [record async for record in store.records(call_id="call_1")] == []
    unknown = (await store.find(ByCall("call_1"))).call
    assert unknown is not None
    assert unknown.effect_state is EffectState.UNKNOWN
