"""Secrets of sinks reach no row, no log, no repr and no error, whatever goes wrong."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from tests.notify.conftest import SECRET, Opened, Receiver, one_notice, sink
from toolgate.adapters.notify import SlackNotifier, WebhookNotifier
from toolgate.operations import notify
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M12.13", "M1.14")

HIDDEN = "T0CANARY"
KEY = SECRET.removeprefix("whsec_")


@pytest.mark.parametrize(
    "answer", [200, 410, 500, (302, {"Location": "https://x.example/elsewhere"}), "nobody"]
)
async def test_secrets_of_a_sink_are_written_nowhere(
    opened: Opened,
    receiver: Receiver,
    clock: FakeClock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    answer: int | str,
) -> None:
    caplog.set_level(logging.DEBUG)
    port = 1 if answer == "nobody" else receiver.port
    receiver.answers.extend([answer, answer])
    address = f"http://127.0.0.1:{port}/{HIDDEN}"
    slack = sink(SlackNotifier(address), "slack")
    hook = sink(WebhookNotifier(address, [SECRET]), "hook")
    async with opened(slack, hook) as gateway:
        await one_notice(gateway)
        await notify.plan_notices(gateway.world)
        for each in (slack, hook):
            await notify.deliver_due(gateway.world, each)
        shown = repr((gateway.world.sinks, slack, hook, slack.notifier))
    with sqlite3.connect(tmp_path / "gate.db") as database:
        rows = "\n".join(database.iterdump())
    database.close()

    for place in (caplog.text, rows, shown):
        assert HIDDEN not in place
        assert KEY not in place
    if port == receiver.port:
        assert receiver.requests[0].line == f"POST /{HIDDEN} HTTP/1.1"
