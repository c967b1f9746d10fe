"""How the gate proves to an upstream who it is: a fixed token, or one that an issuer gives for client credentials.

A token is held by one connection and by nothing else, is never written anywhere, and is never the token of a client
of ours. Not here: where secrets are configured.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

import aiohttp

from toolgate.adapters.upstreams.deadline import Deadline
from toolgate.adapters.upstreams.failures import NotSent
from toolgate.adapters.upstreams.messages import heard_json
from toolgate.domain.errors import ConfigurationError
from toolgate.domain.names import label
from toolgate.domain.notice import target_problem
from toolgate.domain.upstream.settings import Bearer, ClientCredentials, HttpAuth
from toolgate.ports import Clock

TOKEN_TIMEOUT: Final = 10.0
"""Seconds for the token endpoint to answer."""
MARGIN: Final = 30.0
"""Seconds before its end at which a token is no longer used; a tenth of its life if that is less."""
ASSUMED_LIFE: Final = 300.0
"""Seconds that a token is used if its issuer does not say how long it is good for (RFC 6749, section 5.1)."""
MAX_TOKEN_ANSWER: Final = 65_536


class Authorizer(Protocol):
    """Gives the value of the ``Authorization`` header."""

    async def header(self) -> str | None:
        """The value to send; None for none. Raises ``NotSent`` if there is no token to be had."""

    def refused(self, header: str | None, challenge: str | None) -> bool:
        """Told that ``header`` was answered with 401; True if asking ``header()`` again may give a better one."""


class Fixed:
    """The same value each time, or none."""

    __slots__ = ("_value",)

    def __init__(self, value: str | None = None) -> None:
        self._value = value

    async def header(self) -> str | None:
        """The value to send."""
        return self._value

    def refused(self, header: str | None, challenge: str | None) -> bool:  # noqa: ARG002 - as the Protocol
        """There is no other."""
        return False


class Granted:
    """A token by client credentials (RFC 6749, section 4.4): kept till shortly before its end, one fetch at a time."""

    __slots__ = ("_clock", "_fetching", "_http", "_settings", "_until", "_value")

    def __init__(self, settings: ClientCredentials, http: aiohttp.ClientSession, clock: Clock) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._value: str | None = None
        self._until = 0.0
        self._fetching = asyncio.Lock()

    async def header(self) -> str | None:
        """The value to send; fetched where there is none that is good for a while yet."""
        if self._value is None or self._clock.monotonic() >= self._until:
            async with self._fetching:
                if self._value is None or self._clock.monotonic() >= self._until:
                    await self._fetch()
        return self._value

    def refused(self, header: str | None, challenge: str | None) -> bool:  # noqa: ARG002 - as the Protocol
        """Forget the token, unless another call has renewed it meanwhile."""
        if header == self._value:
            self._value = None
        return True

    async def _fetch(self) -> None:
        asked_at = self._clock.monotonic()
        try:
            with Deadline(self._clock, TOKEN_TIMEOUT):
                status, answer = await self._post()
        except TimeoutError as late:
            raise NotSent("the token endpoint does not answer") from late
        except (aiohttp.ClientError, OSError) as broken:
            raise NotSent(f"the token endpoint cannot be reached: {type(broken).__name__}") from broken
        token, life = _token(status, answer)
        self._value = f"Bearer {token}"
        self._until = asked_at + life - min(MARGIN, life / 10)

    async def _post(self) -> tuple[int, Any]:
        settings = self._settings
        form = {"grant_type": "client_credentials"}
        if settings.scope is not None:
            form["scope"] = settings.scope
        if settings.resource is not None:
            form["resource"] = settings.resource
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if settings.client_authentication == "basic":
            headers["authorization"] = _basic(settings)
        else:
            form |= {"client_id": settings.client_id, "client_secret": settings.client_secret}
        async with self._http.post(
            settings.token_url, data=urlencode(form).encode(), headers=headers, allow_redirects=False
        ) as response:
            body = await response.content.read(MAX_TOKEN_ANSWER)
            while not response.content.at_eof() and len(body) < MAX_TOKEN_ANSWER:
                body += await response.content.read(MAX_TOKEN_ANSWER - len(body))
            return response.status, heard_json(body)


def _basic(settings: ClientCredentials) -> str:
    # RFC 6749, section 2.3.1: each half is form-encoded before the two are joined.
    pair = f"{quote(settings.client_id, safe='')}:{quote(settings.client_secret, safe='')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _token(status: int, answer: Any) -> tuple[str, float]:
    """The token and its life in seconds; nothing of the answer but its error code is ever repeated."""
    fields = answer if type(answer) is dict else {}
    if status != 200:  # noqa: PLR2004 - RFC 6749, section 5.1
        code = fields.get("error")
        why = label(code, limit=60) if type(code) is str else f"status {status}"
        raise NotSent(f"the token endpoint refuses us ({why})", status=status)
    token, kind = fields.get("access_token"), fields.get("token_type")
    life: Any = fields.get("expires_in")
    if type(token) is not str or not token or not token.isascii() or not token.isprintable():
        raise NotSent("the token endpoint answered without a token")
    if type(kind) is not str or kind.lower() != "bearer":
        raise NotSent("the token endpoint answered with a token of another kind than bearer")
    return token, float(life) if type(life) in {int, float} and 0 < life < 10**9 else ASSUMED_LIFE


def check_auth(auth: HttpAuth | None) -> None:
    """Raise ``ConfigurationError`` if the token's URL is one that a secret may not be sent to."""
    if isinstance(auth, ClientCredentials) and (problem := target_problem(auth.token_url)) is not None:
        raise ConfigurationError(f"auth.token_url: {problem}")


def authorizer_for(auth: HttpAuth | None, http: aiohttp.ClientSession, clock: Clock) -> Authorizer:
    """What ``auth`` asks for."""
    match auth:
        case None:
            return Fixed()
        case Bearer(token=token):
            return Fixed(f"Bearer {token}")
        case ClientCredentials():
            return Granted(auth, http, clock)
