"""A server behind a balancer is asked to end: it says so first, and leaves when nobody sends requests any more."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest

from tests.http.test_serve_command import PATIENCE, calling, is_refused, ran, served

pytestmark = pytest.mark.req("X3.62")

LONG = "[server]\ndrain = '5m'\n"


def until_unready(client: httpx.Client) -> httpx.Response:
    while (answer := client.get("/readyz")).status_code == 200:
        continue
    return answer


def test_a_server_that_leaves_is_unready_and_answers_on_until_its_time_is_over(tmp_path: Path) -> None:
    ran("init", ".", folder=tmp_path)
    (tmp_path / "drain.toml").write_text(LONG)
    words = ("--config", "toolgate.toml", "--config", "drain.toml")
    with served(tmp_path, *words) as server, httpx.Client(base_url=server.base, timeout=PATIENCE) as client:
        before = client.get("/openapi.json")
        server.process.send_signal(signal.SIGTERM)
        unready = until_unready(client)
        answers = [client.get(path) for path in ("/healthz", "/openapi.json")]
        refused = is_refused(server.base)
        server.process.send_signal(signal.SIGTERM)
        out, err = server.process.communicate(timeout=PATIENCE)

    assert "connection" not in before.headers
    assert (unready.status_code, unready.json()["detail"]) == (503, "the server is ending")
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.headers["connection"] for answer in answers] == ["close", "close"]
    assert not refused
    assert server.process.returncode == 0, err
    assert "toolgate has stopped" in out


@pytest.mark.req("M5.14")
def test_a_call_that_is_on_its_way_when_the_time_is_over_is_answered(tmp_path: Path) -> None:
    (tmp_path / "drain.toml").write_text("[server]\ndrain = 0.2\n")
    with calling(tmp_path, "--config", "toolgate.toml", "--config", "drain.toml") as (server, connection):
        server.process.send_signal(signal.SIGTERM)
        while not is_refused(server.base):
            continue
        (tmp_path / "may_end").open("w").close()
        answer = connection.makefile("rb").read()
        server.process.communicate(timeout=PATIENCE)

    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert server.process.returncode == 0


def test_a_drain_that_would_never_end_is_refused_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "toolgate.toml").write_text("tools = ['tests.http.desk:TOOLS']\n[server]\ndrain = '1h'\n")

    said = ran("serve", folder=tmp_path)

    assert said.returncode == 2
    assert "toolgate.toml:3: server.drain" in said.stderr
    assert "at most 300 seconds" in said.stderr
