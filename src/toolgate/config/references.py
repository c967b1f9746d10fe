"""Values by reference: ``env:NAME`` and ``file:path``, so that a secret never lies in a configuration.

What a reference stands for is never part of a message about it. A store that turned out to be the path of a SQLite
file is no secret any more: it may be named when the file cannot be used. Not here: which keys may hold one.
"""

from __future__ import annotations

import os
from pathlib import Path

from toolgate.config.problems import Where

_MAX_FILE = 65_536


def resolve(text: str, where: Where) -> str:
    """What ``text`` stands for; text that is no reference stands for itself. Paths are relative to the file.

    Raises:
        ConfigurationError: if the variable is not set, or the file cannot be read; never with the value in it.
    """
    kind, colon, name = text.partition(":")
    if colon and kind == "env":
        return _from_environment(name, where)
    if colon and kind == "file":
        return _from_file(name, where)
    return text


def _from_environment(name: str, where: Where) -> str:
    if not name:
        raise where.wrong("name the variable, as in 'env:DATABASE_URL'")
    value = os.environ.get(name, "")
    if not value:
        raise where.wrong(f"the environment variable {name} is not set; set it, or write another reference")
    return value


def _from_file(name: str, where: Where) -> str:
    if not name:
        raise where.wrong("name the file, as in 'file:/run/secrets/store'")
    path = where.source.folder / Path(name)
    try:
        with path.open(encoding="utf-8") as file:
            value = file.read(_MAX_FILE).strip()
    except UnicodeDecodeError:
        raise where.wrong(f"the file {name} is not text in UTF-8") from None
    except OSError as fault:
        raise where.wrong(f"the file {name} cannot be read: {fault.strerror}") from None
    if not value:
        raise where.wrong(f"the file {name} is empty")
    return value
