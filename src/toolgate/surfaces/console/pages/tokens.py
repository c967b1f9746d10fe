"""The pages about tokens: those of the tenant, a new one, and the end of one.

A secret stands on the one page that answers its making, which nothing may keep. Not here: who may make which token
(``operations.tokens``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.principal import Action, Declined, Scope, forbids
from toolgate.operations.list_calls import ledger_time
from toolgate.operations.tokens import list_tokens, make_token, revoke, token_state
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.pages.search import Typed, UnfitSearchError
from toolgate.surfaces.console.render import page
from toolgate.surfaces.console.session import Page

if TYPE_CHECKING:
    from starlette.responses import Response

    from toolgate.surfaces.console.session import Visit

_PAGE: Final = 50
_DAY: Final = 86_400.0

LASTING: Final = (
    ("1", "1 day"),
    ("7", "7 days"),
    ("30", "30 days"),
    ("90", "90 days"),
    ("365", "365 days"),
)
_SAYS: Final = (
    (Scope.CALL.value, "call tools, see one's own calls"),
    (Scope.APPROVE.value, "decide approvals, give grants"),
    (Scope.OPERATE.value, "see all calls, resolve, read the trail, with the role for it"),
    (Scope.ADMIN.value, "make and revoke tokens, with the role admin"),
)


async def tokens_page(visit: Visit) -> Response:
    """Tokens, newest first."""
    return await _tokens(visit)


async def _tokens(visit: Visit, *, problem: str | None = None, status: int = 200) -> Response:
    tokens = await visit.operate(list_tokens, by=visit.principal)
    if isinstance(tokens, Declined):
        return visit.declined(tokens)
    now = await visit.operate(ledger_time)
    try:
        before = Typed(visit.query, now).cursor()
    except UnfitSearchError:
        before = None
    older = [row for row in tokens if before is None or row.token_id < before]
    shown = older[:_PAGE]
    return page(
        visit,
        "tokens.html",
        title="Tokens",
        status=status,
        rows=[(row, token_state(row, now)) for row in shown],
        now=now,
        older=paths.with_query(paths.TOKENS, before=shown[-1].token_id) if len(older) > _PAGE else None,
        newest=None if before is None else paths.TOKENS,
        admin=forbids(visit.principal, Action.MANAGE_TOKENS) is None,
        scopes=[(scope, says) for scope, says in _SAYS if scope in visit.principal.scopes],
        lasting=LASTING,
        typed=_typed(visit),
        said="It is revoked: whatever it opened is closed." if visit.told("done")[0] == "revoked" else None,
        problem=problem,
    )


def _typed(visit: Visit) -> dict[str, Any]:
    """What stands in the form: what was sent, or what suits most."""
    names = ("caller", "roles", "label", "agent", "owner")
    return {
        **{name: visit.said(name) for name in names},
        "scopes": visit.form.getlist("scope") if visit.form else [Scope.CALL.value],
        "lasting": visit.said("lasting") or "30",
    }


async def make(visit: Visit) -> Response:
    """A new token, and the only page on which it stands."""
    lasting = visit.said("lasting")
    if lasting not in {days for days, _ in LASTING}:
        return await _tokens(visit, problem="Say for how long it shall last.", status=422)
    made = await visit.operate(
        make_token,
        by=visit.principal,
        caller_id=visit.said("caller"),
        roles=[role.strip() for role in visit.said("roles").split(",") if role.strip()],
        lasting=int(lasting) * _DAY,
        scopes=[str(scope) for scope in visit.form.getlist("scope")],
        agent=visit.said("agent") or None,
        owner=visit.said("owner") or None,
        label=visit.said("label"),
    )
    if isinstance(made, Declined):
        if made.why == "invalid":
            return await _tokens(visit, problem=made.reason, status=422)
        return visit.declined(made, back=paths.TOKENS)
    # `page` forbids every cache; nothing of the secret stands in the path, so that no history and no log has it.
    return page(visit, "token_made.html", title="The token was made", row=made.row, secret=made.secret)


async def revoke_one(visit: Visit) -> Response:
    """The end of a token, and of what was opened with it."""
    revoked = await visit.operate(revoke, visit.request.path_params["token_id"], by=visit.principal)
    if isinstance(revoked, Declined):
        return visit.declined(revoked, back=paths.TOKENS)
    return visit.go(paths.TOKENS, done="revoked")


PAGES: Final = (
    Page("GET", "/tokens", tokens_page),
    Page("POST", "/tokens", make),
    Page("POST", "/tokens/{token_id}/revoke", revoke_one),
)
