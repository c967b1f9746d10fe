"""From a judgement to the outcome that the application and the model get."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolgate.domain.outcome import Failed, Outcome, Succeeded, unsuccessful

if TYPE_CHECKING:
    from toolgate.gateway.finish.judge_end import Judgement


def outcome(call_id: str, judged: Judgement, *, approval_id: str | None = None) -> Outcome[Any]:
    """``judged`` as one of the six outcomes."""
    if judged.checked is not None:
        return Succeeded(
            call_id=call_id,
            result=judged.checked.result,
            shown=judged.checked.shown,
            truncated=judged.checked.truncated,
            effect=judged.effect,
        )
    assert judged.error_type is not None
    answer = unsuccessful(
        judged.error_type,
        call_id=call_id,
        message=judged.message,
        effect=judged.effect,
        advice=judged.advice,
        reasons=judged.reasons,
        code=judged.code,
        approval_id=approval_id,
    )
    if judged.asks is not None and isinstance(answer, Failed):
        return replace(answer, input_requests=judged.asks.requests)
    return answer
