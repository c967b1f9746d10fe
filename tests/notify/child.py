"""A process that tells a receiver of one held call, and is killed in the midst of it."""

from __future__ import annotations

import asyncio
import sys

from tests.approvals.desk import ANN, Desk, ask
from tests.notify.conftest import SECRET
from toolgate import Gateway
from toolgate.adapters.notify import WebhookNotifier
from toolgate.domain.notice import Wanted
from toolgate.operations import notify
from toolgate.ports import Sink


async def main(database: str, url: str) -> None:
    sink = Sink(name="ops", wanted=Wanted(), notifier=WebhookNotifier(url, [SECRET]))
    async with Gateway(
        [Desk().tool()], store=f"sqlite:///{database}", sinks=[sink], housekeeping=None
    ) as gateway:
        await ask(gateway, caller=ANN)
        await gateway.operate(notify.plan_notices)
        await gateway.operate(notify.deliver_due, sink)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
