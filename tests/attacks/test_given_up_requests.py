"""A request that takes too long: what may have changed something is never told in words that have it sent again."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from toolgate.surfaces.http.middleware.deadline import InTime
from toolgate.surfaces.rest.statuses import REPEATED_UNASKED


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    """A handler that says nothing."""
    await asyncio.Event().wait()


@pytest.mark.req("M10.18")
@pytest.mark.parametrize(
    ("method", "repeated"), [("GET", True), ("HEAD", True), ("POST", False), ("DELETE", False)]
)
async def test_a_status_that_clients_repeat_answers_only_what_changes_nothing(
    method: str, *, repeated: bool
) -> None:
    transport = httpx.ASGITransport(app=InTime(never, seconds=0.01))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.request(method, "/v1/approvals/appr_1/decision")

    assert (answer.status_code in REPEATED_UNASKED) == repeated
    assert "goes on and is recorded" not in answer.text
    if not repeated:
        assert answer.json()["type"] == "/problems/in_doubt"
