"""Credentials: listing, making and revoking them, and the exchange of a user's and an agent's for one of the two."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse, Response

from toolgate.domain.principal import Declined
from toolgate.operations.exchange_token import Exchange, exchange_token
from toolgate.operations.tokens import list_tokens, make_token
from toolgate.operations.tokens import revoke as revoke_token
from toolgate.surfaces.http.marks import client_of
from toolgate.surfaces.http.problems import Problem
from toolgate.surfaces.rest.answers import ExchangedBody, MadeToken, TokenInfo, TokenList
from toolgate.surfaces.rest.endpoint import Answer, Asked, NoBody, Reply
from toolgate.surfaces.rest.grants import lasting_of
from toolgate.surfaces.rest.requests import ExchangeForm, Query, TokenBody

FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 30
_REQUIRED: Final = frozenset(
    {"grant_type", "subject_token", "subject_token_type", "actor_token", "actor_token_type"}
)


async def list_(asked: Asked[Query, NoBody]) -> Reply:
    """List credentials, newest first: an admin's tenant, everybody else's own. Never a secret."""
    rows = await asked.office.gate.operate(list_tokens, by=asked.by)
    return (
        rows
        if isinstance(rows, Declined)
        else Answer(content=TokenList(tokens=[TokenInfo.of(row) for row in rows]))
    )


async def make(asked: Asked[Query, TokenBody]) -> Reply:
    """Make a credential for somebody of your tenant, or for an agent. Its secret is in this answer alone."""
    body = asked.body
    lasting = lasting_of(body.lasting)
    if isinstance(lasting, Declined):
        return lasting
    made = await asked.office.gate.operate(
        make_token,
        by=asked.by,
        caller_id=body.caller_id,
        roles=body.roles,
        lasting=lasting,
        scopes=body.scopes,
        agent=body.agent,
        owner=body.owner,
        label=body.label,
    )
    if isinstance(made, Declined):
        return made
    return Answer(content=MadeToken(token=TokenInfo.of(made.row), secret=made.secret))


async def revoke(asked: Asked[Query, NoBody]) -> Reply:
    """End a credential, and whatever was made from it. Admins end any of the tenant, everybody else their own."""
    row = await asked.office.gate.operate(revoke_token, asked.id, by=asked.by)
    return row if isinstance(row, Declined) else Answer(content=TokenInfo.of(row))


async def exchange(asked: Asked[Query, NoBody]) -> Reply:
    """Exchange a user's token and an agent's own for one short-lived token of the two (RFC 8693).

    What acts with it acts for the user, as the agent, and may only ask. The body is a form; a refusal has the shape of
    RFC 6749, section 5.2.
    """
    request, office = asked.request, asked.office
    address = client_of(request)
    if (wait := office.throttle.wait(address)) > 0:
        return Problem(
            code="too_many_attempts", detail="too many credentials from here opened nothing", retry_after=wait
        )
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return Problem(code="unsupported_media_type", detail=f"send the body as {FORM}")
    form = _form(await request.body())
    if isinstance(form, str):
        return _refused(form)
    answer = await office.gate.operate(exchange_token, form)
    if isinstance(answer, Declined):
        # An issuer that cannot be asked is nobody's guess.
        if answer.why == "forbidden":
            office.throttle.failed(address)
        return _refused(answer.reason)
    return Answer(content=ExchangedBody.model_validate(answer.response))


def _form(raw: bytes) -> Exchange | str:
    """The request of RFC 8693, section 2.1, or what is wrong with it. What is not known is ignored (RFC 6749, 3.2)."""
    try:
        fields = parse_qsl(raw.decode("ascii"), max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        return "the body is no form of at most 30 fields"
    given = {name: value for name, value in fields if name in ExchangeForm.model_fields}
    if len([name for name, _ in fields if name in given]) > len(given):
        return "a parameter stands twice in the form"
    if missing := sorted(_REQUIRED - given.keys()):
        return f"{missing[0]} is missing"
    return Exchange(**given)


def _refused(reason: str) -> Response:
    body = {"error": "invalid_request", "error_description": reason}
    return JSONResponse(body, 400, headers={"Cache-Control": "no-store"})
