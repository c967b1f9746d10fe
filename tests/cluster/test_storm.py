"""A cluster under load, to which everything happens that can: what is left agrees, or says that it does not know.

Bounded here: each fault once, in an order that a seed decides. ``make soak`` goes on for as long as ``SOAK_SECONDS``
says (600), with a new seed for each cluster; ``CLUSTER_SEED`` names one to do again.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from examples.cluster.aftermath import examine
from examples.cluster.load import Load
from tests.cluster.conftest import Running, running
from tests.cluster.faults import Faults

SOAKING = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
SEED = int(os.environ.get("CLUSTER_SEED", "20261122"))
BETWEEN = 0.5
"""Seconds from one fault to the next, at most."""
REST = 0.1
OFTEN = (
    "gateways killed",
    "workers killed",
    "databases stopped at once",
    "databases killed",
    "connections cut in a commit",
    "networks severed",
    "disks slowed down",
    "disks filled",
)


async def storm(made: Running, *, seed: int, rounds: int) -> Counter[str]:
    """Load and faults at once, and then the comparison; what was done, if nothing is wrong."""
    faults = Faults(made.cluster, made.server, made.wire, seed=seed)
    load = Load(made.cluster.base, made.people, seed=seed, at_once=6, rest=REST, name=f"s{seed}")
    working = asyncio.create_task(load.run())
    freezing = asyncio.create_task(faults.freeze())
    for _ in range(rounds):
        await faults.one_after_another(OFTEN, between=BETWEEN)
    await freezing
    load.stop()
    await working

    findings = await examine(made.cluster.base, made.cluster.books, made.people, load.told)
    complaints = load.complaints + findings.complaints
    assert complaints == [], (
        f"CLUSTER_SEED={seed}: {complaints[:10]}; {dict(faults.counts)}; {made.cluster.folder}"
    )
    kept = ("wishes", "effects in the books", "effects in doubt", "records verified")
    return faults.counts + Counter({name: findings.counts[name] for name in kept})


@pytest.mark.timeout(0 if SOAKING else 300)
@pytest.mark.req("X1.70", "X1.71", "X1.72", "X1.73", "X1.74", "X1.75")
def test_whatever_happens_to_a_cluster_each_effect_is_there_once_or_in_doubt_and_no_call_is_lost(
    replicas: Running, tmp_path: Path, record_property: Any
) -> None:
    counts = asyncio.run(storm(replicas, seed=SEED, rounds=1))
    until = time.monotonic() + float(os.environ.get("SOAK_SECONDS", "600"))
    while SOAKING and time.monotonic() < until:
        seed = random.randrange(1_000_000)
        with running(tmp_path / str(seed), seed=seed) as made:
            counts += asyncio.run(storm(made, seed=seed, rounds=5))
    record_property("cluster", dict(counts))
