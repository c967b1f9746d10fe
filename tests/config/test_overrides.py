"""Overrides: an operator tightens a tool of the code and never loosens it."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config import desk
from tests.config.conftest import Write
from tests.people import decide_approval
from toolgate import (
    Approval,
    Caller,
    ConfigurationError,
    Contract,
    Gateway,
    Job,
    PendingApproval,
    Rate,
    Succeeded,
    tool,
)
from toolgate.adapters.reservations import ProcessReservations
from toolgate.config import load_settings
from toolgate.config.consent import tightened_approval, with_default_expiry
from toolgate.config.overrides import AUTHORS, KEYWORDS, tightened
from toolgate.config.problems import Source
from toolgate.domain.ledger import stored_requirement
from toolgate.domain.limits import Limits
from toolgate.domain.rows import ByApproval

pytestmark = pytest.mark.req("M1.12")

HEAD = 'tools = ["tests.config.desk:tools"]\n'
SUPPORT = Caller("u-maya", roles={"support"})


def contracts(write: Write, text: str) -> Mapping[str, Contract]:
    return {tool.name: tool.contract for tool in load_settings(write(HEAD + text)).tools()}


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("rate_limit", '"10/minute"', "rate_limit", Rate(10, 60.0)),
        ("rate_limit", '"30/minute"', "rate_limit", Rate(30, 60.0)),
        ("rate_limit", '"30/hour"', "rate_limit", Rate(30, 3600.0)),
        ("timeout", "2.5", "timeout", 2.5),
        ("timeout", '"PT5S"', "timeout", 5.0),
        ("concurrency", "2", "concurrency", 2),
        ("roles", '["lead"]', "roles", frozenset({"lead"})),
        ("result_size", '"1KiB"', "result_size", 1024),
        ("enabled", "false", "enabled", False),
        ("honours_key", "false", "honours_key", False),
        ("external", "true", "external", True),
        ("effect", '"destructive"', "effect", "destructive"),
        ("horizon", '"2h"', "horizon", 7200.0),
        ("result_trust", '"untrusted"', "result_trust", "untrusted"),
        ("isolation", '"process"', "isolation", "process"),
        ("sensitive", '["order_id"]', "sensitive", (("order_id",),)),
        ("owner", '"platform"', "owner", "platform"),
        ("tags", '["money"]', "tags", frozenset({"money"})),
    ],
)
def test_a_tighter_value_counts(write: Write, key: str, value: str, field: str, expected: Any) -> None:
    assert getattr(contracts(write, f"[overrides.refund]\n{key} = {value}")["refund"], field) == expected


def test_retries_and_breaker_tighten_by_part(write: Write) -> None:
    fewer = contracts(write, "[overrides.refund]\nretries = 2")["refund"]
    slower = contracts(write, "[overrides.refund]\nretries = { delay = '2s' }")["refund"]
    breaker = contracts(write, "[overrides.refund]\nbreaker = { failures = 2 }")["refund"].breaker

    assert fewer.retries is not None
    assert slower.retries is not None
    assert (fewer.retries.attempts, fewer.retries.delay) == (2, 1.0)
    assert (slower.retries.attempts, slower.retries.delay) == (3, 2.0)
    assert breaker is not None
    assert (breaker.failures, breaker.cooldown) == (2, 30.0)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("refund", "rate_limit", '"31/minute"'),
        ("refund", "rate_limit", '"31/hour"'),
        ("refund", "rate_limit", '"1/s"'),
        ("refund", "timeout", "11"),
        ("refund", "concurrency", "9"),
        ("refund", "roles", '["support", "intern"]'),
        ("refund", "roles", '"anyone"'),
        ("refund", "result_size", '"33KiB"'),
        ("read_order", "result_size", '"65KiB"'),
        ("refund", "effect", '"read"'),
        ("refund", "horizon", '"59m"'),
        ("refund", "retries", "4"),
        ("read_order", "retries", "2"),
        ("refund", "retries", "{ delay = '0.5s' }"),
        ("refund", "breaker", "{ failures = 6 }"),
        ("refund", "breaker", "{ cooldown = '10s' }"),
        ("refund", "approval", "{ quorum = 1 }"),
        ("refund", "approval", '{ risk = "low" }'),
        ("refund", "approval", '{ expires_in = "9h" }'),
        ("refund", "approval", '{ approvers = "caller" }'),
        ("refund", "approval", '{ approvers = "caller", when = "always", quorum = 2 }'),
        (
            "delete_order",
            "approval",
            '{ approvers = ["lead"], when = { order_id = { gt = 1 } }, expires_in = "25h" }',
        ),
    ],
)
def test_a_looser_value_is_an_error_that_says_so(write: Write, name: str, key: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        contracts(write, f"[overrides.{name}]\n{key} = {value}")

    assert f"toolgate.toml:3: overrides.{name}.{key}" in str(caught.value)
    assert "never loosen" in str(caught.value)


def test_a_waiver_only_loosens(write: Write) -> None:
    with pytest.raises(ConfigurationError, match="only loosens"):
        contracts(write, '[overrides.refund]\napproval_waiver = "we are in a hurry today"')


@pytest.mark.parametrize("key", sorted(AUTHORS))
def test_what_only_the_code_can_say_is_refused(write: Write, key: str) -> None:
    with pytest.raises(ConfigurationError, match="only the code says this"):
        contracts(write, f'[overrides.refund]\n{key} = "x"')


@pytest.mark.req("M7.17")
def test_an_override_makes_a_tool_a_job_and_narrows_its_queue(write: Write) -> None:
    given = contracts(write, "[overrides.refund]\njob = { concurrency = 2, rate = '10/minute' }")[
        "refund"
    ].job
    assert given == Job(concurrency=2, rate="10/minute")
    assert contracts(write, "[overrides.refund]\njob = true")["refund"].job == Job()
    assert contracts(write, "[overrides.refund]\njob = false")["refund"].job is None
    with pytest.raises(ConfigurationError, match=r"job\.at_once"):
        contracts(write, "[overrides.refund]\njob = { at_once = 2 }")
    with pytest.raises(ConfigurationError, match="no whole number from 0"):
        contracts(write, "[overrides.refund]\njob = { priority = -1 }")


@pytest.mark.req("M7.17")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("job = false", "the tool runs as a job"),
        ("job = { concurrency = 5 }", "5 at once are more than the tool's own 4"),
        ("job = { rate = '11/minute' }", "11/minute is more than the tool's own 10/minute"),
    ],
)
def test_an_override_never_widens_the_queue_of_a_job(text: str, words: str) -> None:
    given = tomllib.loads(text)
    source = Source(Path("toolgate.toml"), {})
    own = replace(desk.refund.contract, job=Job(concurrency=4, rate="10/minute"))

    with pytest.raises(ConfigurationError, match=words):
        tightened(own, given, source.at(("overrides", "refund")), result_size=1000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[overrides.refnd]\ntimeout = 1",
            ":2: overrides.refnd: there is no such key; did you mean 'refund'?",
        ),
        (
            "[overrides.refund]\ntimeot = 1",
            ":3: overrides.refund.timeot: there is no such key; did you mean 'timeout'?",
        ),
        ("[overrides.refund]\nroles = []", "enabled = false"),
        ("[overrides.refund]\nroles = 'lead'", "write a list"),
        ("[overrides.refund]\nenabled = 1", "true or false"),
        ("[overrides.refund]\neffect = ['read']", "'read', 'write' or 'destructive'"),
        ("[overrides.refund]\nresult_trust = ['x']", "untrusted"),
        ("[overrides.refund]\nsensitive = ['nothing']", "no argument of the tool"),
        ("[overrides.refund]\nretries = { attemps = 1 }", "did you mean 'attempts'?"),
        ("[overrides.refund]\nretries = 0", "at least 1"),
        ("[overrides.refund]\nbreaker = { failure = 1 }", "did you mean 'failures'?"),
        ("[overrides.refund]\napproval = true", "write a table"),
        ("[overrides.refund]\napproval = { approver = ['x'] }", "did you mean 'approvers'?"),
        ("[overrides.refund]\napproval = { when = {} }", "empty condition"),
        ("[overrides.refund]\napproval = { when = { amount_cents = { over = 1 } } }", "is not one of"),
        ("[overrides.refund]\napproval = { when = { amount_cents = { gt = 2020-01-01 } } }", "approval.when"),
        ("[overrides.refund]\napproval = { when = 'sometimes' }", "'always'"),
        ("[overrides.refund]\napproval = { risk = 'huge' }", "low, medium, high"),
        ("[overrides.read_order]\napproval = { quorum = 2 }", "name the roles that may decide"),
        ("[overrides.read_order]\napproval = { approvers = 'lead' }", "or 'caller'"),
        ("[overrides.read_order]\napproval = { approvers = ['caller'] }", "'caller' is no role"),
        ("[overrides.read_order]\napproval = { approvers = 'caller', quorum = 2 }", "one person"),
    ],
)
def test_a_mistake_in_an_override_is_told_at_its_line(write: Write, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        contracts(write, text)

    assert words in str(caught.value)


def test_a_later_file_cannot_take_back_what_an_earlier_one_demands(write: Write) -> None:
    first = write(HEAD + "[overrides.refund]\ntimeout = 5\nenabled = false\n")
    second = write("[overrides.refund]\nenabled = true\n", "prod.toml")
    third = write("[overrides.refund]\ntimeout = 4\n", "tight.toml")

    assert load_settings(first, third).tools()[0].contract.timeout == 4.0
    with pytest.raises(ConfigurationError, match=r"prod\.toml:2: overrides\.refund\.enabled: .*never loosen"):
        load_settings(first, second).tools()


def test_the_code_itself_is_left_as_it_is(write: Write) -> None:
    before = desk.refund.contract

    changed = contracts(write, "[overrides.refund]\ntimeout = 1")["refund"]

    assert desk.refund.contract is before
    assert changed.digest != before.digest


rates = st.builds(Rate, st.integers(1, 50), st.sampled_from([1.0, 60.0, 3600.0]))


@given(own=rates, chosen=rates, times=st.lists(st.floats(0, 30), max_size=60))
def test_a_rate_that_is_accepted_never_allows_what_the_tools_own_forbids(
    own: Rate, chosen: Rate, times: list[float]
) -> None:
    contract = replace(desk.refund.contract, rate_limit=own)
    where = Source(Path("t.toml"), {}).at(("overrides", "refund"))
    try:
        tight = tightened(contract, {"rate_limit": _written(chosen)}, where, result_size=1)
    except ConfigurationError:
        assert chosen.count > own.count or chosen.count / chosen.per > own.count / own.per
        return

    moment = [0.0]
    by_own, by_tight = (
        ProcessReservations(Limits(), monotonic=lambda: moment[0], sync_tools=frozenset()) for _ in "ab"
    )
    assert tight.rate_limit is not None
    allowed = {True: 0, False: 0}
    for at in sorted(times):
        moment[0] = at
        allowed[True] += by_own.spend(("x",), own) == 0
        allowed[False] += by_tight.spend(("x",), tight.rate_limit) == 0
        assert allowed[False] <= allowed[True]


def _written(rate: Rate) -> str:
    return f"{rate.count}/{ {1.0: 's', 60.0: 'm', 3600.0: 'h'}[rate.per] }"


# --- approvals ------------------------------------------------------------------------------------------------


async def held(write: Write, override: str, amount: int, *, name: str = "refund") -> tuple[Any, Any]:
    """What a call answers under an override, and what its approval demands."""
    path = write(HEAD + override)
    async with Gateway.from_config(path, housekeeping=None) as gateway:
        arguments = {"order_id": 1} | ({"amount_cents": amount} if name == "refund" else {})
        outcome = await gateway.call(name, arguments, caller=Caller("u-maya", roles={"support", "lead"}))
        if not isinstance(outcome, PendingApproval):
            return outcome, None
        found = await gateway.store.find(ByApproval(outcome.approval_id))
        assert found.approval is not None
        return outcome, stored_requirement(found.approval)


@pytest.mark.filterwarnings("ignore:.*has effects:UserWarning")
async def test_either_condition_asks_and_each_asks_for_its_own_approvers(write: Write) -> None:
    override = (
        '[overrides.refund]\napproval = { approvers = ["finance"], when = { amount_cents = { gt = 2000 } } }'
    )

    small, _ = await held(write, override, 1500)
    middle, by_operator = await held(write, override, 3000)
    large, by_both = await held(write, override, 9000)

    assert isinstance(small, Succeeded)
    assert isinstance(middle, PendingApproval)
    assert isinstance(large, PendingApproval)
    assert (by_operator.approvers, by_operator.quorum) == ((frozenset({"finance"}),), 2)
    assert set(by_both.approvers) == {frozenset({"billing_admin"}), frozenset({"finance"})}


@pytest.mark.filterwarnings("ignore:.*has effects:UserWarning")
async def test_a_narrower_condition_does_not_let_through_what_the_code_holds(write: Write) -> None:
    override = '[overrides.refund]\napproval = { approvers = ["finance"], when = { amount_cents = { gt = 100000 } } }'

    outcome, required = await held(write, override, 9000)

    assert isinstance(outcome, PendingApproval)
    assert required.approvers == (frozenset({"billing_admin"}),)


@pytest.mark.filterwarnings("ignore:.*has effects:UserWarning")
async def test_a_condition_on_a_tool_that_always_asks_changes_nothing_of_that(write: Write) -> None:
    override = "[overrides.delete_order]\napproval = { when = { order_id = { gt = 500 } } }"

    outcome, _ = await held(write, override, 1, name="delete_order")

    assert isinstance(outcome, PendingApproval)


@pytest.mark.filterwarnings("ignore:.*has effects:UserWarning")
async def test_what_is_left_out_is_the_codes_own(write: Write) -> None:
    override = '[overrides.refund]\napproval = { quorum = 3, risk = "high", expires_in = "1h" }'

    small, _ = await held(write, override, 1500)
    _, required = await held(write, override, 9000)

    assert isinstance(small, Succeeded)
    assert (required.quorum, required.risk, required.expires_in) == (3, "high", 3600.0)
    assert required.approvers == (frozenset({"billing_admin"}),)


@pytest.mark.filterwarnings("ignore:.*has effects:UserWarning")
async def test_always_asks_always(write: Write) -> None:
    outcome, required = await held(write, '[overrides.refund]\napproval = { when = "always" }', 1)

    assert isinstance(outcome, PendingApproval)
    assert required.approvers == (frozenset({"billing_admin"}),)


@pytest.mark.filterwarnings("ignore:.*has effects:UserWarning")
async def test_a_tool_that_asked_nobody_can_be_made_to_ask(write: Write) -> None:
    override = '[overrides.read_order]\napproval = { approvers = ["lead"] }'

    outcome, required = await held(write, override, 1, name="read_order")

    assert isinstance(outcome, PendingApproval)
    assert (required.approvers, required.quorum, required.risk) == ((frozenset({"lead"}),), 1, "medium")


@pytest.mark.req("M12.23")
@pytest.mark.filterwarnings("ignore:.*has effects:UserWarning")
async def test_a_tool_that_asked_nobody_can_be_made_to_ask_its_caller(write: Write) -> None:
    override = '[overrides.read_order]\napproval = { approvers = "caller", expires_in = "5m" }'

    outcome, required = await held(write, override, 1, name="read_order")

    assert isinstance(outcome, PendingApproval)
    assert (required.own, required.approvers, required.expires_in) == (True, (), 300.0)


@pytest.mark.req("M12.23")
def test_from_the_caller_to_roles_is_tighter_and_what_is_left_out_stays_the_callers() -> None:
    code = Approval(approvers="caller", expires_in="1h")
    where = Source(Path("t.toml"), {}).at(("overrides", "note", "approval"))

    def parts(**value: Any) -> tuple[Approval, ...]:
        return with_default_expiry(tightened_approval(code, value, where), 60.0).parts

    own, roles = parts(approvers=["lead"], quorum=2)
    assert (own.own, roles.own, roles.approvers, roles.quorum) == (True, False, frozenset({"lead"}), 2)
    assert [part.own for part in parts(expires_in="1m")] == [True, True]
    assert [part.own for part in parts(approvers="caller", risk="high")] == [True, True]


@pytest.mark.filterwarnings("ignore:.*has effects:UserWarning")
async def test_approvers_of_both_are_needed_before_anything_runs(write: Write) -> None:
    override = '[overrides.delete_order]\napproval = { approvers = ["security"] }'
    async with Gateway.from_config(write(HEAD + override), housekeeping=None) as gateway:
        outcome = await gateway.call("delete_order", {"order_id": 1}, caller=Caller("u-maya", roles={"lead"}))
        assert isinstance(outcome, PendingApproval)
        states = []
        for voter, role in (("u-omar", "lead"), ("u-ines", "security")):
            answer = await decide_approval(
                gateway,
                outcome.approval_id,
                "approve",
                voter=Caller(voter, roles={role}),
                reason="fine",
            )
            assert not isinstance(answer, str), answer
            states.append(answer.state.value)

    assert states == ["pending", "approved"]


@pytest.mark.filterwarnings("ignore:.*has effects:UserWarning")
async def test_the_default_expiry_is_for_those_who_say_nothing(write: Write) -> None:
    default = '[approvals]\nexpires_in = "36h"\n'

    _, said_by_code = await held(write, default, 9000)
    _, said_by_nobody = await held(write, default, 1, name="delete_order")

    _, wished_by_service = await held(write, default, 1, name="close_order")

    assert said_by_code.expires_in == 8 * 3600.0
    assert said_by_nobody.expires_in == wished_by_service.expires_in == 36 * 3600.0


def test_the_approval_shows_both_demands_and_changes_the_digest(write: Write) -> None:
    plain = contracts(write, "")["refund"]
    both = contracts(write, '[overrides.refund]\napproval = { approvers = ["finance"] }')["refund"]

    assert both.approval is not None
    assert [part.approvers for part in both.approval.parts] == [{"billing_admin"}, {"finance"}]
    assert "finance" in str(both.approval.described())
    assert plain.digest != both.digest


def test_every_keyword_of_tool_is_either_overridable_or_the_codes_own() -> None:
    keywords = set(inspect.signature(tool).parameters)

    assert keywords - set(KEYWORDS) - AUTHORS == {"result_size"}
