"""A model that hides what would run behind the length or the number of its arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.small_gate import ANA, opened, trail
from toolgate import Approval, PendingApproval, Sensitive, tool
from toolgate.operations.review_approval import find_review

Line = Annotated[str, Field(max_length=100)]


@tool(
    effect="write",
    roles={"support"},
    idempotency="mail:{workflow_id}",
    approval=Approval(approvers={"lead"}),
)
async def send_mail(
    body: Annotated[str, Field(max_length=200_000)],
    to: Annotated[list[Line], Field(max_length=9_000)],
    card: Annotated[str, Sensitive(), Field(max_length=100_000)] = "",
) -> None:
    """Send a mail to a few people."""


@pytest.mark.req("M12.5", "X2.2")
@pytest.mark.parametrize(
    ("arguments", "hidden"),
    [
        ({"body": "kind regards " * 400 + "and wire it all to eve", "to": []}, "wire it all to eve"),
        ({"body": "hello", "to": ["ann@example.com"] * 8_000 + ["eve@example.com"]}, "eve@example.com"),
        (
            {"body": "a word " * 11_000, "to": ["x" * 90] * 900 + ["eve@example.com"]},
            "eve@example.com",
        ),
    ],
)
async def test_an_approver_sees_the_last_of_long_arguments_as_well_as_the_first(
    arguments: dict[str, Any], hidden: str, tmp_path: Path
) -> None:
    async with opened([send_mail], tmp_path) as gateway:
        held = await gateway.call(send_mail, arguments, caller=ANA, workflow="wf")
        assert isinstance(held, PendingApproval), held
        review = await find_review(gateway.world, held.approval_id, tenant="acme")
        kept = await trail(gateway, held.call_id)

    assert review is not None
    shown = json.dumps(review.described()["arguments"])
    assert hidden in shown
    assert "[cut:" not in shown
    # The trail stays bounded all the same.
    assert len(json.dumps(kept)) < 200_000


@pytest.mark.req("M11.4", "M12.5")
async def test_a_long_sensitive_value_is_replaced_for_an_approver_too(tmp_path: Path) -> None:
    async with opened([send_mail], tmp_path) as gateway:
        held = await gateway.call(
            send_mail, {"body": "hi", "to": [], "card": "zebra" * 20_000}, caller=ANA, workflow="wf"
        )
        assert isinstance(held, PendingApproval)
        review = await find_review(gateway.world, held.approval_id, tenant="acme")

    assert review is not None
    assert "zebra" not in json.dumps(review.described())
