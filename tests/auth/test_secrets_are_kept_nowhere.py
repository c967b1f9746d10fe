"""What opens a door lies in no file, row, record or log line."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from tests.auth.conftest import agent_token, read_order, token
from tests.auth.fake_issuer import REDIRECT, FakeIssuer, access_token
from toolgate import Gateway
from toolgate.operations.authenticate import REFUSED, authenticate
from toolgate.operations.exchange_token import ACCESS_TOKEN, GRANT_TYPE, Exchange, Exchanged, exchange_token
from toolgate.operations.sessions import csrf_of, one_time_link, open_session, session
from toolgate.operations.sign_in import SignInBegun, begin_sign_in
from toolgate.operations.tokens import NewToken
from toolgate.testing import FakeClock


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.mark.req("M4.14", "M11.1")
async def test_no_secret_of_any_kind_reaches_the_disk_or_the_log(
    tmp_path: Path, clock: FakeClock, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    side = issuer.gate_side()
    store = f"sqlite:///{tmp_path / 'gate.db'}"
    async with Gateway(
        [read_order], store=store, clock=clock, issuer=side, sign_in=side, housekeeping=None
    ) as gate:
        user, agent, link = await token(gate), await agent_token(gate), await gate.operate(one_time_link)
        opened = await gate.operate(open_session, user.secret)
        by_link = await gate.operate(open_session, link.secret)
        assert isinstance(opened, NewToken)
        assert isinstance(by_link, NewToken)
        asked = Exchange(
            grant_type=GRANT_TYPE,
            subject_token=user.secret,
            subject_token_type=ACCESS_TOKEN,
            actor_token=agent.secret,
            actor_token_type=ACCESS_TOKEN,
        )
        exchanged = await gate.operate(exchange_token, asked)
        begun = await gate.operate(begin_sign_in, redirect_uri=REDIRECT)
        assert isinstance(exchanged, Exchanged)
        assert isinstance(begun, SignInBegun)
        jwt = access_token()
        secrets = [user.secret, agent.secret, link.secret, opened.secret, by_link.secret, jwt]
        secrets += [exchanged.token.secret, begun.cookie, await gate.operate(csrf_of, opened.secret)]
        for secret in (*secrets, *(secret[:-2] + "xx" for secret in secrets)):
            await gate.operate(authenticate, secret)
            await gate.operate(session, secret)
            await gate.operate(open_session, secret)
        shown = repr([user, opened, exchanged, asked, begun, gate.world, await gate.store.tokens()])
        while_open = bytes_of(tmp_path)
    on_disk = while_open + bytes_of(tmp_path)

    assert not [secret for secret in secrets if secret.encode() in on_disk]
    assert not [secret for secret in secrets if secret in shown + caplog.text]
    assert user.row.token_id in caplog.text + shown


@pytest.mark.req("M4.23")
async def test_of_two_servers_on_one_database_one_takes_the_link(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'gate.db'}"
    async with (
        Gateway([read_order], store=store, housekeeping=None) as one,
        Gateway([read_order], store=store, housekeeping=None) as two,
    ):
        link = await one.operate(one_time_link)
        answers = await asyncio.gather(
            *(gate.operate(open_session, link.secret) for gate in (one, two) for _ in range(5))
        )
        (made,) = [answer for answer in answers if isinstance(answer, NewToken)]
        found = await two.operate(session, made.secret), await one.operate(session, made.secret)

    assert answers.count(REFUSED) == 9
    assert REFUSED not in found
