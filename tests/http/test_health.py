"""Alive, ready, and the numbers: what probers and monitoring are told."""

from __future__ import annotations

from typing import cast

import pytest

from tests.http.desk import ANA, Desk, open_desk
from toolgate import Caller
from toolgate.domain.commands import Append
from toolgate.ports import Keys
from toolgate.surfaces.http.health import ASKED_EVERY, PROBED_EVERY

OLGA = Caller("u-olga", roles={"operator"}, tenant="acme")


def probes(desk: Desk) -> int:
    return sum(
        b"trail_probed" in event.record
        for command in desk.store.executed
        if isinstance(command, Append)
        for event in command.events
    )


@pytest.mark.req("M5.13")
async def test_a_server_that_lives_says_so_whatever_its_store_does(desk: Desk) -> None:
    desk.store.fail(times=None)
    desk.store.fail_reads()

    answer = await desk.client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


@pytest.mark.req("M5.13")
async def test_ready_is_a_server_whose_store_takes_a_record(desk: Desk) -> None:
    answer = await desk.client.get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    assert probes(desk) == 1


@pytest.mark.req("M5.13")
async def test_a_store_that_cannot_be_written_makes_it_unready_until_it_can(desk: Desk) -> None:
    desk.store.fail(times=None)
    broken = await desk.client.get("/readyz")
    desk.store.mend()
    desk.clock.advance(ASKED_EVERY)
    mended = await desk.client.get("/readyz")

    assert (broken.status_code, broken.json()["detail"]) == (503, "the store cannot be written")
    assert broken.headers["retry-after"] == "5"
    assert mended.status_code == 200


@pytest.mark.req("M5.13")
async def test_a_call_that_could_not_be_recorded_makes_it_unready_at_once(desk: Desk) -> None:
    await desk.client.get("/readyz")
    desk.store.fail(times=None)
    await desk.call()
    desk.clock.advance(ASKED_EVERY)

    assert (await desk.client.get("/readyz")).status_code == 503


@pytest.mark.req("M5.13")
async def test_however_many_ask_the_trail_gets_a_record_now_and_then(desk: Desk) -> None:
    for _ in range(20):
        await desk.client.get("/readyz")
    desk.clock.advance(PROBED_EVERY - 1)
    await desk.client.get("/readyz")
    before = probes(desk)
    desk.clock.advance(1)
    await desk.client.get("/readyz")

    assert (before, probes(desk)) == (1, 2)


@pytest.mark.req("M5.13")
async def test_keys_that_do_not_open_what_they_sealed_make_it_unready(desk: Desk) -> None:
    desk.gateway.world.keys = cast("Keys", Forgetful())

    answer = await desk.client.get("/readyz")

    assert (answer.status_code, answer.json()["detail"]) == (503, "the keys do not open what they sealed")


class Forgetful:
    """Keys that open something else."""

    def encrypt(self, plaintext: bytes, **_: str) -> bytes:
        return plaintext

    def decrypt(self, sealed: bytes, **_: str) -> bytes:
        return sealed + b"?"


@pytest.mark.req("M5.13", "M5.14")
async def test_a_server_that_ends_wants_no_more_requests(desk: Desk) -> None:
    desk.office.closing.begin()

    assert (await desk.client.get("/readyz")).status_code == 503


@pytest.mark.req("M11.19")
async def test_calls_are_counted_by_tool_and_how_they_ended(desk: Desk) -> None:
    for _ in range(3):
        await desk.call()
    await desk.call("open_file")
    await desk.call(order_id=-1)

    numbers = (await desk.client.get("/metrics")).text

    assert 'toolgate_calls_total{status="succeeded",tool="read_order"} 3.0' in numbers
    assert 'toolgate_calls_total{status="pending_approval",tool="open_file"} 1.0' in numbers
    # One of them is the desk's own, which was made before anybody asked.
    assert 'toolgate_calls_total{status="refused",tool="read_order"} 2.0' in numbers
    assert 'toolgate_call_seconds_count{tool="read_order"} 3.0' in numbers
    assert "toolgate_approvals_open 1.0" in numbers
    assert "toolgate_effects_unknown 0.0" in numbers


@pytest.mark.req("M11.19")
async def test_a_call_is_counted_once_however_often_somebody_asks(desk: Desk) -> None:
    await desk.call()
    await desk.client.get("/metrics")
    await desk.call()
    await desk.client.get("/metrics")

    assert 'tool="read_order"} 2.0' in (await desk.client.get("/metrics")).text


@pytest.mark.req("M11.19")
async def test_names_that_callers_and_clients_make_up_become_no_labels(desk: Desk) -> None:
    for number in range(5):
        await desk.call(f"made_up_{number}")
        await desk.client.get(f"/nowhere/{number}")
        await desk.client.request(f"BREW{number}", "/echo")

    numbers = (await desk.client.get("/metrics")).text

    assert "made_up" not in numbers
    assert "nowhere" not in numbers
    assert "BREW" not in numbers
    assert 'toolgate_calls_total{status="refused",tool="unknown"} 5.0' in numbers
    assert 'toolgate_http_requests_total{method="GET",route="unmatched",status="404"} 5.0' in numbers
    assert 'toolgate_http_requests_total{method="other",route="/echo",status="405"} 5.0' in numbers


@pytest.mark.req("M11.19")
async def test_a_store_that_could_not_be_used_is_counted(desk: Desk) -> None:
    headers = {"authorization": f"Bearer {await desk.token()}"}
    desk.store.fail_reads()
    await desk.client.get("/who", headers=headers)
    desk.store.mend()

    assert "toolgate_store_errors_total 1.0" in (await desk.client.get("/metrics")).text


@pytest.mark.req("M11.19")
async def test_off_this_machine_the_numbers_need_somebody_who_may_see_every_call() -> None:
    async with open_desk(local=False) as desk:
        nobody = await desk.client.get("/metrics")
        ana = await desk.client.get("/metrics", headers={"authorization": f"Bearer {await desk.token(ANA)}"})
        olga = await desk.client.get(
            "/metrics", headers={"authorization": f"Bearer {await desk.token(OLGA)}"}
        )

    assert [answer.status_code for answer in (nobody, ana, olga)] == [401, 403, 200]


@pytest.mark.req("M11.19")
async def test_an_operator_may_make_the_numbers_public() -> None:
    async with open_desk(local=False, metrics="public") as desk:
        assert (await desk.client.get("/metrics")).status_code == 200
