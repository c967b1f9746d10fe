"""The keys of one database: `keyring` uses them, `key_file` holds them."""

from __future__ import annotations

from toolgate.adapters.keys.key_file import KeyFileUnfit
from toolgate.adapters.keys.keyring import SEAL_OVERHEAD, Keyring, UnknownKey, VaultSealBroken

__all__ = ["SEAL_OVERHEAD", "KeyFileUnfit", "Keyring", "UnknownKey", "VaultSealBroken"]
