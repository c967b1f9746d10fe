"""The keys of one database: their file, and what is done with them.

Here: making, reading and rotating the key file, sealing and opening what must be kept but not read, and the keyed
digests. Not here: what is sealed, where it is stored, and when a digest is compared.

The file stands beside the database (`<db>.keys`) and is its owner's alone. Whoever has both can read everything;
whoever loses the file cannot read what was sealed, and the database refuses to start without it. Back it up apart
from the database.
"""

from __future__ import annotations

import hmac
import os
import threading
from pathlib import Path
from struct import Struct
from typing import Final, NoReturn, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from toolgate.adapters.keys.key_file import (
    KEY_ID_SIZE,
    KeyFileUnfit,
    Keys,
    new_keys,
    read_keys,
    rewrite_keys,
    rotated,
    write_new_keys,
)
from toolgate.domain.errors import GateFault, OperatorFault

_MAGIC: Final = b"TGv1"
_NONCE_SIZE: Final = 12
_TAG_SIZE: Final = 16
_HEADER_SIZE: Final = len(_MAGIC) + KEY_ID_SIZE
SEAL_OVERHEAD: Final = _HEADER_SIZE + _NONCE_SIZE + _TAG_SIZE
"""Bytes that an envelope adds to what it seals."""

_LENGTHS: Final = Struct(">III")
_SHOWN_HEX: Final = 16


class UnknownKey(OperatorFault):
    """Something was sealed with a key that this key file does not hold: the file belongs to another time or place."""


class VaultSealBroken(GateFault):
    """What was sealed is not what is there now, or it is opened as something else than it was sealed as."""


class Keyring:
    """The keys of one database. Safe to share between threads; never copied or pickled.

    AES-GCM with random nonces allows 2^32 messages for one key (NIST SP 800-38D, 8.3): rotate well before that.
    """

    __slots__ = ("_ciphers", "_keys", "_lock", "_path", "_redaction_prefix", "_seal")

    def __init__(self, keys: Keys, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._hold(keys)

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> Self:
        """Make new keys and write them to `path`, which must not exist: of two at once, one succeeds.

        Raises `KeyFileUnfit` if the file is there already or cannot be written.
        """
        keys = new_keys()
        write_new_keys(Path(path), keys)
        return cls(keys, Path(path))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read the keys at `path`. Raises `KeyFileUnfit` unless the file is sound and readable by its owner alone."""
        return cls(read_keys(Path(path)), Path(path))

    @classmethod
    def ephemeral(cls) -> Self:
        """New keys that are gone with the process, for the memory store."""
        return cls(new_keys(), None)

    def __repr__(self) -> str:
        return f"Keyring(ring_id={self.ring_id!r}, active={self._keys.active!r}, keys=<hidden>)"

    def __reduce__(self) -> NoReturn:
        msg = "a Keyring is neither copied nor pickled: open the key file where it is needed"
        raise TypeError(msg)

    @property
    def ring_id(self) -> str:
        """The public name of this key file, the same after a rotation: a database remembers to whom it belongs."""
        return self._keys.ring_id

    @property
    def active_key_id(self) -> str:
        """The id of the key that seals from now on."""
        return self._keys.active

    # --- sealing ----------------------------------------------------------------------------------------------

    def encrypt(self, plaintext: bytes, *, tenant: str, call_id: str, kind: str) -> bytes:
        """Seal `plaintext` (AES-256-GCM), to be opened for the same tenant, call and kind alone.

        The envelope is a version, the key's id, a nonce and the ciphertext: `SEAL_OVERHEAD` bytes more.
        """
        nonce = os.urandom(_NONCE_SIZE)
        header, cipher = self._seal
        return header + nonce + cipher.encrypt(nonce, plaintext, _bound_to(header, tenant, call_id, kind))

    def decrypt(self, sealed: bytes, *, tenant: str, call_id: str, kind: str) -> bytes:
        """Open what `encrypt` sealed for the same tenant, call and kind.

        Raises `VaultSealBroken` if anything was changed or is asked for in another name, `UnknownKey` if its key is
        not in the file; that is read again first, since another process may have rotated.
        """
        header, nonce = sealed[:_HEADER_SIZE], sealed[_HEADER_SIZE : _HEADER_SIZE + _NONCE_SIZE]
        if len(sealed) < SEAL_OVERHEAD or not header.startswith(_MAGIC):
            msg = f"the sealed {kind} of call {call_id} is no envelope of this version: cut, or written by another"
            raise VaultSealBroken(msg)
        cipher = self._cipher(header[len(_MAGIC) :].hex())
        try:
            body = sealed[_HEADER_SIZE + _NONCE_SIZE :]
            return cipher.decrypt(nonce, body, _bound_to(header, tenant, call_id, kind))
        except InvalidTag:
            msg = f"the sealed {kind} of call {call_id} was changed, or belongs to another tenant or call"
            raise VaultSealBroken(msg) from None

    def rotate(self) -> str:
        """Add a new sealing key and make it the active one; older ones stay for reading. Returns its id.

        The file is replaced in one step, so that a crash leaves the old one or the new one. Raises `KeyFileUnfit` if
        another rotation is under way or the file cannot be replaced; then nothing has changed.
        """
        with self._lock:
            path = self._path
            if path is None:
                self._hold(rotated(self._keys))
            else:
                self._hold(rewrite_keys(path, lambda keys: rotated(self._same_ring(keys, path))))
            return self._keys.active

    def reload(self) -> None:
        """Read the file again, for keys that another process added. Raises `KeyFileUnfit`; the keys stay then."""
        if self._path is None:
            return
        with self._lock:
            self._hold(self._same_ring(read_keys(self._path), self._path))

    # --- digests ----------------------------------------------------------------------------------------------

    def claim_mac(self, message: bytes) -> bytes:
        """HMAC-SHA256 (32 bytes) of an idempotency claim. Its key never rotates, or every claim would be forgotten."""
        return hmac.digest(self._keys.claim, message, "sha256")

    def redaction_mac(self, message: bytes) -> str:
        """What stands in a trail for a sensitive value: `hmac:<key id>:<16 hex digits>`, equal for equal values."""
        digest = hmac.digest(self._keys.redaction, message, "sha256")
        return self._redaction_prefix + digest.hex()[:_SHOWN_HEX]

    def token_hash(self, token: str) -> str:
        """How an API token is stored and looked up: keyed, in hexadecimal, so that a stolen database opens no door."""
        return hmac.digest(self._keys.token, token.encode("utf-8", "surrogatepass"), "sha256").hex()

    # --- inside -----------------------------------------------------------------------------------------------

    def _hold(self, keys: Keys) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.encryption.items()}
        # One tuple, so that no thread ever sees the header of one key with the cipher of another.
        self._seal = (_MAGIC + bytes.fromhex(keys.active), self._ciphers[keys.active])
        self._redaction_prefix = f"hmac:{keys.redaction_id}:"
        self._keys = keys

    def _cipher(self, key_id: str) -> AESGCM:
        if key_id not in self._ciphers:
            self.reload()
        try:
            return self._ciphers[key_id]
        except KeyError:
            msg = f"key {key_id} is not in the key file {self._path or '(ephemeral)'}; restore the file that held it"
            raise UnknownKey(msg) from None

    def _same_ring(self, keys: Keys, path: Path) -> Keys:
        if keys.ring_id != self.ring_id:
            msg = f"{path} now holds the keys of another database; put back the file with ring {self.ring_id}"
            raise KeyFileUnfit(msg)
        return keys


def _bound_to(header: bytes, tenant: str, call_id: str, kind: str) -> bytes:
    """The associated data: every part with its length, so that no two different bindings read alike."""
    t, c, k = tenant.encode(), call_id.encode(), kind.encode()
    return header + _LENGTHS.pack(len(t), len(c), len(k)) + t + c + k
