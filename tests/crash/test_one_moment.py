"""What is read of a call is of one moment, whatever another process commits between two statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.crash.deaths import dead
from tests.crash.nursery import Nursery
from tests.crash.survivor import told
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.domain.lifecycle import ApprovalState, EffectState
from toolgate.domain.rows import ByApproval, ByCall, Subject
from toolgate.testing.clock import EPOCH


class Interrupted:
    """A reading connection during whose work, before it asks for an approval, somebody else commits once."""

    def __init__(self, connection: sqlite3.Connection, commit: Callable[[], None], before: str) -> None:
        self._connection = connection
        self._commit = commit
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: Any) -> Any:
        if f"FROM {self._before}" in statement:
            self._before = "nothing more"
            self._commit()
        return self._connection.execute(statement, *values)


@pytest.mark.req("X2.6", "M10.1")
@pytest.mark.parametrize(("by", "before"), [(ByCall, "approvals"), (ByApproval, "calls")])
async def test_a_call_is_never_read_half_before_and_half_after_its_approval_was_consumed(
    by: Callable[[str], Subject], before: str, nursery: Nursery, tmp_path: Path
) -> None:
    folder = await dead("an approved write", "before store.execute(Dispatch) #1", nursery, tmp_path)
    held = told(folder)[0]
    path = folder / "ledger.db"

    def consume() -> None:
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE calls SET effect_state = 'intended' WHERE call_id = ?", (held["call_id"],))
            other.execute("UPDATE approvals SET state = 'consumed' WHERE call_id = ?", (held["call_id"],))

    store = SqliteStore(path, boot_id="boot_reader", now=lambda: EPOCH)
    await store.open()
    store._readers.connection = Interrupted(store._reader(), consume, before)
    found = await store.find(by(held["call_id" if by is ByCall else "approval_id"]))
    await store.close()
    assert found.call is not None
    assert found.approval is not None
    moment = (found.call.effect_state, found.approval.state)
    assert moment in {(None, ApprovalState.APPROVED), (EffectState.INTENDED, ApprovalState.CONSUMED)}
