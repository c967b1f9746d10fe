"""Operators who loosen a tool by mistake or on purpose: each way of writing it is refused, or demands no less."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolgate import ConfigurationError
from toolgate.config import load_settings
from toolgate.domain.approval import Requirement, condition_reason
from toolgate.domain.contract import Contract

TOOLS = 'tools = ["tests.config.desk:tools"]\n'


@pytest.fixture(autouse=True)
def _path_as_before() -> Iterator[None]:
    before = list(sys.path)
    yield
    sys.path[:] = before


def contract(folder: Path, *texts: str) -> Contract:
    """``refund`` of the desk as several files make it."""
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"{number}.toml")
        files[-1].write_text(text, encoding="utf-8")
    (found,) = [tool.contract for tool in load_settings(*files).tools() if tool.name == "refund"]
    return found


@pytest.mark.req("M1.12", "M1.13")
@pytest.mark.parametrize(
    "line",
    [
        "approval = {}\ntimeout = nan",
        "timeout = inf",
        "timeout = -1",
        "timeout = true",
        "timeout = '11s'",
        "timeout = '0.0001w'",
        "horizon = nan",
        "horizon = '59m'",
        "retries = { attempts = 3, delay = nan }",
        "retries = { attempts = 3, delay = 0.5 }",
        "retries = { attempts = true }",
        "retries = 4",
        "retries = -1",
        "rate_limit = '31/minute'",
        "rate_limit = '1/s'\nrate_limit_ = '1/s'",
        "rate_limit = '0/minute'",
        "rate_limit = '\u0663\u0661/minute'",
        "concurrency = 0",
        "concurrency = 9",
        "concurrency = true",
        "breaker = { failures = 6 }",
        "breaker = { failures = 5, cooldown = nan }",
        "breaker = { failures = 5, cooldown = '29s' }",
        "breaker = 'none'",
        "result_size = '33KiB'",
        "result_size = -1",
        "result_size = 40000.0",
        "roles = []",
        "roles = ['']",
        "roles = 'anyone'",
        "roles = ['anyone']",
        "roles = ['support', 'intern']",
        "roles = ['Support']",
        "effect = 'read'",
        "effect = 'READ'",
        "enabled = 'no'",
        "honours_key = 'yes'",
        "isolation = 'none'",
        "authorize = 'os:getcwd'",
        "idempotency = 'x:{order_id}:{amount_cents}'",
        "approval_waiver = 'nobody has the time for this'",
        "approval = 'never'",
        "approval = false",
        "approval = { quorum = 1 }",
        "approval = { quorum = 0 }",
        "approval = { quorum = true }",
        "approval = { approvers = [] }",
        "approval = { approvers = 'support' }",
        "approval = { when = {} }",
        "approval = { when = 'never' }",
        "approval = { when = false }",
        "approval = { when = { amount_cents = {} } }",
        "approval = { when = { amount_cents = { like = 1 } } }",
        "approval = { expires_in = '9h' }",
        "approval = { expires_in = inf }",
        "approval = { risk = 'low' }",
        "approval = { also = [] }",
        "sensitive = ['nothing_of_this_name']",
    ],
)
def test_a_value_that_loosens_or_means_nothing_is_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        contract(tmp_path, f"{TOOLS}[overrides.refund]\n{line}\n")


@pytest.mark.req("M1.12", "X2.10")
@pytest.mark.parametrize(
    "line",
    [
        "approval = { approvers = ['support'] }",
        "approval = { approvers = ['support', 'lead', 'billing_admin'] }",
        "approval = { when = { amount_cents = { gt = 400000 } } }",
        "approval = { when = { amount_cents = { lt = 0 } } }",
        "approval = { when = { amount_cents = { gt = 9000 }, order_id = { gt = 1 } }, approvers = ['support'] }",
        "approval = { reason = 'quick' }",
    ],
)
def test_another_condition_or_other_approvers_only_add_to_what_the_code_demands(
    line: str, tmp_path: Path
) -> None:
    approval = contract(tmp_path, f"{TOOLS}[overrides.refund]\n{line}\n").approval
    assert approval is not None

    asking = [
        Requirement(reason="", approvers=(part.approvers,), quorum=part.quorum, expires_in=part.expires_in)
        for part in approval.parts
        if not callable(part.when)
        and (part.when is None or condition_reason(part.when, {"amount_cents": 5001, "order_id": 1}))
    ]
    assert asking
    demanded = asking[0]
    for more in asking[1:]:
        demanded = demanded.merged(more)
    assert frozenset({"billing_admin"}) in demanded.approvers
    assert demanded.quorum >= 2
    assert demanded.expires_in <= 8 * 3600


@pytest.mark.req("M1.12")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("rate_limit = '5/minute'", "rate_limit = '30/minute'"),
        ("timeout = '2s'", "timeout = '10s'"),
        ("enabled = false", "enabled = true"),
        ("roles = ['lead']", "roles = ['support', 'lead']"),
        ("effect = 'destructive'", "effect = 'write'"),
        ("isolation = 'process'", "isolation = 'shared'"),
        ("result_trust = 'untrusted'", "result_trust = 'trusted'"),
        ("external = true", "external = false"),
        ("honours_key = false", "honours_key = true"),
        ("result_size = '1KiB'", "result_size = '32KiB'"),
        ("approval = { quorum = 3 }", "approval = { quorum = 2 }"),
    ],
)
def test_a_second_file_does_not_take_back_what_the_first_tightened(
    first: str, second: str, tmp_path: Path
) -> None:
    before = contract(tmp_path, f"{TOOLS}[overrides.refund]\n{first}\n")
    try:
        after = contract(tmp_path, f"{TOOLS}[overrides.refund]\n{first}\n", f"[overrides.refund]\n{second}\n")
    except ConfigurationError:
        return
    assert before.approval is not None
    assert after.approval is not None
    assert max(part.quorum for part in after.approval.parts) >= max(
        part.quorum for part in before.approval.parts
    )
    assert "approval" in first
