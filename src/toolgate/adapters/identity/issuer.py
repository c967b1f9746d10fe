"""The issuer as the gate sees it: a bearer that it signed, and a browser that signs in at it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from toolgate.adapters.identity.claims import bearer_of, person_of
from toolgate.adapters.identity.fetch import Outbound, Unreachable, url_problem
from toolgate.adapters.identity.issuer_keys import IssuerKeys
from toolgate.adapters.identity.trust import Refused
from toolgate.adapters.identity.verify import verify_access_token, verify_id_token
from toolgate.domain.duration import MICRO
from toolgate.domain.principal import Declined

if TYPE_CHECKING:
    import httpx

    from toolgate.adapters.identity.trust import Client, Trust
    from toolgate.domain.principal import Principal
    from toolgate.ports import Clock

_MAX_CODE: Final = 4_096


class OidcIssuer:
    """One OpenID Connect issuer; fills the ports ``Issuer`` and ``SignIn``. Nothing is asked before it is needed.

    Args:
        transport: in place of the network, for tests.
    """

    def __init__(
        self, trust: Trust, *, clock: Clock, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._trust = trust
        self._clock = clock
        self._outbound = Outbound(transport)
        self._keys = IssuerKeys(trust, self._outbound, clock)

    @property
    def signs_in(self) -> bool:
        """Whether browsers can sign in: the issuer knows us as a client."""
        return self._trust.client is not None

    @property
    def name(self) -> str:
        """The issuer's host, for people."""
        return urlsplit(self._trust.issuer).netloc

    async def principal(self, bearer: str) -> Principal | Declined:
        """Whom an access token stands for; the reason of a refusal is for the log.

        A ``conflict`` says nothing of the token: no key of the issuer is known, and it cannot be asked now.
        """
        try:
            claims = await verify_access_token(bearer, self._trust, self._keys.find, now=self._now())
        except Unreachable as fault:
            return Declined("conflict", f"the issuer cannot be asked: {fault}")
        found = claims if isinstance(claims, Refused) else bearer_of(claims, self._trust)
        return _declined(found.why) if isinstance(found, Refused) else found

    async def begin(self, *, redirect_uri: str, state: str, nonce: str, code_verifier: str) -> str | Declined:
        """The issuer's page to send the browser to (RFC 6749, 4.1.1; RFC 7636, 4.3)."""
        client = self._trust.client
        if client is None:
            return _declined("browsers do not sign in: [auth.oidc] client_id is not set")
        try:
            endpoint = _endpoint(await self._keys.description(), "authorization_endpoint")
        except Unreachable as fault:
            return _declined(f"the issuer cannot be asked: {fault}")
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(client.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(code_verifier),
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    async def finish(
        self, answer: Mapping[str, str], *, redirect_uri: str, nonce: str, code_verifier: str
    ) -> Principal | Declined:
        """Who signed in: the code exchanged for an ID token, and that verified as every token is."""
        client = self._trust.client
        if client is None:
            return _declined("browsers do not sign in: [auth.oidc] client_id is not set")
        try:
            metadata = await self._keys.description()
            if (problem := self._misdirected(answer, metadata)) is not None:
                return _declined(problem)
            form = {
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": redirect_uri,
                "code_verifier": code_verifier,
            }
            answered = await self._ask_for_token(client, metadata, form)
            return await self._signed_in(client, answered.get("id_token"), nonce)
        except Unreachable as fault:
            return _declined(f"the issuer cannot be asked: {fault}")

    async def _signed_in(self, client: Client, id_token: object, nonce: str) -> Principal | Declined:
        if not isinstance(id_token, str):
            return _declined("the issuer answered without an ID token; is the scope openid asked for?")
        claims = await verify_id_token(
            id_token, self._trust, self._keys.find, client_id=client.client_id, nonce=nonce, now=self._now()
        )
        found = claims if isinstance(claims, Refused) else person_of(claims, self._trust)
        return _declined(f"the ID token: {found.why}") if isinstance(found, Refused) else found

    async def _ask_for_token(
        self, client: Client, metadata: Mapping[str, Any], form: dict[str, str]
    ) -> dict[str, Any]:
        endpoint = _endpoint(metadata, "token_endpoint")
        if client.secret is None:
            return await self._outbound.post(endpoint, {**form, "client_id": client.client_id})
        ways = metadata.get("token_endpoint_auth_methods_supported")
        if isinstance(ways, list) and "client_secret_basic" not in ways and "client_secret_post" in ways:
            in_form = {"client_id": client.client_id, "client_secret": client.secret}
            return await self._outbound.post(endpoint, {**form, **in_form})
        # RFC 6749, 2.3.1: both are form-encoded before they become user and password.
        basic = (quote(client.client_id, safe=""), quote(client.secret, safe=""))
        return await self._outbound.post(endpoint, form, basic=basic)

    def _misdirected(self, answer: Mapping[str, str], metadata: Mapping[str, Any]) -> str | None:
        """Why the browser's answer is none to our question (RFC 6749, 4.1.2; RFC 9207 against a mix-up of issuers)."""
        if "error" in answer:
            return "the issuer refused the sign-in"
        if not 0 < len(answer.get("code", "")) <= _MAX_CODE:
            return "the answer holds no code"
        told = answer.get("iss")
        if told is None and metadata.get("authorization_response_iss_parameter_supported") is not True:
            return None
        return None if told == self._trust.issuer else "the answer comes from another issuer (iss)"

    def _now(self) -> float:
        return self._clock.now() / MICRO


def _endpoint(metadata: Mapping[str, Any], name: str) -> str:
    url = metadata.get(name)
    if not isinstance(url, str) or url_problem(url) is not None:
        raise Unreachable(f"its description names no {name} that can be asked")
    return url


def _challenge(code_verifier: str) -> str:
    digest = hashlib.sha256(code_verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _declined(why: str) -> Declined:
    return Declined("forbidden", why)
