"""The outbox on each store: what is planned, due and listed, and what a damaged row may hold up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.approvals.desk import ANN, ask
from tests.notify.conftest import OPERATOR, Opened, Receiver, hook, one_notice, sink
from toolgate import Gateway
from toolgate.domain.duration import MICRO
from toolgate.domain.ledger.notices import DEAD
from toolgate.domain.principal import Declined
from toolgate.operations import notify
from toolgate.ports import Failed, Sent

if TYPE_CHECKING:
    from tests.approvals.desk import Desk
    from toolgate.domain.rows import NoticeRow
    from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M12.13", "M12.20")


class Listener:
    """A notifier that answers as it is told, and remembers."""

    def __init__(self, *answers: Sent | Failed) -> None:
        self.answers = list(answers)
        self.heard: list[str] = []

    async def send(self, notice: NoticeRow, *, now: int) -> Sent | Failed:
        self.heard.append(notice.notice_id)
        return self.answers.pop(0) if self.answers else Sent()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.filterwarnings("ignore:.*the memory store forgets")
async def test_each_sink_has_its_own_way_and_lists_show_what_matters_first(
    kind: str, tmp_path: Path, clock: FakeClock, desk: Desk
) -> None:
    gone = Failed("answered 410: the receiver is gone for good", final=True)
    good, bad = sink(Listener(), "good"), sink(Listener(gone, gone), "bad")
    store = None if kind == "memory" else f"sqlite:///{tmp_path / 'gate.db'}"
    gateway = Gateway([desk.tool()], store=store, clock=clock, sinks=[good, bad], housekeeping=None)
    async with gateway:
        for order in (1, 2):
            await ask(gateway, order, caller=ANN)
            clock.advance(1)
        assert await notify.plan_notices(gateway.world) == 2
        assert await notify.plan_notices(gateway.world) == 0

        due = await gateway.store.deliveries(state="pending", due=clock.now())
        assert [delivery.sink for delivery, _ in due] == ["bad", "good", "bad", "good"]
        assert await gateway.store.deliveries(state="pending", due=clock.now() - 10 * MICRO) == []
        mine = await gateway.store.deliveries(state="pending", sink="bad", limit=1)
        assert [delivery.sink for delivery, _ in mine] == ["bad"]

        assert await notify.deliver_due(gateway.world, good) == 2
        clock.advance(1)
        assert await notify.deliver_due(gateway.world, bad) == 2

        dead = await notify.list_deliveries(gateway.world, by=OPERATOR, state=DEAD)
        assert not isinstance(dead, Declined)
        assert [notice.at for _, notice in dead] == sorted((notice.at for _, notice in dead), reverse=True)
        assert len(await gateway.store.deliveries(state="delivered", tenant="acme")) == 2
        assert await gateway.store.deliveries(state="delivered", tenant="globex") == []


async def test_lists_are_bounded_and_know_their_states(opened: Opened) -> None:
    async with opened() as gateway:
        odd = await notify.list_deliveries(gateway.world, by=OPERATOR, state="lost")
        assert await notify.list_deliveries(gateway.world, by=OPERATOR, limit=-1) == []
    assert odd == Declined("invalid", "a delivery is pending, delivered, dead")


async def test_a_damaged_notice_holds_up_no_other(opened: Opened, receiver: Receiver, tmp_path: Path) -> None:
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway, 1)
        await one_notice(gateway, 2)
        with closing(sqlite3.connect(tmp_path / "gate.db")) as database, database:
            database.execute(
                "UPDATE notices SET body = x'ff' WHERE notice_id = (SELECT min(notice_id) FROM notices)"
            )
        assert await notify.plan_notices(gateway.world) == 2
        await notify.deliver_due(gateway.world, gateway.world.sinks["ops"])

        ((damaged, _),) = await gateway.store.deliveries(state="pending")
    assert damaged.last_error == "it could not be sent: UnicodeDecodeError"
    assert len(receiver.requests) == 1
