"""Writes `fixtures/NAME.db.gz` and its keys, under the release that is to be upgraded from.

How `first.db.gz` was made, from a checkout with that release's commit f0f689b:

    git archive f0f689b src | tar -x -C /tmp/first
    PYTHONPATH=/tmp/first/src:. python -m tests.releases.made_before first

It holds a refund that waits for a person, one that a lead agreed to and nobody has run, a note that was written, a
parcel whose sending is in doubt, and a call whose process died after its intent. The keys are of no other use.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from tests.releases.desk import ANA, LEO, TOOLS
from toolgate import Gateway, PendingApproval
from toolgate.testing import FakeClock

FIXTURES = Path(__file__).parent / "fixtures"


async def write(path: Path) -> None:
    """The last call ends the process."""
    gateway = Gateway(TOOLS, store=f"sqlite:///{path}", clock=FakeClock(), housekeeping=None)
    async with gateway:
        await gateway.call("note", {"order_id": 1}, caller=ANA, workflow="w1")
        await gateway.call("post", {"order_id": 2}, caller=ANA, workflow="w2")
        await gateway.call("refund", {"order_id": 3}, caller=ANA, workflow="w3")
        held = await gateway.call("refund", {"order_id": 4}, caller=ANA, workflow="w4")
        assert isinstance(held, PendingApproval)
        await gateway.approve(held.approval_id, by=LEO, reason="it is due")
        await gateway.call("vanish", {"order_id": 5}, caller=ANA, workflow="w5")


def main(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gate.db"
        child = os.fork()
        if child == 0:
            asyncio.run(write(path))
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0, "the desk did not come to its last call"
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
        connection.close()
        FIXTURES.mkdir(exist_ok=True)
        (FIXTURES / f"{name}.db.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        shutil.copy(path.with_name("gate.db.keys"), FIXTURES / f"{name}.db.keys")


if __name__ == "__main__":
    main(sys.argv[1])
