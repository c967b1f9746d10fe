"""The message that Slack, and whatever else takes its format, is given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.notify.conftest import Opened, Receiver, one_notice, sink
from toolgate.adapters.notify import SlackNotifier
from toolgate.adapters.notify.slack import message
from toolgate.domain.canonical import canonical_json
from toolgate.domain.notice import TOPICS, console_link
from toolgate.domain.rows import NoticeRow
from toolgate.operations import notify
from toolgate.surfaces.console.paths import approval_path, call_path

pytestmark = pytest.mark.req("M12.13")

AT = 1_767_225_600_000_000


def notice(topic: str = "approval.requested", **said: Any) -> NoticeRow:
    body: dict[str, Any] = {
        "approval_id": "appr_1",
        "call_id": "call_1",
        "tool": "refund",
        "risk": "high",
        "requires_role": "lead or boss",
        "quorum": 2,
        "reason": "more than 50 euros",
        "caller": "ann",
        "agent": "desk",
        "tenant": "acme",
        "at": AT,
        "expires_at": AT + 3_600_000_000,
    } | said
    return NoticeRow("appr_1:1:requested:1", "acme", topic, "high", AT, canonical_json(body))


def texts(value: Any) -> list[str]:
    """Every text of a message, wherever it stands."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def test_a_message_says_who_asks_for_what_and_where_to_look() -> None:
    said = message(notice(), public_url="https://gate.example.com")

    assert said["text"] == "Approval needed: refund"
    whole = "\n".join(texts(said["blocks"]))
    for words in (
        "ann of acme, through desk",
        "high",
        "2 × lead or boss",
        "more than 50 euros",
        "1767229200",
    ):
        assert words in whole
    (button,) = said["blocks"][-1]["elements"]
    assert button["url"] == "https://gate.example.com/console/approvals/appr_1"


def test_a_link_only_leads_there_and_names_no_decision() -> None:
    said = message(notice(), public_url="https://gate.example.com")

    assert [text for text in texts(said) if "http" in text] == [
        "https://gate.example.com/console/approvals/appr_1"
    ]
    assert not {"action_id", "value", "response_url"} & set(said["blocks"][-1]["elements"][0])


def test_an_effect_in_doubt_leads_to_its_call() -> None:
    doubt = NoticeRow(
        "call_1:unknown",
        "acme",
        "effect.unknown",
        None,
        AT,
        canonical_json(
            {"call_id": "call_1", "tool": "refund", "caller": "ann", "agent": None, "tenant": "acme"}
        ),
    )

    said = message(doubt, public_url="https://gate.example.com/")

    assert said["blocks"][-1]["elements"][0]["url"] == "https://gate.example.com/console/calls/call_1"


def test_links_lead_to_where_the_console_has_its_pages() -> None:
    base = "https://gate.example.com"

    assert console_link(base, {"approval_id": "appr_1", "call_id": "call_1"}) == base + approval_path(
        "appr_1"
    )
    assert console_link(base, {"call_id": "call_1"}) == base + call_path("call_1")


def test_without_a_public_address_there_is_no_link() -> None:
    said = message(notice(), public_url=None)

    assert said["blocks"][-1]["type"] == "context"
    assert not [text for text in texts(said) if "http" in text]


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_has_words(topic: str) -> None:
    assert topic not in message(notice(topic), public_url=None)["text"]


@pytest.mark.parametrize("key", ["tool", "caller", "agent", "reason", "requires_role"])
def test_words_of_others_cannot_mention_link_or_hide_anything(key: str) -> None:
    evil = "<!channel> <https://evil.example|Approve> & \u202e\u200bsorry"

    said = message(notice(**{key: evil}), public_url=None)

    formatted = [text for text in texts(said) if "evil" in text]
    assert formatted
    for block in said["blocks"]:
        for element in [block.get("text"), *block.get("fields", []), *block.get("elements", [])]:
            if element and element["type"] == "mrkdwn" and "evil" in element["text"]:
                assert "&lt;!channel&gt;" in element["text"]
                assert "<" not in element["text"]
                assert element["verbatim"] is True
    assert "<" not in said["text"]
    assert "\u202e" not in "".join(formatted)
    assert "\u200b" not in "".join(formatted)


def test_long_words_are_cut_to_what_slack_takes() -> None:
    said = message(notice(tool="t" * 5000, caller="c" * 5000, reason="<" * 5000), public_url=None)

    assert len(said["blocks"][0]["text"]["text"]) <= 150
    assert all(len(text) <= 3000 for text in texts(said))
    assert all(len(field["text"]) <= 2000 for field in said["blocks"][1]["fields"])


async def test_a_message_goes_out_unsigned_and_without_arguments(opened: Opened, receiver: Receiver) -> None:
    async with opened(sink(SlackNotifier(receiver.url))) as gateway:
        await one_notice(gateway, 4711)
        await notify.plan_notices(gateway.world)
        await notify.deliver_due(gateway.world, gateway.world.sinks["ops"])

    (request,) = receiver.requests
    assert set(json.loads(request.body)) == {"text", "blocks"}
    assert not [name for name in request.headers if name.startswith("webhook-")]
    assert b"4711" not in request.body
