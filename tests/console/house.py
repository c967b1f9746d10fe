"""A gate on SQLite behind the real application, its people, and a browser that has no JavaScript.

Not here: what is expected of a page; each test says that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, Field

from toolgate import Approval, Caller, Denied, Gateway, PendingApproval, Sensitive, Tool, tool
from toolgate.domain.principal import EVERY_SCOPE, Scope
from toolgate.domain.rows import ByApproval
from toolgate.operations.tokens import create_token
from toolgate.surfaces.console.routes import routes
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.office import Office, open_office
from toolgate.surfaces.http.settings import ServerSettings
from toolgate.testing import FakeClock

HOST = "127.0.0.1:8460"
SETTINGS = ServerSettings(
    host="127.0.0.1", port=8460, public_url=f"http://{HOST}", names=frozenset({HOST}), local=True
)
OVER_TLS = ServerSettings(
    host="127.0.0.1",
    port=8460,
    public_url="https://gate.example",
    names=frozenset({"gate.example"}),
    local=False,
)

ANN = Caller("ann", {"clerk"}, "acme")
LEA = Caller("lea", {"lead"}, "acme")
MAX = Caller("max", {"lead"}, "acme")
OLA = Caller("ola", {"operator"}, "acme")
AUD = Caller("aud", {"auditor"}, "acme")
EVE = Caller("eve", {"lead", "operator", "auditor", "admin"}, "globex")

CARD = "4000-9010"
LIKE_A_SECRET = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
LOCKED = 666


class Refund(BaseModel):
    """What is paid back."""

    order: int = Field(ge=1, le=1_000_000)
    cents: int = Field(ge=1, le=500_000, description="In the smallest unit.")
    currency: Literal["EUR", "USD"] = "EUR"
    urgent: bool = False
    note: str | None = Field(default=None, max_length=600)
    parts: list[Annotated[int, Field(ge=0, le=99)]] = Field(default=[], max_length=5)
    card: Annotated[str, Sensitive()] = Field(default=CARD, max_length=19)


class Business:
    """The business: what really happened."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def tools(self) -> list[Tool[Any, Any]]:
        """A refund above a limit, a mail, a deletion for which two are needed, and a read."""
        return [self._refund(), self._mail(), self._wipe(), self._look()]

    def _refund(self) -> Tool[Any, Any]:
        def open_order(context: Any, args: Refund) -> bool | Denied:
            return Denied("this order is locked") if args.order == LOCKED else True

        def what_happens(context: Any, args: Refund) -> str:
            return f"Pays {args.cents / 100:.2f} {args.currency} for order {args.order}."

        @tool(
            effect="write",
            external=True,
            roles={"clerk"},
            authorize=open_order,
            preview=what_happens,
            timeout=5,
            version="3",
            idempotency="refund:{order}:{workflow_id}",
            approval=Approval(approvers={"lead"}, when={"cents": {"gt": 1000}}, risk="high", expires_in="1h"),
        )
        async def refund(args: Refund) -> int:
            """Pay an order back to the card."""
            self.done.append(args)
            return args.cents

        return refund

    def _mail(self) -> Tool[Any, Any]:
        @tool(
            effect="write",
            external=True,
            roles={"clerk"},
            timeout=5,
            idempotency="mail:{to}:{workflow_id}",
            approval=Approval(
                approvers={"lead"}, risk="low", expires_in="20m", reason="mail leaves the house"
            ),
        )
        async def mail(
            to: Annotated[str, Field(max_length=300)], body: Annotated[str, Field(max_length=5000)]
        ) -> str:
            """Send a mail."""
            self.done.append((to, body))
            return "sent"

        return mail

    def _wipe(self) -> Tool[Any, Any]:
        @tool(
            effect="destructive",
            roles={"clerk"},
            timeout=5,
            idempotency="wipe:{customer}",
            approval=Approval(approvers={"lead"}, risk="high", quorum=2, expires_in="1h"),
        )
        async def wipe(customer: Annotated[str, Field(max_length=300)]) -> str:
            """Delete a customer."""
            self.done.append(customer)
            return "gone"

        return wipe

    def _look(self) -> Tool[Any, Any]:
        @tool(effect="read", roles={"clerk"}, timeout=5)
        async def look(customer: Annotated[str, Field(max_length=300)]) -> str:
            """Look a customer up."""
            return f"{customer} is kind"

        return look


@dataclass(slots=True)
class Form:
    """A form as a browser would send it."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    disabled: list[str] = field(default_factory=list)


_WITHIN_A_LINE = {"a", "b", "bdi", "code", "del", "em", "ins", "span", "strong", "time"}


class Html(HTMLParser):
    """A page as a browser without JavaScript understands it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.forms: list[Form] = []
        self.words: list[str] = []
        self._area: str | None = None
        self._select: str | None = None
        self._silent = 0
        self.feed(text)
        self.close()

    @property
    def text(self) -> str:
        """What stands on the page, blanks run together."""
        return " ".join("".join(self.words).split())

    def form(self, action: str, **having: str) -> Form:
        """The form that is sent to ``action`` and has these fields."""
        found = [
            form
            for form in self.forms
            if form.action == action and all(form.fields.get(name) == value for name, value in having.items())
        ]
        assert found, f"no form goes to {action}; there are {[form.action for form in self.forms]}"
        return found[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        self._apart(tag)
        if tag in {"script", "style"}:
            self._silent += 1
        if tag == "form":
            self.forms.append(Form(given.get("action") or "", given.get("method") or "get"))
        elif self.forms:
            self._field(tag, given, self.forms[-1])

    def _field(self, tag: str, given: dict[str, str | None], form: Form) -> None:
        name, value = given.get("name") or "", given.get("value") or ""
        if "disabled" in given:
            form.disabled.append(name or tag)
            return
        match tag:
            case "input" if name and (given.get("type") != "checkbox" or "checked" in given):
                form.fields[name] = value
            case "textarea":
                self._area = name
                form.fields[name] = ""
            case "select":
                self._select = name
            case "option" if self._select and ("selected" in given or self._select not in form.fields):
                form.fields[self._select] = value
            case _:
                return

    def _apart(self, tag: str) -> None:
        if tag not in _WITHIN_A_LINE:
            self.words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._apart(tag)
        if tag in {"script", "style"}:
            self._silent -= 1
        if tag == "textarea" and self._area is not None:
            # A browser leaves out the line break that begins a text area.
            form = self.forms[-1]
            form.fields[self._area] = form.fields[self._area].removeprefix("\n")
            self._area = None
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.forms[-1].fields[self._area] += data
        elif not self._silent:
            self.words.append(data)


@dataclass(slots=True)
class Browser:
    """Somebody's browser: keeps cookies, fills in forms, runs no script."""

    client: httpx.AsyncClient
    page: Html = field(default_factory=lambda: Html(""))
    status: int = 0
    answer: httpx.Response = field(default_factory=lambda: httpx.Response(200))

    async def get(self, path: str, *, follow: bool = True) -> Html:
        """The page under ``path``."""
        return self._seen(await self.client.get(path, follow_redirects=follow))

    async def send(
        self, form: Form, typed: Mapping[str, Any] | None = None, *, follow: bool = True, **more: Any
    ) -> Html:
        """``form`` with what was typed into it, and where that leads."""
        fields = {**form.fields, **(typed or {}), **more}
        return await self.post(form.action, fields, follow=follow)

    async def post(
        self, path: str, fields: Mapping[str, Any], *, origin: str | None = None, follow: bool = True
    ) -> Html:
        """``fields`` as a form of the page at ``origin``, by default one of ours."""
        headers = {"Origin": origin or str(self.client.base_url).rstrip("/")}
        answer = await self.client.post(path, data=dict(fields), headers=headers, follow_redirects=follow)
        return self._seen(answer)

    @property
    def path(self) -> str:
        """Where the browser is."""
        return self.answer.url.raw_path.decode()

    def _seen(self, answer: httpx.Response) -> Html:
        self.answer, self.status, self.page = answer, answer.status_code, Html(answer.text)
        return self.page


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A running office, and who comes to it."""

    gateway: Gateway
    office: Office
    app: Any
    clock: FakeClock
    business: Business
    asked: dict[str, tuple[PendingApproval, Caller]] = field(default_factory=dict)

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        """A browser that nobody has signed in with."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=True)
        url = self.office.settings.public_url
        async with httpx.AsyncClient(transport=transport, base_url=url, timeout=60) as client:
            yield Browser(client)

    @asynccontextmanager
    async def person(
        self, caller: Caller, *, scopes: frozenset[Scope] = EVERY_SCOPE
    ) -> AsyncIterator[Browser]:
        """``caller``, signed in by pasting a token."""
        async with self.browser() as browser:
            await sign_in(browser, await self.token(caller, scopes=scopes))
            assert browser.status == 200
            yield browser

    async def token(
        self, caller: Caller, *, scopes: frozenset[Scope] = EVERY_SCOPE, agent: str | None = None
    ) -> str:
        """A credential of ``caller``."""
        world = self.gateway.world

        async def make(_: Any) -> str:
            made = await create_token(
                world.store,
                world.keys,
                world.ids,
                caller=caller,
                lasting=86_400,
                by="setup",
                scopes=scopes,
                agent=agent,
                owner=None if agent is None else "the-owner",
            )
            return made.secret

        return await self.gateway.operate(make)

    async def held(
        self,
        tool_name: str = "refund",
        *,
        by: Caller = ANN,
        workflow: str = "wf",
        why: str | None = None,
        **given: Any,
    ) -> str:
        """The id of an approval that waits for people."""
        arguments = given or {"order": 1, "cents": 5000}
        flow = self.gateway.make_workflow(workflow, agent="helper", model="aster-3")
        outcome = await self.gateway.request(tool_name, arguments, caller=by, workflow=flow, rationale=why)
        assert isinstance(outcome, PendingApproval), outcome
        self.asked[outcome.approval_id] = (outcome, by)
        return outcome.approval_id

    async def state(self, approval_id: str) -> str:
        """How an approval stands in the store."""
        found = (await self.gateway.store.find(ByApproval(approval_id))).approval
        assert found is not None
        return found.state.value

    async def ended(self, approval_id: str) -> str:
        """How the call of an approval ended, once it has."""
        await self.gateway.sweep()
        outcome, by = self.asked[approval_id]
        return (await self.gateway.wait_for(outcome, caller=by)).status.value


@asynccontextmanager
async def opened(
    folder: Path, *, served_as: ServerSettings = SETTINGS, **settings: Any
) -> AsyncIterator[House]:
    """The house over ``folder/gate.db``; it keeps house only when a test says so."""
    clock, business = FakeClock(), Business()
    given = {"clock": clock, "housekeeping": None} | settings
    async with Gateway(business.tools(), store=f"sqlite:///{folder / 'gate.db'}", **given) as gateway:
        office = open_office(gateway, served_as, monotonic=clock.monotonic)
        app = build_app(office, routes=routes(office))
        try:
            yield House(gateway=gateway, office=office, app=app, clock=clock, business=business)
        finally:
            office.closing.begin()


async def sign_in(browser: Browser, secret: str, path: str = "/console/sign-in") -> Html:
    """Paste ``secret`` into the page for it."""
    page = await browser.get(path)
    return await browser.send(page.form("/console/sign-in"), token=secret)


def approval(approval_id: str, more: str = "") -> str:
    """The page of an approval."""
    return f"/console/approvals/{approval_id}{more}"


async def decide(
    browser: Browser, approval_id: str, word: str = "approve", reason: str = "looked at it"
) -> Html:
    """Open the page of an approval and decide there."""
    page = await browser.get(approval(approval_id))
    form = page.form(approval(approval_id, "/decide"), decision=word)
    return await browser.send(form, reason=reason)
