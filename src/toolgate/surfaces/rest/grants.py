"""Grants: consent given beforehand, within bounds."""

from __future__ import annotations

import json

from toolgate.domain.duration import seconds
from toolgate.domain.errors import ContractError
from toolgate.domain.principal import Declined
from toolgate.domain.rows import GrantRow
from toolgate.operations.grants import list_grants, make_grant, revoke_grant
from toolgate.surfaces.http.problems import Problem
from toolgate.surfaces.rest.answers import GrantInfo, GrantList
from toolgate.surfaces.rest.cursors import cursor_of, link_to_next, place_of
from toolgate.surfaces.rest.endpoint import Answer, Asked, NoBody, Reply
from toolgate.surfaces.rest.requests import GrantBody, GrantsQuery, Query, WithdrawBody


async def list_(asked: Asked[GrantsQuery, NoBody]) -> Reply:
    """List grants, newest first: those that can still be used, or all. A page may be short and have a `next`.

    Operators and auditors see every grant; others those that they made, and those of tools that they may decide about.
    """
    before = place_of(asked.query.cursor)
    if isinstance(before, Problem):
        return before
    page = await asked.office.gate.operate(
        list_grants, by=asked.by, active=asked.query.active, before=before, limit=asked.query.limit
    )
    if isinstance(page, Declined):
        return page
    end = cursor_of(page.next)
    return Answer(
        content=GrantList(grants=[_info(row) for row in page.rows], next=end),
        headers=link_to_next(asked.request, end),
    )


async def make(asked: Asked[Query, GrantBody]) -> Reply:
    """Agree beforehand to calls of one tool, within bounds, for one caller or agent, for a time, so many times.

    You can only grant what you may approve, and never to yourself or to an agent of yours.
    """
    body = asked.body
    lasting = lasting_of(body.lasting)
    if isinstance(lasting, Declined):
        return lasting
    row = await asked.office.gate.operate(
        make_grant,
        by=asked.by,
        tool=body.tool,
        bounds=body.bounds,
        caller_id=body.caller_id,
        agent=body.agent,
        lasting=lasting,
        uses=body.uses,
        reason=body.reason,
        approval_id=body.approval_id,
    )
    return _moved(asked, row)


async def revoke(asked: Asked[Query, WithdrawBody]) -> Reply:
    """End a grant before its time. What it let through already stays done."""
    row = await asked.office.gate.operate(revoke_grant, asked.id, by=asked.by, reason=asked.body.reason)
    return _moved(asked, row)


def lasting_of(said: str) -> float | Declined:
    """Seconds of a duration such as ``8h`` or ``PT8H``."""
    try:
        return seconds(said, of="lasting")
    except ContractError as unfit:
        return Declined("invalid", str(unfit))


def _moved(asked: Asked[Query, GrantBody] | Asked[Query, WithdrawBody], row: GrantRow | Declined) -> Reply:
    if isinstance(row, Declined):
        return row
    asked.office.decided()
    return Answer(content=_info(row))


def _info(row: GrantRow) -> GrantInfo:
    return GrantInfo.of(row, json.loads(row.bounds))
