"""A verification of the trail beside the requests, with its progress and the last result.

It reads the whole trail, so it runs in no request, and only while no other runs on this server. Its result lives as
long as the process. Not here: verifying (``operations.verify_audit``), HTML.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolgate.domain.audit import ChainReport
from toolgate.domain.errors import GateFault
from toolgate.domain.principal import Declined
from toolgate.operations.list_calls import ledger_time
from toolgate.operations.read_trail import trail_heads, verify_trail

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.surfaces.http.office import Office

BUSY: Final = Declined("conflict", "a program has the trail verified already; ask again when that has ended")
_log = logging.getLogger("toolgate")


class _Ending(Exception):
    """The server ends, and a verification with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """How the last verification ended. ``report`` is None where the trail could not be read to its end."""

    at: int
    by: str
    report: ChainReport | None


class Verification:
    """The one verification of a console. Inside the server's loop."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self.last: Verified | None = None
        self.done = 0
        self.total = 0

    @property
    def runs(self) -> bool:
        """Whether one is under way."""
        return self._task is not None and not self._task.done()

    @property
    def percent(self) -> int:
        """How far it is."""
        return min(100, 100 * self.done // self.total) if self.total else 0

    async def start(self, office: Office, by: Principal) -> Declined | None:
        """Begin one; nothing new where one is under way."""
        if self.runs:
            return None
        heads = await office.gate.operate(trail_heads, by=by)
        if isinstance(heads, Declined):
            return heads
        if not self.runs:
            if not office.verifying.take():
                return BUSY
            self.done, self.total = 0, sum(seq for seq, _ in heads.values())
            self._task = asyncio.create_task(self._verify(office, by), name="toolgate-verification")
        return None

    async def _verify(self, office: Office, by: Principal) -> None:
        def progress(count: int) -> None:
            # Called in the thread that verifies, which has to end when the server does.
            self.done = count
            if office.closing.begun:
                raise _Ending

        report: ChainReport | Declined | None = None
        try:
            report = await office.gate.operate(verify_trail, by=by, progress=progress)
        except _Ending:
            return
        except GateFault as fault:
            _log.warning("a verification of the trail could not read it: %s", type(fault).__name__)
        finally:
            office.verifying.release()
        found = report if isinstance(report, ChainReport) else None
        self.last = Verified(at=await office.gate.operate(ledger_time), by=by.id, report=found)
