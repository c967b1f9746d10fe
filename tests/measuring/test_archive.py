"""The ledger that the office is measured on is one that a gate could have written, and works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import archive
from toolgate import Gateway
from toolgate.domain.rows import ByApproval
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import ApprovalFilter, CallFilter

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.req("M14.12")


def silent(what: str) -> None:
    """A benchmark says on a terminal what it is at; a test needs no word of it."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive.provide(tmp_path_factory.mktemp("office"), calls=300, pending=14, note=silent)


async def test_an_archive_is_a_sound_ledger_with_a_past_and_open_approvals(
    kept: Path, tmp_path: Path
) -> None:
    copied = archive.copy(kept, tmp_path)

    async with Gateway(archive.tools(), store=f"sqlite:///{copied}", housekeeping=None) as gateway:
        report = await verify_audit(gateway.store)
        waiting = await gateway.store.approvals(ApprovalFilter(tenant=archive.TENANT))
        page = await gateway.store.calls(CallFilter(tenant=archive.TENANT, limit=1000))
        doubtful = await gateway.store.calls(CallFilter(unresolved=True, limit=1000))

    assert report.intact
    assert len(waiting) == 14
    assert {row.tool for row in waiting} == {tool.contract.name for tool in archive.TOOLS}
    assert len(page.rows) > 290
    assert [row.received_at for row in page.rows] == sorted(
        (row.received_at for row in page.rows), reverse=True
    )
    assert len(doubtful.rows) == 30


async def test_what_is_open_in_an_archive_runs_once_it_is_approved(kept: Path, tmp_path: Path) -> None:
    copied = archive.copy(kept, tmp_path)

    async with Gateway(archive.tools(), store=f"sqlite:///{copied}", housekeeping=None) as gateway:
        before = (await gateway.store.approvals(ApprovalFilter(tenant=archive.TENANT)))[0]
        await gateway.approve(before.approval_id, by=archive.APPROVER, reason="looked at it")
        await gateway.sweep()
    # Closing settled what flew.
    async with Gateway(archive.tools(), store=f"sqlite:///{copied}", housekeeping=None) as gateway:
        after = await gateway.store.find(ByApproval(before.approval_id))

    assert after.approval is not None
    assert after.call is not None
    assert (after.approval.state, after.call.status) == ("consumed", "succeeded")


def test_an_archive_is_kept_until_what_it_is_made_of_changes(kept: Path) -> None:
    made = kept.stat().st_mtime_ns

    assert archive.provide(kept.parent, calls=300, pending=14, note=silent).stat().st_mtime_ns == made
    assert archive.provide(kept.parent, calls=20, pending=1, note=silent) != kept
    assert not kept.exists()
