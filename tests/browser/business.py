"""A small business to decide about: tools of several risks, the people around them, and what really happened.

Not here: how it is served (``house``), and what is expected of a page; each test says that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, Field

from toolgate import Approval, BusinessRule, Caller, Denied, Sensitive, Tool, ToolContext, tool

if TYPE_CHECKING:
    from collections.abc import Iterable

TENANT: Final = "acme"
CARD: Final = "4000-1234-5678-9010"
"""A secret, as it stands in the arguments: no page may show it unasked."""
LOCKED_ORDER: Final = 13
"""An order that nobody may touch."""

HOSTILE: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "'><svg/onload=alert(3)>",
    "</textarea></pre><iframe srcdoc='<script>parent.alert(4)</script>'></iframe>",
    "{{ 7 * 7 }}${7*7}<%= 7*7 %>",
    "javascript:alert(5)//",
    '<a href="javascript:alert(6)" hx-get="/x" hx-trigger="load">x</a>',
)
"""What somebody writes who wants the approver's browser to do something."""


class RefundInput(BaseModel):
    """What is paid back."""

    order: int = Field(ge=1, le=10**9)
    cents: int = Field(ge=1, le=500_000)
    reason: str = Field(default="arrived broken", max_length=600)
    card: Annotated[str, Sensitive()] = Field(default=CARD, max_length=40)


class NoteInput(BaseModel):
    """What is sent, to whom."""

    to: str = Field(max_length=200)
    body: str = Field(max_length=2000)
    tags: list[Annotated[str, Field(max_length=200)]] = Field(default=[], max_length=10)


class Business:
    """What happened. ``ends``: how the next refunds end, where they do not simply succeed."""

    def __init__(self) -> None:
        self.done: list[tuple[str, dict[str, Any]]] = []
        self.ends: list[BaseException] = []

    def of(self, name: str) -> list[dict[str, Any]]:
        """The arguments with which ``name`` really ran, in order."""
        return [arguments for tool_name, arguments in self.done if tool_name == name]

    def _do(self, name: str, args: BaseModel) -> None:
        if self.ends:
            raise self.ends.pop(0)
        self.done.append((name, args.model_dump()))

    def tools(self) -> list[Tool[Any, Any]]:
        """Everything that the agent may ask for."""
        return [self._refund(), self._wipe(), self._send_note(), self._read_order()]

    def _refund(self) -> Tool[Any, Any]:
        def allowed(context: ToolContext[Any], args: RefundInput) -> bool | Denied:
            return Denied("order 13 is locked") if args.order == LOCKED_ORDER else True

        def preview(context: ToolContext[Any], args: RefundInput) -> str:
            return f"Pays {args.cents / 100:.2f} EUR back for order {args.order}."

        async def refund(context: ToolContext[Any], args: RefundInput) -> dict[str, int]:
            """Pay an order back to the card that it was paid with."""
            if args.cents == 499_999:
                raise BusinessRule("more than was captured")
            self._do("refund", args)
            return {"order": args.order, "cents": args.cents}

        return tool(
            effect="write",
            roles={"clerk"},
            authorize=allowed,
            preview=preview,
            timeout=5,
            version="3",
            owner="payments",
            idempotency="refund:{order}:{workflow_id}",
            approval=Approval(
                approvers={"billing_admin"},
                when={"cents": {"gt": 1000}},
                risk="high",
                expires_in="1h",
                reason="a refund above 10 EUR",
            ),
        )(refund)

    def _wipe(self) -> Tool[Any, Any]:
        async def wipe_customer(
            context: ToolContext[Any], customer: Annotated[str, Field(max_length=200)]
        ) -> str:
            """Delete everything that is known about a customer."""
            self.done.append(("wipe_customer", {"customer": customer}))
            return "gone"

        return tool(
            effect="destructive",
            roles={"clerk"},
            timeout=5,
            version="1",
            owner="privacy",
            idempotency="wipe:{customer}:{workflow_id}",
            approval=Approval(approvers={"billing_admin"}, risk="high", quorum=2, expires_in="1h"),
        )(wipe_customer)

    def _send_note(self) -> Tool[Any, Any]:
        async def send_note(context: ToolContext[Any], args: NoteInput) -> str:
            """Send a note to a customer by mail."""
            self._do("send_note", args)
            return "sent"

        return tool(
            effect="write",
            external=True,
            roles={"clerk"},
            timeout=5,
            version="1",
            owner="support",
            idempotency="note:{to}:{workflow_id}",
            approval=Approval(approvers={"billing_admin"}, risk="low", expires_in="10m"),
        )(send_note)

    def _read_order(self) -> Tool[Any, Any]:
        async def read_order(
            context: ToolContext[Any], order: Annotated[int, Field(ge=1, le=10**9)]
        ) -> dict[str, int]:
            """Look up an order."""
            return {"order": order, "cents": 12_900}

        return tool(effect="read", roles={"clerk"}, timeout=5, version="1", owner="orders")(read_order)


class Person(NamedTuple):
    """Somebody with a credential, and what that credential is good for."""

    caller: Caller
    scopes: frozenset[str]
    agent: str | None = None
    owner: str | None = None


def person(id: str, roles: Iterable[str], scopes: Iterable[str], tenant: str = TENANT) -> Person:
    """Somebody in person."""
    return Person(Caller(id, roles=roles, tenant=tenant), frozenset(scopes))


PEOPLE: Final = {
    "u1": person("u1", {"clerk"}, {"call"}),
    "ann": person("ann", {"billing_admin"}, {"call", "approve"}),
    "bea": person("bea", {"billing_admin"}, {"call", "approve"}),
    "boss": person("boss", {"clerk", "billing_admin"}, {"call", "approve"}),
    "olga": person("olga", {"operator"}, {"operate"}),
    "ruth": person("ruth", {"auditor"}, {"operate"}),
    "ada": person("ada", {"admin", "operator"}, {"operate", "admin"}),
    "eve": person(
        "eve", {"billing_admin", "operator", "admin"}, {"call", "approve", "operate", "admin"}, "globex"
    ),
}
"""By name: who asks, who decides, who operates, who audits, who makes tokens, and a stranger of another tenant."""
