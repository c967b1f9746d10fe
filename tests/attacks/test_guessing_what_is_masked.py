"""An approver who looks for a masked value without a reveal: by dry runs, which nothing records."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.console.house import LEA, opened
from toolgate.domain.principal import Declined, in_person
from toolgate.operations.edit_approval import ProposedEdit, edit_approval, propose_edit
from toolgate.operations.review import Review
from toolgate.operations.review_approval import review_approval


@pytest.mark.req("M12.12")
@pytest.mark.parametrize("besides", [{}, {"cents": 4999}], ids=["alone", "beside another change"])
async def test_a_dry_run_answers_a_right_guess_at_a_masked_value_as_it_does_a_wrong_one(
    besides: dict[str, int], tmp_path: Path
) -> None:
    async with opened(tmp_path) as house:
        waiting = await house.held(order=1, cents=5000, card="4711")
        told = [
            await house.gateway.operate_near_tools(
                propose_edit, waiting, {"card": guess, **besides}, by=in_person(LEA)
            )
            for guess in ("4710", "4711")
        ]

    assert isinstance(told[0], ProposedEdit)
    assert told[0] == told[1]


@pytest.mark.req("X2.3")
async def test_an_edit_that_changes_nothing_is_none(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        waiting = await house.held(order=1, cents=5000, card="4711")
        review = await house.gateway.operate(review_approval, waiting, by=in_person(LEA))
        assert isinstance(review, Review)
        same = {"cents": 5000}
        tried = await house.gateway.operate_near_tools(propose_edit, waiting, same, by=in_person(LEA))
        made = await house.gateway.operate_near_tools(
            edit_approval, waiting, same, by=in_person(LEA), reason="none", digest=review.row.digest
        )

    assert isinstance(tried, Declined)
    assert tried == made
