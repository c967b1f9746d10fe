"""A gate with its console, people who are signed in to it, and calls of every kind to look at.

Not here: what is expected of a page; each test says that.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import httpx
from pydantic import BaseModel, Field

from toolgate import Approval, Caller, Sensitive, Tool, ToolContext, tool
from toolgate.domain.principal import EVERY_SCOPE, Principal
from toolgate.operations.sessions import open_session_of
from toolgate.surfaces.console.routes import routes
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.office import open_office
from toolgate.surfaces.http.once import Once
from toolgate.surfaces.http.settings import ServerSettings

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from toolgate import Gateway, Outcome
    from toolgate.testing import FakeClock

ANA = Caller("ana", {"clerk"}, "acme")
BEN = Caller("ben", {"clerk"}, "acme")
LEA = Caller("lea", {"lead"}, "acme")
OLGA = Caller("olga", {"operator"}, "acme")
RUTH = Caller("ruth", {"auditor"}, "acme")
ADA = Caller("ada", {"admin"}, "acme")
GIL = Caller("gil", {"clerk"}, "globex")
EVE = Caller("eve", {"operator", "auditor", "admin", "lead"}, "globex")

HOST: Final = "gate.test"
CARD: Final = "4000-1234-5678-9010"
XSS: Final = "<script>alert('x')</script>"
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class Refund(BaseModel):
    """What is paid back."""

    order: int = Field(ge=1, le=10**6)
    cents: int = Field(default=500, ge=1, le=10**6)
    note: str = Field(default="", max_length=200)
    card: Annotated[str, Sensitive()] = Field(default=CARD, max_length=40)


@dataclass(slots=True)
class Shop:
    """What happens. ``ends``: how the next refunds end, where they do not simply succeed."""

    paid: list[int] = field(default_factory=list)
    ends: list[BaseException] = field(default_factory=list)

    def tools(self) -> list[Tool[Any, Any]]:
        """A read that is open to clerks, a write that a person may have to agree to, and one for somebody else."""

        async def refund(context: ToolContext[Any], args: Refund) -> int:
            """Pay an order back to the card."""
            if self.ends:
                raise self.ends.pop(0)
            self.paid.append(args.order)
            return args.cents

        async def read_order(context: ToolContext[Any], order: Annotated[int, Field(ge=1)]) -> str:
            """Look up an order."""
            return f"the secret of order {order}"

        async def close_books(context: ToolContext[Any]) -> None:
            """Close the books of this month."""

        return [
            tool(
                effect="write",
                roles={"clerk"},
                timeout=5,
                version="3",
                owner="payments",
                idempotency="refund:{order}:{workflow_id}",
                approval=Approval(approvers={"lead"}, when={"cents": {"gt": 1000}}, expires_in="1h"),
            )(refund),
            tool(effect="read", roles={"clerk"}, timeout=5)(read_order),
            tool(effect="write", roles={"accountant"}, timeout=5, idempotency="books:{workflow_id}")(
                close_books
            ),
        ]


class Browser:
    """Somebody's browser on the console."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str, /, **query: str) -> httpx.Response:
        """A page; the fragments of live lists too."""
        return await self.client.get(path, params=query or None)

    async def page(self, path: str, status: int = 200, /, **query: str) -> str:
        """What a page says, as its source."""
        answer = await self.get(path, **query)
        assert answer.status_code == status, (answer.status_code, answer.text[-2000:])
        return answer.text

    async def says(self, path: str, status: int = 200, /, **query: str) -> str:
        """What a page says, as somebody reads it: without its tags."""
        return words(await self.page(path, status, **query))

    async def post(self, path: str, *, csrf: str | None = None, **data: Any) -> httpx.Response:
        """Send a form as a page of ours would."""
        token = csrf if csrf is not None else await self.csrf()
        return await self.client.post(
            path, data={"csrf": token, **data}, headers={"origin": f"http://{HOST}"}
        )

    async def csrf(self) -> str:
        """The token of this session."""
        found = _CSRF.search(await self.page("/console/calls"))
        assert found is not None
        return html.unescape(found[1])


def words(source: str) -> str:
    """The text of a page, its tags and spaces aside."""
    within = re.sub(r"</?(?:bdi|span|strong|code|a|time)\b[^>]*>", "", source)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", within)).split())


@dataclass(slots=True, kw_only=True)
class Office:
    """The console of one gateway."""

    gateway: Gateway
    shop: Shop
    clock: FakeClock
    app: Starlette
    verifying: Once
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    async def sign_in(self, caller: Caller, *, scopes: frozenset[Any] = EVERY_SCOPE) -> Browser:
        """A browser of ``caller``, who showed a good credential."""
        made: Any = await self.gateway.operate(open_session_of, Principal(caller=caller, granted=scopes))
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app),
            base_url=f"http://{HOST}",
            cookies={"toolgate": made.secret},
        )
        self.clients.append(client)
        return Browser(client)

    async def ask(
        self,
        name: str = "refund",
        /,
        *,
        caller: Caller = ANA,
        workflow: str = "wf",
        agent: str | None = "desk_agent",
        **arguments: Any,
    ) -> Outcome[Any]:
        """A call of ``caller``."""
        arguments = arguments or {"order": 1}
        return await self.gateway.call(name, arguments, caller=caller, workflow=workflow, agent=agent)

    async def in_doubt(self, order: int = 7, **given: Any) -> str:
        """The id of a refund that nobody knows the end of, its lease run out."""
        self.shop.ends.append(ConnectionResetError("the reply was lost"))
        outcome = await self.ask(order=order, **given)
        assert outcome.status == "unknown", outcome
        self.clock.advance(60)
        return outcome.call_id


def opened(gateway: Gateway, shop: Shop, clock: FakeClock) -> Office:
    """The console around a gateway that is open."""
    settings = ServerSettings(
        host="127.0.0.1", port=80, public_url=f"http://{HOST}", names=frozenset({HOST}), local=True
    )
    office = open_office(gateway, settings, monotonic=clock.monotonic)
    app = build_app(office, routes=routes(office), monotonic=clock.monotonic)
    return Office(gateway=gateway, shop=shop, clock=clock, app=app, verifying=office.verifying)
