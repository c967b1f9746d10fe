"""``python -m examples.cluster.run``: start the cluster on this machine, drive load through the proxy, and count.

While the load runs a gateway and a worker are killed and started again, and one gateway is asked to leave. Then the
books are compared with the ledger. Not here: how a process is started (``processes``) and what is compared
(``aftermath``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.cluster.aftermath import Findings, examine
from examples.cluster.load import TENANTS, Load, hire
from examples.cluster.processes import Cluster


def main() -> int:
    """Run it; 0 if everything agrees."""
    words = argparse.ArgumentParser(
        prog="python -m examples.cluster.run", description=__doc__.splitlines()[0]
    )
    words.add_argument("--store", help="a database that is empty, postgresql://…; without it one is started")
    words.add_argument("--seconds", type=float, default=10.0, help="how long the load lasts (10)")
    words.add_argument(
        "--folder", type=Path, help="for configuration, books and logs; one of its own by default"
    )
    words.add_argument("--seed", type=int, default=1, help="of the wishes (1)")
    said = words.parse_args()
    with _folder(said.folder) as folder, _store(said.store, folder) as store:
        return asyncio.run(_run(folder, store, seconds=said.seconds, seed=said.seed))


async def _run(folder: Path, store: str, *, seconds: float, seed: int) -> int:
    with Cluster(folder, store, environment={"LEDGER_PAUSE_MS": "5"}) as cluster:
        _say(f"three gateways and two workers run behind {cluster.base}; their files are in {folder}")
        people = await hire(cluster.base, admins(cluster))
        load = Load(cluster.base, people, seed=seed)
        began = time.monotonic()
        running = asyncio.create_task(load.run())
        await asyncio.sleep(seconds / 4)
        await asyncio.to_thread(_kill, cluster, "gate2")
        await asyncio.sleep(seconds / 4)
        await asyncio.to_thread(_kill, cluster, "worker1")
        await asyncio.sleep(seconds / 4)
        await asyncio.to_thread(_leave, cluster, "gate3")
        await asyncio.sleep(seconds / 4)
        load.stop()
        await running
        took = time.monotonic() - began
        _say(f"the load has ended: {len(load.told)} wishes in {took:.1f} s")
        _tell(load.counts)
        _say("comparing the books, the ledger and what was told")
        findings = await examine(cluster.base, cluster.books, people, load.told)
        findings.complaints += load.complaints
        _tell(findings.counts)
        codes = await asyncio.to_thread(cluster.leave)
    return _verdict(findings, codes)


def admins(cluster: Cluster) -> dict[str, str]:
    """An admin for each tenant, made by whoever owns the key file: tenant → secret."""
    found = {}
    for tenant in TENANTS:
        words = ("--id", f"admin-of-{tenant}", "--tenant", tenant, "--roles", "admin", "--scope", "admin")
        scopes = ("--scope", "call", "--scope", "approve", "--scope", "operate", "--json")
        made = cluster.toolgate("tokens", "create", *words, *scopes)
        if made.returncode:
            raise RuntimeError(made.stderr)
        found[tenant] = json.loads(made.stdout)["secret"]
    return found


def _kill(cluster: Cluster, name: str) -> None:
    member = next(each for each in cluster.members if each.name == name)
    _say(f"killing {name} as it works, and starting it again")
    member.kill()
    member.start()
    member.wait()


def _leave(cluster: Cluster, name: str) -> None:
    member = next(each for each in cluster.members if each.name == name)
    _say(f"asking {name} to leave: it is not ready, answers what is on its way, and ends")
    code = member.end()
    _say(f"{name} ended with {code}; starting it again")
    member.start()
    member.wait()


def _verdict(findings: Findings, codes: dict[str, int]) -> int:
    complaints = [
        *findings.complaints,
        *(f"{name} ended with {code}" for name, code in codes.items() if code),
    ]
    for complaint in complaints:
        _say(f"WRONG: {complaint}")
    if not complaints:
        _say(
            "every effect is in the books once or known to be in doubt, every call has an end, the trail verifies"
        )
    return 1 if complaints else 0


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="toolgate-cluster-") as made:
        yield Path(made)


@contextmanager
def _store(given: str | None, folder: Path) -> Iterator[str]:
    if given is not None:
        yield given
        return
    # The server that the tests use: it comes with the development environment, and needs nothing installed.
    from tests.postgres.server import PostgresServer  # noqa: PLC0415 - not needed beside a server of one's own

    with PostgresServer(folder / "postgres") as server:
        yield server.create("toolgate")


def _tell(counts: Counter[str]) -> None:
    for what, count in sorted(counts.items()):
        _say(f"  {count:6}  {what}")


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
