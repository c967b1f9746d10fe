"""A server over a store of its own, in a thread: what a browser talks to, and what a test looks at behind its back.

Not here: the business that it serves (``business``) and the browser (``conftest``).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tests.browser.business import PEOPLE, Business
from toolgate import Gateway
from toolgate.bootstrap.server import all_routes
from toolgate.domain.commands import PutToken
from toolgate.domain.duration import MICRO
from toolgate.domain.rows import ByApproval, ByCall, Event, TokenRow
from toolgate.domain.trail import plain_record
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.metrics import Metrics
from toolgate.surfaces.http.office import open_office
from toolgate.surfaces.http.server import Server
from toolgate.surfaces.http.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from tests.browser.business import Person
    from toolgate import Outcome, PendingApproval, Tool
    from toolgate.domain.rows import ApprovalRow, CallRow

T = TypeVar("T")
PATIENCE = 30.0
"""Real seconds until something that was asked of the server's thread has failed."""
TOKEN_LASTS = 30 * 86_400 * MICRO


class House:
    """Opened with ``with``; everything inside runs in the loop of one thread, as it does in a server.

    ``settings`` are the gateway's: ``clock``, ``deps``, ``callers``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tools: Iterable[Tool[Any, Any]] | None = None,
        people: Mapping[str, Person] = PEOPLE,
        **settings: Any,
    ) -> None:
        self.business = Business()
        self.people = people
        self._tools = self.business.tools() if tools is None else list(tools)
        self._folder = folder
        self._settings = settings
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        port: int = self._socket.getsockname()[1]
        name = f"127.0.0.1:{port}"
        self.url = f"http://{name}"
        self._known = ServerSettings(
            host="127.0.0.1", port=port, public_url=self.url, names=frozenset({name}), local=True
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="house", daemon=True)
        self._tokens: dict[str, str] = {}
        self.signed_in: dict[str, Any] = {}
        """What a browser keeps of each person who signed in, so that a second window need not ask again."""

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.run(self._close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)
            self._loop.close()
            self._socket.close()

    async def _open(self) -> None:
        self.gateway = Gateway(self._tools, store=f"sqlite:///{self._folder / 'house.db'}", **self._settings)
        await self.gateway.__aenter__()
        metrics = Metrics()
        office = open_office(self.gateway, self._known)
        app = build_app(office, routes=all_routes(office), metrics=metrics)
        is_open = asyncio.Event()
        self._server = Server(app, office.closing, when_open=is_open.set)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        opening = asyncio.create_task(is_open.wait())
        await asyncio.wait({opening, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            opening.cancel()
            raise RuntimeError("the server ended before it listened") from self._serving.exception()

    async def _close(self) -> None:
        self._server.should_exit = True
        await self._serving
        await self.gateway.__aexit__(None, None, None)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, run in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    # ------------------------------------------------------------------ what agents do

    def ask(
        self,
        tool: str,
        arguments: dict[str, Any],
        *,
        by: str = "u1",
        workflow: str = "case-1",
        agent: str | None = "desk_assistant",
        model: str | None = "made-up-1",
        rationale: str | None = None,
    ) -> Outcome[Any]:
        """One call on behalf of ``by``, through the pipeline."""
        return self.run(
            self.gateway.call(
                tool,
                arguments,
                caller=self.people[by].caller,
                workflow=workflow,
                agent=agent,
                model=model,
                rationale=rationale,
            )
        )

    def held(
        self, tool: str = "refund", arguments: dict[str, Any] | None = None, **given: Any
    ) -> PendingApproval:
        """One call that has to wait for somebody."""
        outcome: Any = self.ask(
            tool, {"order": 1, "cents": 5000} if arguments is None else arguments, **given
        )
        assert outcome.status == "pending_approval", outcome
        return outcome  # type: ignore[no-any-return]

    def doubtful(self) -> Outcome[Any]:
        """A call of which nobody knows whether it happened."""
        self.business.ends = [RuntimeError("the line went dead")]
        outcome = self.ask("refund", {"order": 99, "cents": 500}, workflow="case-99")
        assert outcome.status == "unknown", outcome
        return outcome

    def ended(self, held: PendingApproval, *, by: str = "u1") -> Outcome[Any]:
        """What became of a held call, once something did."""
        return self.run(self.gateway.wait_for(held, caller=self.people[by].caller))

    # ---------------------------------------------------------- what lies in the ledger

    def approval(self, approval_id: str) -> ApprovalRow:
        """The approval as it lies there."""
        row = self.run(self.gateway.store.find(ByApproval(approval_id))).approval
        assert row is not None
        return row

    def call(self, call_id: str) -> CallRow:
        """The call as it lies there."""
        row = self.run(self.gateway.store.find(ByCall(call_id))).call
        assert row is not None
        return row

    def trail(self, call_id: str | None = None) -> list[dict[str, Any]]:
        """What was recorded, oldest first."""

        async def read() -> list[dict[str, Any]]:
            return [json.loads(row.record) async for row in self.gateway.store.records(call_id=call_id)]

        return self.run(read())

    def token(self, name: str) -> str:
        """A credential of one of ``people``, made on first use."""
        if name not in self._tokens:
            self._tokens[name] = self.new_token(self.people[name])
        return self._tokens[name]

    def new_token(self, of: Person) -> str:
        """A credential that did not exist before."""
        secret = f"tgt_{secrets.token_urlsafe(32)}"
        world = self.gateway.world
        now = self.run(self.gateway.store.now())
        row = TokenRow(
            token_id=world.ids.new("tok"),
            token_hash=world.keys.token_hash(secret),
            caller_id=of.caller.id,
            tenant=of.caller.tenant,
            roles=of.caller.roles,
            created_at=now,
            expires_at=now + TOKEN_LASTS,
            revoked_at=None,
            scopes=of.scopes,
            agent=of.agent,
            owner=of.owner,
            label=f"of {of.caller.id}",
        )
        event = Event(
            None, now, plain_record("token_created", at=now, fields={"toolgate.token.id": row.token_id})
        )
        self.run(self.gateway.store.execute(PutToken(row, event)))
        return secret
