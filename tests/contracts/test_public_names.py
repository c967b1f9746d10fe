"""The public face by its names, and that all of it can be used in a test, without a model, a network or a disk."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

import toolgate
from toolgate import (
    Approval,
    BusinessRule,
    Caller,
    Denied,
    Failed,
    Gateway,
    PendingApproval,
    Refused,
    Succeeded,
    ToolContext,
    tool,
    validate,
)
from toolgate.domain.notice import Wanted
from toolgate.domain.outcome import ErrorType
from toolgate.domain.principal import in_person
from toolgate.operations.authenticate import authenticate
from toolgate.ports import Sink
from toolgate.testing import (
    CountedIds,
    FakeClock,
    FakeIssuer,
    FakeSignIn,
    FakeUpstreams,
    KeptNotices,
    Keyring,
    MemoryStore,
)

GOLDEN = [
    "Advice",
    "AllowedUrl",
    "Annotations",
    "Answer",
    "Applied",
    "Approval",
    "ApprovalFact",
    "AudioBlock",
    "BlobResource",
    "Breaker",
    "BusinessRule",
    "Caller",
    "ConfigurationError",
    "ConfinedDirectory",
    "ConfinedPath",
    "Content",
    "Contract",
    "ContractError",
    "Currency",
    "Denied",
    "Effect",
    "EmailAddress",
    "EmbeddedResource",
    "ErrorType",
    "Failed",
    "Form",
    "Gateway",
    "Identifier",
    "ImageBlock",
    "InternalHost",
    "LOOPBACK",
    "Job",
    "Limits",
    "Money",
    "MoneyRange",
    "NeedsApproval",
    "NeedsInput",
    "NotApplied",
    "NotBuiltYet",
    "Outcome",
    "OutcomeError",
    "PendingApproval",
    "PlainText",
    "Rate",
    "Refused",
    "ResourceLink",
    "Retry",
    "Roots",
    "Sample",
    "Sensitive",
    "Started",
    "Status",
    "StoreInDoubt",
    "StoreUnavailable",
    "Succeeded",
    "TextBlock",
    "TextResource",
    "Tool",
    "ToolContext",
    "ToolError",
    "ToolgateError",
    "TransientError",
    "Unknown",
    "UsageError",
    "WorldEffect",
    "guarded_async_client",
    "guarded_client",
    "tool",
    "validate",
]


@pytest.mark.req("M1.11")
def test_the_package_exports_exactly_its_documented_names() -> None:
    assert sorted(toolgate.__all__) == sorted(GOLDEN)
    assert len(set(toolgate.__all__)) == len(toolgate.__all__)
    for name in GOLDEN:
        assert getattr(toolgate, name) is not None


@pytest.mark.req("M1.11")
def test_every_public_class_and_function_is_documented() -> None:
    for name in GOLDEN:
        value = getattr(toolgate, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


@pytest.mark.req("M1.11")
def test_a_name_that_is_not_exported_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        toolgate.no_such_name  # noqa: B018


@pytest.mark.req("M1.11")
def test_the_plain_library_needs_no_extra_to_be_imported() -> None:
    script = (
        "import sys; blocked = {'starlette', 'uvicorn', 'mcp', 'mcp_types', 'aiohttp', 'jsonschema_rs', 'jinja2',"
        " 'jwt', 'prometheus_client', 'dbos', 'asyncpg', 'cedarpy', 'opentelemetry'};"
        "sys.meta_path.insert(0, type('No', (), {'find_spec': staticmethod(lambda name, *_:"
        " (_ for _ in ()).throw(ImportError(name)) if name.split('.')[0] in blocked else None)})());"
        "import toolgate; [getattr(toolgate, name) for name in toolgate.__all__]; import toolgate.testing"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


ANA = Caller("u-ana", {"support"}, "acme")


@tool(
    effect="write",
    roles={"support"},
    authorize=lambda _context, args: args.order_id != 13 or Denied("unlucky"),
    approval=Approval(approvers={"boss"}, when={"order_id": {"ge": 100}}),
    idempotency="refund:{order_id}",
)
async def refund(context: ToolContext[dict[str, int]], order_id: int) -> int:
    """Refund an order."""
    if order_id == 66:
        raise BusinessRule("this order was refunded long ago")
    context.deps["refunds"] += 1
    return context.deps["refunds"]


@pytest.mark.req("M14.1")
async def test_every_port_that_a_gateway_takes_has_a_fake() -> None:
    clock, ids, keys = FakeClock(), CountedIds(), Keyring.ephemeral()
    store = MemoryStore(boot_id=ids.new("boot"), now=clock.now)
    done = {"refunds": 0}

    @contextlib.asynccontextmanager
    async def deps(caller: Caller) -> AsyncIterator[dict[str, int]]:
        yield done

    async def callers(id: str, tenant: str) -> Caller | None:
        return Caller(id, {"support"}, tenant)

    notices = KeptNotices()
    settings: dict[str, Any] = {
        "clock": clock,
        "ids": ids,
        "keys": keys,
        "deps": deps,
        "callers": callers,
        "may_decide": lambda _person, _facts: True,
        "issuer": FakeIssuer({"a bearer": in_person(ANA)}),
        "sign_in": FakeSignIn({}),
        "upstreams": FakeUpstreams(),
        "sinks": [Sink(name="inbox", wanted=Wanted(), notifier=notices)],
    }
    with pytest.warns(UserWarning, match="memory store"):
        gateway = Gateway([refund], store=store, housekeeping=None, **settings)
    taken = set(inspect.signature(Gateway).parameters) - {
        "tools",
        "policies",
        "limits",
        "lease",
        "housekeeping",
        "agents",
        "session",
        "session_idle",
        "jobs",
        "retention",
        "telemetry",
    }
    assert taken == {"store", *settings}
    async with gateway:
        outcome = await gateway.call(refund, {"order_id": 1}, caller=ANA)
        assert outcome.unwrap() == 1
        assert outcome.call_id == "call_000001"
        clock.advance(3600)
        assert (await gateway.call(refund, {"order_id": 1}, caller=ANA)).replayed
        assert await gateway.operate(authenticate, "a bearer") == in_person(ANA)
        await gateway.call(refund, {"order_id": 100}, caller=ANA)
        await gateway.sweep()
    assert [notice.topic for notice in notices.notices] == ["approval.requested"]


@pytest.mark.req("M14.2")
async def test_an_author_sends_a_call_through_every_check_without_a_model() -> None:
    @contextlib.asynccontextmanager
    async def deps(caller: Caller) -> AsyncIterator[dict[str, int]]:
        yield {"refunds": 0}

    with pytest.warns(UserWarning, match="memory store"):
        gateway = Gateway([refund], deps=deps, clock=FakeClock(), housekeeping=None)
    assert validate(refund, {"order_id": 1}) is None
    async with gateway:
        flow = gateway.workflow("t-1", caller=ANA)
        seen = [
            await gateway.call(refund, {"order_id": 1}, caller=Caller("u-2")),
            await flow.call(refund, {"order_id": "1"}),
            await flow.call(refund, {"order_id": 13}),
            await flow.call(refund, {"order_id": 100}),
            await flow.call(refund, {"order_id": 66}),
            await flow.call(refund, {"order_id": 1}),
            await flow.call(refund, {"order_id": 1}),
        ]
    kinds = [Refused, Refused, Refused, PendingApproval, Failed, Succeeded, Succeeded]
    assert [type(outcome) for outcome in seen] == kinds
    assert [getattr(outcome, "error_type", None) for outcome in seen] == [
        ErrorType.UNKNOWN_TOOL,
        ErrorType.INVALID_ARGUMENTS,
        ErrorType.PERMISSION_DENIED,
        None,
        ErrorType.TOOL_ERROR,
        None,
        None,
    ]
    assert [outcome.replayed for outcome in seen[-2:]] == [False, True]


@pytest.mark.req("M14.2", "M1.6")
def test_the_function_itself_is_there_for_a_unit_test() -> None:
    context: Any = type("Context", (), {"deps": {"refunds": 4}})()
    assert asyncio.run(refund.function(context=context, order_id=1)) == 5
