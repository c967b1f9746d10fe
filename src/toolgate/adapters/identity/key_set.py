"""A JSON Web Key Set (RFC 7517) as far as it can check a signature: public keys, each for the algorithms it fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from toolgate.adapters.identity.trust import ALGORITHMS

MAX_KEYS: Final = 100
_MIN_RSA_BITS: Final = 2_048


class KeySet:
    """The keys of an issuer. What is private, symmetric, for encryption or too short is left out."""

    def __init__(self, keys: Iterable[Mapping[str, Any]]) -> None:
        self._keys = tuple(keys)
        self._parsed: dict[tuple[str | None, str], jwt.PyJWK] = {}

    def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The one key of this id that fits ``algorithm``; None if there is none, or more than one.

        Without an id it has to be the only one that fits (OpenID Connect Core, 10.1).
        """
        known = self._parsed.get((kid, algorithm))
        if known is None and (known := self._parse(kid, algorithm)) is not None:
            # Only what was found is kept: ids that somebody made up would fill the memory.
            self._parsed[kid, algorithm] = known
        return known

    def _parse(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        named = self._keys if kid is None else [key for key in self._keys if key.get("kid") == kid]
        fitting = [key for key in named if _fits(key, algorithm)]
        if len(fitting) != 1:
            return None
        try:
            key = jwt.PyJWK.from_dict(dict(fitting[0]), algorithm)
        except jwt.PyJWTError:
            return None
        if isinstance(key.key, RSAPublicKey) and key.key.key_size < _MIN_RSA_BITS:
            return None
        return key


def read_key_set(document: Mapping[str, Any]) -> KeySet | None:
    """The keys in ``document``; None if it is no key set. Keys of unknown kinds are ignored (RFC 7517, 5)."""
    keys = document.get("keys")
    if not isinstance(keys, list):
        return None
    return KeySet(key for key in keys[:MAX_KEYS] if isinstance(key, dict))


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    kind, curve = ALGORITHMS[algorithm]
    operations = key.get("key_ops")
    return (
        key.get("kty") == kind
        and (curve is None or key.get("crv") == curve)
        and key.get("alg", algorithm) == algorithm
        and key.get("use", "sig") == "sig"
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and "d" not in key
    )
