"""A session is used on several servers: its last request is known to each of them, whichever answered it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.crash.business import TOOLS
from toolgate import Caller, Gateway
from toolgate.domain.principal import Declined, Principal
from toolgate.operations.sessions import csrf_of, end_session, open_session, session, shown_again
from toolgate.operations.tokens import NewToken, create_token
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("X3.63", "M4.23")

MINUTE = 60.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def replicas(tmp_path: Path, clock: FakeClock) -> AsyncIterator[tuple[Gateway, Gateway]]:
    async with AsyncExitStack() as stack:
        here, there = [
            await stack.enter_async_context(
                Gateway(TOOLS, store=f"sqlite:///{tmp_path / 'gate.db'}", clock=clock, housekeeping=None)
            )
            for _ in range(2)
        ]
        yield here, there


async def signed_in(gate: Gateway) -> NewToken:
    world = gate.world
    made = await create_token(
        gate.store,
        world.keys,
        world.ids,
        caller=Caller("u-ana", roles={"support"}, tenant="acme"),
        lasting=86_400.0,
        by="keyholder:test",
    )
    opened = await gate.operate(open_session, made.secret)
    assert isinstance(opened, NewToken)
    return opened


async def asks(gate: Gateway, shown: str, ends: int) -> str | None:
    """One request with a cookie: the next cookie, or None where it opens nothing."""
    found = await gate.operate(session, shown)
    if isinstance(found, Declined):
        return None
    assert isinstance(found, Principal)
    return (await gate.operate(shown_again, shown, ends=ends)).text


async def test_what_one_server_answered_keeps_the_session_alive_at_another(
    replicas: tuple[Gateway, Gateway], clock: FakeClock
) -> None:
    here, there = replicas
    opened = await signed_in(here)
    cookie = await asks(there, opened.secret, opened.row.expires_at)
    for _ in range(6):
        clock.advance(20 * MINUTE)
        assert cookie is not None
        cookie = await asks(here, cookie, opened.row.expires_at)

    assert cookie is not None
    assert await asks(there, cookie, opened.row.expires_at) is not None


async def test_a_session_that_no_server_saw_for_half_an_hour_is_over_on_all_of_them(
    replicas: tuple[Gateway, Gateway], clock: FakeClock
) -> None:
    here, there = replicas
    opened = await signed_in(here)
    cookie = await asks(here, opened.secret, opened.row.expires_at)
    assert cookie is not None
    clock.advance(30 * MINUTE)

    assert await asks(there, cookie, opened.row.expires_at) is None
    assert await asks(here, cookie, opened.row.expires_at) is None


async def test_who_leaves_the_mark_out_counts_from_the_opening_at_a_server_that_never_saw_them(
    replicas: tuple[Gateway, Gateway], clock: FakeClock
) -> None:
    here, there = replicas
    opened = await signed_in(here)
    clock.advance(30 * MINUTE)

    assert await asks(there, opened.secret, opened.row.expires_at) is None


async def test_a_mark_that_is_none_of_ours_keeps_nobody_signed_in(
    replicas: tuple[Gateway, Gateway], clock: FakeClock
) -> None:
    here, there = replicas
    mine, other = await signed_in(here), await signed_in(here)
    clock.advance(20 * MINUTE)
    fresh = (await here.operate(shown_again, other.secret, ends=other.row.expires_at)).text
    _, moment, proof = fresh.split(".")
    clock.advance(20 * MINUTE)
    later = str(int(moment) + 1)

    for forged in (
        f"{mine.secret}.{moment}.{proof}",
        f"{mine.secret}.{clock.now()}.{proof}",
        f"{mine.secret}.{later}.",
        f"{mine.secret}.{'9' * 40}.{proof}",
        f"{mine.secret}.²³.{proof}",
        f"{mine.secret}..",
    ):
        assert await asks(there, forged, mine.row.expires_at) is None


async def test_with_a_mark_it_is_the_same_session(replicas: tuple[Gateway, Gateway]) -> None:
    here, there = replicas
    opened = await signed_in(here)
    shown = await here.operate(shown_again, opened.secret, ends=opened.row.expires_at)

    assert await here.operate(csrf_of, shown.text) == await there.operate(csrf_of, opened.secret)
    assert 0 < shown.lasts <= 8 * 3600
    assert opened.secret not in repr(shown)
    await there.operate(end_session, shown.text)
    assert await asks(here, shown.text, opened.row.expires_at) is None
