"""Say before a call what the gate would say about its arguments. No gateway, no store, nothing recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolgate.domain.errors import UsageError
from toolgate.domain.limits import Limits
from toolgate.domain.outcome import ErrorType, Refused
from toolgate.domain.tool import Tool
from toolgate.gateway.prepare.parse import Unfit, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel


def validate(
    tool: Tool[Any, Any],
    arguments: BaseModel | Mapping[str, Any] | bytes | str,
    *,
    limits: Limits | None = None,
) -> Refused | None:
    """``None`` where ``arguments`` fit the contract of ``tool``, else the refusal that a gateway would answer.

    The refusal's ``call_id`` is empty, because there was no call. Whether the call would be *allowed* is not asked:
    permission, keys and limits are judged by a gateway, with a caller, when the call is made.

    Args:
        tool: made by ``@tool``.
        arguments: the input model, a mapping, or one JSON object as text or bytes.
        limits: of the gateway that will be asked; only ``argument_size`` counts. Default: ``Limits()``.

    Raises:
        UsageError: if ``tool`` is no tool.
    """
    if not isinstance(tool, Tool):
        raise UsageError(f"validate takes what @tool returned, not {type(tool).__name__}")
    parsed = parse(tool, arguments, limit=(limits or Limits()).argument_size)
    if not isinstance(parsed, Unfit):
        return None
    return Refused(
        call_id="",
        error_type=ErrorType.INVALID_ARGUMENTS,
        message=parsed.message,
        advice=parsed.advice,
        reasons=(parsed.message,),
    )
