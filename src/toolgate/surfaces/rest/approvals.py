"""Approvals: looking at what waits for a person, and deciding about exactly what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.principal import Declined
from toolgate.operations.decide_approval import decide_approval
from toolgate.operations.decide_batch import decide_batch
from toolgate.operations.edit_approval import edit_approval, propose_edit
from toolgate.operations.list_approvals import list_approvals
from toolgate.operations.reveal_masked import reveal_masked
from toolgate.operations.review import Review
from toolgate.operations.review_approval import evidence, review_approval
from toolgate.operations.withdraw import stop_all, withdraw
from toolgate.ports import ApprovalFilter
from toolgate.surfaces.http.problems import Problem
from toolgate.surfaces.rest.answers import (
    ApprovalBody,
    ApprovalList,
    BatchAnswer,
    CallInfo,
    Decided,
    EvidenceBody,
    ProposalBody,
    RevealedBody,
    StoppedBody,
)
from toolgate.surfaces.rest.cursors import cursor_of, link_to_next, place_of
from toolgate.surfaces.rest.endpoint import Answer, Asked, NoBody, Reply
from toolgate.surfaces.rest.requests import (
    ApprovalsQuery,
    BatchBody,
    DecisionBody,
    EditBody,
    ProposeBody,
    Query,
    SeenBody,
    StopBody,
    WithdrawBody,
)

if TYPE_CHECKING:
    from toolgate.surfaces.http.office import Office


async def list_(asked: Asked[ApprovalsQuery, NoBody]) -> Reply:
    """List approvals: by default the open ones that you may decide, oldest first."""
    query = asked.query
    after = place_of(query.cursor)
    if isinstance(after, Problem):
        return after
    wanted = ApprovalFilter(
        open_only=query.state is None if query.open is None else query.open,
        tool=query.tool,
        caller_id=query.caller,
        state=query.state,
        after=after,
        limit=query.limit,
    )
    page = await asked.office.gate.operate(list_approvals, by=asked.by, for_me=query.for_me, wanted=wanted)
    if isinstance(page, Declined):
        return page
    end = cursor_of(page.next)
    return Answer(
        content=ApprovalList(approvals=[_body(review) for review in page.rows], next=end),
        headers=link_to_next(asked.request, end),
    )


async def get(asked: Asked[Query, NoBody]) -> Reply:
    """One approval: what will run, who asks, why a person is asked, who agreed, what was changed. Redacted."""
    return _seen(await asked.office.gate.operate(review_approval, asked.id, by=asked.by))


async def see_evidence(asked: Asked[Query, NoBody]) -> Reply:
    """Earlier calls of the same workflow, newest first, at most 20."""
    rows = await asked.office.gate.operate(evidence, asked.id, by=asked.by)
    if isinstance(rows, Declined):
        return rows
    return Answer(content=EvidenceBody(calls=[CallInfo.of(row) for row in rows]))


async def decide(asked: Asked[Query, DecisionBody]) -> Reply:
    """Approve, deny or edit exactly what was seen.

    `approve`: once enough people did, the gate runs the call itself. `deny`: for good, one is enough. `edit`: a new
    revision with other arguments, checked anew, every vote void; it is no vote, and whoever made it does not vote on
    it.
    """
    body, gate = asked.body.root, asked.office.gate
    digest = bytes.fromhex(body.digest)
    if isinstance(body, EditBody):
        review = await gate.operate_near_tools(
            edit_approval, asked.id, body.changes, by=asked.by, reason=body.reason, digest=digest
        )
    else:
        review = await gate.operate(
            decide_approval, asked.id, body.decision, by=asked.by, reason=body.reason, digest=digest
        )
    return _moved(asked.office, review)


async def decide_many(asked: Asked[Query, BatchBody]) -> Reply:
    """Decide about up to 100 approvals at once, each about what was seen of it.

    Each is decided by itself: some may be decided and others not, and the answer says which.
    """
    body = asked.body
    items = [(item.approval_id, bytes.fromhex(item.digest)) for item in body.items]
    done = await asked.office.gate.operate(
        decide_batch, items, body.decision, by=asked.by, reason=body.reason
    )
    if isinstance(done, Declined):
        return done
    asked.office.decided()
    return Answer(content=BatchAnswer(decided=[_item(approval_id, review) for approval_id, review in done]))


def _item(approval_id: str, review: Review | Declined) -> Decided:
    if isinstance(review, Declined):
        return Decided(approval_id=approval_id, approval=None, why=review.why, reason=review.reason)
    return Decided(approval_id=approval_id, approval=_body(review), why=None, reason=None)


async def propose(asked: Asked[Query, ProposeBody]) -> Reply:
    """What an edit would come to, and whether it would be taken. Nothing is changed."""
    proposed = await asked.office.gate.operate_near_tools(
        propose_edit, asked.id, asked.body.changes, by=asked.by
    )
    return proposed if isinstance(proposed, Declined) else Answer(content=ProposalBody.of(proposed))


async def reveal(asked: Asked[Query, SeenBody]) -> Reply:
    """See the arguments whole. That you did, and why, stands in the trail."""
    body = asked.body
    arguments = await asked.office.gate.operate(
        reveal_masked, asked.id, by=asked.by, reason=body.reason, digest=bytes.fromhex(body.digest)
    )
    if isinstance(arguments, Declined):
        return arguments
    asked.office.feed.nudge()
    return Answer(content=RevealedBody(arguments=arguments))


async def take_back(asked: Asked[Query, WithdrawBody]) -> Reply:
    """Withdraw what waits: by whoever asked for it, an approver, or an operator."""
    review = await asked.office.gate.operate(withdraw, asked.id, by=asked.by, reason=asked.body.reason)
    return _moved(asked.office, review)


async def stop(asked: Asked[Query, StopBody]) -> Reply:
    """Cancel everything that waits, and revoke the grants that could let it through. What runs, runs on."""
    body = asked.body
    stopped = await asked.office.gate.operate(
        stop_all,
        by=asked.by,
        reason=body.reason,
        tool=body.tool,
        agent=body.agent,
        caller_id=body.caller_id,
    )
    if isinstance(stopped, Declined):
        return stopped
    asked.office.decided()
    return Answer(content=StoppedBody(approvals=stopped.approvals, grants=stopped.grants))


def _moved(office: Office, review: Review | Declined) -> Reply:
    if isinstance(review, Review):
        office.decided()
    return _seen(review)


def _seen(review: Review | Declined) -> Reply:
    return review if isinstance(review, Declined) else Answer(content=_body(review))


def _body(review: Review) -> ApprovalBody:
    return ApprovalBody.of(review)
