"""A store that fails, as a REST client sees it: nothing that happened is told in words that invite another try."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from tests.rest.desk import ANN, LEA, Desk, ask, held, seen
from toolgate.domain.commands import Append, DecideApproval, Intend, Settle
from toolgate.surfaces.rest.statuses import REPEATED_UNASKED
from toolgate.testing import FaultyStore

pytestmark = pytest.mark.req("M10.18")


def faulty(desk: Desk) -> FaultyStore:
    """The desk's own store, which fails from now on where a test says so."""
    store = FaultyStore(desk.gateway.world.store)
    desk.gateway.world.store = store
    return store


@pytest.mark.req("M10.17")
async def test_a_store_that_cannot_be_read_is_a_503_and_tells_nothing_internal(desk: Desk) -> None:
    async with desk.person(ANN) as ann:
        faulty(desk).fail_reads()
        answers = [await ann.get(path) for path in ("/v1/calls", "/v1/calls/call_1?wait=1", "/v1/tokens")]
    for answer in answers:
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) >= 1
        assert "planned" not in answer.text


async def test_a_decision_whose_commit_is_in_doubt_is_not_told_as_undone(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea:
        approval_id = (await held(ann))["approval_id"]
        digest = (await seen(lea, approval_id))["digest"]
        faulty(desk).fail("doubt", DecideApproval, when="after")
        body = {"decision": "approve", "digest": digest, "reason": "it is fine"}
        answer = await lea.post(f"/v1/approvals/{approval_id}/decision", json=body)
        after = await seen(lea, approval_id)
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/in_doubt"
    assert after["state"] == "approved"


@pytest.mark.parametrize(
    ("kind", "how", "times"), [*product((Intend, Settle, Append), ("refuse", "doubt"), (1, None))]
)
async def test_whatever_fails_a_repeatable_status_means_that_nothing_happened(
    desk: Desk, kind: type[Any], how: Any, times: int | None
) -> None:
    async with desk.person(ANN) as ann:
        faulty(desk).fail(how, kind, times=times, when="before" if how == "refuse" else "after")
        answer = await ask(ann, "refund", order=1)
    told = answer.json()["outcome"] if answer.status_code >= 400 else answer.json()
    if answer.status_code in REPEATED_UNASKED:
        assert desk.business.paid == []
        assert told["effect"] == "none"
    if desk.business.paid:
        assert told["effect"] in {"applied", "unknown"}
