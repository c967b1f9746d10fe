"""In and out: an access token or a one-time link is pasted, or an issuer vouches, and a cookie holds the session.

A one-time link carries its secret behind ``#``, which a browser never sends: the page's script puts it into the field,
and only a press of the button uses it up, so that no preview of the link does. Not here: what opens a session
(``operations.sessions``, ``operations.sign_in``) and how long one lasts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from toolgate.domain.principal import Declined, Principal
from toolgate.operations.sessions import csrf_of, end_session, open_session, shown_again
from toolgate.operations.sign_in import begin_sign_in, finish_sign_in, issuer_name
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.render import door
from toolgate.surfaces.console.session import KEPT, MOST_FIELDS, Visit, kept_fields, signed_in
from toolgate.surfaces.http.credentials import LONGEST, cookie_name, keep_signed_in
from toolgate.surfaces.http.marks import client_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from toolgate.operations.tokens import NewToken
    from toolgate.surfaces.http.office import Office
    from toolgate.surfaces.http.settings import ServerSettings

_ISSUER_COOKIE: Final = "toolgate_sign_in"
_LEAVE: Final = f"{paths.SIGN_IN}/issuer"
_BACK: Final = f"{paths.SIGN_IN}/back"
_ISSUER_SECONDS: Final = 600


class _Door:
    """The pages in front of the console. One office's."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def show(self, request: Request) -> Response:
        """The sign-in page; whoever is in already goes on."""
        wanted = _wanted(request.query_params.get("next", ""))
        found = await self._office.credentials.session(request)
        if isinstance(found, Principal):
            return RedirectResponse(wanted, 303)
        ended = cookie_name(self._office.settings) in request.cookies
        return await self._page(request, wanted, ended=ended)

    async def enter(self, request: Request) -> Response:
        """A token or a one-time secret was pasted."""
        form = await request.form(max_files=0, max_fields=MOST_FIELDS)
        wanted = _wanted(str(form.get("next", "")))
        kept = _unkept(form)
        address, throttle = client_of(request), self._office.throttle
        if (wait := throttle.wait(address)) > 0:
            return await self._page(request, wanted, kept=kept, status=429, wait=wait)
        secret = str(form.get("token", "")).strip()
        if not secret or len(secret) > LONGEST:
            return await self._page(request, wanted, kept=kept, status=422, error="Paste your access token.")
        opened = await self._office.gate.operate(open_session, secret)
        if isinstance(opened, Declined):
            throttle.failed(address)
            words = "This token is unknown, expired or revoked, or it is an agent's: agents do not sign in."
            return await self._page(request, wanted, kept=kept, status=401, error=words)
        throttle.succeeded(address)
        answer: Response = (
            await self._offer_again(request, opened, wanted, kept) if kept else RedirectResponse(wanted, 303)
        )
        await self._admit(answer, opened)
        return answer

    async def leave_for_issuer(self, request: Request) -> Response:
        """To the configured issuer."""
        settings = self._office.settings
        wanted = _wanted(request.query_params.get("next", ""))
        begun = await self._office.gate.operate(
            begin_sign_in, redirect_uri=f"{settings.public_url}{_BACK}", return_to=wanted
        )
        if isinstance(begun, Declined):
            return await self._page(request, wanted, status=502, error=begun.reason)
        answer = RedirectResponse(begun.url, 303, headers={"Cache-Control": "no-store"})
        name, path = _issuer_cookie(settings)
        answer.set_cookie(
            name,
            begun.cookie,
            max_age=_ISSUER_SECONDS,
            path=path,
            secure=settings.secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def come_back(self, request: Request) -> Response:
        """From the issuer. The way on is a page of ours, since a redirect from outside carries no strict cookie."""
        name, path = _issuer_cookie(self._office.settings)
        done = await self._office.gate.operate(
            finish_sign_in,
            cookie=request.cookies.get(name, ""),
            answer=dict(request.query_params),
        )
        if isinstance(done, Declined):
            answer = await self._page(request, paths.INBOX, status=401, error=done.reason)
        else:
            answer = door(request, "onward.html", title="Signed in", onward=_wanted(done.return_to))
            await self._admit(answer, done.session)
        secure = self._office.settings.secure
        answer.delete_cookie(name, path=path, secure=secure, httponly=True, samesite="lax")
        return answer

    async def _offer_again(
        self, request: Request, opened: NewToken, wanted: str, kept: list[tuple[str, str]]
    ) -> Response:
        """What was typed before the session ended, to be sent again by a press of the button and not by itself."""
        token = await self._office.gate.operate(csrf_of, opened.secret)
        back = (
            wanted
            if not str(dict(kept).get("back", "")).startswith(paths.PREFIX)
            else str(dict(kept)["back"])
        )
        return door(
            request, "again.html", title="Signed in again", action=wanted, back=back, kept=kept, token=token
        )

    async def _admit(self, answer: Response, opened: NewToken) -> None:
        office, ends = self._office, opened.row.expires_at
        shown = await office.gate.operate(shown_again, opened.secret, ends=ends)
        keep_signed_in(answer, office.settings, shown)

    async def _page(
        self,
        request: Request,
        wanted: str,
        *,
        kept: list[tuple[str, str]] | None = None,
        status: int = 200,
        error: str = "",
        wait: float = 0.0,
        ended: bool = False,
    ) -> Response:
        if wait > 0:
            error = f"Too many attempts from here. Try again in {math.ceil(wait)} seconds."
        answer = door(
            request,
            "sign_in.html",
            status=status,
            title="Sign in",
            next=wanted,
            kept=kept or [],
            error=error,
            ended=ended,
            issuer=await self._office.gate.operate(issuer_name),
            lost=False,
            leave=paths.with_query(_LEAVE, next=wanted),
        )
        if wait > 0:
            answer.headers["Retry-After"] = str(math.ceil(wait))
        return answer


def _issuer_cookie(settings: ServerSettings) -> tuple[str, str]:
    """Name and path of the cookie that a sign-in at the issuer is bound to.

    Over TLS its prefix keeps a neighbouring host from setting one (RFC 6265bis, section 4.1.3.2), which would sign
    somebody in as somebody else; such a cookie is for every path.
    """
    return (f"__Host-{_ISSUER_COOKIE}", "/") if settings.secure else (_ISSUER_COOKIE, _BACK)


def _wanted(path: str) -> str:
    """Where to go on: a page of ours, and never the door itself."""
    inside = paths.is_ours(path) and not path.startswith((paths.SIGN_IN, paths.SIGN_OUT))
    return path if inside else paths.INBOX


def _unkept(form: FormData) -> list[tuple[str, str]]:
    """The fields of the other form, by their own names."""
    return [(name.removeprefix(KEPT), value) for name, value in kept_fields(form) if name.startswith(KEPT)]


async def _leave(visit: Visit) -> Response:
    """Sign out: the session ends on the server, not only in this browser."""
    name = cookie_name(visit.office.settings)
    await visit.operate(end_session, visit.request.cookies.get(name, ""))
    answer = RedirectResponse(paths.with_query(paths.SIGN_IN, out="1"), 303)
    answer.delete_cookie(
        name, path="/", secure=visit.office.settings.secure, httponly=True, samesite="strict"
    )
    return answer


def sign_in_routes(office: Office) -> list[BaseRoute]:
    """The routes in front of the console, and the way out."""
    front = _Door(office)
    return [
        Route(paths.SIGN_IN, front.show, methods=["GET"]),
        Route(paths.SIGN_IN, front.enter, methods=["POST"]),
        Route(_LEAVE, front.leave_for_issuer, methods=["GET"]),
        Route(_BACK, front.come_back, methods=["GET"]),
        Route(paths.SIGN_OUT, signed_in(office, _leave), methods=["POST"]),
    ]
