"""The processes of the cluster on one machine: started, ended, killed, stopped and woken.

Not here: what is asked of them (``load``), and the server of Postgres.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

HERE: Final = Path(__file__).parent
FILES: Final = ("toolgate.toml", "ledger_tools.py", "haproxy.cfg")
PATIENCE: Final = 60.0
"""Seconds until something that was waited for has failed."""
PORTS: Final = (20_000, 32_000)
"""Below what systems give to those who connect: a port has to be free again when its process comes back."""
HOW: Final = """no haproxy was found, and none could be installed.
  Debian:          apt-get install haproxy
  anywhere else:   put a haproxy 2.4 or newer on the PATH"""


class NoProxyError(Exception):
    """There is no haproxy on this machine."""


class Member:
    """One process of the cluster; ``log`` is the file of what it writes to standard error."""

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        ready: str | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = command
        self._folder = folder
        self._environment = dict(environment)
        self._ready = ready
        self._process: subprocess.Popen[str] | None = None
        self.starts = 0

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it. It may take a while until it answers: ``wait``."""
        assert not self.alive, f"{self.name} runs"
        self.starts += 1
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env={**os.environ, **self._environment, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def wait(self) -> None:
        """Until it says that it is open.

        Raises:
            RuntimeError: if it ended instead, with the end of its log.
        """
        if self._ready is None:
            return
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(self._ready):
                return
        raise RuntimeError(f"{self.name} did not start: {self.log.read_text()[-2000:]}")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut does."""
        self.signal(signal.SIGKILL)
        self._reap()

    def end(self) -> int:
        """Ask it to end and wait; its exit code."""
        if not self.alive:
            return 0
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        assert self._process is not None
        self._process.communicate(timeout=PATIENCE)
        return self._process.returncode


class Cluster:
    """Gateways and workers on one store, and a proxy before the gateways. Use as a context manager.

    Args:
        folder: an empty one, for the configuration, the keys, the books and the logs.
        store: the URL of the database.
        stores: another URL for members by name, where a test has put something between them and the database.
        environment: what the tools find in theirs.
    """

    def __init__(
        self,
        folder: Path,
        store: str,
        *,
        gateways: int = 3,
        workers: int = 2,
        stores: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.books = folder / "books.db"
        for name in FILES:
            shutil.copy(HERE / name, folder / name)
        ports = list(free_ports(1 + gateways + workers))
        self.base = f"http://127.0.0.1:{ports[0]}"
        (folder / "ports.toml").write_text(f'[server]\npublic_url = "{self.base}"\n')
        self._environment = {"LEDGER_BOOKS": str(self.books), **(environment or {})}
        self._stores = dict(stores or {})
        self._store = store
        self.gateways = [
            self._toolgate(f"gate{number}", "serve", port)
            for number, port in enumerate(ports[1 : 1 + gateways], 1)
        ]
        self.workers = [
            self._toolgate(f"worker{number}", "worker", port)
            for number, port in enumerate(ports[1 + gateways :], 1)
        ]
        self.addresses = dict(
            zip(
                [member.name for member in self.members],
                [f"http://127.0.0.1:{port}" for port in ports[1:]],
                strict=True,
            )
        )
        self.proxy = Member(
            "proxy",
            [haproxy(), "-db", "-f", "haproxy.cfg"],
            folder=folder,
            environment={
                "FRONT": f"127.0.0.1:{ports[0]}",
                # Three stand in the configuration; of fewer, the last is asked more often.
                **{f"GATE_{number}": f"127.0.0.1:{ports[min(number, gateways)]}" for number in range(1, 4)},
            },
        )

    def _toolgate(self, name: str, command: str, port: int) -> Member:
        words = ["--config", "toolgate.toml", "--config", "ports.toml", "--listen", f"127.0.0.1:{port}"]
        return Member(
            name,
            [sys.executable, "-m", "toolgate", command, *words],
            folder=self.folder,
            environment={**self._environment, "TOOLGATE_STORE": self._stores.get(name, self._store)},
            ready="Stop it with",
        )

    @property
    def members(self) -> list[Member]:
        """Gateways and workers."""
        return [*self.gateways, *self.workers]

    def __enter__(self) -> Self:
        self.proxy.start()
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait()
        until(lambda: connects(self.base), "the proxy did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for member in [*self.members, self.proxy]:
            if member.alive:
                member.kill()

    def leave(self) -> dict[str, int]:
        """Ask all of them to end at once; their exit codes."""
        codes: dict[str, int] = {}
        threads = [
            threading.Thread(target=lambda member=member: codes.update({member.name: member.end()}))
            for member in self.members
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return codes

    def toolgate(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of toolgate beside them, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "toolgate", *words, "--config", "toolgate.toml", "--config", "ports.toml"],
            cwd=self.folder,
            env={**os.environ, **self._environment, "TOOLGATE_STORE": self._store},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )


def haproxy() -> str:
    """The proxy's program.

    Raises:
        NoProxyError: with what to install.
    """
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise NoProxyError(HOW)
    return found


def free_ports(count: int) -> Iterator[int]:
    """Ports of this machine that nobody listens on."""
    tried = random.sample(range(*PORTS), 200 + count)
    for port in tried:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
        count -= 1
        if not count:
            return
    raise OSError("this machine has no free ports")


def connects(base: str) -> bool:
    """Whether somebody listens there."""
    host, _, port = base.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def until(done: Callable[[], bool], what: str) -> None:
    """Wait until ``done()``.

    Raises:
        TimeoutError: with ``what`` failed.
    """
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)
