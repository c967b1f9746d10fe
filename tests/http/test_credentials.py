"""Who sends a request, and what becomes of somebody who guesses."""

from __future__ import annotations

import pytest

from tests.http.desk import ANA, Desk, open_desk
from toolgate.operations.sessions import one_time_link, open_session
from toolgate.operations.tokens import NewToken, revoke_token
from toolgate.surfaces.http.throttle import FREE_FAILURES, LONGEST_WAIT, Throttle
from toolgate.testing import FakeClock


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


async def guess(desk: Desk, times: int) -> list[int]:
    return [
        (await desk.client.get("/who", headers=bearer(f"tgt_guess{number}"))).status_code
        for number in range(times)
    ]


@pytest.mark.req("M4.19")
async def test_a_token_in_the_header_says_who_asks(desk: Desk) -> None:
    answer = await desk.client.get("/who", headers=bearer(await desk.token()))

    assert (answer.status_code, answer.json()) == (200, {"id": ANA.id})


@pytest.mark.req("M4.19")
@pytest.mark.parametrize(
    "said",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Token tgt_x",
        "Bearer a b",
        "Bearer tgt_x, tgt_y",
        "Bearer " + "x" * 17_000,
    ],
)
async def test_whatever_is_no_bearer_token_is_told_what_is(desk: Desk, said: str) -> None:
    answer = await desk.client.get("/who", headers={"authorization": said})

    assert answer.status_code == 401
    assert "Bearer" in answer.json()["detail"]


@pytest.mark.req("M4.19")
async def test_two_credentials_are_none(desk: Desk) -> None:
    token = await desk.token()
    two = [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")]

    assert (await desk.client.get("/who", headers=two)).status_code == 401


@pytest.mark.req("M4.19")
async def test_a_credential_in_a_url_or_a_body_is_never_read(desk: Desk) -> None:
    token = await desk.token()

    answers = [
        await desk.client.get(f"/who?access_token={token}"),
        await desk.client.post("/who", data={"access_token": token}),
    ]

    assert [answer.status_code for answer in answers] == [401, 401]


@pytest.mark.req("M4.19", "M4.23")
async def test_a_session_belongs_into_its_cookie_and_opens_nothing_as_a_bearer(desk: Desk) -> None:
    link = await desk.gateway.operate(one_time_link)
    session = await desk.gateway.operate(open_session, link.secret)
    assert isinstance(session, NewToken)
    name = "toolgate"

    by_cookie = await desk.client.get("/who", headers={"cookie": f"{name}={session.secret}"})
    by_header = await desk.client.get("/who", headers=bearer(session.secret))

    assert (by_cookie.status_code, by_cookie.json()) == (200, {"id": "admin"})
    assert by_header.status_code == 401


@pytest.mark.req("M4.23")
async def test_a_link_opens_one_session_and_no_second(desk: Desk) -> None:
    link = await desk.gateway.operate(one_time_link)

    first = await desk.gateway.operate(open_session, link.secret)
    second = await desk.gateway.operate(open_session, link.secret)

    assert isinstance(first, NewToken)
    assert not isinstance(second, NewToken)


@pytest.mark.req("M4.27")
async def test_whoever_guesses_waits_longer_each_time(desk: Desk) -> None:
    assert await guess(desk, FREE_FAILURES) == [401] * FREE_FAILURES

    told_to_wait = await desk.client.get("/who", headers=bearer("tgt_another"))
    desk.clock.advance(1.0)
    after_a_second = await desk.client.get("/who", headers=bearer("tgt_another"))
    at_once_again = await desk.client.get("/who", headers=bearer("tgt_another"))

    assert (told_to_wait.status_code, told_to_wait.headers["retry-after"]) == (429, "1")
    assert told_to_wait.json()["type"] == "/problems/too_many_attempts"
    assert after_a_second.status_code == 401
    assert (at_once_again.status_code, at_once_again.headers["retry-after"]) == (429, "2")


@pytest.mark.req("M4.27")
async def test_a_guess_that_would_be_right_is_not_even_looked_at_while_waiting(desk: Desk) -> None:
    token = await desk.token()
    await guess(desk, FREE_FAILURES)

    assert (await desk.client.get("/who", headers=bearer(token))).status_code == 429


@pytest.mark.req("M4.27")
async def test_whoever_is_in_already_is_not_locked_out_by_a_neighbour_who_guesses(desk: Desk) -> None:
    token = await desk.token()
    before = await desk.client.get("/who", headers=bearer(token))
    await guess(desk, FREE_FAILURES + 1)

    after = await desk.client.get("/who", headers=bearer(token))

    assert (before.status_code, after.status_code) == (200, 200)


@pytest.mark.req("M4.27")
async def test_a_token_that_has_ended_is_no_guess_the_first_time(desk: Desk) -> None:
    token = await desk.token()
    await desk.client.get("/who", headers=bearer(token))
    (row,) = [row for row in await desk.store.tokens() if row.caller_id == ANA.id]
    await revoke_token(desk.gateway.world.store, row.token_id, by="test")

    assert (await desk.client.get("/who", headers=bearer(token))).status_code == 401
    assert len(desk.office.throttle) == 0


@pytest.mark.req("M4.27")
async def test_a_header_that_anybody_can_write_does_not_change_who_guesses() -> None:
    async with open_desk() as desk:
        for number in range(FREE_FAILURES):
            headers = bearer("tgt_x") | {"x-forwarded-for": f"198.51.100.{number}"}
            await desk.client.get("/who", headers=headers)

        assert await guess(desk, 1) == [429]


@pytest.mark.req("M4.27")
def test_an_address_starts_anew_after_a_quiet_while_and_never_waits_for_ever() -> None:
    clock = FakeClock()
    throttle = Throttle(clock.monotonic)
    for _ in range(50):
        throttle.failed("203.0.113.9")

    longest = throttle.wait("203.0.113.9")
    clock.advance(901.0)

    assert longest == LONGEST_WAIT
    assert throttle.wait("203.0.113.9") == 0.0
    throttle.failed("203.0.113.9")
    assert throttle.wait("203.0.113.9") == 0.0


@pytest.mark.req("M4.27")
def test_one_customers_many_ipv6_addresses_are_one_and_an_ipv4_one_stays_itself() -> None:
    throttle = Throttle(FakeClock().monotonic)
    for number in range(FREE_FAILURES):
        throttle.failed(f"2001:db8::{number}")
        throttle.failed("::ffff:203.0.113.9")

    assert throttle.wait("2001:db8::ffff") > 0
    assert throttle.wait("2001:db8:0:1::1") == 0
    assert throttle.wait("203.0.113.9") > 0


@pytest.mark.req("M4.27")
def test_what_is_remembered_of_addresses_is_bounded() -> None:
    throttle = Throttle(FakeClock().monotonic, most=10)
    for number in range(100):
        for _ in range(FREE_FAILURES):
            throttle.failed(f"10.0.0.{number}")

    assert len(throttle) == 10
    assert throttle.wait("10.0.0.99") > 0
    assert throttle.wait("10.0.0.0") == 0
