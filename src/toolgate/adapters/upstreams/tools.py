"""A tool of an upstream as a ``Tool`` of the gate: its function makes the call and judges how that ended.

What an upstream says about an error is its own word: it is told as an error, and for a tool with effects it proves
nothing about the world unless the operator knows that it does (``error_effect``). Not here: the connection, and whether
the tool is still the one that was reviewed (``fleet``).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from pydantic import ValidationError

from toolgate.adapters.upstreams.connection import (
    ABSENT,
    Called,
    ConnectionFailure,
    NotSent,
    Progress,
    RpcError,
)
from toolgate.adapters.upstreams.messages import METHOD_NOT_FOUND
from toolgate.adapters.upstreams.shape import JsonShape
from toolgate.domain.content import Content
from toolgate.domain.context import Context
from toolgate.domain.contract import Contract
from toolgate.domain.errors import EffectClaim, ToolError, TransientError
from toolgate.domain.names import words
from toolgate.domain.redaction import redact_text
from toolgate.domain.schema import Form, Shape
from toolgate.domain.tool import Tool

KEY_META: Final = "dev.toolgate/idempotency_key"
"""Under which ``_meta`` carries the key of an effect, for an upstream that removes duplicates by it."""
UPSTREAM_ERROR: Final = "upstream_error"
_TRACE_PARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_MAX_ERROR: Final = 2_000
_log = logging.getLogger("toolgate")

ErrorEffect = Literal["none", "unknown"]


class Call(Protocol):
    """Calls a tool of one upstream, from any loop; raises as ``Connection.call``."""

    async def __call__(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        seconds: float,
        meta: Mapping[str, Any],
        progress: Progress | None,
    ) -> Called:
        """The answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A tool behind the gate: its contract, and which tool of which upstream it is."""

    upstream: str
    tool: str
    contract: Contract
    input: JsonShape
    output: JsonShape | None
    error_effect: ErrorEffect

    @property
    def name(self) -> str:
        """What callers know it as."""
        return self.contract.name


def governed(placed: Placed, call: Call) -> Tool[Any, Any]:
    """``placed`` as a tool that ``call`` runs."""
    output: Form[Any] = placed.output or Shape[Any](
        Content, where=f"tool {placed.name!r}, content", mode="serialization"
    )

    async def run(context: Context, args: dict[str, Any]) -> Any:
        began = False

        def progress(done: float, total: float | None, note: str | None) -> None:
            nonlocal began
            began = True
            context.progress(done, total, note)

        try:
            called = await call(
                placed.tool,
                args,
                seconds=context.remaining(),
                meta=_meta(context),
                progress=progress,
            )
        except ConnectionFailure as failure:
            raise _failed(placed, context, failure, began=began) from None
        if called.is_error:
            raise _reported(placed, _said(called.content))
        return _content(called.content) if placed.output is None else _structured(called)

    run.__qualname__ = f"{placed.upstream}.{placed.tool}"
    return Tool(
        contract=placed.contract,
        function=run,
        input=placed.input,
        output=output,
        takes_context=True,
        takes_model=True,
        is_async=True,
        needs_deps=False,
    )


def _meta(context: Context) -> dict[str, Any]:
    """What goes along with a call. The caller's token never does, nor who the caller is."""
    meta: dict[str, Any] = {}
    if context.trace is not None and _TRACE_PARENT.fullmatch(context.trace):
        meta["traceparent"] = context.trace
    if context.idempotency_key is not None:
        meta[KEY_META] = context.idempotency_key
    return meta


def _failed(placed: Placed, context: Context, failure: ConnectionFailure, *, began: bool) -> ToolError:
    """What a failed call says about the world: only what was not sent did nothing for certain.

    ``began``: it told of its progress, so that it was no method that nobody knows.
    """
    if isinstance(failure, RpcError) and (began or failure.code != METHOD_NOT_FOUND):
        return _reported(placed, failure.message)
    _log.warning("%s: upstream %s: %s", context.call_id, placed.upstream, failure.reason)
    if isinstance(failure, NotSent | RpcError):
        return TransientError(f"{placed.upstream} cannot be reached now. Nothing was done.")
    return TransientError(f"{placed.upstream} gave no answer that can be relied on.", effect="unknown")


def _reported(placed: Placed, text: str) -> ToolError:
    said = words(redact_text(text, max_characters=_MAX_ERROR), limit=_MAX_ERROR).strip()
    effect: EffectClaim | None = "none" if placed.error_effect == "none" else None
    return ToolError(said or f"{placed.upstream} reported an error.", effect=effect, code=UPSTREAM_ERROR)


def _said(content: Sequence[Mapping[str, Any]]) -> str:
    texts = [block.get("text") for block in content if block.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str))


def _structured(called: Called) -> Any:
    """What the output schema is about. Where none came, nothing fits, and the gate says that the result breaks it."""
    return None if called.structured is ABSENT else called.structured


def _content(blocks: Sequence[Mapping[str, Any]]) -> Content | None:
    """The blocks, or None, which is no content: a block of no known form breaks the contract like any wrong result."""
    try:
        return Content.model_validate({"content": [dict(block) for block in blocks]})
    except ValidationError:
        return None


__all__ = ["KEY_META", "UPSTREAM_ERROR", "Call", "Placed", "governed"]
