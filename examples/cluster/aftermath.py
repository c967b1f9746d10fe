"""What must be true afterwards, whatever was killed meanwhile: the books, the ledger and what was told agree.

The books are the business's own table, which knows nothing of the gate. Not here: what was done to the cluster.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from examples.cluster.ledger_tools import open_books
from examples.cluster.load import INSPECTOR, People, Told

QUIET_WITHIN: Final = 60.0
"""Seconds until every call has an end: a lease has to run out, and a job to find another worker."""
_OPEN: Final = frozenset({"running", "started", "pending_approval"})


@dataclass(slots=True, kw_only=True)
class Findings:
    """``complaints`` is empty if all is well; ``counts`` says how much was looked at."""

    complaints: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


async def examine(base: str, books: Path, people: Mapping[str, People], told: Iterable[Told]) -> Findings:
    """Wait until every call has an end, and compare."""
    findings = Findings()
    told = list(told)
    effects = Counter(_effects(books))
    async with httpx.AsyncClient(base_url=base, timeout=60) as client:
        for tenant, whose in people.items():
            rows = await _ended(client, whose, findings)
            own = [one for one in told if one.tenant == tenant]
            _own_rows_only(tenant, rows, findings)
            _books_and_ledger(tenant, own, rows, effects, findings)
        findings.complaints += await _chains(client, next(iter(people.values())), findings)
    findings.complaints += _words(told, effects)
    findings.complaints += [
        f"the books hold {key} {count} times" for key, count in effects.items() if count > 1
    ]
    findings.counts["effects in the books"] = effects.total()
    findings.counts["wishes"] = len(told)
    return findings


def _effects(books: Path) -> list[tuple[str, str]]:
    with closing(open_books(books)) as db:
        return [(row[0], row[1]) for row in db.execute("SELECT tenant, key FROM effects")]


async def _ended(client: httpx.AsyncClient, people: People, findings: Findings) -> list[dict[str, Any]]:
    """Every call of a tenant, once none of them is on its way."""
    rows = await _calls(client, people)
    try:
        async with asyncio.timeout(QUIET_WITHIN):
            while any(row["status"] in _OPEN for row in rows):
                await asyncio.sleep(0.25)
                rows = await _calls(client, people)
    except TimeoutError:
        rows = await _calls(client, people)
        endless = [row for row in rows if row["status"] in _OPEN]
        shown = [(row["call_id"], row["tool"], row["status"], row["effect_state"]) for row in endless[:5]]
        findings.complaints.append(f"{len(endless)} calls have no end: {shown}")
    return rows


async def _calls(client: httpx.AsyncClient, people: People) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"limit": 200} | ({} if cursor is None else {"cursor": cursor})
        answer = await client.get("/v1/calls", params=query, headers=people.headers(INSPECTOR))
        answer.raise_for_status()
        page = answer.json()
        rows += page["calls"]
        if (cursor := page["next"]) is None:
            return rows


def _own_rows_only(tenant: str, rows: list[dict[str, Any]], findings: Findings) -> None:
    foreign = [row["workflow_id"] for row in rows if f"-{tenant}-" not in row["workflow_id"]]
    if foreign:
        findings.complaints.append(f"{tenant} was listed {foreign[:3]}, which is another's")
    findings.counts["calls in the ledger"] += len(rows)


def _books_and_ledger(
    tenant: str,
    told: list[Told],
    rows: list[dict[str, Any]],
    effects: Mapping[tuple[str, str], int],
    findings: Findings,
) -> None:
    """Applied is in the books, not applied is not, and what is in the books is known or in doubt."""
    states: dict[str, set[str]] = {}
    for row in rows:
        states.setdefault(row["workflow_id"], set()).add(row["effect_state"] or "none")
        if row["incident"]:
            findings.complaints.append(f"{row['workflow_id']}: two witnesses contradict: {row['incident']}")
    for one in told:
        if one.key is None:
            continue
        said, done = states.get(one.workflow, set()), effects.get((tenant, one.key), 0)
        if "applied" in said and not done:
            findings.complaints.append(f"{one.workflow} is applied, and the books hold nothing")
        if done and not said & {"applied", "unknown"}:
            findings.complaints.append(f"{one.workflow} is in the books, and the ledger says {sorted(said)}")
        findings.counts["effects in doubt"] += "unknown" in said
    known = {
        told_call["call_id"] for one in told for told_call in one.answers if told_call["effect"] != "none"
    }
    lost = known - {row["call_id"] for row in rows}
    if lost:
        findings.complaints.append(f"calls that were told of are not there: {sorted(lost)[:3]}")


def _words(told: Iterable[Told], effects: Mapping[tuple[str, str], int]) -> list[str]:
    """Whatever was told has stayed true."""
    found = []
    for one in told:
        if one.key is None:
            continue
        done = effects.get((one.tenant, one.key), 0)
        if any(answer["status"] == "succeeded" for answer in one.answers) and not done:
            found.append(f"{one.workflow} was told that it succeeded, and nothing was done")
        if one.end is not None and one.end["effect"] == "none" and done:
            found.append(f"{one.workflow} was told at last that nothing was done: {one.end}")
    return found


async def _chains(client: httpx.AsyncClient, people: People, findings: Findings) -> list[str]:
    """Every record, link and head of the trail."""
    answer = await client.get("/v1/audit/verify", headers=people.headers(INSPECTOR))
    report = answer.json()
    findings.counts["records verified"] = report.get("records", 0)
    findings.counts["chains verified"] = len(report.get("heads", ()))
    return [] if report.get("intact") else [f"the trail does not verify: {str(report)[:500]}"]
