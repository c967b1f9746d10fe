"""`toolgate init` and `toolgate serve` as somebody types them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from toolgate.cli.app import app, code

PATIENCE = 60.0
PROGRAM = [sys.executable, "-m", "toolgate"]

HOLDING_TOOL = '''
from pathlib import Path
from typing import Annotated
from pydantic import Field
from toolgate import tool

@tool(effect="write", roles={"support"}, timeout="30s", idempotency="hold:{order_id}")
def hold(order_id: Annotated[int, Field(gt=0, le=9)]) -> int:
    """Do something that takes as long as the test says."""
    Path("began").open("w").close()
    Path("may_end").open().close()
    return order_id

tools = [hold]
'''


@dataclass(frozen=True, slots=True)
class Served:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    said: str

    @property
    def base(self) -> str:
        found = re.search(r"console  (http://\S+)/\n", self.said)
        assert found, self.said
        return found[1]

    @property
    def link(self) -> str:
        found = re.search(r"sign in  (http://\S+)\n", self.said)
        assert found, self.said
        return found[1]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Ask it to end; its exit code, and what else it said."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


def ran(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@contextmanager
def served(folder: Path, *words: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [*PROGRAM, "serve", "--listen", "127.0.0.1:0", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("Stop it with"):
                break
        else:
            assert process.stderr is not None
            pytest.fail(process.stderr.read())
        yield Served(process, said)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def in_this_process(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.mark.req("M14.13", "M13.6")
def test_what_init_writes_passes_every_check_and_is_served_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "shop"

    written = ran("init", "shop", folder=tmp_path)
    checked = ran("check", "first_tools:tools", folder=folder)
    with served(folder) as server:
        tools = re.search(r"serves (\d) tools \((\d) may ask a person\)", server.said)
        ready = httpx.get(f"{server.base}/readyz")
        ended, out, _ = server.end()

    assert (written.returncode, written.stderr) == (0, "")
    assert sorted(path.name for path in folder.iterdir() if path.suffix in {".py", ".toml"}) == [
        "first_tools.py",
        "toolgate.toml",
    ]
    assert checked.returncode == 0, checked.stdout
    assert tools is not None
    assert tools.groups() == ("2", "1")
    assert ready.status_code == 200
    assert ended == 0
    assert "toolgate has stopped" in out


@pytest.mark.req("M14.13")
@pytest.mark.parametrize("name", ["toolgate.toml", "first_tools.py"])
def test_init_overwrites_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")

    again = in_this_process("init", str(tmp_path))

    assert again.exit_code != 0
    assert f"{name} is there already; nothing was written" in str(again.exception) + again.output
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.req("M14.13")
def test_init_says_where_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")

    assert code(["init", str(tmp_path / "file" / "below")]) == 2
    assert "cannot be written to: Not a directory" in capsys.readouterr().err


@pytest.mark.req("M4.23", "M4.29", "M4.28")
def test_the_link_signs_in_once_and_never_reaches_the_server_by_itself(tmp_path: Path) -> None:
    ran("init", ".", folder=tmp_path)
    with served(tmp_path) as server:
        page, _, secret = server.link.partition("#")
        with httpx.Client(base_url=server.base, headers={"origin": server.base}) as browser:
            shown = browser.get(page)
            first = browser.post(page, data={"token": secret, "next": ""})
            inbox = browser.get(first.headers["location"])
        with httpx.Client(base_url=server.base, headers={"origin": server.base}) as another:
            second = another.post(page, data={"token": secret, "next": ""})
        _, out, err = server.end()

    assert shown.status_code == 200
    assert first.status_code == 303
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert inbox.status_code == 200
    assert second.status_code == 401
    assert "default-src 'none'" in inbox.headers["content-security-policy"]
    assert secret not in out + err
    assert "route=/console/sign-in status=303" in err


@pytest.mark.req("M5.14")
def test_a_signal_ends_the_server_well_while_a_call_is_on_its_way(tmp_path: Path) -> None:
    with calling(tmp_path) as (server, connection):
        server.process.send_signal(signal.SIGTERM)
        (tmp_path / "may_end").open("w").close()
        answer = connection.makefile("rb").read()
        out, err = server.process.communicate(timeout=PATIENCE)

    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert b'"status":"succeeded"' in answer.replace(b": ", b":")
    assert server.process.returncode == 0, err
    assert "toolgate has stopped" in out
    assert '"succeeded"' in ran("calls", "list", "--json", folder=tmp_path).stdout


@contextmanager
def calling(folder: Path, *words: str) -> Iterator[tuple[Served, socket.socket]]:
    """A server whose tool runs, for a client that waits, until the test opens `may_end` to write."""
    (folder / "held.py").write_text(HOLDING_TOOL)
    (folder / "toolgate.toml").write_text('tools = ["held:tools"]\nstore = "sqlite:///gate.db"\n')
    for name in ("began", "may_end"):
        os.mkfifo(folder / name)
    token = ran("tokens", "create", "--id", "ana", "--roles", "support", folder=folder).stdout.split()[0]
    with served(folder, *words) as server, connected(server.base) as connection:
        body = b'{"arguments": {"order_id": 1}, "workflow_id": "w1"}'
        head = (
            f"POST /v1/tools/hold/calls HTTP/1.1\r\nHost: {server.base.removeprefix('http://')}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        (folder / "began").open().close()
        yield server, connection


def is_refused(base: str) -> bool:
    try:
        connected(base).close()
    except OSError:
        return True
    return False


def connected(base: str) -> socket.socket:
    host, _, port = base.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


@pytest.mark.req("M5.14")
def test_asked_twice_it_waits_for_no_client_but_still_for_the_call(tmp_path: Path) -> None:
    with calling(tmp_path) as (server, connection):
        server.process.send_signal(signal.SIGTERM)
        while not is_refused(server.base):
            continue
        server.process.send_signal(signal.SIGINT)
        assert server.process.poll() is None
        (tmp_path / "may_end").open("w").close()
        connection.close()
        server.process.communicate(timeout=PATIENCE)

    assert server.process.returncode == 0
    assert '"succeeded"' in ran("calls", "list", "--json", folder=tmp_path).stdout


@pytest.mark.req("M5.14")
def test_ctrl_c_ends_it_as_well_as_any_signal(tmp_path: Path) -> None:
    ran("init", ".", folder=tmp_path)
    with served(tmp_path) as server:
        ended, out, err = server.end(signal.SIGINT)

    assert (ended, "Traceback" in out + err) == (0, False)


@pytest.mark.req("M4.29")
@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "10.1.2.3:80", "gate.example.com:80"])
def test_without_a_login_it_listens_on_this_machine_alone(
    tmp_path: Path, listen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "toolgate.toml").write_text('tools = ["tests.http.desk:TOOLS"]\n')

    ended = code(["serve", "--config", str(tmp_path / "toolgate.toml"), "--listen", listen])

    assert ended == 2
    said = capsys.readouterr().err
    assert "without [auth] the server listens on this machine alone" in said
    assert "configure [auth]" in said


@pytest.mark.req("M4.29", "M1.13")
def test_a_refused_address_of_the_file_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "toolgate.toml"
    file.write_text('tools = ["tests.http.desk:TOOLS"]\n[server]\nlisten = "0.0.0.0:8080"\n')

    assert code(["serve", "--config", str(file)]) == 2
    assert "toolgate.toml:3: server.listen" in capsys.readouterr().err


@pytest.mark.req("M4.29", "M1.13")
def test_an_address_that_is_taken_is_an_error_that_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "toolgate.toml").write_text('tools = ["tests.http.desk:TOOLS"]\n')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        ended = code(["serve", "--config", str(tmp_path / "toolgate.toml"), "--listen", address])

    assert ended == 2
    assert f"{address} cannot be listened on: Address already in use" in capsys.readouterr().err


@pytest.mark.req("M1.13")
@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1", "127.0.0.1:99999", "a b:80", ":80"])
def test_what_is_no_address_is_told_what_one_looks_like(
    tmp_path: Path, listen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "toolgate.toml").write_text('tools = ["tests.http.desk:TOOLS"]\n')

    assert code(["serve", "--config", str(tmp_path / "toolgate.toml"), "--listen", listen]) == 2
    assert "write HOST:PORT, for example 127.0.0.1:8080" in capsys.readouterr().err
