"""Calls, as answers tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import ConfigDict, Field, RootModel

from toolgate.domain.outcome_schema import ANYBODY, MEMBERS
from toolgate.surfaces.rest.answers.approvals import ApprovalBody
from toolgate.surfaces.rest.answers.content import Content, Json, Next, Time, rfc3339

if TYPE_CHECKING:
    from toolgate.domain.rows import CallRow
    from toolgate.operations.call_story import Story


class OutcomeBody(RootModel[Json]):
    """How a call stands: the JSON that a model gets, whoever carries it.

    `ok`, `status`, `effect`, `advice` and `call_id` are always there; `result` where it succeeded, `error_type` and
    `message` where it did not, `approval_id` and `expires_at` where a person decides.
    """

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "type": "object",
            "required": list(ANYBODY),
            "properties": {name: dict(member) for name, member in MEMBERS.items()},
            "additionalProperties": True,
        },
    )


class CallInfo(Content):
    """One call as a list shows it."""

    call_id: str
    tool: str
    version: str
    effect: Annotated[str, Field(description="what the contract says: read, write, destructive")]
    caller_id: str
    agent: str | None
    model: str | None
    workflow_id: str
    request_id: str | None
    trace: str | None
    surface: str
    received_at: Time
    updated_at: Time
    status: str
    effect_state: Annotated[str | None, Field(description="what became of the effect; null without one")]
    error_type: str | None
    approval_id: str | None
    duration_ms: int
    incident: Annotated[str | None, Field(description="two witnesses contradict each other about its effect")]

    @classmethod
    def of(cls, row: CallRow) -> Self:
        """What of ``row`` is anybody's business who may see the call."""
        return cls(
            call_id=row.call_id,
            tool=row.tool,
            version=row.version,
            effect=row.effect,
            caller_id=row.caller_id,
            agent=row.agent,
            model=row.model,
            workflow_id=row.workflow_id,
            request_id=row.request_id,
            trace=row.trace,
            surface=row.surface,
            received_at=rfc3339(row.received_at),
            updated_at=rfc3339(row.updated_at),
            status=row.status,
            effect_state=None if row.effect_state is None else row.effect_state.value,
            error_type=row.error_type,
            approval_id=row.approval_id,
            duration_ms=row.duration_us // 1000,
            incident=row.incident,
        )


class CallList(Content):
    """A page of calls, newest first. It may be short and still have a `next`."""

    calls: list[CallInfo]
    next: Next


class StoryBody(Content):
    """Everything that is known about one call."""

    call: CallInfo
    arguments: Annotated[Json | None, Field(description="redacted, as the trail holds them")]
    events: Annotated[list[Json], Field(description="lines of the trail, oldest first")]
    left_out: Annotated[int, Field(description="how many events are not shown, at least")]
    approval: ApprovalBody | None
    outcome: OutcomeBody | None
    reconciles: Annotated[
        bool, Field(description="whether the tool can find out what became of an effect in doubt")
    ]
    may_still_run: bool

    @classmethod
    def of(cls, story: Story) -> Self:
        """``story``, its approval as approvals are shown."""
        return cls(
            call=CallInfo.of(story.row),
            arguments=story.arguments,
            events=list(story.events),
            left_out=story.left_out,
            approval=None if story.review is None else ApprovalBody.of(story.review),
            outcome=None if story.outcome is None else OutcomeBody(story.outcome),
            reconciles=story.reconciles,
            may_still_run=story.may_still_run,
        )


class EvidenceBody(Content):
    """Earlier calls of the same workflow, newest first."""

    calls: list[CallInfo]
