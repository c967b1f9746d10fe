"""What is done to a cluster under load: each fault once, in an order that a seed decides, and mended again.

Not here: what must be true afterwards (``examples.cluster.aftermath``), and the load.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.cluster.wire import Wire

if TYPE_CHECKING:
    from examples.cluster.processes import Cluster, Member
    from tests.postgres.server import PostgresServer

LEASE: Final = 13.5
"""Seconds: the longest deadline of a tool that is no job, what a lease has beyond it, and a little."""
FULL: Final = 16 * 1024 * 1024
"""Bytes that no file of the database may outgrow while its disk is "full": those of the log are that large."""
_FILLER: Final = 9_500
"""Rows, as wide as Postgres leaves them, so that four fill a page and no other fits beside them."""
_WIDE: Final = 1_856


class Faults:
    """All of them, for one cluster.

    Args:
        wire: what stands between some of the members and the database.
        seed: decides who is hit, and when.

    Attributes:
        counts: how often each was done.
    """

    def __init__(self, cluster: Cluster, server: PostgresServer, wire: Wire, *, seed: int) -> None:
        self._cluster = cluster
        self._server = server
        self._wire = wire
        self._random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self._busy: set[str] = set()

    def kinds(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """By name."""
        return {
            "gateways killed": lambda: self.kill(self._cluster.gateways, "gateways killed"),
            "workers killed": lambda: self.kill(self._cluster.workers, "workers killed"),
            "databases stopped at once": self.stop_database,
            "databases killed": self.kill_database,
            "connections cut in a commit": self.cut_commits,
            "networks severed": self.sever,
            "disks slowed down": self.slow_down,
            "disks filled": self.fill_up,
            "processes stopped past their lease": self.freeze,
        }

    async def one_after_another(self, names: Sequence[str], *, between: float) -> None:
        """Do these in an order of the seed's, ``between`` seconds apart at most."""
        kinds = self.kinds()
        for name in self._random.sample(list(names), len(names)):
            await asyncio.sleep(self._random.uniform(0, between))
            await kinds[name]()

    async def kill(self, members: Sequence[Member], name: str) -> None:
        """End one by SIGKILL, and start it again."""
        member = self._chosen(members)
        await asyncio.to_thread(member.kill)
        self.counts[name] += 1
        await self._start(member)

    async def freeze(self) -> None:
        """Stop a gateway or a worker until its leases are gone, and wake it."""
        member = self._chosen(self._cluster.members)
        self._busy.add(member.name)
        member.signal(signal.SIGSTOP)
        await asyncio.sleep(LEASE)
        member.signal(signal.SIGCONT)
        self._busy.discard(member.name)
        self.counts["processes stopped past their lease"] += 1

    async def stop_database(self) -> None:
        """Stop the server at once, as by its own immediate shutdown, and start it again."""
        await asyncio.to_thread(self._server.stop, "immediate")
        self.counts["databases stopped at once"] += 1
        await asyncio.sleep(self._random.uniform(0, 1))
        await asyncio.to_thread(self._server.start)

    async def kill_database(self) -> None:
        """SIGKILL to every process of the server."""
        await asyncio.to_thread(self._server.kill)
        self.counts["databases killed"] += 1
        await asyncio.to_thread(self._server.start)

    async def cut_commits(self) -> None:
        """For a while a third of all COMMITs on the wire lose their connection: before, in or after them."""
        before = self._cuts()
        self._wire.chance = 0.3
        await self._until(lambda: self._cuts() >= before + 5, patience=10)
        self._wire.chance = 0.0
        self.counts["connections cut in a commit"] += self._cuts() - before

    def _cuts(self) -> int:
        return sum(count for what, count in self._wire.counts.items() if what.startswith("cut "))

    async def sever(self) -> None:
        """Cut every connection on the wire at one moment."""
        await asyncio.to_thread(self._wire.sever)
        self.counts["networks severed"] += 1

    async def slow_down(self) -> None:
        """For a while each message of some members to the database takes long, as on a slow disk."""
        self._wire.delay = 0.05
        await asyncio.sleep(1.5)
        self._wire.delay = 0.0
        self.counts["disks slowed down"] += 1

    async def fill_up(self) -> None:
        """For a while the table of the trail cannot grow: its file is larger than any file may become."""
        await asyncio.to_thread(self._inflate)
        try:
            self._limit(FULL)
            await asyncio.sleep(1.5)
        finally:
            self._limit(resource.RLIM_INFINITY)
        self.counts["disks filled"] += 1

    def _inflate(self) -> None:
        """Make the current partition's file large, by rows that never were: what comes is put behind them."""
        table = self._server.query(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'toolgate.audit'::regclass"
            " ORDER BY pg_relation_size(inhrelid) DESC LIMIT 1",
            database="toolgate",
        )[0][0]
        self._server.execute(
            f"""
            DO $$
            DECLARE one {table};
            BEGIN
                SELECT * INTO one FROM {table} LIMIT 1;
                BEGIN
                    FOR number IN 1..{_FILLER} LOOP
                        one.chain_seq := -number;
                        one.record := repeat(md5(number::text), {_WIDE} / 32)::bytea;
                        INSERT INTO {table} SELECT one.*;
                    END LOOP;
                    RAISE EXCEPTION 'never there';
                EXCEPTION WHEN raise_exception THEN NULL;
                END;
            END $$
            """,
            database="toolgate",
        )

    def _limit(self, size: int) -> None:
        # The parent first: what it starts from then on has the same limit, and what it started before is listed.
        _limit_files(self._server.pid, size)
        for pid in _children(self._server.pid):
            with suppress(ProcessLookupError, FileNotFoundError):
                _limit_files(pid, size)

    def _chosen(self, members: Sequence[Member]) -> Member:
        free = [member for member in members if member.name not in self._busy]
        return self._random.choice(free)

    async def _start(self, member: Member) -> None:
        self._busy.add(member.name)
        await asyncio.to_thread(member.start)
        await asyncio.to_thread(member.wait)
        self._busy.discard(member.name)

    async def _until(self, done: Callable[[], bool], *, patience: float) -> None:
        """Until ``done()``, or so many seconds passed: a fault that does not happen is no failure."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not done():  # noqa: ASYNC110 - threads of the wire count
                    await asyncio.sleep(0.02)


def _limit_files(pid: int, size: int) -> None:
    """No file of this process may outgrow ``size`` from now on."""
    owner = Path(f"/proc/{pid}").stat()
    if owner.st_uid == os.geteuid():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        return
    # In a container root may limit nobody else; everybody may limit themselves.
    limit = "unlimited" if size < 0 else str(size)
    command = ["prlimit", f"--fsize={limit}:unlimited", "--pid", str(pid)]
    done = subprocess.run(
        command,
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and Path(f"/proc/{pid}").exists():
        raise PermissionError(done.stderr)


def _children(pid: int) -> list[int]:
    """The processes that ``pid`` has started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return found
