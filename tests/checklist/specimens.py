"""Tools to be judged: vague ones that must fail, each for its own reason, and good ones that must pass.

Here: tools and how they are checked. Not here: any expectation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from toolgate import (
    AllowedUrl,
    Applied,
    Approval,
    BusinessRule,
    ConfinedPath,
    EmailAddress,
    Identifier,
    Money,
    MoneyRange,
    NotApplied,
    PlainText,
    Retry,
    Sensitive,
    Tool,
    ToolContext,
    tool,
)
from toolgate.cli.rehearsal import rehearse
from toolgate.domain.checklist import Answer, Defect, Question, ToolReport
from toolgate.operations.check_tools import check_tools

AnyTool = Tool[Any, Any]


def check_one(judged: AnyTool) -> ToolReport:
    """The answers about one tool, everything tried that can be."""
    (report,) = check_tools([judged], rehearse=rehearse, source_of=lambda _: None).tools
    return report


def noes(report: ToolReport) -> set[int]:
    """The numbers of the questions that are answered by no."""
    return {answer.question.number for answer in report.answers if answer.is_no}


def defects(judged: AnyTool, question: Question) -> tuple[Defect, ...]:
    """Why one question is answered by no, for a tool."""
    return check_one(judged).answer(question).defects


def answer(judged: AnyTool, question: Question) -> Answer:
    """One answer about a tool."""
    return check_one(judged).answer(question)


def reading(**changed: Any) -> Callable[[Callable[..., Any]], AnyTool]:
    """`@tool` for a read about which nothing is missing."""
    given = {"effect": "read", "roles": {"support"}, "timeout": 2.0, **changed}
    return tool(**given)


# --- vague tools ----------------------------------------------------------------------------------------------


@tool()
def do(action: str, data: dict) -> dict:  # type: ignore[type-arg]
    """Do any action on the data."""
    return data


@reading()
def run_sql(query: str) -> list[str]:
    """Run a statement on the reporting database."""
    return [query]


@reading()
def shell(cmd: str) -> str:
    """Run a command on the build host."""
    return cmd


@reading()
def fetch(url: str) -> str:
    """Fetch one page and return its text."""
    return url


@reading()
def read_file(path: str) -> str:
    """Read one file and return its text."""
    return path


VAGUE = {"do": do, "run_sql": run_sql, "shell": shell, "fetch": fetch, "read_file": read_file}


# --- good tools -----------------------------------------------------------------------------------------------


class CardDeclined(BusinessRule):
    """The bank declined the card."""

    code = "card_declined"


class Line(BaseModel):
    """One line of an order."""

    sku: Annotated[str, Identifier(max_length=20)]
    count: Annotated[int, Field(ge=1, le=99)]


class Refunded(BaseModel):
    """A refund that was made."""

    refund_id: str


class RefundInput(BaseModel):
    """A refund to the card that was charged."""

    order_id: Annotated[int, Field(ge=1, le=10_000_000)]
    amount: Annotated[Money, MoneyRange(currencies={"EUR"}, max=500_000)]
    lines: Annotated[list[Line], Field(max_length=20)]
    reason: Annotated[str, PlainText(500, min_length=10)]
    card_last4: Annotated[str, Sensitive()] = Field(max_length=4)
    speed: Literal["normal", "express"] = "normal"


def own_order(context: ToolContext[Any], args: Any) -> bool:
    """Whether the order is the caller's tenant's."""
    return True


def find_refund(context: ToolContext[Any], args: Any) -> Applied[Refunded] | NotApplied | None:
    """Look the refund up."""
    return None


@tool(
    effect="write",
    roles={"support"},
    authorize=own_order,
    timeout=5.0,
    idempotency="refund:{order_id}:{workflow_id}",
    honours_key=True,
    retries=Retry(attempts=3),
    reconcile=find_refund,
    approval=Approval(approvers={"billing_admin"}),
    raises={CardDeclined},
)
async def create_refund(context: ToolContext[Any], args: RefundInput) -> Refunded:
    """Refund a captured payment to the original card."""
    return Refunded(refund_id="r1")


@reading(authorize=own_order)
async def find_order(context: ToolContext[Any], order_id: Annotated[str, Identifier(prefix="ord_")]) -> Line:
    """Find one order by its id."""
    return Line(sku="a", count=1)


@reading(roles="anyone")
def search_help(
    query: Annotated[str, PlainText(200)], limit: Annotated[int, Field(ge=1, le=10)] = 5
) -> list[str]:
    """Search the public help pages by words."""
    return [query] * limit


@reading(external=True, approval_waiver="Only pages of our own public site are read.")
def fetch_page(url: Annotated[str, AllowedUrl(hosts={"help.example"})]) -> str:
    """Fetch one page of the public site."""
    return url


@reading()
def read_template(path: Annotated[str, ConfinedPath()]) -> str:
    """Read one mail template."""
    return path


@tool(
    effect="write",
    external=True,
    roles={"support"},
    timeout="10s",
    idempotency="mail:{to}:{workflow_id}",
    approval=Approval(approvers={"lead"}),
    raises={CardDeclined},
)
def send_email(
    to: Annotated[str, EmailAddress(), Sensitive()], body: Annotated[str, PlainText(2_000)]
) -> None:
    """Send one mail to a customer."""


GOOD = (create_refund, find_order, search_help, fetch_page, read_template, send_email)
