"""A tool behind a gate in memory, sent calls that have to be refused. Its function is replaced and cannot run.

Here: the gate and the two calls of question 11 and question 4. Not here: what follows from the answers.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any, Final

from toolgate.bootstrap import Gateway
from toolgate.domain.caller import ANYONE, Caller
from toolgate.domain.checklist import Rehearsal
from toolgate.domain.checklist.wrong_inputs import UNEXPECTED
from toolgate.domain.errors import ToolgateError
from toolgate.domain.outcome import ErrorType, Outcome, Refused
from toolgate.domain.tool import Tool

_ROLE: Final = "checklist"


def rehearse(tool: Tool[Any, Any]) -> Rehearsal:
    """Send a stranger's call and one with an unknown field; nothing is dispatched either way."""
    roles = tool.contract.roles or frozenset({_ROLE})  # that nobody is granted it is told by question 4
    try:
        if tool.contract.isolation == "process":
            _gateway(
                _with(tool, roles=roles)
            )  # whether it can be isolated is decided when the gateway is made
        with _gateway(_guarded(_with(tool, roles=roles, isolation="shared"))) as gateway:
            return _sent(gateway, tool.contract.name, roles)
    except ToolgateError as fault:
        return Rehearsal(problem=str(fault))


def _sent(gateway: Gateway, name: str, roles: Any) -> Rehearsal:
    wrong = {UNEXPECTED: 1}
    trusted = Caller("checklist", roles=() if roles == ANYONE else roles)
    refused = gateway.call_sync(name, wrong, caller=trusted, workflow="checklist")
    stranger = None
    if roles != ANYONE:
        answer = gateway.call_sync(name, wrong, caller=Caller("stranger"), workflow="checklist")
        stranger = _is_refusal(answer, ErrorType.UNKNOWN_TOOL)
    return Rehearsal(
        refused_wrong_arguments=_is_refusal(refused, ErrorType.INVALID_ARGUMENTS), refused_stranger=stranger
    )


def _is_refusal(outcome: Outcome[Any], wanted: ErrorType) -> bool:
    return isinstance(outcome, Refused) and outcome.error_type is wanted


def _gateway(tool: Tool[Any, Any]) -> Gateway:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # that memory forgets effects is no news where nothing runs
        return Gateway([tool], housekeeping=None)


def _with(tool: Tool[Any, Any], **changes: Any) -> Tool[Any, Any]:
    return tool.with_contract(dataclasses.replace(tool.contract, enabled=True, **changes))


def _guarded(tool: Tool[Any, Any]) -> Tool[Any, Any]:
    def must_not_run(**_: object) -> None:
        raise AssertionError("the checklist runs no tool")

    return dataclasses.replace(tool, function=must_not_run, is_async=False, authorize=None)
