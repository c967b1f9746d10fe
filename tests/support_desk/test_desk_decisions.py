"""Every persona x tool x resource of the support desk with its decision, in `tests/golden/decisions.txt`.

To write the file anew after a change of contracts or people, and then to read every line that moved:

    UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/support_desk/test_desk_decisions.py

Decisions: `allow`; `start` as a job; `hold` with who must agree; `deny` with the true reason, which the model is not
told; `hide`, where the tool does not exist for this person; `refuse` with the code of the desk's own rule.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from toolgate import Effect, ErrorType, Failed, Gateway, Outcome, PendingApproval, Refused, Started, Succeeded
from toolgate.domain.approval import Requirement
from toolgate.domain.rows import ByCall
from toolgate.examples.support_desk.personas import Persona, personas
from toolgate.examples.support_desk.tools import callers, deps, tools
from toolgate.examples.support_desk.world import World

pytestmark = pytest.mark.req("M4.16")

GOLDEN = Path(__file__).parent.parent / "golden" / "decisions.txt"
CONTRACTS = {tool.name: tool.contract for tool in tools}

Tenant = Literal["acme", "globex"]
Decision = tuple[str, str]  # the word, and who or why


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request: a tool, a resource in words, whose it is (None: nobody's in particular), the arguments."""

    tool: str
    resource: str
    of: Tenant | None
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One line of the matrix."""

    who: str
    case: Case
    word: str
    detail: str

    def __str__(self) -> str:
        line = f"{self.who:<6} {self.case.tool:<24} {self.case.resource:<33} {self.word:<7}{self.detail}"
        return line.rstrip()


_PEOPLE: dict[str, tuple[str, Tenant | None]] = {
    "cus_1001": ("", "acme"),
    "cus_1003": (" (confidential)", "acme"),
    "cus_2001": (" (globex)", "globex"),
    "cus_9999": (" (nobody)", None),
}


def _customer(tool: str, customer_id: str, **more: object) -> Case:
    what, tenant = _PEOPLE[customer_id]
    return Case(
        tool=tool, resource=customer_id + what, of=tenant, arguments={"customer_id": customer_id, **more}
    )


def _order(tool: str, order_id: int, what: str, **more: object) -> Case:
    tenant: Tenant = "globex" if order_id >= 7000 else "acme"
    return Case(
        tool=tool, resource=f"order {order_id}{what}", of=tenant, arguments={"order_id": order_id, **more}
    )


def _refund(order_id: int, amount_cents: int, card: str, what: str = "") -> Case:
    return _order(
        "create_refund",
        order_id,
        f", {amount_cents / 100:.2f}{what}",
        amount_cents=amount_cents,
        card_last4=card,
        reason="The customer asked for it.",
    )


def _mail(to: str, what: str, of: Tenant | None) -> Case:
    arguments = {"to": to, "subject": "Your order", "body": "Your order is on its way."}
    return Case(tool="send_email", resource=f"to {what}", of=of, arguments=arguments)


_TICKET = {"subject": "A question", "body": "The customer has a question."}
_THREE = ("cus_1001", "cus_1003", "cus_2001")
_PAGE = {"url": "http://runbooks.desk.example/refund-policy.txt"}

CASES: tuple[Case, ...] = (
    *(_customer("read_customer_notes", one) for one in _PEOPLE),
    Case(tool="search_runbooks", resource="the handbook", of=None, arguments={"query": "refund"}),
    Case(tool="fetch_runbook", resource="a page of the site", of=None, arguments=_PAGE),
    _order("check_shipping_status", 5002, ""),
    _order("check_shipping_status", 5005, " (confidential)"),
    _order("check_shipping_status", 5007, " (not sent)"),
    _order("check_shipping_status", 7002, " (globex)"),
    *(_customer("generate_customer_report", one) for one in _THREE),
    Case(tool="start_static_analysis", resource="the automations", of=None, arguments={"folder": "all"}),
    *(_customer("create_support_ticket", one, **_TICKET) for one in _THREE),
    _refund(5001, 40_00, "4242"),
    _refund(5001, 120_00, "4242"),
    _refund(5001, 20_00, "0000", " (wrong card)"),
    _refund(5003, 2_500_00, "0019"),
    _refund(5004, 20_00, "0019", " (disputed)"),
    _refund(5005, 20_00, "7731", " (confidential)"),
    _refund(5006, 20_00, "1188", " (closed)"),
    _refund(5007, 20_00, "4242", " (unpaid)"),
    _refund(7001, 20_00, "6620", " (globex)"),
    *(_customer("update_customer_email", one, new_email="new@example.com") for one in _THREE),
    *(_customer("delete_customer", one, ground="customer_request") for one in _THREE),
    _mail("nora.bright@example.com", "a customer", "acme"),
    _mail("greta@vance.example", "a customer (confidential)", "acme"),
    _mail("omar@acme.example", "a colleague", "acme"),
    _mail("aldo@rinaldi.example", "a customer (globex)", "globex"),
    _mail("collector@evil.example", "a stranger", None),
)


async def _judged(gateway: Gateway, outcome: Outcome[Any]) -> Decision:
    match outcome:
        case Succeeded():
            return "allow", ""
        case Started():
            return "start", ""
        case PendingApproval(call_id=call_id):
            return "hold", await _asked_of(gateway, call_id)
        case Refused(error_type=ErrorType.UNKNOWN_TOOL):
            return "hide", ""
        case Refused(error_type=ErrorType.PERMISSION_DENIED, reasons=reasons):
            return "deny", "; ".join(reasons)
        case Failed(error_type=ErrorType.TOOL_ERROR, code=code):
            return "refuse", str(code)
        case _:
            pytest.fail(f"no decision of this matrix: {outcome.to_model()}")


async def _asked_of(gateway: Gateway, call_id: str) -> str:
    approval = (await gateway.store.find(ByCall(call_id))).approval
    assert approval is not None
    requirement = Requirement.from_json(json.loads(approval.requirement))
    return f"{requirement.quorum} x {requirement.shown_roles()}"


async def _decisions_for(who: str, persona: Persona, folder: Path) -> list[Decided]:
    """One person's lines, on a desk and a ledger of their own: nobody's effects show in another's lines."""
    lines = []
    with World.create(folder / "support_desk.db").use():
        store = f"sqlite:///{folder / 'toolgate.db'}"
        async with Gateway(
            tools, store=store, deps=deps, callers=callers, housekeeping=None, jobs=False
        ) as gateway:
            for number, case in enumerate(CASES):
                outcome = await gateway.call(
                    case.tool, case.arguments, caller=persona.caller, workflow=f"matrix-{number}"
                )
                word, detail = await _judged(gateway, outcome)
                lines.append(Decided(who=who, case=case, word=word, detail=detail))
    return lines


@pytest.fixture(scope="module")
async def matrix(tmp_path_factory: pytest.TempPathFactory) -> list[Decided]:
    lines: list[Decided] = []
    for who, persona in personas.items():
        lines += await _decisions_for(who, persona, tmp_path_factory.mktemp(who))
    return lines


async def test_every_persona_tool_and_resource_meets_the_decision_that_is_written_down(
    matrix: list[Decided],
) -> None:
    lines = [str(decided) for decided in matrix]
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text("\n".join(lines) + "\n", encoding="utf-8")
    written = GOLDEN.read_text(encoding="utf-8").splitlines() if GOLDEN.exists() else []
    assert lines == written, "decisions moved; the first lines of this module say what to do"


@pytest.mark.req("M4.7")
async def test_nothing_of_one_tenant_is_allowed_held_or_even_refused_by_rule_to_another(
    matrix: list[Decided],
) -> None:
    across = [one for one in matrix if one.case.of not in {None, personas[one.who].caller.tenant}]
    assert across
    assert {one.word for one in across} == {"deny", "hide"}


@pytest.mark.req("M4.5")
async def test_one_who_left_may_do_nothing_whatever_the_session_says(matrix: list[Decided]) -> None:
    assert {one.word for one in matrix if one.who == "dora"} == {"deny", "hide"}


@pytest.mark.req("M4.3")
@pytest.mark.req("M4.4")
async def test_one_without_a_role_finds_only_what_is_open_to_everyone(matrix: list[Decided]) -> None:
    assert {one.case.tool for one in matrix if one.who == "felix" and one.word != "hide"} == {
        "search_runbooks"
    }


async def test_a_confidential_customer_is_for_leads_and_billing_admins_alone(matrix: list[Decided]) -> None:
    seen_by = {
        one.who for one in matrix if "confidential" in one.case.resource and one.word in {"allow", "hold"}
    }
    assert seen_by == {"priya", "omar", "ines"}


@pytest.mark.req("M12.2")
async def test_nothing_destructive_and_no_mail_goes_without_a_person(matrix: list[Decided]) -> None:
    risky = [
        one
        for one in matrix
        if CONTRACTS[one.case.tool].effect is Effect.DESTRUCTIVE or one.case.tool == "send_email"
    ]
    assert {one.word for one in risky} == {"hold", "deny", "hide"}
    assert {one.detail for one in risky if one.case.tool == "delete_customer" and one.word == "hold"} == {
        "2 x billing_admin"
    }


@pytest.mark.req("M4.9")
async def test_a_listing_shows_the_tools_that_the_matrix_does_not_hide(
    matrix: list[Decided], gate: Gateway
) -> None:
    for who, persona in personas.items():
        listed = {tool.name for tool in gate.tools(persona.caller)}
        open_to = {one.case.tool for one in matrix if one.who == who and one.word != "hide"}
        # Whoever may call the desk's job has two tools of the gate's own, to look after it.
        ours = {"get_job", "cancel_job"} if "start_static_analysis" in open_to else set()
        assert listed == open_to | ours, who
