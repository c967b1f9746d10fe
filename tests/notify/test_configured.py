"""``[[approvals.notify]]`` and ``toolgate notifications``: from a file to a receiver, and mistakes in the file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import FAR, MAYA, Shop
from tests.notify.conftest import SECRET, Receiver
from toolgate import ConfigurationError, Gateway
from toolgate.config import load_settings
from toolgate.domain.redaction import redact_text
from toolgate.operations import notify
from toolgate.testing import FakeClock
from toolgate.webhooks import verify

pytestmark = pytest.mark.req("M12.13")

WEBHOOK = "[[approvals.notify]]\nwebhook = 'https://ops.example.com/x'\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(sys, "path", list(sys.path))
    return Shop(tmp_path, FakeClock(now=FAR))


async def hold(shop: Shop) -> None:
    """A call that waits, and a round of housekeeping in which it is told."""
    async with Gateway.from_config(shop.config, housekeeping=None, clock=shop.clock) as gateway:
        asked = {"order_id": 7, "amount_cents": 9000}
        await gateway.call("refund", asked, caller=MAYA, workflow="wf")
        await gateway.operate(notify.plan_notices)
        for sink in gateway.world.sinks.values():
            await gateway.operate(notify.deliver_due, sink)


async def test_a_webhook_of_the_file_is_sent_with_its_secret_and_the_address_of_the_console(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    (shop.folder / "old").write_text("an old secret that some receivers still hold\n", encoding="utf-8")
    shop.write(
        f"[server]\npublic_url = 'https://gate.example.com'\n"
        f"[[approvals.notify]]\nwebhook = '{receiver.url}'\nsecret = ['env:HOOK_SECRET', 'file:old']\n"
        "risk = ['high']\ntopics = ['approval.requested']\ntools = ['refund']\ntenant = ['acme']\n"
    )
    await hold(shop)

    (request,) = receiver.requests
    now = float(request.headers["webhook-timestamp"])
    for secret in (SECRET, "an old secret that some receivers still hold"):
        received = verify(request.headers, request.body, secret, now=now)
        assert received.data["url"].startswith("https://gate.example.com/console/approvals/appr_")


async def test_slack_of_the_file_gets_a_message(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", receiver.url)
    shop.write("[[approvals.notify]]\nslack = 'env:SLACK_WEBHOOK_URL'\n")
    await hold(shop)

    assert json.loads(receiver.requests[0].body)["text"] == "Approval needed: refund"


@pytest.mark.req("M1.13")
@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[approvals]\nnotify = 'x'", "2: approvals.notify", "write a list of tables"),
        ("[approvals]\nnotify = ['x']", "2: approvals.notify[0]", "write a table"),
        ("[[approvals.notify]]\nslak = 'env:X'", "2: approvals.notify[0].slak", "did you mean 'slack'?"),
        ("[[approvals.notify]]\nrisk = ['high']", "1: approvals.notify[0]", "say where it goes"),
        (f"{WEBHOOK}slack = 'env:X'", "1: approvals.notify[0]", "say where it goes, once"),
        (WEBHOOK, "1: approvals.notify[0]", "a webhook is signed: add the key secret"),
        (f"{WEBHOOK}secret = []", "3: approvals.notify[0].secret", "at least one"),
        (
            "[[approvals.notify]]\nwebhook = 'http://ops.example.com'\nsecret = 'env:X'",
            "2: approvals.notify[0].webhook",
            "write https://",
        ),
        (
            "[[approvals.notify]]\nslack = 'env:X'\nsecret = 'env:Y'",
            "3: approvals.notify[0].secret",
            "Slack checks no signature",
        ),
        (
            "[[approvals.notify]]\nslack = 'env:X'\nrisk = ['hihg']",
            "3: approvals.notify[0].risk",
            "write some of low, medium, high",
        ),
        (
            "[[approvals.notify]]\nslack = 'env:X'\ntopics = ['approved']",
            "3: approvals.notify[0].topics",
            "approval.approved",
        ),
        (
            "[[approvals.notify]]\nslack = 'env:X'\ntools = []",
            "3: approvals.notify[0].tools",
            "nothing would be",
        ),
        (
            "[[approvals.notify]]\nslack = 'env:X'\ntenant = 'a'",
            "3: approvals.notify[0].tenant",
            "list of texts",
        ),
        ("[[approvals.notify]]\nslack = 'env:X'\nname = 'A b'", "3: approvals.notify[0].name", "a-z, 0-9"),
        (
            "[[approvals.notify]]\nslack = 'env:X'\n[[approvals.notify]]\nslack = 'env:Y'",
            "3: approvals.notify[1]",
            "two are named 'slack'",
        ),
    ],
)
def test_a_mistake_about_a_sink_is_told_with_its_place(shop: Shop, text: str, place: str, words: str) -> None:
    shop.config.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError) as caught:
        load_settings(shop.config)

    # As it is printed: what looks like a secret is replaced there, and the words about one must not.
    said = redact_text(str(caught.value))
    assert said.startswith((f"{shop.config}:{place}: ", f"{shop.config}:{place} cannot be used: "))
    assert words in said
    assert "[redacted" not in said


@pytest.mark.req("M1.14")
@pytest.mark.parametrize(
    "text",
    [
        "[[approvals.notify]]\nslack = 'https://hooks.slack.com/services/geheim'",
        f"{WEBHOOK}secret = 'whsec_geheimgeheimgeheimgeheimgeheimgeheim'",
        f"{WEBHOOK}secret = ['env:X', 'geheim']",
        f"{WEBHOOK}secret = {{ geheim = 1 }}",
        "[[approvals.notify]]\nwebhook = 'https://u:geheim@ops.example.com'\nsecret = 'env:X'",
    ],
)
def test_a_secret_in_the_file_itself_is_refused_and_not_repeated(shop: Shop, text: str) -> None:
    shop.config.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError) as caught:
        load_settings(shop.config)

    assert "geheim" not in str(caught.value)
    assert "env:NAME" in str(caught.value) or "by reference" in str(caught.value)


@pytest.mark.req("M1.14")
@pytest.mark.parametrize(
    ("address", "secret", "words"),
    [
        (None, SECRET, "HOOK is not set"),
        ("https://ops.example.com", None, "SECRET is not set"),
        ("https://ops.example.com", "geheim", "24 random ones"),
        ("https://ops.example.com", "whsec_geheim!", "not base64"),
        ("http://geheim.example.com", SECRET, "write https://"),
    ],
)
def test_a_gateway_that_keeps_house_does_not_start_with_a_sink_of_no_use(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, address: str | None, secret: str | None, words: str
) -> None:
    for name, value in (("HOOK", address), ("SECRET", secret)):
        if value is not None:
            monkeypatch.setenv(name, value)
    shop.write("[[approvals.notify]]\nwebhook = 'env:HOOK'\nsecret = 'env:SECRET'\n")

    with pytest.raises(ConfigurationError, match=words) as caught:
        Gateway.from_config(shop.config)

    assert "geheim" not in str(caught.value)
    assert str(shop.config) in str(caught.value)


@pytest.mark.req("M1.13")
def test_a_later_file_says_anew_who_hears_of_it(shop: Shop) -> None:
    shop.write(f"{WEBHOOK}secret = 'env:X'\n")
    second = shop.folder / "prod.toml"
    second.write_text("[[approvals.notify]]\nslack = 'env:SLACK'\nname = 'ops'\n", encoding="utf-8")

    assert [sink.name for sink in load_settings(shop.config, second).sinks] == ["ops"]
    assert "https" not in repr(load_settings(shop.config).sinks)


async def test_the_command_line_lists_what_is_dead_and_an_operator_begins_it_anew(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    shop.write(
        f"[[approvals.notify]]\nwebhook = '{receiver.url}'\nsecret = 'env:HOOK_SECRET'\nname = 'ops'\n"
    )
    receiver.answers.append(410)
    await hold(shop)
    monkeypatch.delenv("HOOK_SECRET")

    listed = await shop("notifications", "list", "--json")
    (row,) = listed.json
    words = ("notifications", "retry", row["notification"], row["sink"])
    clerk = await shop(*words, token=await shop.token("u-maya", "support"))
    operator = await shop(*words, token=await shop.token("u-ops", "operator"))
    again = await shop(*words, token=await shop.token("u-ops", "operator"))

    assert (row["topic"], row["sink"], row["state"], row["attempts"]) == (
        "approval.requested",
        "ops",
        "dead",
        1,
    )
    assert row["last_error"] == "answered 410: the receiver is gone for good"
    assert (await shop(*words)).code == 2
    assert clerk.code == 1
    assert "needs the role operator" in clerk.err
    assert operator.code == 0, operator.err
    assert again.code == 1
    assert (await shop("notifications", "list")).out.strip() == "No notification is dead."
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    async with Gateway.from_config(shop.config, housekeeping=None, clock=shop.clock) as gateway:
        await gateway.sweep()
        await receiver.until(2)
    assert receiver.ids[0] == receiver.ids[1] == row["notification"]


async def test_what_is_on_its_way_is_listed_with_its_last_answer_and_the_next_attempt(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    shop.write(f"[[approvals.notify]]\nwebhook = '{receiver.url}'\nsecret = 'env:HOOK_SECRET'\n")
    receiver.answers.append(500)
    await hold(shop)

    shown = await shop("notifications", "list", "--state", "pending")

    assert "approval.requested of acme" in shown.out
    assert "pending, attempts: 1, next 01 Jan" in shown.out
    assert shown.out.rstrip().endswith("answered 500")
    assert all(len(line) <= 80 for line in shown.out.splitlines())
