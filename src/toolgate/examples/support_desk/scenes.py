"""What happens on the agent's day, scene by scene.

Belongs here: requests that a model could have made, what people do about them, and checks against the desk's own
database. Each scene stands alone but for what earlier ones left in the books.
"""

from __future__ import annotations

import json
from typing import Any

from toolgate import (
    Advice,
    ErrorType,
    Outcome,
    Status,
    Succeeded,
    WorldEffect,
)
from toolgate.examples.support_desk import books
from toolgate.examples.support_desk.actions import Day
from toolgate.examples.support_desk.faults import Fault
from toolgate.examples.support_desk.lost_worker import a_lost_worker
from toolgate.examples.support_desk.personas import personas
from toolgate.examples.support_desk.reads import (
    check_shipping_status,
    fetch_runbook,
    generate_customer_report,
    read_customer_notes,
)
from toolgate.examples.support_desk.runbook_client import HOST
from toolgate.examples.support_desk.writes import (
    create_refund,
    create_support_ticket,
    delete_customer,
    send_email,
)


def _refund(order_id: object, amount_cents: object, reason: str, *, card: str = "4242") -> dict[str, object]:
    """Arguments of a refund, right or wrong."""
    return {"order_id": order_id, "amount_cents": amount_cents, "card_last4": card, "reason": reason}


async def _a_success(day: Day) -> None:
    day.stage.scene(
        "A ticket is opened",
        "Maya is a support agent at Acme. Her assistant is a model; all it can do is ask the gate.",
    )
    outcome = await day.ask(
        "maya",
        create_support_ticket,
        {
            "customer_id": "cus_1001",
            "subject": "One bent tent pole",
            "body": "The customer wrote that one pole of the tent arrived bent.",
        },
        case="case-101",
    )
    day.stage.check(
        "one ticket lies in the desk's database, and the gate said so",
        holds=outcome.ok and books.tickets(day.world) == 1,
    )


async def _a_bad_argument(day: Day) -> None:
    day.stage.scene(
        "A bad argument comes back with advice",
        "The model writes the order number as text, the amount as a fraction, and no real reason.",
    )
    outcome = await day.ask("maya", create_refund, _refund("5001", 40.5, "bent"), case="case-101")
    day.stage.check(
        "nothing ran, and the model was told what to mend",
        holds=outcome.advice is Advice.FIX_ARGUMENTS and books.refunds(day.world) == 0,
    )
    outcome = await day.ask("maya", create_refund, _bent_pole(), case="case-101")
    day.stage.check("one refund was made", holds=outcome.ok and books.refunds(day.world) == 1)


async def _a_replay(day: Day) -> None:
    day.stage.scene(
        "Asked twice, done once",
        "The model lost its place and asks again. The key is made of the order, the amount and the case.",
    )
    outcome = await day.ask("maya", create_refund, _bent_pole(), case="case-101")
    day.stage.check(
        "the first answer came back, marked as replayed; still one refund",
        holds=outcome.ok and outcome.replayed and books.refunds(day.world) == 1,
    )


async def _another_tenant(day: Day) -> None:
    day.stage.scene(
        "Another tenant's customer",
        "Kenji works at Globex. His assistant asks for notes about a customer of Acme, then about nobody.",
    )
    theirs = await day.ask("kenji", read_customer_notes, {"customer_id": "cus_1001"}, case="case-201")
    day.true_reason(theirs)
    nobody = await day.ask("kenji", read_customer_notes, {"customer_id": "cus_9999"}, case="case-201")
    day.true_reason(nobody)
    day.stage.check(
        "both were refused in the same words, so the model learns nothing",
        holds=_words(theirs) == _words(nobody) and theirs.status is Status.REFUSED,
    )


async def _a_retried_read(day: Day) -> None:
    day.stage.scene("A read is tried again", "The carrier drops the connection twice.")
    dropped = 2
    day.world.faults.arm("carrier", Fault.FLAKY, times=dropped)
    outcome = await day.ask("maya", check_shipping_status, {"order_id": 5002}, case="case-102")
    tried = await day.attempts(outcome.call_id)
    day.stage.check(
        f"the trail says that it took {tried} attempts", holds=outcome.ok and tried == dropped + 1
    )


async def _a_held_refund(day: Day) -> None:
    day.stage.scene(
        "Above 50.00 a person decides",
        "The arguments are checked and the permission is given before anybody is asked.",
    )
    before = books.refunds(day.world)
    arguments = _refund(5001, 120_00, "The tent leaks; the customer sent photographs.")
    held = await day.ask("maya", create_refund, arguments, case="case-103")
    again = await day.ask("maya", create_refund, arguments, case="case-103")
    day.stage.check(
        "asking again gives the same call, and nothing ran",
        holds=again.call_id == held.call_id and books.refunds(day.world) == before,
    )
    refused = await day.decide("maya", held, "approve", "It is fine.")
    day.stage.check("whoever asked cannot approve", holds=refused is not None)
    await day.show_request("omar", held)
    await day.decide("omar", held, "approve", "The photographs show it.")
    outcome = await day.carried_out("maya", held)
    replayed = await day.ask("maya", create_refund, arguments, case="case-103")
    day.stage.check(
        "approved once, executed once: one refund more",
        holds=outcome.ok and replayed.replayed and books.refunds(day.world) == before + 1,
    )


async def _the_desks_own_rule(day: Day) -> None:
    day.stage.scene(
        "An approval does not lift the desk's own rules",
        "Ines approves 2,500.00. The refund service refuses anything above 2,000.00 and asks no gate about it.",
    )
    before = books.refunds(day.world)
    held = await day.ask(
        "maya",
        create_refund,
        _refund(5003, 2_500_00, "The sledge broke on the second day.", card="0019"),
        case="case-104",
    )
    await day.decide("ines", held, "approve", "A valued customer.")
    outcome = await day.carried_out("maya", held)
    day.stage.check(
        "the business refused, and the outcome says that nothing happened",
        holds=getattr(outcome, "code", None) == "refund_over_ceiling"
        and outcome.effect is WorldEffect.NONE
        and books.refunds(day.world) == before,
    )


async def _the_desk_asks(day: Day) -> None:
    day.stage.scene(
        "The desk itself asks for a person",
        "20.00 is below the limit, but the customer's bank disputes this payment: only the service knows that.",
    )
    before = books.refunds(day.world)
    arguments = _refund(5004, 20_00, "A seam of the jacket came open.", card="0019")
    held = await day.ask("maya", create_refund, arguments, case="case-105")
    await day.decide("omar", held, "deny", "The bank is paying this one back already.")
    outcome = await day.ask("maya", create_refund, arguments, case="case-105")
    day.stage.check(
        "a no is final for this piece of work, and nothing ran",
        holds=getattr(outcome, "error_type", None) is ErrorType.APPROVAL_DENIED
        and books.refunds(day.world) == before,
    )


async def _a_lost_answer(day: Day) -> None:
    day.stage.scene(
        "The answer is lost after the money moved",
        "The refund is committed; then the line goes dead. The gate must not say failed, and not try again.",
    )
    before = books.refunds(day.world)
    day.world.faults.arm("refund", Fault.LOST_REPLY)
    arguments = _refund(5002, 34_90, "The head lamp never worked.")
    lost = await day.ask("maya", create_refund, arguments, case="case-106")
    again = await day.ask("maya", create_refund, arguments, case="case-106")
    day.stage.check(
        "reported as unknown, and not repeated while it is",
        holds=lost.status is Status.UNKNOWN
        and again.status is Status.UNKNOWN
        and books.refunds(day.world) == before + 1,
    )
    day.stage.person("gate", "looks the refund up by its key (the contract's own reconcile)")
    await day.gateway.sweep()
    found = await day.gateway.get_call(lost.call_id, caller=personas["maya"].caller)
    day.stage.answer(found)
    day.stage.check(
        "now it is known to have happened, and it happened once",
        holds=found.effect is WorldEffect.APPLIED and books.refunds(day.world) == before + 1,
    )


async def _a_hostile_note(day: Day) -> None:
    day.stage.scene(
        "A customer's note gives orders",
        "The model reads a note that tells it what to do, and does it.",
    )
    await day.ask("maya", read_customer_notes, {"customer_id": "cus_1002", "newest": 1}, case="case-107")
    erasure = await day.ask(
        "maya", delete_customer, {"customer_id": "cus_1005", "ground": "customer_request"}, case="case-107"
    )
    day.true_reason(erasure)
    address = await day.ask(
        "maya", fetch_runbook, {"url": "http://169.254.169.254/latest/meta-data/"}, case="case-107"
    )
    day.stage.check(
        "a tool that Maya was not given does not exist for her agent",
        holds=getattr(erasure, "error_type", None) is ErrorType.UNKNOWN_TOOL
        and books.erasures(day.world) == 0,
    )
    day.stage.check(
        "no address but the handbook's can be written at all",
        holds=getattr(address, "error_type", None) is ErrorType.INVALID_ARGUMENTS,
    )


async def _a_cut_result(day: Day) -> None:
    day.stage.scene(
        "A long page is cut, and says so", "The page has eleven thousand characters; six KiB may be shown."
    )
    outcome = await day.ask(
        "tomas", fetch_runbook, {"url": f"http://{HOST}/carrier-claims.txt"}, case="case-301"
    )
    day.stage.check(
        "the model's copy is marked as truncated; the application has the whole",
        holds=isinstance(outcome, Succeeded)
        and outcome.truncated
        and len(outcome.result.text) > len(json.dumps(outcome.to_model()["result"])),
    )


async def _a_slow_report(day: Day) -> None:
    day.stage.scene(
        "A slow report is given up", "Ruth's report has one second. A read that is given up changed nothing."
    )
    day.world.faults.arm("report", Fault.SLOW)
    slow = await day.ask("ruth", generate_customer_report, {"customer_id": "cus_1001"}, case="case-401")
    day.stage.check(
        "failed without effect, and the advice is to try again",
        holds=getattr(slow, "error_type", None) is ErrorType.TIMEOUT and slow.advice is Advice.RETRY,
    )
    outcome = await day.ask("ruth", generate_customer_report, {"customer_id": "cus_1001"}, case="case-401")
    day.stage.check(
        "the second time it adds up the three refunds of the day",
        holds=isinstance(outcome, Succeeded) and outcome.result.refunded_cents == 40_00 + 120_00 + 34_90,
    )


async def _left_for_people(day: Day) -> None:
    day.stage.scene(
        "What is left for people",
        "A mail whose answer was lost, with nobody to ask; and an erasure that two people must agree to.",
    )
    mail = await day.ask(
        "maya",
        send_email,
        {
            "to": "nora.bright@example.com",
            "subject": "Your refund",
            "body": "Your refund of 120.00 is on its way to your card.",
        },
        case="case-103",
    )
    await day.decide("priya", mail, "approve", "The wording is right.")
    day.world.faults.arm("mail", Fault.DROPPED_REPLY)
    unknown = await day.carried_out("maya", mail)
    day.stage.check("the mail stays unknown until somebody says", holds=unknown.status is Status.UNKNOWN)
    erasure = await day.ask(
        "priya", delete_customer, {"customer_id": "cus_1005", "ground": "customer_request"}, case="case-108"
    )
    await day.decide("omar", erasure, "approve", "She asked in writing.")
    await day.gateway.sweep()
    waits = await day.gateway.get_call(erasure.call_id, caller=personas["priya"].caller)
    day.stage.check("one of two votes is not enough", holds=waits.status is Status.PENDING_APPROVAL)


SCENES = (
    _a_success,
    _a_bad_argument,
    _a_replay,
    _another_tenant,
    _a_retried_read,
    _a_held_refund,
    _the_desks_own_rule,
    _the_desk_asks,
    _a_lost_answer,
    _a_hostile_note,
    _a_cut_result,
    _a_slow_report,
    a_lost_worker,
    _left_for_people,
)
"""The day, in order."""


def _bent_pole() -> dict[str, object]:
    return _refund(5001, 40_00, "One pole of the tent arrived bent.")


def _words(outcome: Outcome[Any]) -> dict[str, object]:
    return {name: value for name, value in outcome.to_model().items() if name != "call_id"}
