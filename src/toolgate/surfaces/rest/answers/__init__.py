"""The bodies of good answers. OpenAPI describes these models, and nothing is sent that did not go through one.

Times are RFC 3339 in UTC; a field without a value is null. What the trail and the outcome say is theirs: it is passed
on as it is. Not here: problem details (``surfaces.http.problems``), and when which answer is given.
"""

from __future__ import annotations

from toolgate.surfaces.rest.answers.approvals import (
    ApprovalBody,
    ApprovalList,
    BatchAnswer,
    Decided,
    DifferenceInfo,
    EditInfo,
    MaskedInfo,
    ProposalBody,
    RequirementInfo,
    RevealedBody,
    StoppedBody,
    VoteInfo,
)
from toolgate.surfaces.rest.answers.calls import CallInfo, CallList, EvidenceBody, OutcomeBody, StoryBody
from toolgate.surfaces.rest.answers.content import DescriptionBody
from toolgate.surfaces.rest.answers.grants import GrantInfo, GrantList
from toolgate.surfaces.rest.answers.jobs import CancelInfo, JobBody, JobInfo, JobList, ProgressInfo
from toolgate.surfaces.rest.answers.notifications import DeliveryInfo, DeliveryList, RetriedBody
from toolgate.surfaces.rest.answers.tokens import ExchangedBody, MadeToken, TokenInfo, TokenList
from toolgate.surfaces.rest.answers.tools import ToolInfo, ToolList
from toolgate.surfaces.rest.answers.trail import BreakInfo, TrailList, VerifyBody

__all__ = [
    "ApprovalBody",
    "ApprovalList",
    "BatchAnswer",
    "BreakInfo",
    "CallInfo",
    "CallList",
    "CancelInfo",
    "Decided",
    "DeliveryInfo",
    "DeliveryList",
    "DescriptionBody",
    "DifferenceInfo",
    "EditInfo",
    "EvidenceBody",
    "ExchangedBody",
    "GrantInfo",
    "GrantList",
    "JobBody",
    "JobInfo",
    "JobList",
    "MadeToken",
    "MaskedInfo",
    "OutcomeBody",
    "ProgressInfo",
    "ProposalBody",
    "RequirementInfo",
    "RetriedBody",
    "RevealedBody",
    "StoppedBody",
    "StoryBody",
    "TokenInfo",
    "TokenList",
    "ToolInfo",
    "ToolList",
    "TrailList",
    "VerifyBody",
    "VoteInfo",
]
