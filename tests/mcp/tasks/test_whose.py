"""Whose task it is: nobody else finds it, nobody is told tasks without knowing them, and a header says the same."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from mcp.shared.inbound import encode_header_value

from tests.mcp.server.desk import ENVELOPE, MODERN, meta
from tests.mcp.tasks.house import house
from tests.mcp.tasks.knowing import TASKS
from tests.rest.desk import ANN, BOB, EVE, LEA, OLA
from toolgate.domain.principal import Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.mcp.confirm.house import House

pytestmark = pytest.mark.req("X3.52")

METHODS: Final = ("tasks/get", "tasks/update", "tasks/cancel")
KNOWS: Final[dict[str, Any]] = {"io.modelcontextprotocol/clientCapabilities": {"extensions": {TASKS: {}}}}
NOT_FOUND: Final = {"code": -32602, "message": "Task not found"}


@dataclass(frozen=True, slots=True)
class ByHand:
    """Messages of a client that knows tasks, as it likes."""

    http: httpx.AsyncClient

    async def send(
        self, method: str, params: dict[str, Any], headers: dict[str, str], *, knows: bool = True
    ) -> httpx.Response:
        """One message."""
        beside = {**ENVELOPE, **(KNOWS if knows else {}), **params.pop("_meta", {})}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": beside}}
        sent = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method, **headers}
        return await self.http.post("/mcp", json=body, headers=sent)

    async def ask(self, method: str, task_id: Any, **given: Any) -> httpx.Response:
        """One message about a task, as it should be."""
        params = {"taskId": task_id, **({"inputResponses": {}} if method == "tasks/update" else {})}
        name = {"Mcp-Name": encode_header_value(task_id)} if isinstance(task_id, str) else {}
        return await self.send(method, params, name, **given)

    async def call(self) -> dict[str, Any]:
        """The result of a call that waits for a lead."""
        params = {"name": "pay_more", "arguments": {"order": 1, "cents": 9000}, "_meta": meta()}
        answer = await self.send("tools/call", params, {"Mcp-Name": "pay_more"})
        return dict(answer.json()["result"])

    async def held(self) -> str:
        """Its task."""
        return str((await self.call())["taskId"])


@asynccontextmanager
async def by_hand(gate: House, caller: Any = ANN, **given: Any) -> AsyncIterator[ByHand]:
    """Somebody who speaks the protocol by hand."""
    async with gate.desk.raw(await gate.desk.token(caller, **given)) as http:
        yield ByHand(http)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("caller", [BOB, LEA, OLA, EVE], ids=lambda caller: caller.id)
async def test_anybody_elses_task_is_one_that_never_was_and_stays_as_it_is(
    tmp_path: Path, method: str, caller: Any
) -> None:
    async with house(tmp_path) as gate, by_hand(gate) as ann, by_hand(gate, caller) as other:
        task_id = await ann.held()
        theirs = await other.ask(method, task_id)
        never = await other.ask(method, "call_never")
        look = await ann.ask("tasks/get", task_id)

    assert (theirs.status_code, theirs.json()["error"]) == (400, NOT_FOUND)
    assert theirs.content == never.content
    assert look.json()["result"]["status"] == "working"


async def test_an_agent_finds_the_tasks_that_it_began_itself_and_its_user_finds_them_too(
    tmp_path: Path,
) -> None:
    async with (
        house(tmp_path) as gate,
        by_hand(gate, agent="helper") as helper,
        by_hand(gate, agent="other") as other,
        by_hand(gate) as ann,
    ):
        task_id = await helper.held()
        seen = [(await each.ask("tasks/get", task_id)).status_code for each in (helper, other, ann)]

        joined = await other.call()

    assert seen == [200, 400, 200]
    # What is held already is no task of whoever did not ask for it.
    assert (joined["resultType"], joined["structuredContent"]["status"]) == ("complete", "pending_approval")


@pytest.mark.parametrize(
    "task_id",
    ["", "x" * 65, "x" * 5000, "appr_1", "żółw", "\x00", "../../etc/passwd"],
    ids=lambda text: text[:9],
)
@pytest.mark.parametrize("method", METHODS)
async def test_what_never_was_an_id_is_the_same_error(tmp_path: Path, method: str, task_id: str) -> None:
    async with house(tmp_path) as gate, by_hand(gate) as ann:
        answer = await ann.ask(method, task_id)

    assert answer.json()["error"] == NOT_FOUND


async def test_a_call_that_never_waited_is_no_task(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, by_hand(gate) as ann:
        params = {"name": "pay_more", "arguments": {"order": 0}, "_meta": meta()}
        answer = await ann.send("tools/call", params, {"Mcp-Name": "pay_more"})
        look = await ann.ask("tasks/get", answer.json()["result"]["structuredContent"]["call_id"])

    assert look.json()["error"] == NOT_FOUND


@pytest.mark.parametrize("method", METHODS)
async def test_a_message_that_does_not_say_that_its_client_knows_tasks_is_told_what_to_declare(
    tmp_path: Path, method: str
) -> None:
    async with house(tmp_path) as gate, by_hand(gate) as ann:
        task_id = await ann.held()
        # It said so on the message before; each one stands by itself.
        answers = [await ann.ask(method, each, knows=False) for each in (task_id, "call_never")]

    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == -32021
        assert answer.json()["error"]["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("named", [{}, {"Mcp-Name": "call_another"}, {"Mcp-Name": ""}])
async def test_a_header_that_names_another_task_or_none_is_refused(
    tmp_path: Path, method: str, named: dict[str, str]
) -> None:
    async with house(tmp_path) as gate, by_hand(gate) as ann:
        params = {"taskId": await ann.held(), "inputResponses": {}}
        answer = await ann.send(method, params, named)
        look = await ann.ask("tasks/get", params["taskId"])

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)
    assert look.json()["result"]["status"] == "working"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tasks/get", {}),
        ("tasks/get", {"taskId": 7}),
        ("tasks/cancel", {"taskId": None}),
        ("tasks/update", {"taskId": "call_1"}),
        ("tasks/update", {"taskId": "call_1", "inputResponses": []}),
    ],
)
async def test_parameters_that_cannot_be_used_are_an_error_of_the_protocol(
    tmp_path: Path, method: str, params: dict[str, Any]
) -> None:
    async with house(tmp_path) as gate, by_hand(gate) as ann:
        answer = await ann.send(method, params, {"Mcp-Name": "call_1"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)


@pytest.mark.parametrize("method", ["tasks/list", "tasks/result"])
async def test_what_older_drafts_had_is_no_method(tmp_path: Path, method: str) -> None:
    async with house(tmp_path) as gate, by_hand(gate) as ann:
        answer = await ann.ask(method, "call_1")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, -32601)


async def test_a_credential_that_may_not_call_tools_reaches_no_task(tmp_path: Path) -> None:
    async with (
        house(tmp_path) as gate,
        by_hand(gate) as ann,
        by_hand(gate, scopes=frozenset({Scope.APPROVE})) as approver,
    ):
        answer = await approver.ask("tasks/cancel", await ann.held())

    assert answer.status_code == 403
