"""Every error says whose fault it is and how to mend it."""

from __future__ import annotations

import inspect
import re

import pytest

import toolgate
from toolgate import (
    BusinessRule,
    Caller,
    ConfigurationError,
    ContractError,
    Gateway,
    NeedsApproval,
    NotBuiltYet,
    OutcomeError,
    StoreInDoubt,
    StoreUnavailable,
    ToolError,
    ToolgateError,
    TransientError,
    UsageError,
    tool,
)
from toolgate.domain import errors
from toolgate.domain.errors import AuthorFault, CallerFault, GateFault, OperatorFault

pytestmark = pytest.mark.req("M10.12")

FAULTS = (AuthorFault, OperatorFault, CallerFault, GateFault, ToolError)


def test_every_exception_belongs_to_exactly_one_whose_fault_it_is() -> None:
    every = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, ToolgateError) and kind is not ToolgateError
    }
    for kind in every:
        assert sum(issubclass(kind, fault) for fault in FAULTS) == 1, kind
    for kind, fault in (
        (ContractError, AuthorFault),
        (ConfigurationError, OperatorFault),
        (NotBuiltYet, OperatorFault),
        (UsageError, CallerFault),
        (OutcomeError, CallerFault),
        (StoreUnavailable, GateFault),
        (StoreInDoubt, GateFault),
        (TransientError, ToolError),
        (BusinessRule, ToolError),
        (NeedsApproval, ToolError),
    ):
        assert issubclass(kind, fault)


def test_the_drawn_tree_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)|^(ToolgateError)$", errors.__doc__ or "", re.MULTILINE)
    names = {name for pair in drawn for name in pair if name}
    kinds = {
        name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ToolgateError)
    }
    assert names == kinds


def test_every_public_exception_is_documented() -> None:
    for name in toolgate.__all__:
        kind = getattr(toolgate, name)
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert kind.__doc__, name


@tool(effect="read", roles="anyone")
async def act() -> None:
    """Do."""


async def test_using_a_gateway_out_of_order_says_what_to_write_instead() -> None:
    caller = Caller("u-1")
    gateway = Gateway([act])
    with pytest.raises(UsageError, match="write `async with Gateway"):
        await gateway.call(act, {}, caller=caller)
    with pytest.raises(UsageError, match=r"use `async with Gateway"), gateway:
        pass
    async with gateway:
        with pytest.raises(UsageError, match="the gateway is open already"):
            await gateway.__aenter__()
        with pytest.raises(UsageError, match=r"await call\(\.\.\.\) inside a running event loop"):
            gateway.call_sync(act, {}, caller=caller)
        with pytest.raises(UsageError, match=r"await call\(\.\.\.\) inside a running event loop"):
            gateway.workflow(caller=caller).call_sync(act, {})


def test_a_store_that_is_none_names_the_setting() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("write 'sqlite:///toolgate.db'")):
        Gateway([act], store="mysql://localhost")
    with pytest.raises(ConfigurationError, match="does not exist; create it first"):
        Gateway([act], store="sqlite:////no/such/folder/gate.db")


def test_roles_given_as_one_text_are_refused_with_what_to_write() -> None:
    with pytest.raises(TypeError, match=re.escape("write roles={'support'}")):
        Caller("u-1", roles="support")


@pytest.mark.req("M3.4", "M10.12")
def test_a_wish_for_one_role_written_as_a_text_is_refused_and_not_read_letter_by_letter() -> None:
    with pytest.raises(TypeError, match="write approvers="):
        errors.NeedsApproval("look at this", approvers="lead")  # type: ignore[arg-type]
