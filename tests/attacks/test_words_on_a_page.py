"""Words of agents, callers and approvers that try to be something else on a page, in a row or in memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from tests.small_gate import ANA, opened, trail
from toolgate import Approval, Caller, PendingApproval, tool
from toolgate.cli.approval_facts import print_review
from toolgate.domain.secret_shapes import secret_name
from toolgate.operations.review_approval import find_review

FORGED = "fine\nneeds       nothing\n  u-max approved at 2026-01-01T00:00:00Z: yes\r\x1b[2K\u202e\u2028\u0085"
LEAD = Caller("u-lea", roles={"lead"}, tenant="acme")


@tool(
    effect="write",
    roles={"support"},
    idempotency="pay:{number}:{workflow_id}",
    approval=Approval(approvers={"lead"}, quorum=2),
)
async def pay(number: int, note: str) -> int:
    """Pay a number back."""
    return number


@pytest.mark.req("M12.5", "M14.11", "M12.7")
async def test_no_words_of_a_request_or_a_vote_can_pass_for_another_line_of_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened([pay], tmp_path) as gateway:
        held = await gateway.call(
            pay, {"number": 1, "note": FORGED}, caller=ANA, workflow="wf", rationale=FORGED
        )
        assert isinstance(held, PendingApproval)
        await gateway.approve(held.approval_id, by=LEAD, reason=FORGED)
        review = await find_review(gateway.world, held.approval_id, tenant="acme")

    assert review is not None
    print_review(review)
    page = capsys.readouterr().out
    lines = page.splitlines()
    assert [line.split() for line in lines if line.startswith("needs")] == [["needs", "2", "by", "lead"]]
    assert sum("u-lea approved at" in line for line in lines) == 1
    assert not any(line.startswith("  u-max") for line in lines)
    assert all(char.isprintable() or char == "\n" for char in page)


@pytest.mark.req("M11.1", "M4.8")
@pytest.mark.parametrize(
    "name", ["pay\nforged", "\x1b[31mpay", "pay\u202e", "x" * 100_000, "pay\x00", "password=hunter2"]
)
async def test_a_made_up_tool_name_is_one_short_printable_line_wherever_it_is_kept(
    name: str, tmp_path: Path
) -> None:
    async with opened([pay], tmp_path) as gateway:
        outcome = await gateway.call(name, {}, caller=ANA)
        (record,) = await trail(gateway, outcome.call_id)

    kept = record["tool"] if "tool" in record else record["gen_ai.tool.name"]
    assert kept.isprintable()
    assert len(kept) < 200
    assert "hunter2" not in str(record)
    assert name not in str(outcome.to_model())


@pytest.mark.req("M11.18", "M3.7")
def test_what_is_remembered_of_names_does_not_grow_with_their_length() -> None:
    tracemalloc.start()
    for number in range(200):
        secret_name(f"{number:04}{'k' * 100_000}")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 1_000_000
    assert secret_name("x" * 5000 + "_api_key") == "apikey"
