"""Three gateways behind the proxy of the example, which asks one after another: whoever comes notices nothing of it."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from examples.cluster.aftermath import examine
from examples.cluster.ledger_tools import REMINDERS
from examples.cluster.load import BOOKKEEPER, CONTROLLER, INSPECTOR, Load
from tests.cluster.conftest import Running

pytestmark = pytest.mark.timeout(300)

PATIENCE: Final = 60.0
ROUNDS: Final = 7
"""More requests one after another than there are gateways, and no multiple of them."""
ERAS: Final = ("legacy", "auto")


def served_by(running: Running) -> Counter[str]:
    """How many requests each gateway has answered, by its log."""
    lines = {member.name: member.log.read_text().count(" status=") for member in running.cluster.gateways}
    return Counter(lines)


async def ask(
    http: httpx.AsyncClient, running: Running, role: str, method: str, path: str, **more: Any
) -> httpx.Response:
    headers = running.people["north"].headers(role)
    return await http.request(method, path, headers=headers, **more)


@asynccontextmanager
async def outside(base: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=base, timeout=PATIENCE) as http:
        yield http


@asynccontextmanager
async def client(running: Running, mode: str, **given: Any) -> AsyncIterator[Client]:
    """A real MCP client, whose connections the proxy spreads."""
    headers = running.people["north"].headers(BOOKKEEPER)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(
            streamable_http_client(f"{running.cluster.base}/mcp", http_client=http),
            mode=mode,
            read_timeout_seconds=PATIENCE,
            **given,
        ) as connected,
    ):
        yield connected


def beside(workflow: str) -> Any:
    return {"dev.toolgate/workflow_id": workflow}


@pytest.mark.req("X3.63", "M4.23")
async def test_somebody_signs_in_once_and_every_gateway_knows_them(replicas: Running) -> None:
    secret = replicas.people["north"].secrets[CONTROLLER]
    before = served_by(replicas)
    async with outside(replicas.cluster.base) as browser:
        browser.headers["origin"] = replicas.cluster.base
        entered = await browser.post("/console/sign-in", data={"token": secret, "next": ""})
        pages = [await browser.get("/console/inbox") for _ in range(ROUNDS)]
        found = re.search(r'name="csrf" value="([^"]+)"', pages[-1].text)
        assert found, pages[-1].text[:2000]
        posted = await browser.post("/console/preferences", data={"csrf": found[1], "theme": "dark"})
        left = await browser.post("/console/sign-out", data={"csrf": found[1]})
        after = [await browser.get("/console/inbox") for _ in range(ROUNDS)]

    assert entered.status_code == 303
    assert {page.status_code for page in pages} == {200}
    assert {found[1] in page.text for page in pages} == {True}
    assert posted.status_code in {303, 200, 404, 405}, posted.text
    assert left.status_code == 303
    assert {page.status_code for page in after} == {303}
    asked = served_by(replicas) - before
    assert len(asked) == 3, asked


@pytest.mark.req("X3.64")
@pytest.mark.parametrize("mode", ERAS)
async def test_a_client_of_either_era_speaks_to_all_of_them_and_notices_nothing(
    replicas: Running, mode: str
) -> None:
    before = served_by(replicas)
    async with client(replicas, mode) as connected:
        lists = [tuple(each.name for each in (await connected.list_tools()).tools) for _ in range(ROUNDS)]
        told = [
            await connected.call_tool(
                "post_entry",
                {"account": "north-mcp", "number": number, "cents": 5},
                meta=beside(f"mcp-north-{mode}-{number}"),
            )
            for number in range(ROUNDS)
        ]
        again = await connected.call_tool(
            "post_entry",
            {"account": "north-mcp", "number": 0, "cents": 5},
            meta=beside(f"mcp-north-{mode}-0"),
        )

    assert len(set(lists)) == 1
    assert [answer.structured_content["status"] for answer in told if answer.structured_content] == [
        "succeeded"
    ] * ROUNDS
    assert again.structured_content is not None
    assert again.structured_content["replayed"] is True
    assert len(served_by(replicas) - before) == 3


@pytest.mark.req("X3.64")
async def test_no_session_is_given_that_the_next_gateway_would_not_know(replicas: Running) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        },
    }
    takes = {"accept": "application/json, text/event-stream"}
    headers = {**replicas.people["north"].headers(BOOKKEEPER), **takes}
    async with outside(replicas.cluster.base) as http:
        greeted = await http.post("/mcp", json=hello, headers=headers)
        stream = await http.get("/mcp", headers={**headers, "mcp-session-id": "from-another-time"})
        ended = await http.delete("/mcp", headers={**headers, "mcp-session-id": "from-another-time"})

    assert greeted.status_code == 200
    assert "mcp-session-id" not in greeted.headers
    assert [(answer.status_code, answer.headers["allow"]) for answer in (stream, ended)] == [
        (405, "POST")
    ] * 2


@pytest.mark.req("X3.64")
async def test_what_a_user_is_shown_through_one_gateway_is_confirmed_through_another(
    replicas: Running,
) -> None:
    """The state travels with the client, and opens on whichever gateway gets it."""
    shown = []

    async def user(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        shown.append(params.message)
        return types.ElicitResult(action="accept", content={"confirm": True})

    async with client(replicas, "auto", elicitation_callback=user) as connected:
        told = [
            await connected.call_tool(
                "write_off",
                {"account": "north-own", "number": number, "cents": 7},
                meta=beside(f"own-north-{number}"),
            )
            for number in range(ROUNDS)
        ]

    assert len(shown) == ROUNDS
    assert [answer.structured_content["status"] for answer in told if answer.structured_content] == [
        "succeeded"
    ] * ROUNDS


@pytest.mark.req("X3.64", "M12.25")
async def test_an_older_client_that_cannot_be_asked_through_several_gateways_is_told_that_it_waits(
    replicas: Running,
) -> None:
    async def user(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        raise AssertionError("nobody can be asked")

    async with client(replicas, "legacy", elicitation_callback=user) as connected:
        told = await connected.call_tool(
            "write_off",
            {"account": "north-own", "number": 100, "cents": 7},
            meta=beside("own-north-100"),
        )

        assert told.structured_content is not None
        assert told.structured_content["status"] == "pending_approval"
    async with outside(replicas.cluster.base) as http:
        path = f"/v1/calls/{told.structured_content['call_id']}/withdraw"
        withdrawn = await ask(http, replicas, BOOKKEEPER, "POST", path, json={"reason": "only a trial"})

    assert withdrawn.status_code == 200, withdrawn.text


@pytest.mark.req("X1.54", "X3.63")
async def test_what_is_decided_at_one_gateway_wakes_who_waits_at_another(
    replicas: Running, record_property: Any
) -> None:
    """Asked directly, past the proxy: the waiter, the decider and the stream are at three different gateways."""
    first, second, third = [replicas.cluster.addresses[member.name] for member in replicas.cluster.gateways]
    north = replicas.people["north"]
    loop = asyncio.get_running_loop()
    took = []
    async with outside(first) as here, outside(second) as there, outside(third) as elsewhere:
        for number in range(3):
            body = {
                "arguments": {"account": "north-wake", "number": number, "cents": 5},
                "workflow_id": f"wake-north-{number}",
            }
            held = (
                await here.post("/v1/tools/pay_out/calls", json=body, headers=north.headers(BOOKKEEPER))
            ).json()
            waiting = asyncio.create_task(
                here.get(f"/v1/calls/{held['call_id']}?wait=30", headers=north.headers(BOOKKEEPER))
            )
            heard = asyncio.create_task(_ends(elsewhere, north.headers(INSPECTOR), held["call_id"]))
            shown = (
                await there.get(f"/v1/approvals/{held['approval_id']}", headers=north.headers(CONTROLLER))
            ).json()
            decision = {"decision": "approve", "digest": shown["digest"], "reason": "it is due"}
            decided = await there.post(
                f"/v1/approvals/{held['approval_id']}/decision",
                json=decision,
                headers=north.headers(CONTROLLER),
            )
            began = loop.time()
            ended = (await waiting).json()
            took.append(loop.time() - began)
            assert decided.status_code == 200, decided.text
            assert ended["status"] == "succeeded"
            assert (await heard)["status"] == "succeeded"

    # Within a second on an idle machine; a machine may be as busy as it likes.
    record_property("cluster", {f"waiters woken at another gateway (slowest {max(took):.2f} s)": len(took)})
    assert max(took) < 25


async def _ends(http: httpx.AsyncClient, headers: dict[str, str], call_id: str) -> dict[str, Any]:
    """The last event of a call's own stream."""
    async with http.stream("GET", f"/v1/calls/{call_id}/events", headers=headers) as stream:
        assert stream.status_code == 200
        lines = [line async for line in stream.aiter_lines()]
    last = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")][-1]
    return dict(json.loads(last))


@pytest.mark.req("M6.40", "X3.63")
async def test_a_rate_is_one_rate_however_many_gateways_are_asked(
    replicas: Running, record_property: Any
) -> None:
    async def once(http: httpx.AsyncClient, number: int) -> int:
        path = "/v1/tools/count_reminders/calls"
        body = {"arguments": {}, "workflow_id": f"rate-north-{number}"}
        return (await ask(http, replicas, BOOKKEEPER, "POST", path, json=body)).status_code

    loop = asyncio.get_running_loop()
    async with outside(replicas.cluster.base) as http:
        began = loop.time()
        answers = Counter(await asyncio.gather(*(once(http, number) for number in range(3 * REMINDERS))))
        took = loop.time() - began

    assert set(answers) == {200, 429}
    # What flows back while they are asked may be had, too: a rate is exact to the second, and no wider.
    assert REMINDERS <= answers[200] <= REMINDERS + int(took * REMINDERS / 60) + 1
    record_property("cluster", {"calls let through by one rate over three gateways": answers[200]})


@pytest.mark.req("X3.62", "X3.63")
async def test_a_gateway_that_leaves_costs_no_request_and_every_stream_goes_on_at_another(
    replicas: Running, record_property: Any
) -> None:
    leaving = replicas.cluster.gateways[2]
    load = Load(
        replicas.cluster.base,
        replicas.people,
        seed=7,
        at_once=3,
        name="leave",
        tools={"post_entry": 3, "read_balance": 1},
    )
    running = asyncio.create_task(load.run())
    code = await asyncio.to_thread(leaving.end)
    load.stop()
    await running
    await asyncio.to_thread(leaving.start)
    await asyncio.to_thread(leaving.wait)

    assert code == 0
    assert load.complaints == []
    assert load.counts["requests without an answer"] == 0
    assert {name for name in load.counts if name.startswith("answered")} == set()
    assert {told.end["status"] for told in load.told if told.end} == {"succeeded"}
    record_property("cluster", {"calls while a gateway left, none lost": len(load.told)})


@pytest.mark.req("X1.70")
async def test_afterwards_the_books_the_ledger_and_what_was_told_agree(replicas: Running) -> None:
    load = Load(replicas.cluster.base, replicas.people, seed=3, at_once=3)
    await load.run(wishes=24)

    findings = await examine(replicas.cluster.base, replicas.cluster.books, replicas.people, load.told)

    assert load.complaints + findings.complaints == []
    assert findings.counts["wishes"] == 48
