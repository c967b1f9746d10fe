"""The file that holds the keys of one database: its content, its rights, and how it is written.

Here: what stands in the file, and that nobody else reads it and no crash leaves half of it. Not here: what the keys
are used for (`keyring`).
"""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from toolgate.domain.canonical import parse_json
from toolgate.domain.errors import OperatorFault

KEY_SIZE: Final = 32
"""Bytes of every key: AES-256, and HMAC-SHA256 at its full strength."""

KEY_ID_SIZE: Final = 8
"""Bytes of the id of a sealing key; twice as many hexadecimal digits in the file."""

_FORMAT: Final = 1
_MAX_FILE: Final = 1024 * 1024
_OWNER_ONLY: Final = 0o600
_KEY_ID: Final = re.compile("[0-9a-f]{16}")
_RING_ID: Final = re.compile("ring_[0-9a-f]{16}")
_REDACTION_ID: Final = re.compile("[0-9a-f]{8}")


class KeyFileUnfit(OperatorFault):
    """The key file is missing, in the way, readable by others or damaged. The message says how to mend it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What the file holds. Never shown."""

    ring_id: str
    active: str
    encryption: Mapping[str, bytes] = field(repr=False)
    claim: bytes = field(repr=False)
    token: bytes = field(repr=False)
    redaction_id: str
    redaction: bytes = field(repr=False)


def new_keys() -> Keys:
    """A fresh set, with one sealing key."""
    key_id = os.urandom(KEY_ID_SIZE).hex()
    return Keys(
        ring_id=f"ring_{os.urandom(KEY_ID_SIZE).hex()}",
        active=key_id,
        encryption={key_id: os.urandom(KEY_SIZE)},
        claim=os.urandom(KEY_SIZE),
        token=os.urandom(KEY_SIZE),
        redaction_id=os.urandom(KEY_ID_SIZE // 2).hex(),
        redaction=os.urandom(KEY_SIZE),
    )


def rotated(keys: Keys) -> Keys:
    """`keys` with a new sealing key, which is the active one from now on; the older ones stay for reading."""
    key_id = os.urandom(KEY_ID_SIZE).hex()
    return replace(keys, active=key_id, encryption={**keys.encryption, key_id: os.urandom(KEY_SIZE)})


def _encoded(keys: Keys) -> bytes:
    content = {
        "format": _FORMAT,
        "ring": keys.ring_id,
        "active": keys.active,
        "encryption": {key_id: _text(key) for key_id, key in keys.encryption.items()},
        "claim": _text(keys.claim),
        "token": _text(keys.token),
        "redaction": {"id": keys.redaction_id, "key": _text(keys.redaction)},
    }
    return json.dumps(content, indent=2).encode() + b"\n"


def _decoded(raw: bytes) -> Keys | None:
    """The keys in a file's content, or `None`: an error from here would carry key material with it."""
    try:
        content: Any = parse_json(raw, max_bytes=_MAX_FILE)
        keys = Keys(
            ring_id=_matching(_RING_ID, content["ring"]),
            active=content["active"],
            encryption={
                _matching(_KEY_ID, key_id): _key(text) for key_id, text in content["encryption"].items()
            },
            claim=_key(content["claim"]),
            token=_key(content["token"]),
            redaction_id=_matching(_REDACTION_ID, content["redaction"]["id"]),
            redaction=_key(content["redaction"]["key"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return keys if content.get("format") == _FORMAT and keys.active in keys.encryption else None


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError
    return text


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _key(text: str) -> bytes:
    key = base64.b64decode(text, validate=True)
    if len(key) != KEY_SIZE:
        raise ValueError
    return key


# --- the file -------------------------------------------------------------------------------------------------


def read_keys(path: Path) -> Keys:
    """The keys at `path`. Raises `KeyFileUnfit` unless the file is sound and its owner's alone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        msg = (
            f"the key file {path} is missing; restore it from a backup: nothing sealed can be read without it"
        )
        raise KeyFileUnfit(msg) from None
    except OSError as fault:
        link = fault.errno in {errno.ELOOP, errno.EMLINK}
        msg = "is a symbolic link; name the file itself" if link else f"cannot be opened: {fault.strerror}"
        raise KeyFileUnfit(f"the key file {path} {msg}") from fault
    try:
        if complaint := _not_private(os.fstat(descriptor), path):
            raise KeyFileUnfit(f"the key file {path} {complaint}")
        raw = _read_all(descriptor)
    finally:
        os.close(descriptor)
    keys = _decoded(raw)
    if keys is None:
        raise KeyFileUnfit(f"the key file {path} is damaged or of another version; restore it from a backup")
    return keys


def _not_private(found: os.stat_result, path: Path) -> str | None:
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file; name the file that holds the keys"
    if found.st_uid != os.geteuid():
        return f"belongs to another user (uid {found.st_uid}); run as that user, or chown it to uid {os.geteuid()}"
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(found.st_mode)
        return f"can be reached by others (mode {mode:04o}); run: chmod 600 {shlex.quote(str(path))}"
    return None


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(_MAX_FILE + 1)


def write_new_keys(path: Path, keys: Keys) -> None:
    """Write `keys` to `path`, which must not exist; nobody ever finds half a file, and of two writers one wins.

    Raises `KeyFileUnfit` if the name is taken or the file cannot be written.
    """
    unnamed = path.with_name(f".{path.name}.{os.urandom(KEY_ID_SIZE).hex()}")
    with _told_as_unfit(path, "written"):
        descriptor = _create(unnamed)
        try:
            try:
                _write_all(descriptor, _encoded(keys))
            finally:
                os.close(descriptor)
            os.link(unnamed, path)
        except FileExistsError:
            msg = f"the key file {path} is there already; open it, or move it away if it belongs to nothing"
            raise KeyFileUnfit(msg) from None
        finally:
            unnamed.unlink()
        _sync_folder(path)


def rewrite_keys(path: Path, change: Callable[[Keys], Keys]) -> Keys:
    """Replace the keys at `path` by what `change` makes of them, in one step, and return those.

    The new file is the lock as well, and the old one is read under it, so that two processes lose nothing of each
    other. Raises `KeyFileUnfit` if another change is under way or the file cannot be replaced; then nothing changed.
    """
    new = path.with_name(f"{path.name}.new")
    with _told_as_unfit(path, "replaced"):
        try:
            descriptor = _create(new)
        except FileExistsError:
            msg = f"another rotation of {path} is under way; if none is, one was interrupted: remove {new}"
            raise KeyFileUnfit(msg) from None
        try:
            try:
                keys = change(read_keys(path))
                _write_all(descriptor, _encoded(keys))
            finally:
                os.close(descriptor)
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        _sync_folder(path)
    return keys


@contextmanager
def _told_as_unfit(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        msg = f"the key file {path} could not be {what}: {fault.strerror}; check the folder, its rights and the disk"
        raise KeyFileUnfit(msg) from fault


def _create(path: Path) -> int:
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _OWNER_ONLY
    )
    os.fchmod(descriptor, _OWNER_ONLY)  # a umask may have taken rights from the owner too
    return descriptor


def _write_all(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.fsync(descriptor)


def _sync_folder(path: Path) -> None:
    """Make the name durable, not only the content: a key that vanishes in a power cut takes what it sealed along."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
