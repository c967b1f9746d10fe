"""A sign-in of the kind that takes a person: the authorization code flow, by the SDK, with a browser that says yes.

The gate itself signs in to upstreams by a token or by client credentials; both go through one seam of its connection,
the authorizer. Here stands another one behind the same seam, so that what the suite asks of a client at that seam is
asked of the gate's connection: what it makes of a challenge, when it asks again, and when it stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, OAuthFlowError
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from toolgate.adapters.upstreams.failures import NotSent

REDIRECT: Final = "http://127.0.0.1:9/callback"
"""Where nobody is sent: the code is read from the redirect itself."""
OWN_DOCUMENT: Final = "https://conformance-test.local/client-metadata.json"
"""The client id that is a URL, where an issuer takes one; the suite knows it by this name."""
MOST_SIGN_INS: Final = 3
"""An issuer whose tokens open nothing is not asked for ever."""


class Kept:
    """What the SDK keeps between two sign-ins, in memory."""

    def __init__(self, client: OAuthClientInformationFull | None) -> None:
        self._tokens: OAuthToken | None = None
        self._client = client

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


class SignsIn:
    """An ``Authorizer`` that signs in once it is challenged. ``context``: what the suite tells of a known client."""

    def __init__(self, url: str, context: Mapping[str, Any]) -> None:
        self._url = url
        self._value: str | None = None
        self._challenge: tuple[int, str] | None = None
        self._sign_ins = 0
        self._redirected: str | None = None
        metadata = OAuthClientMetadata(
            client_name="toolgate",
            redirect_uris=[AnyUrl(REDIRECT)],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
        )
        self._flow = OAuthClientProvider(
            url,
            metadata,
            Kept(_registered(context)),
            redirect_handler=self._open,
            callback_handler=self._come_back,
            client_metadata_url=OWN_DOCUMENT,
        )

    async def header(self) -> str | None:
        """The value to send, after signing in where a challenge asks for it."""
        if self._challenge is not None:
            challenge, self._challenge = self._challenge, None
            try:
                self._value = await self._sign_in(*challenge)
            except OAuthFlowError as failed:
                raise NotSent(f"the sign-in failed: {type(failed).__name__}") from failed
        return self._value

    def refused(self, header: str | None, challenge: str | None) -> bool:
        """Sign in before the next request; for more than before, where the token was good and not for this."""
        said = challenge or "Bearer"
        self._challenge = (403 if "insufficient_scope" in said else 401, said)
        return self._sign_ins < MOST_SIGN_INS

    async def _sign_in(self, status: int, challenge: str) -> str | None:
        """Drive the SDK's flow: it begins with the answer that the connection got, and ends with what to repeat."""
        self._sign_ins += 1
        request = httpx2.Request("POST", self._url)
        flow = self._flow._auth_flow(request)
        async with httpx2.AsyncClient() as http:
            await anext(flow)
            answered = httpx2.Response(status, headers={"www-authenticate": challenge}, request=request)
            asked = await flow.asend(answered)
            while asked is not request:
                asked = await flow.asend(await http.send(asked))
        await flow.aclose()
        value: str | None = request.headers.get("authorization")
        return value

    async def _open(self, url: str) -> None:
        """A person's browser, and a person who agrees at once."""
        async with httpx2.AsyncClient() as browser:
            answer = await browser.get(url, follow_redirects=False)
        self._redirected = answer.headers.get("location")

    async def _come_back(self) -> AuthorizationCodeResult:
        said = {key: value[0] for key, value in parse_qs(urlsplit(self._redirected or "").query).items()}
        return AuthorizationCodeResult(
            code=said.get("code", ""), state=said.get("state"), iss=said.get("iss")
        )


def _registered(context: Mapping[str, Any]) -> OAuthClientInformationFull | None:
    """The client that somebody registered before, where the suite says so."""
    if "client_id" not in context:
        return None
    return OAuthClientInformationFull(
        client_id=context["client_id"],
        client_secret=context.get("client_secret"),
        redirect_uris=[AnyUrl(REDIRECT)],
        token_endpoint_auth_method="client_secret_basic" if context.get("client_secret") else "none",
    )
