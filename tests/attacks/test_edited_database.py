"""Somebody who can write the database file, and has no keys: what the gate makes of it when it looks again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.machines.stage import sweep
from tests.small_gate import ANA, GIL, opened
from toolgate import Approval, Caller, PendingApproval, tool
from toolgate.domain.principal import in_person
from toolgate.domain.rows import GrantRow
from toolgate.operations.grants import make_grant
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import ApprovalFilter

if TYPE_CHECKING:
    from toolgate import Gateway

LEAD = Caller("u-lea", roles={"lead"}, tenant="acme")
OTHERS_REQUEST = (
    "UPDATE sealed SET sealed = (SELECT other.sealed FROM sealed other WHERE other.call_id > sealed.call_id) "
    "WHERE call_id = (SELECT min(call_id) FROM sealed)"
)
ran: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@tool(
    effect="write",
    roles={"support"},
    idempotency="pay:{number}:{workflow_id}",
    approval=Approval(approvers={"lead"}, quorum=2),
)
async def pay(number: int) -> int:
    """Pay a number back."""
    ran.append(number)
    return number


@tool(effect="write", roles={"support"}, idempotency="note:{number}:{workflow_id}")
async def note(number: int) -> str:
    """Write a note."""
    ran.append(number)
    return f"what {number} keeps to itself"


def edit(folder: Path, statement: str, *values: Any) -> None:
    """Change the file as one would with the sqlite3 program."""
    with closing(sqlite3.connect(folder / "gate.db")) as database, database:
        assert database.execute(statement, values).rowcount >= 1


async def held(gateway: Gateway, number: int = 1) -> PendingApproval:
    outcome = await gateway.call(pay, {"number": number}, caller=ANA, workflow="wf")
    assert isinstance(outcome, PendingApproval)
    return outcome


@pytest.mark.req("X2.5", "X2.9")
async def test_an_approval_that_is_approved_by_hand_does_not_run_without_its_votes(tmp_path: Path) -> None:
    async with opened([pay], tmp_path) as gateway:
        outcome = await held(gateway)
        edit(tmp_path, "UPDATE approvals SET state = 'approved'")
        await sweep(gateway)
        now = await gateway.get_call(outcome.call_id, caller=ANA)

    assert (ran, now.status) == ([], "pending_approval")


@pytest.mark.req("X2.5", "X2.10")
async def test_a_requirement_lowered_by_hand_is_what_the_contract_says_again_at_execution(
    tmp_path: Path,
) -> None:
    nobody = b'{"approvers":[["lead"]],"expires_in":86400,"quorum":1,"reason":"x","risk":"low"}'
    async with opened([pay], tmp_path) as gateway:
        outcome = await held(gateway)
        edit(tmp_path, "UPDATE approvals SET requirement = ?", nobody)
        await gateway.approve(outcome.approval_id, by=LEAD, reason="it is fine")
        await sweep(gateway)
        now = await gateway.get_call(outcome.call_id, caller=ANA)

    assert (ran, now.status) == ([], "pending_approval")


@pytest.mark.req("X2.2", "X2.5")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals SET digest = zeroblob(32)",
        "UPDATE calls SET caller_id = 'u-ben'",
        "UPDATE calls SET agent = 'another'",
        "UPDATE calls SET workflow_id = 'wf-2'",
        "UPDATE calls SET tenant = 'globex'",
        "UPDATE calls SET contract_digest = 'f00d'",
        "UPDATE calls SET tool = 'note'",
        OTHERS_REQUEST,
    ],
)
async def test_what_was_approved_does_not_run_once_any_part_of_it_was_edited(
    statement: str, tmp_path: Path
) -> None:
    async with opened([pay, note], tmp_path) as gateway:
        outcome = await held(gateway)
        await held(gateway, 2)
        for name in ("lea", "max"):
            await gateway.approve(outcome.approval_id, by=Caller(name, {"lead"}, "acme"), reason="it is fine")
        edit(tmp_path, statement)
        await sweep(gateway)

    assert ran == []


@tool(
    effect="write",
    roles={"support"},
    idempotency="give:{number}:{workflow_id}",
    approval=Approval(approvers={"lead"}),
)
async def give(number: int) -> int:
    """Give something away."""
    ran.append(number)
    return number


@pytest.mark.req("X7.1", "X7.2")
@pytest.mark.parametrize(
    "statement",
    [
        None,
        "UPDATE grants SET bounds = '{}'",
        "UPDATE grants SET max_uses = 1000",
        "UPDATE grants SET until = until + 3600000000",
        "UPDATE grants SET caller_id = NULL",
        "UPDATE grants SET granted_by = 'u-max'",
        "UPDATE grants SET grant_id = 'grnt_another'",
    ],
)
async def test_a_grant_admits_nothing_once_any_part_of_it_was_edited(
    statement: str | None, tmp_path: Path
) -> None:
    async with opened([give], tmp_path) as gateway:
        made = await gateway.operate(
            make_grant,
            by=in_person(LEAD),
            tool="give",
            bounds={"number": {"le": 5}},
            caller_id=ANA.id,
            agent=None,
            lasting=3600.0,
            uses=2,
            reason="small ones are fine",
        )
        assert isinstance(made, GrantRow)
        if statement is not None:
            edit(tmp_path, statement)
        outcome = await gateway.call(give, {"number": 5}, caller=ANA, workflow="wf")

    assert outcome.status == ("succeeded" if statement is None else "pending_approval")
    assert ran == ([5] if statement is None else [])


@pytest.mark.req("M11.7", "M10.1", "M4.7")
async def test_a_result_swapped_for_that_of_another_tenant_is_not_opened_and_not_denied_to_have_happened(
    tmp_path: Path,
) -> None:
    async with opened([note], tmp_path) as gateway:
        mine = await gateway.call(note, {"number": 1}, caller=ANA, workflow="wf")
        theirs = await gateway.call(note, {"number": 2}, caller=GIL, workflow="wf")
        edit(
            tmp_path,
            "UPDATE sealed SET sealed = (SELECT sealed FROM sealed WHERE call_id = ? AND kind = 'result') "
            "WHERE call_id = ? AND kind = 'result'",
            theirs.call_id,
            mine.call_id,
        )
        looked = await gateway.get_call(mine.call_id, caller=ANA)
        again = await gateway.call(note, {"number": 1}, caller=ANA, workflow="wf")

    for outcome in (looked, again):
        assert (outcome.status, outcome.effect, outcome.advice) == ("failed", "applied", "ask_human")
        assert "keeps to itself" not in str(outcome)
    assert ran == [1, 2]


@pytest.mark.req("M11.7")
async def test_a_request_put_in_the_place_of_a_result_is_not_opened_as_one(tmp_path: Path) -> None:
    async with opened([note], tmp_path) as gateway:
        mine = await gateway.call(note, {"number": 1}, caller=ANA, workflow="wf")
        edit(
            tmp_path,
            "UPDATE sealed SET sealed = (SELECT sealed FROM sealed WHERE kind = 'request') WHERE kind = 'result'",
        )
        looked = await gateway.get_call(mine.call_id, caller=ANA)

    assert (looked.status, looked.effect) == ("failed", "applied")


@pytest.mark.req("X5.2")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET record = replace(CAST(record AS TEXT), 'u-ana', 'u-ben') WHERE call_id IS NOT NULL",
        "UPDATE audit SET leaf = 'text', link = 7",
        "UPDATE audit SET chain_seq = 'text'",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
        "UPDATE audit SET chain_seq = chain_seq + 1 WHERE seq = (SELECT max(seq) FROM audit)",
        "UPDATE chains SET head_seq = head_seq - 1",
    ],
)
async def test_a_trail_edited_in_the_file_does_not_verify(statement: str, tmp_path: Path) -> None:
    async with opened([note], tmp_path) as gateway:
        await gateway.call(note, {"number": 1}, caller=ANA, workflow="wf")
        assert (await verify_audit(gateway.store)).intact
        edit(tmp_path, statement)
        report = await verify_audit(gateway.store)

    assert not report.intact


@pytest.mark.req("X2.9", "X2.5", "M12.7")
async def test_votes_written_into_the_file_by_hand_run_nothing_for_the_trail_knows_none_of_them(
    tmp_path: Path,
) -> None:
    async with opened([pay], tmp_path) as gateway:
        outcome = await held(gateway)
        await gateway.approve(outcome.approval_id, by=LEAD, reason="it is fine")
        edit(
            tmp_path,
            "INSERT INTO votes VALUES (?, 1, 'u-max', '[\"lead\"]', 'forged', 0)",
            outcome.approval_id,
        )
        edit(tmp_path, "UPDATE approvals SET state = 'approved'")
        await sweep(gateway)
        (row,) = await gateway.store.approvals(ApprovalFilter(open_only=False))

    assert (ran, row.state.value) == ([], "cancelled")
    assert row.reason == "a vote on it is not in the audit trail"


@pytest.mark.req("X2.6", "M12.7")
async def test_votes_that_were_given_run_the_call_once(tmp_path: Path) -> None:
    async with opened([pay], tmp_path) as gateway:
        outcome = await held(gateway)
        for name in ("password=lea", "Max Müller"):
            await gateway.approve(outcome.approval_id, by=Caller(name, {"lead"}, "acme"), reason="it is fine")
        await sweep(gateway)

    assert ran == [1]
