"""The process that comes after: opens what a dead or stopped child left, recovers, and holds everybody to their word.

What must be true of the ledger and the business stands here, once, for every scenario. Not here: how the child ended.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.crash.business import AGENT, AUDITOR, BOSS, TOOLS, Business
from tests.crash.child import ORDER, WORKFLOW, ledger_of, recover
from tests.crash.clocks import LATEST
from tests.people import decide_approval, resolve_call
from toolgate import Failed, Gateway, PendingApproval, Refused, Succeeded, Tool, Unknown
from toolgate.adapters.ids import UlidIds
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.bootstrap import open_keys
from toolgate.domain.lifecycle import ApprovalState, EffectState
from toolgate.domain.outcome import Outcome
from toolgate.domain.rows import ByApproval, CallRow
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import CallFilter, Clock
from toolgate.testing import FakeClock, PortTap

_STEPS = 8
"""Answers on the way to the end: held, approved, unknown, resolved, held again, approved, done."""


async def template(folder: Path) -> None:
    """A ledger and a business that were in use before: keys, schema and a chain are there."""
    Business(folder / "business.db").create()
    async with survivor(folder, clock=FakeClock()) as gateway:
        await gateway.call("count_refunds", {"order_id": 1}, caller=AGENT)


def copy(of: Path, folder: Path) -> Path:
    """The same in a folder of its own."""
    shutil.copytree(of, folder)
    return folder


@asynccontextmanager
async def survivor(
    folder: Path, *, clock: Clock | None = None, tools: Sequence[Tool[Any, Any]] = TOOLS
) -> AsyncIterator[Gateway]:
    """A gateway of this process over a child's files, past the child's leases, that keeps house when told."""
    business = Business(folder / "business.db")
    store, keys = ledger_of(folder)
    async with Gateway(
        tools,
        store=store,
        keys=f"file:{keys}",
        deps=business.deps(),
        clock=clock or FakeClock(now=LATEST),
        housekeeping=None,
    ) as gateway:
        yield gateway


def replica(
    folder: Path,
    clock: Clock,
    tap: PortTap,
    *,
    housekeeping: float | None = None,
    busy_seconds: float = 5.0,
) -> Gateway:
    """One more gateway over the same files, whose store a test listens to."""
    path = folder / "ledger.db"
    ring = open_keys(path)
    boot_id = UlidIds().new("boot")
    store = SqliteStore(path, boot_id=boot_id, now=clock.now, ring_id=ring.ring_id, busy_seconds=busy_seconds)
    deps = Business(folder / "business.db").deps()
    return Gateway(
        TOOLS, store=tap.store(store), keys=ring, clock=clock, deps=deps, housekeeping=housekeeping
    )


async def the_calls(gateway: Gateway) -> list[CallRow]:
    """Every call about the order, oldest first; calls of the template's read are not."""
    rows = (await gateway.store.calls(CallFilter(workflow_id=WORKFLOW, limit=500))).rows
    return list(reversed(rows))


def told(folder: Path, name: str = "told") -> list[dict[str, Any]]:
    """What the child's application had been told. A line cut by the kill was told to nobody."""
    path = folder / name
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


async def complaints(folder: Path, tool: Any) -> list[str]:
    """Everything that is not as it must be after the child of ``folder`` was killed; nothing, if all is well."""
    business = Business(folder / "business.db")
    async with survivor(folder) as gateway:
        found = [f"the child did it {len(paid)} times"] if len(paid := business.paid(ORDER)) > 1 else []
        await recover(gateway)
        found += await _disagreements(gateway, business, tool)
        found += await _broken_words(gateway, folder, tool)
        if tool.contract.has_effects:
            found += await _end(gateway, business, tool)
        found += await _trail_gaps(gateway)
    return found


async def _disagreements(gateway: Gateway, business: Business, tool: Any) -> list[str]:
    """The ledger and the business say the same, or the ledger says that it does not know."""
    rows, paid = await the_calls(gateway), business.paid(ORDER)
    states = {row.effect_state for row in rows}
    found = []
    if EffectState.INTENDED in states:
        found.append("an intent whose owner is dead is still believed to be running")
    if EffectState.APPLIED in states and not paid:
        found.append("the ledger says applied, and the business did nothing")
    if paid and not states & {EffectState.APPLIED, EffectState.UNKNOWN}:
        found.append(f"the business did it, and the ledger says {sorted(str(state) for state in states)}")
    if EffectState.UNKNOWN in states and tool.contract.reconcile is not None:
        found.append("reconcile could tell, and the effect is still unknown")
    return found


async def _broken_words(gateway: Gateway, folder: Path, tool: Any) -> list[str]:
    """Whatever the application was told is what the ledger says now."""
    found = []
    for said in told(folder):
        now = await gateway.get_call(said["call_id"], caller=AGENT)
        match said["status"]:
            case "succeeded" if not isinstance(now, Succeeded) or (
                tool.contract.has_effects and now.to_model()["result"] != said["result"]
            ):
                found.append(f"told {said}, now {now.to_model()}")
            case "succeeded" | "pending_approval" | "unknown":
                if "no such call" in str(now.to_model().get("message")):
                    found.append(f"told {said['status']}, and there is no such call")
            case "failed" if said["effect"] != "none" or now.to_model() != said:
                found.append(f"told {said}, now {now.to_model()}")
            case "failed":
                pass
            case other:
                found.append(f"told {other}: {said}")
    return found


async def _end(gateway: Gateway, business: Business, tool: Any) -> list[str]:
    """The application and its people do what is asked of them until it is done: exactly once."""
    steps: list[str] = []
    for _ in range(_STEPS):
        outcome = await gateway.call(tool, {"order_id": ORDER}, caller=AGENT, workflow=WORKFLOW)
        steps.append(str(outcome.status))
        if len(paid := business.paid(ORDER)) > 1:
            return [f"done {len(paid)} times after {steps}"]
        if isinstance(outcome, Succeeded):
            return [] if paid else [f"told to have succeeded, and nothing was done after {steps}"]
        if why := await _help(gateway, business, outcome):
            return [f"{why} after {steps}"]
    return [f"it never came to an end: {steps}"]


async def _help(gateway: Gateway, business: Business, outcome: Outcome[Any]) -> str | None:
    """What people do about an outcome that waits for them; why nobody can."""
    match outcome:
        case PendingApproval(approval_id=approval_id):
            await approve(gateway, approval_id)
        case Unknown(call_id=call_id):
            answer = await resolve_call(
                gateway.world,
                call_id,
                applied=bool(business.paid(ORDER)),
                by=AUDITOR,
                reason="looked in the books",
            )
            return answer if isinstance(answer, str) else None
        case Refused() | Failed():
            return f"answered {outcome.to_model()}"
        case _:
            return f"answered {outcome!r}"
    return None


async def approve(gateway: Gateway, approval_id: str) -> None:
    """Somebody of billing agrees, if nobody has yet, and a round of housekeeping runs it."""
    approval = (await gateway.store.find(ByApproval(approval_id))).approval
    if approval is not None and approval.state is ApprovalState.PENDING:
        await decide_approval(gateway, approval_id, "approve", voter=BOSS, reason="it is due")
    await recover(gateway)


async def _trail_gaps(gateway: Gateway) -> list[str]:
    """The chains verify, and each state that the ledger holds was written together with its record."""
    report = await verify_audit(gateway.store)
    found = [f"the chain is broken: {report.problems[:3]}"] if not report.intact else []
    last: dict[str, dict[str, Any]] = {}
    async for stored in gateway.store.records():
        record = json.loads(stored.record)
        if (call_id := record.get("toolgate.call.id")) and record["toolgate.transition"] != "replayed":
            last[call_id] = record
    for row in await the_calls(gateway):
        record = last.pop(row.call_id, {})
        if record.get("toolgate.status") != row.status:
            found.append(
                f"{row.call_id} is {row.status}, and its last record says {record.get('toolgate.status')}"
            )
    return found
