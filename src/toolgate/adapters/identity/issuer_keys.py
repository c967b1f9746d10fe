"""The issuer's keys and endpoints as they are now: discovered, kept, and read anew when an unknown key shows up.

Where nothing is known, nothing is believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from toolgate.adapters.identity.fetch import Outbound, Unreachable
from toolgate.adapters.identity.kept import Kept
from toolgate.adapters.identity.key_set import KeySet, read_key_set

if TYPE_CHECKING:
    import jwt

    from toolgate.adapters.identity.trust import Trust
    from toolgate.ports import Clock

_DISCOVERY: Final = "/.well-known/openid-configuration"


class IssuerKeys:
    """Keys and endpoints of one issuer."""

    def __init__(self, trust: Trust, outbound: Outbound, clock: Clock) -> None:
        self._trust = trust
        self._outbound = outbound
        self._keys: Kept[KeySet] = Kept("the keys", self._read_keys, clock)
        self._description: Kept[dict[str, Any]] = Kept("the description", self._read_description, clock)

    async def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key that signed, or None if the issuer has no such key. Raises ``Unreachable`` if none is known."""
        keys = self._keys
        known = self._known(kid, algorithm)
        # Old keys: one that was taken back has to be noticed. Whoever notices waits, the others need not.
        if known is None or not (keys.is_fresh or keys.is_asked_for):
            await keys.refresh()
            if keys.value is None:
                raise Unreachable("its keys could not be read; they are asked for again in some seconds")
            known = self._known(kid, algorithm)
        return known

    async def description(self) -> dict[str, Any]:
        """What the issuer says of itself (RFC 8414, 3). Raises ``Unreachable``."""
        if not self._description.is_fresh:
            await self._description.refresh()
        if (found := self._description.value) is None:
            raise Unreachable("its description could not be read; it is asked for again in some seconds")
        return found

    def _known(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        keys = self._keys.value
        return None if keys is None else keys.find(kid, algorithm)

    async def _read_keys(self) -> KeySet:
        url = self._trust.jwks_url or (await self.description()).get("jwks_uri")
        if not isinstance(url, str):
            raise Unreachable("its description names no jwks_uri")
        keys = read_key_set(await self._outbound.get(url))
        if keys is None:
            raise Unreachable("its answer is no key set")
        return keys

    async def _read_description(self) -> dict[str, Any]:
        issuer = self._trust.issuer
        found = await self._outbound.get(issuer.rstrip("/") + _DISCOVERY)
        if found.get("issuer") != issuer:
            # RFC 8414, 3.3: else whoever answers there could speak for another issuer.
            raise Unreachable("its description names another issuer than [auth.oidc] issuer")
        return found
