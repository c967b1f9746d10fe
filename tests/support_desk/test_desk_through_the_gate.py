"""Every tool of the desk, asked for through the real gate, and looked up afterwards in the desk's own tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.people import decide_approval
from toolgate import (
    Advice,
    ErrorType,
    Failed,
    Gateway,
    Outcome,
    PendingApproval,
    Refused,
    Status,
    Succeeded,
    Tool,
    Unknown,
    WorldEffect,
)
from toolgate.examples.support_desk import books, database
from toolgate.examples.support_desk.faults import Fault
from toolgate.examples.support_desk.notes import Author
from toolgate.examples.support_desk.personas import personas
from toolgate.examples.support_desk.reads import (
    check_shipping_status,
    fetch_runbook,
    generate_customer_report,
    read_customer_notes,
    search_runbooks,
)
from toolgate.examples.support_desk.tools import tools
from toolgate.examples.support_desk.world import World
from toolgate.examples.support_desk.writes import (
    create_refund,
    create_support_ticket,
    delete_customer,
    send_email,
    update_customer_email,
)

SITE = "http://runbooks.desk.example"
MAIL = {"to": "nora.bright@example.com", "subject": "Your order", "body": "It is on its way to you."}


async def ask(
    gate: Gateway, who: str, tool: Tool[Any, Any], arguments: dict[str, Any], *, case: str = "case-1"
) -> Outcome[Any]:
    outcome: Outcome[Any] = await gate.call(tool, arguments, caller=personas[who].caller, workflow=case)
    return outcome


async def decide(
    gate: Gateway, who: str, held: Outcome[Any], decision: Literal["approve", "deny"] = "approve"
) -> str | None:
    """Why the decision was not recorded, or None."""
    assert isinstance(held, PendingApproval), held
    answer = await decide_approval(
        gate, held.approval_id, decision, voter=personas[who].caller, reason="Looked at it."
    )
    return answer if isinstance(answer, str) else None


async def carried_out(gate: Gateway, who: str, held: Outcome[Any]) -> Outcome[Any]:
    """Keep house until the held call has an end; one round starts it, another may have to end its approval."""
    outcome = held
    for _ in range(200):
        await gate.sweep()
        outcome = await gate.wait_for(held, caller=personas[who].caller, timeout=0.05)
        if not isinstance(outcome, PendingApproval) and getattr(outcome, "retry_after", None) is None:
            break
    return outcome


def refund(amount_cents: int = 40_00, *, order_id: int = 5001, card: str = "4242") -> dict[str, Any]:
    return {
        "order_id": order_id,
        "amount_cents": amount_cents,
        "card_last4": card,
        "reason": "One pole arrived bent.",
    }


def _lies_in_the_ledger(folder: Path, text: bytes) -> bool:
    files = list(folder.glob("toolgate.db*"))
    assert files
    return any(text in path.read_bytes() for path in files)


# --- reads ----------------------------------------------------------------------------------------------------


@pytest.mark.req("M1.3")
async def test_notes_are_read_newest_first_by_a_contract_that_does_not_trust_them(gate: Gateway) -> None:
    outcome = await ask(gate, "maya", read_customer_notes, {"customer_id": "cus_1002"})
    assert isinstance(outcome, Succeeded)
    assert [note.author for note in outcome.result.notes] == [Author.CUSTOMER, Author.STAFF]
    assert read_customer_notes.contract.result_trust == "untrusted"


@pytest.mark.req("M4.4")
async def test_the_handbook_is_searched_by_everybody_who_works_here(gate: Gateway) -> None:
    outcome = await ask(gate, "felix", search_runbooks, {"query": "disputed payment"})
    assert isinstance(outcome, Succeeded)
    assert outcome.result.hits[0].slug == "refund-policy"


@pytest.mark.req("M6.7")
async def test_a_long_page_is_cut_for_the_model_and_whole_for_the_application(gate: Gateway) -> None:
    outcome = await ask(gate, "tomas", fetch_runbook, {"url": f"{SITE}/carrier-claims.txt"})
    assert isinstance(outcome, Succeeded)
    assert outcome.truncated
    body = outcome.to_model()
    assert body["truncated"] is True
    assert "more characters]" in json.dumps(body["result"])
    assert outcome.result.text.endswith("label\n")


@pytest.mark.req("M2.7", "M2.8", "M2.10")
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1/refund-policy.txt",
        "http://runbooks.desk.example@evil.example/refund-policy.txt",
        "http://runbooks.desk.example.evil.example/refund-policy.txt",
        "file:///etc/passwd",
    ],
)
async def test_no_address_but_the_handbooks_can_be_written(gate: Gateway, url: str) -> None:
    outcome = await ask(gate, "tomas", fetch_runbook, {"url": url})
    assert isinstance(outcome, Refused)
    assert outcome.error_type is ErrorType.INVALID_ARGUMENTS


@pytest.mark.req("M2.10")
@pytest.mark.parametrize("page", ["moved", "no-such-page"])
async def test_a_redirect_is_no_page_and_is_not_followed(gate: Gateway, page: str) -> None:
    outcome = await ask(gate, "tomas", fetch_runbook, {"url": f"{SITE}/{page}.txt"})
    assert isinstance(outcome, Failed)
    assert outcome.code == "no_such_page"


@pytest.mark.req("M8.1")
async def test_the_carrier_is_asked_again_when_it_drops_the_connection(gate: Gateway, world: World) -> None:
    world.faults.arm("carrier", Fault.FLAKY, times=2)
    outcome = await ask(gate, "maya", check_shipping_status, {"order_id": 5002})
    assert isinstance(outcome, Succeeded)
    assert world.faults.armed("carrier") == 0


@pytest.mark.req("M8.1")
async def test_a_carrier_that_stays_away_is_a_failure_without_effect(gate: Gateway, world: World) -> None:
    world.faults.arm("carrier", Fault.FLAKY, times=3)
    outcome = await ask(gate, "maya", check_shipping_status, {"order_id": 5002})
    assert isinstance(outcome, Failed)
    assert (outcome.effect, outcome.advice) == (WorldEffect.NONE, Advice.RETRY)


@pytest.mark.req("M4.5")
async def test_a_report_is_for_those_whom_its_contract_names(gate: Gateway) -> None:
    outcome = await ask(gate, "ruth", generate_customer_report, {"customer_id": "cus_1001"})
    assert isinstance(outcome, Succeeded)
    assert outcome.result.orders == 3


# --- writes ---------------------------------------------------------------------------------------------------


@pytest.mark.req("M9.2")
async def test_a_ticket_is_opened_once_for_a_case(gate: Gateway, world: World) -> None:
    arguments = {"customer_id": "cus_1001", "subject": "Bent pole", "body": "One pole is bent."}
    first = await ask(gate, "maya", create_support_ticket, arguments)
    second = await ask(gate, "maya", create_support_ticket, arguments)
    assert first.unwrap() == second.unwrap()
    assert second.replayed
    assert books.tickets(world) == 1


@pytest.mark.req("M8.5")
async def test_a_refund_whose_connection_dropped_is_tried_again_under_its_key_and_made_once(
    gate: Gateway, world: World
) -> None:
    world.faults.arm("refund", Fault.DROPPED_REPLY)
    outcome = await ask(gate, "maya", create_refund, refund())
    assert isinstance(outcome, Succeeded)
    assert outcome.result.remaining_cents == 149_00
    assert books.refunds(world) == 1


@pytest.mark.req("M3.3")
async def test_a_rule_of_the_desk_refuses_with_its_own_code_and_nothing_happens(
    gate: Gateway, world: World
) -> None:
    outcome = await ask(gate, "maya", create_refund, refund(card="0000"))
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.effect) == ("card_mismatch", WorldEffect.NONE)
    assert books.refunds(world) == 0


@pytest.mark.req("M3.4")
async def test_the_desk_itself_may_ask_for_a_person_and_goes_on_once_one_agreed(
    gate: Gateway, world: World
) -> None:
    held = await ask(gate, "maya", create_refund, refund(20_00, order_id=5004, card="0019"))
    assert books.refunds(world) == 0
    assert await decide(gate, "omar", held) is None
    outcome = await carried_out(gate, "maya", held)
    assert isinstance(outcome, Succeeded)
    assert outcome.call_id == held.call_id
    assert books.refunds(world) == 1


@pytest.mark.req("X2.5")
async def test_what_was_approved_does_not_run_for_somebody_who_left_meanwhile(
    gate: Gateway, world: World
) -> None:
    held = await ask(gate, "maya", create_refund, refund(120_00))
    assert await decide(gate, "omar", held) is None
    connection = database.connect(world.path)
    connection.execute("UPDATE users SET active = 0 WHERE id = 'u-maya'")
    connection.close()
    outcome = await carried_out(gate, "maya", held)
    assert outcome.status is Status.REFUSED
    assert books.refunds(world) == 0


@pytest.mark.req("M11.4", "M11.6")
async def test_an_address_changes_once_a_person_agreed_and_lies_nowhere_in_the_ledgers_file(
    gate: Gateway, world: World, tmp_path: Path
) -> None:
    held = await ask(
        gate,
        "maya",
        update_customer_email,
        {"customer_id": "cus_1001", "new_email": "nora.canary@example.org"},
    )
    assert await decide(gate, "priya", held) is None
    outcome = await carried_out(gate, "maya", held)
    assert isinstance(outcome, Succeeded)
    with world.desk(tenant="acme", user_id="u-maya") as desk:
        assert desk.customers.with_email("nora.canary@example.org") is not None
    assert not _lies_in_the_ledger(tmp_path, b"nora.canary")


@pytest.mark.req("X2.9", "X2.8")
async def test_two_billing_admins_must_agree_before_anybody_is_erased(gate: Gateway, world: World) -> None:
    held = await ask(
        gate, "priya", delete_customer, {"customer_id": "cus_1005", "ground": "customer_request"}
    )
    assert await decide(gate, "priya", held) is not None
    assert await decide(gate, "maya", held) is not None
    assert await decide(gate, "lena", held) is not None
    assert await decide(gate, "omar", held) is None
    assert await decide(gate, "omar", held) is not None
    await gate.sweep()
    assert books.erasures(world) == 0
    assert await decide(gate, "ines", held) is None
    assert isinstance(await carried_out(gate, "priya", held), Succeeded)
    assert books.erasures(world) == 1


@pytest.mark.req("M9.10")
async def test_a_no_is_final_for_its_piece_of_work(gate: Gateway, world: World) -> None:
    held = await ask(gate, "maya", send_email, MAIL)
    assert await decide(gate, "priya", held, "deny") is None
    again = await ask(gate, "maya", send_email, MAIL)
    assert isinstance(again, Refused)
    assert again.error_type is ErrorType.APPROVAL_DENIED
    assert books.mails(world) == 0


@pytest.mark.req("M10.3", "M8.3", "M9.11")
async def test_a_mail_whose_answer_was_lost_is_unknown_and_is_never_sent_again(
    gate: Gateway, world: World
) -> None:
    held = await ask(gate, "maya", send_email, MAIL)
    assert await decide(gate, "priya", held) is None
    world.faults.arm("mail", Fault.DROPPED_REPLY)
    outcome = await carried_out(gate, "maya", held)
    assert isinstance(outcome, Unknown)
    await gate.sweep()
    again = await ask(gate, "maya", send_email, MAIL)
    assert isinstance(again, Unknown)
    assert books.mails(world) == 1


@pytest.mark.req("M10.2")
async def test_both_sets_of_books_agree_after_all_of_it(gate: Gateway, world: World) -> None:
    await ask(gate, "maya", create_refund, refund())
    await ask(gate, "maya", create_refund, refund())
    await ask(gate, "maya", create_refund, refund(120_00))
    await ask(gate, "kenji", create_refund, refund())
    rows = {row.what: row for row in await books.balances(gate.store, world)}
    assert (rows["refunds"].applied, rows["refunds"].rows) == (1, 1)
    assert all(row.agrees for row in rows.values())


# --- the contracts --------------------------------------------------------------------------------------------


@pytest.mark.req("M2.1", "M1.3")
@pytest.mark.parametrize("tool", tools, ids=lambda tool: tool.name)
def test_each_contract_is_complete(tool: Tool[Any, Any]) -> None:
    contract = tool.contract
    assert contract.input_schema["additionalProperties"] is False
    assert contract.output_schema is not None
    assert contract.owner
    assert contract.version == "1"
    assert contract.authorize is not None
    assert contract.timeout_declared
    assert (contract.idempotency is not None) is contract.has_effects


@pytest.mark.req("M9.7")
@pytest.mark.parametrize("field", ["idempotency_key", "workflow_id", "tenant", "caller"])
async def test_a_model_can_name_neither_the_key_nor_the_caller(
    gate: Gateway, world: World, field: str
) -> None:
    outcome = await ask(gate, "maya", create_refund, {**refund(), field: "globex"})
    assert isinstance(outcome, Refused)
    assert outcome.error_type is ErrorType.INVALID_ARGUMENTS
    assert books.refunds(world) == 0
