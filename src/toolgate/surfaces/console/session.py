"""Who looks at the console, and whether what they send comes from a page of ours: the one place that checks both.

``signed_in(office, endpoint)`` turns a page's function ``(visit) -> Response`` into an endpoint. What is posted has
passed the check of its token before the function sees it, as ``visit.form``; that it comes from a page of ours was
checked before (``surfaces.http.middleware.own_origin``). Not here: what a session is (``operations.sessions``) and what
its cookie is called (``surfaces.http.credentials``).
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, NamedTuple, ParamSpec, TypeVar

from starlette.datastructures import FormData, QueryParams
from starlette.responses import RedirectResponse, Response

from toolgate.domain.principal import Action, Declined, Principal, forbids
from toolgate.operations.list_approvals import list_approvals
from toolgate.operations.sessions import csrf_of, peek_session, shown_again
from toolgate.ports import ApprovalFilter
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.render import door, page
from toolgate.surfaces.http.credentials import NotSignedIn, cookie_name, keep_signed_in

if TYPE_CHECKING:
    from starlette.requests import Request

    from toolgate.surfaces.http.office import Office

P = ParamSpec("P")
T = TypeVar("T")

TOKEN_FIELD: Final = "csrf"  # noqa: S105 - the name of a field
"""The hidden field of every form; ``parts.token()`` writes it."""
MOST_FIELDS: Final = 500
KEPT: Final = "kept_"
"""Before the name of a field that was typed into another form, while its writer signs in again."""
_MARK: Final = 16
_SEE_OTHER: Final = 303
_NOTHING: Final = 204
_COUNTED: Final = 50
_STATUSES: Final = {"not_found": 404, "forbidden": 403, "conflict": 409, "invalid": 422}
_TITLES: Final = {
    "not_found": "There is no such thing",
    "forbidden": "You may not do this",
    "conflict": "It is not as you saw it",
    "invalid": "This cannot be used",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request of somebody who is signed in. ``form`` is empty unless something was posted."""

    office: Office
    request: Request
    principal: Principal
    csrf: str
    waiting: str | None = None
    form: FormData = field(default_factory=FormData)

    @property
    def query(self) -> QueryParams:
        """What stands behind the ``?``."""
        return self.request.query_params

    def said(self, name: str) -> str:
        """One field of the form as text, without the space around it; empty where it is missing."""
        value = self.form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    async def operate(
        self, operation: Callable[Concatenate[Any, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation; see ``Gate.operate``."""
        return await self.office.gate.operate(operation, *args, **kwargs)

    def go(self, path: str, **claims: object) -> Response:
        """Send the browser on with a GET, so that loading the page anew posts nothing again.

        ``claims`` say there what was done. They bear a mark of this session: whoever sends somebody a link cannot have
        a page say that a thing was approved, or everything stopped.
        """
        mark = self._mark(path, {name: str(value) for name, value in claims.items()}) if claims else None
        return RedirectResponse(paths.with_query(path, **claims, mark=mark), _SEE_OTHER)

    def told(self, *names: str) -> list[str]:
        """What the address says was done, where an answer of ours to this session says it; else empty texts."""
        found = [self.query.get(name, "") for name in names]
        mark = self._mark(self.request.url.path, dict(zip(names, found, strict=True)))
        ours = hmac.compare_digest(self.query.get("mark", "").encode(), mark.encode())
        return found if ours else [""] * len(names)

    def _mark(self, path: str, claims: Mapping[str, str]) -> str:
        said = "\n".join((path, *(f"{name}={value}" for name, value in sorted(claims.items()))))
        return hmac.new(self.csrf.encode(), said.encode("utf-8", "replace"), "sha256").hexdigest()[:_MARK]

    def declined(self, refusal: Declined, *, back: str = paths.INBOX) -> Response:
        """A page that says why nothing was done."""
        return page(
            self,
            "declined.html",
            status=_STATUSES[refusal.why],
            title=_TITLES[refusal.why],
            reason=refusal.reason,
            back=back,
        )


Answer = Callable[[Visit], Awaitable["Response"]]


class Page(NamedTuple):
    """One route beneath ``/console``, and what answers it."""

    method: Literal["GET", "POST"]
    path: str
    answer: Answer


def signed_in(office: Office, endpoint: Answer) -> Callable[[Request], Awaitable[Response]]:
    """``endpoint`` for people who are signed in. Others are asked to sign in, and lose nothing that they typed."""

    async def answer(request: Request) -> Response:
        posted = request.method not in {"GET", "HEAD"}
        form = await request.form(max_files=0, max_fields=MOST_FIELDS) if posted else FormData()
        by_itself = asks_by_itself(request)
        found = await (peek(office, request) if by_itself else office.credentials.session(request))
        if not isinstance(found, Principal):
            # What a script fetched would be put into the page: it is left as it is, with what was typed there.
            return Response(status_code=_NOTHING) if by_itself else ask_to_sign_in(request, form)
        token = await office.gate.operate(csrf_of, request.cookies[cookie_name(office.settings)])
        if posted and not hmac.compare_digest(str(form.get(TOKEN_FIELD, "")).encode(), token.encode()):
            return _refused(
                request, "This form is not one of your session. Load its page anew, and send it again."
            )
        # A part of another page has no navigation that would show it.
        counts = not by_itself or request.url.path == paths.INBOX
        waiting = await count_waiting(office, found) if counts else None
        visit = Visit(office=office, request=request, principal=found, csrf=token, waiting=waiting, form=form)
        response = await endpoint(visit)
        if not by_itself:
            await _stay(visit, response)
        return response

    return answer


async def _stay(visit: Visit, response: Response) -> None:
    """Note this request where every server finds it, with whoever sent it; but not for somebody who just left."""
    ends = visit.principal.expires_at
    if ends is None or "set-cookie" in response.headers:
        return
    settings = visit.office.settings
    shown = await visit.operate(shown_again, visit.request.cookies[cookie_name(settings)], ends=ends)
    keep_signed_in(response, settings, shown)


def asks_by_itself(request: Request) -> bool:
    """Whether an open page asks, and nobody pressed anything: a stream, or a list that is fetched anew."""
    return "hx-request" in request.headers or "text/event-stream" in request.headers.get("accept", "")


async def peek(office: Office, request: Request) -> Principal | NotSignedIn:
    """Whose session this is, without keeping it alive: a window that is left open must not stay signed in."""
    secret = request.cookies.get(cookie_name(office.settings), "")
    found = await office.gate.operate(peek_session, secret)
    return NotSignedIn(found.reason) if isinstance(found, Declined) else found


def _refused(request: Request, reason: str) -> Response:
    return door(request, "refused.html", status=403, title="Not from here", reason=reason)


def ask_to_sign_in(request: Request, form: FormData) -> Response:
    """The way to the sign-in. What was posted travels along as hidden fields, and is offered again afterwards."""
    if request.method in {"GET", "HEAD"}:
        here = paths.with_query(request.url.path, **dict(request.query_params))
        return RedirectResponse(paths.with_query(paths.SIGN_IN, next=here), _SEE_OTHER)
    return door(
        request,
        "sign_in.html",
        status=401,
        title="Sign in again",
        next=request.url.path,
        kept=kept_fields(form),
        lost=True,
        error="",
        ended=True,
        issuer=None,
        leave="",
    )


def kept_fields(form: FormData) -> list[tuple[str, str]]:
    """What somebody typed, without the token of the session that ended."""
    return [
        (name, value) for name, value in form.multi_items() if isinstance(value, str) and name != TOKEN_FIELD
    ]


async def count_waiting(office: Office, principal: Principal) -> str | None:
    """How many approvals wait for this person, for the navigation; None for whoever decides nothing."""
    if forbids(principal, Action.DECIDE) is not None:
        return None
    found = await office.gate.operate(list_approvals, by=principal, wanted=ApprovalFilter(limit=_COUNTED))
    if isinstance(found, Declined):
        return None
    return f"{len(found.rows)}+" if found.next else str(len(found.rows))
