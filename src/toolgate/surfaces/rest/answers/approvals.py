"""Approvals, as answers tell of them: what the operations describe, field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from toolgate.surfaces.rest.answers.content import Content, Json, Next, Time

if TYPE_CHECKING:
    from toolgate.operations.edit_approval import ProposedEdit
    from toolgate.operations.review import Review


class VoteInfo(Content):
    """One person's agreement to one revision."""

    voter: str
    reason: str
    at: Time
    revision: int


class DifferenceInfo(Content):
    """One argument before and after, redacted; null where it was not there."""

    path: str
    before: JsonValue
    after: JsonValue


class EditInfo(Content):
    """What one edit changed."""

    revision: int
    editor: str
    reason: str
    at: Time
    differences: list[DifferenceInfo]


class MaskedInfo(Content):
    """One place that is masked, and why: the contract says so, or it looked like a secret."""

    path: list[str]
    by: str


class ApprovalBody(BaseModel):
    """One approval as a person looks at it, redacted. `digest` names what is seen: a decision has to bring it."""

    # What other surfaces are told besides is left out here, until it is described here.
    model_config = ConfigDict(extra="ignore", frozen=True)

    approval_id: str
    call_id: str
    tool: str
    version: str
    description: str
    effect: str
    external: bool
    risk: str
    reason: Annotated[str, Field(description="why a person is asked")]
    arguments: Annotated[Json, Field(description="what would run, sensitive values replaced")]
    masked: list[MaskedInfo]
    must_reveal: Annotated[bool, Field(description="nobody approves it before they have seen what is masked")]
    preview: Annotated[str | None, Field(description="a plain line by the tool's own code")]
    requester: str
    tenant: str
    agent: str | None
    model: str | None
    workflow_id: str
    claimed_reason: Annotated[str | None, Field(description="the model's own words: its claim")]
    requires_role: str
    own: Annotated[bool, Field(description="whoever asked confirms it themself; nobody else may")]
    quorum: int
    state: Annotated[str, Field(description="pending, approved, denied, expired, cancelled or consumed")]
    ended_by: Annotated[
        str | None, Field(description="who denied or withdrew it; clock where its time ran out")
    ]
    ended_because: str | None
    revision: int
    missing: Annotated[str, Field(description="which agreement is lacking; empty if none is")]
    votes: list[VoteInfo]
    edits: list[EditInfo]
    digest: str
    requested_at: Time
    expires_at: Time

    @classmethod
    def of(cls, review: Review) -> Self:
        """``review`` as every surface prints it."""
        return cls.model_validate(review.described())


class ApprovalList(Content):
    """A page of approvals."""

    approvals: list[ApprovalBody]
    next: Next


class RequirementInfo(Content):
    """What people would have to give."""

    reason: str
    approvers: Annotated[
        list[list[str]], Field(description="each set of roles has to be met by one of its roles")
    ]
    risk: str
    expires_in: Annotated[float, Field(description="seconds")]
    quorum: int


class ProposalBody(Content):
    """What an edit would come to. Nothing was changed."""

    arguments: Annotated[Json, Field(description="redacted")]
    differences: list[DifferenceInfo]
    preview: str | None
    requirement: RequirementInfo

    @classmethod
    def of(cls, proposed: ProposedEdit) -> Self:
        """``proposed`` as it would be shown."""
        return cls(
            arguments=dict(proposed.arguments),
            differences=[
                DifferenceInfo(path=each.path, before=each.before, after=each.after)
                for each in proposed.differences
            ],
            preview=proposed.preview,
            requirement=RequirementInfo.model_validate(proposed.requirement.to_json()),
        )


class RevealedBody(Content):
    """The arguments, whole. That you looked at them stands in the trail."""

    arguments: Json


class Decided(Content):
    """What became of one item of a batch: the approval as it is now, or why it was not decided."""

    approval_id: str
    approval: ApprovalBody | None
    why: Annotated[str | None, Field(description="not_found, forbidden, conflict or invalid")]
    reason: str | None


class BatchAnswer(Content):
    """Item by item, in the order that was sent."""

    decided: list[Decided]


class StoppedBody(Content):
    """How much was cancelled."""

    approvals: int
    grants: int
