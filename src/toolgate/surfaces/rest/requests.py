"""The bodies and queries that the endpoints take. Strict: nothing is converted, and an unknown field is refused.

The description in OpenAPI is drawn from these models, so each bound stands here and is seen there. Not here: how a
request is read into them (``forms``), and any rule of the gate.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    RootModel,
    WithJsonSchema,
)

from toolgate.domain.names import MAX_NAME, MAX_RATIONALE, MAX_USER_INPUT, name_problem
from toolgate.domain.outcome import ErrorType
from toolgate.domain.principal import Scope
from toolgate.operations.decide_approval import MAX_REASON
from toolgate.operations.tokens import MAX_LABEL

MAX_BATCH: Final = 100
MAX_WAIT: Final = 30
"""Seconds that one request may wait for a call to end."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")
_PRINTABLE: Final = r"^[^\u0000-\u001f\u007f-\u00a0\u00ad]+$"


class Query(BaseModel):
    """What may stand behind the question mark."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Body(BaseModel):
    """One JSON object."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    kept_raw: ClassVar[frozenset[str]] = frozenset()
    """Members that are handed on unjudged: as bytes where they are no strict JSON."""


T = TypeVar("T", bound=Body)


class OneOf(RootModel[T], Generic[T]):
    """One JSON object of several forms, told apart by what its member ``tag`` says."""

    model_config = ConfigDict(strict=True, frozen=True)

    tag: ClassVar[str]
    forms: ClassVar[tuple[type[Body], ...]]

    @classmethod
    def tags(cls) -> tuple[str, ...]:
        """What the tag may say."""
        return tuple(word for form in cls.forms for word in get_args(form.model_fields[cls.tag].annotation))


AnyBody = Body | OneOf[Any]


def _named(value: str) -> str:
    if (problem := name_problem(value, of="it")) is not None:
        raise ValueError(problem)
    return value


def _said(value: str) -> str:
    if not value.strip():
        raise ValueError("say why, in a few words; the trail keeps it")
    return value


def _written(value: object) -> object:
    """A number would be taken for seconds since some time, which nobody means here."""
    if isinstance(value, str) and not _MOMENT.match(value):
        raise ValueError("write a moment as 2026-11-22T10:00:00Z")
    return value


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=_PRINTABLE), AfterValidator(_named)]
"""What names somebody or something: printable, because decisions and digests hang on it."""
Reason = Annotated[
    str,
    Field(min_length=1, max_length=MAX_REASON, pattern=r"\S", description="why; the trail keeps it"),
    AfterValidator(_said),
]
Digest = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        description="`digest` of the revision that was looked at: another one is not meant",
    ),
]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
Cursor = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$", description="`next` of the page before")]
Limit = Annotated[int, Field(ge=1, le=200, description="rows of one page")]
# Only in queries, which are text; behind a validator a strict moment takes no text at all.
Moment = Annotated[
    AwareDatetime, Field(strict=False, description="RFC 3339, with an offset"), BeforeValidator(_written)
]


def micros(moment: datetime | None) -> int | None:
    """Microseconds since the epoch."""
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


# --- calls ----------------------------------------------------------------------------------------------------


class CallBody(Body):
    """A request to do something, of the tool that the path names.

    Who calls, and through which agent, follows from the credential and cannot be said here. Nor can an idempotency
    key: it is made by the tool's contract from the arguments and the workflow, so a retry is the same request again.
    """

    kept_raw: ClassVar[frozenset[str]] = frozenset({"arguments"})

    arguments: Annotated[
        Any,
        WithJsonSchema({"type": "object", "description": "by the tool's own schema, which the gate checks"}),
    ]
    workflow_id: Annotated[
        Name | None,
        Field(description="the application's name for this piece of work, the same on every retry of it"),
    ] = None
    model: Annotated[Name | None, Field(description="which model asks")] = None
    rationale: Annotated[
        str | None,
        Field(
            max_length=MAX_RATIONALE, description="the model's own reason: shown as its claim, never believed"
        ),
    ] = None
    user_input: Annotated[
        str | None, Field(max_length=MAX_USER_INPUT, description="the user's own words")
    ] = None


class CallsQuery(Query):
    """Which calls to list."""

    tool: Name | None = None
    caller: Name | None = None
    agent: Name | None = None
    status: (
        Literal["running", "succeeded", "refused", "pending_approval", "started", "failed", "unknown"] | None
    ) = None
    error_type: ErrorType | None = None
    workflow: Name | None = None
    since: Moment | None = None
    until: Moment | None = None
    unresolved: Annotated[bool, Field(description="only effects in doubt and contradictions")] = False
    cursor: Cursor | None = None
    limit: Limit = 50


class WaitQuery(Query):
    """How long to wait for a call to end."""

    wait: Annotated[int, Field(ge=0, le=MAX_WAIT, description="seconds to wait for it to end")] = 0


class ResolveBody(Body):
    """How an unknown effect ended."""

    applied: Annotated[bool, Field(description="whether it happened")]
    reason: Reason


class WithdrawBody(Body):
    """Why something is taken back."""

    reason: Reason


# --- jobs -----------------------------------------------------------------------------------------------------


class JobsQuery(Query):
    """Which jobs to list."""

    tool: Name | None = None
    caller: Name | None = None
    agent: Name | None = None
    state: (
        Literal[
            "queued",
            "running",
            "pending_approval",
            "succeeded",
            "failed",
            "refused",
            "unknown",
            "cancelled",
        ]
        | None
    ) = None
    since: Moment | None = None
    until: Moment | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


class CancelBody(Body):
    """Why a job shall end."""

    reason: Reason


# --- approvals ------------------------------------------------------------------------------------------------


class ApprovalsQuery(Query):
    """Which approvals to list."""

    for_me: Annotated[bool, Field(description="only those that you may decide")] = True
    open: Annotated[
        bool | None,
        Field(
            description="only open ones, oldest first, or all, newest first; open ones unless `state` is given"
        ),
    ] = None
    tool: Name | None = None
    caller: Name | None = None
    state: Literal["pending", "approved", "denied", "expired", "cancelled", "consumed"] | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


Changes = Annotated[
    dict[str, JsonValue],
    Field(
        min_length=1,
        max_length=100,
        description="other values for some of the fields; what is left out stays, masked values too",
    ),
]


class SeenBody(Body):
    """Why, and about exactly what was seen."""

    digest: Digest
    reason: Reason


class VoteBody(SeenBody):
    """Yes or no."""

    decision: Literal["approve", "deny"]


class EditBody(SeenBody):
    """Other arguments, before anybody agrees to them."""

    decision: Literal["edit"]
    changes: Changes


class DecisionBody(OneOf[Annotated[VoteBody | EditBody, Field(discriminator="decision")]]):
    """A decision about exactly what was seen. ``changes`` stands with an edit, and only there."""

    tag: ClassVar[str] = "decision"
    forms: ClassVar[tuple[type[Body], ...]] = (VoteBody, EditBody)


class ProposeBody(Body):
    """As an edit, to see what would come of it."""

    changes: Changes


class BatchItem(Body):
    """One approval as it was seen."""

    approval_id: Id
    digest: Digest


class BatchBody(Body):
    """One decision about several approvals."""

    decision: Literal["approve", "deny"]
    items: Annotated[list[BatchItem], Field(min_length=1, max_length=MAX_BATCH)]
    reason: Reason


class StopBody(Body):
    """What shall not happen any more; without a filter everything that waits in the tenant."""

    reason: Reason
    tool: Name | None = None
    agent: Name | None = None
    caller_id: Name | None = None


# --- grants and tokens ----------------------------------------------------------------------------------------

Lasting = Annotated[
    str,
    Field(
        min_length=2, max_length=32, pattern=r"^[0-9A-Za-z.]+$", description="such as `8h`, `30m` or `PT8H`"
    ),
]


class GrantsQuery(Query):
    """Which grants to list."""

    active: Annotated[bool, Field(description="only those that can still be used")] = True
    cursor: Cursor | None = None
    limit: Limit = 50


class GrantBody(Body):
    """Consent given beforehand: one tool, within bounds, for one caller or agent, until a time, so many times."""

    tool: Name
    bounds: Annotated[
        dict[str, JsonValue],
        Field(max_length=50, description='conditions over the arguments: `{"amount_cents": {"le": 5000}}`'),
    ]
    caller_id: Name | None = None
    agent: Name | None = None
    lasting: Lasting
    uses: Annotated[int, Field(ge=1, le=10_000)]
    reason: Reason
    approval_id: Annotated[Id | None, Field(description="the approval that it was made from")] = None


class TokenBody(Body):
    """A credential for a person or a program. Its secret is in the answer, once."""

    caller_id: Name
    roles: Annotated[list[Name], Field(max_length=50)] = []
    scopes: Annotated[list[Annotated[Scope, Field(strict=False)]], Field(min_length=1, max_length=len(Scope))]
    agent: Annotated[
        Name | None, Field(description="the program that acts with it; it may then only ask")
    ] = None
    owner: Annotated[Name | None, Field(description="who answers for that program")] = None
    label: Annotated[str, Field(max_length=MAX_LABEL)] = ""
    lasting: Lasting


# --- trail, events, notifications -----------------------------------------------------------------------------


class TrailQuery(Query):
    """Which events of the trail to read."""

    call_id: Id | None = None
    tool: Name | None = None
    caller: Name | None = None
    agent: Name | None = None
    actor: Name | None = None
    transition: Name | None = None
    status: Name | None = None
    event: Name | None = None
    since: Moment | None = None
    until: Moment | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


class NotificationsQuery(Query):
    """Which deliveries to list."""

    state: Literal["pending", "delivered", "dead"] = "dead"
    limit: Limit = 50


class RetryBody(Body):
    """Which delivery of a notification to try again."""

    sink: Name


class ExchangeForm(Query):
    """The form of a token exchange (RFC 8693, section 2.1)."""

    grant_type: Annotated[str, Field(description="`urn:ietf:params:oauth:grant-type:token-exchange`")]
    subject_token: Annotated[str, Field(description="the user's token")]
    subject_token_type: Annotated[
        str, Field(description="`urn:ietf:params:oauth:token-type:access_token`, or `…:jwt` from the issuer")
    ]
    actor_token: Annotated[str, Field(description="the agent's own token")]
    actor_token_type: Annotated[str, Field(description="`urn:ietf:params:oauth:token-type:access_token`")]
    requested_token_type: str | None = None
    scope: Annotated[str | None, Field(description="only `call`")] = None
    audience: str | None = None
    resource: str | None = None
