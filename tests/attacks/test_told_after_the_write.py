"""A store that fails right behind a write: what was written is never told as certainly not written.

``StoreUnavailable`` promises that nothing was; a surface may then tell its client to try again. ``StoreInDoubt`` sends
people to look.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.small_gate import ANA, opened
from toolgate import Approval, Caller, Gateway, PendingApproval, StoreInDoubt, StoreUnavailable, tool
from toolgate.bootstrap import gateway as bootstrap
from toolgate.domain.commands import (
    Answer,
    Command,
    DecideApproval,
    EditApproval,
    EndApproval,
    RevokeGrant,
)
from toolgate.domain.principal import Declined, in_person
from toolgate.domain.rows import GrantRow
from toolgate.operations.decide_approval import decide_approval
from toolgate.operations.decide_batch import decide_batch
from toolgate.operations.edit_approval import edit_approval
from toolgate.operations.grants import make_grant, revoke_grant
from toolgate.operations.review import Review
from toolgate.operations.review_approval import review_approval
from toolgate.operations.withdraw import Stopped, stop_all, withdraw
from toolgate.testing import FaultyStore

LEA = in_person(Caller("lea", {"lead"}, "acme"))
OLA = in_person(Caller("ola", {"operator"}, "acme"))
WHY = "as the customer asked"


@tool(
    effect="write",
    roles={"support"},
    idempotency="pay:{number}:{workflow_id}",
    approval=Approval(approvers={"lead"}),
)
async def pay(number: int) -> int:
    """Pay a number back."""
    return number


class CutOff(FaultyStore):
    """A store that cannot be read any more once a command of ``kind`` was written."""

    def __init__(self, inner: Any, kind: type[Command]) -> None:
        super().__init__(inner)
        self.kind = kind

    async def execute(self, command: Command) -> Answer:
        answer = await super().execute(command)
        if isinstance(command, self.kind):
            self.fail_reads()
        return answer


def behind(gateway: Gateway, store: Callable[[Any], FaultyStore] = FaultyStore) -> FaultyStore:
    """The gateway's own store, which fails from now on where a test says so."""
    gateway.world.store = made = store(gateway.world.store)
    return made


async def held(gateway: Gateway, number: int = 1) -> Review:
    """A call that waits for a person."""
    asked = await gateway.call(pay, {"number": number}, caller=ANA, workflow="wf")
    assert isinstance(asked, PendingApproval)
    return await looked(gateway, asked.approval_id)


async def looked(gateway: Gateway, approval_id: str) -> Review:
    review = await gateway.operate(review_approval, approval_id, by=LEA)
    assert isinstance(review, Review)
    return review


@pytest.mark.req("M10.18")
@pytest.mark.parametrize(
    ("operation", "given", "kind", "state"),
    [
        (decide_approval, {"decision": "approve"}, DecideApproval, "approved"),
        (decide_approval, {"decision": "deny"}, DecideApproval, "denied"),
        (edit_approval, {"changes": {"number": 2}}, EditApproval, "pending"),
        (withdraw, {}, EndApproval, "cancelled"),
    ],
)
async def test_a_decision_that_was_written_and_cannot_be_read_again_is_not_told_as_unwritten(
    operation: Any, given: dict[str, Any], kind: type[Command], state: str, tmp_path: Path
) -> None:
    async with opened([pay], tmp_path) as gateway:
        review = await held(gateway)
        seen = {} if operation is withdraw else {"digest": review.row.digest}
        store = behind(gateway, lambda inner: CutOff(inner, kind))
        with pytest.raises(StoreInDoubt):
            await gateway.operate(operation, review.row.approval_id, by=LEA, reason=WHY, **given, **seen)
        store.mend()
        after = await looked(gateway, review.row.approval_id)

    assert (after.state, after.row.revision) == (state, 2 if operation is edit_approval else 1)


@pytest.mark.req("M10.18", "X7.2")
async def test_a_grant_that_was_revoked_and_cannot_be_read_again_is_not_told_as_in_force(
    tmp_path: Path,
) -> None:
    async with opened([pay], tmp_path) as gateway:
        grant = await gateway.operate(
            make_grant,
            by=LEA,
            tool="pay",
            bounds={},
            caller_id=ANA.id,
            agent=None,
            lasting=60,
            uses=1,
            reason=WHY,
        )
        assert isinstance(grant, GrantRow)
        behind(gateway, lambda inner: CutOff(inner, RevokeGrant))
        with pytest.raises(StoreInDoubt):
            await gateway.operate(revoke_grant, grant.grant_id, by=LEA, reason=WHY)


@pytest.mark.req("M10.18", "M12.14")
async def test_a_batch_that_breaks_off_says_of_each_what_became_of_it(tmp_path: Path) -> None:
    async with opened([pay], tmp_path) as gateway:
        reviews = [await held(gateway, number) for number in (1, 2, 3)]
        items = [(review.row.approval_id, review.row.digest) for review in reviews]
        store = behind(gateway)
        store.fail("refuse", DecideApproval, nth=2)
        store.fail("doubt", DecideApproval, nth=3, when="after")
        answers = await gateway.operate(decide_batch, items, "approve", by=LEA, reason=WHY)
        after = [(await looked(gateway, approval_id)).state for approval_id, _ in items]

    assert after == ["approved", "pending", "approved"]
    assert not isinstance(answers, Declined)
    told = [answer.reason if isinstance(answer, Declined) else answer.state for _, answer in answers]
    assert told[0] == "approved"
    assert "it was not decided" in told[1]
    assert "not known whether" in told[2]


@pytest.mark.req("M10.18", "M12.14")
async def test_a_batch_of_which_nothing_was_written_says_so(tmp_path: Path) -> None:
    async with opened([pay], tmp_path) as gateway:
        review = await held(gateway)
        behind(gateway).fail("refuse", DecideApproval)
        with pytest.raises(StoreUnavailable):
            await gateway.operate(
                decide_batch, [(review.row.approval_id, review.row.digest)], "deny", by=LEA, reason=WHY
            )


@pytest.mark.req("M10.18", "M12.14")
async def test_a_kill_switch_that_the_store_refuses_once_ends_all_the_rest_and_says_that_some_is_left(
    tmp_path: Path,
) -> None:
    async with opened([pay], tmp_path) as gateway:
        ids = [(await held(gateway, number)).row.approval_id for number in (1, 2, 3)]
        behind(gateway).fail("refuse", EndApproval, nth=2)
        with pytest.raises(StoreInDoubt):
            await gateway.operate(stop_all, by=OLA, reason=WHY)
        after = [(await looked(gateway, approval_id)).state for approval_id in ids]
        again = await gateway.operate(stop_all, by=OLA, reason=WHY)

    assert sorted(after) == ["cancelled", "cancelled", "pending"]
    assert again == Stopped(1, 0)


@pytest.mark.req("M10.18", "X2.3")
async def test_an_edit_that_was_given_up_is_not_told_as_unmade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "NEAR_TOOLS", 0.05)
    async with opened([pay], tmp_path) as gateway:
        review = await held(gateway)
        store = behind(gateway)
        store.fail("hang", EditApproval, when="after")
        answer = await gateway.operate_near_tools(
            edit_approval, review.row.approval_id, {"number": 2}, by=LEA, reason=WHY, digest=review.row.digest
        )
        store.mend()
        after = await looked(gateway, review.row.approval_id)

    assert after.row.revision == 2
    assert isinstance(answer, Declined)
    assert "look whether it changed" in answer.reason
