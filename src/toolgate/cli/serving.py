"""What ``serve`` and ``worker`` share: how a process that stays is begun, and the words about it.

Not here: what either of them does.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit

from toolgate.cli.exits import misused
from toolgate.config.server import DEFAULT_ADDRESS, Address, read_address

if TYPE_CHECKING:
    from toolgate.config import Settings

_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = ("postgresql://", "postgres://")
_YOUNG: Final = 10_000
"""Objects until the youngest are looked through."""


def is_missing(missing: ModuleNotFoundError) -> NoReturn:
    """End with what to install, where a package of the server's extra is not there."""
    if missing.name is None or missing.name.partition(".")[0] == "toolgate":
        raise missing
    misused(f"the server needs {missing.name}, which is not installed; install toolgate[server]")


def read_listen(said: str) -> Address:
    """``--listen``, or an end that says what an address looks like."""
    address = read_address(said)
    if address is None:
        misused(f"--listen: {said!r} is no address; write HOST:PORT, for example {DEFAULT_ADDRESS}")
    return address


def spare_the_collector() -> None:
    """Look no more through what is loaded by now: it stays, and to find that out again cost a tenth of each request.

    A server makes little that only the collector finds, so it may come less often, too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


def store_words(settings: Settings) -> str:
    """The store as its operator knows it, without a secret."""
    if settings.store is not None and settings.store.startswith(_POSTGRES):
        parts = urlsplit(settings.store)
        return f"Postgres, {parts.path.removeprefix('/') or 'default database'} on {parts.hostname or 'this machine'}"
    if settings.store is None or not settings.store.startswith(_SQLITE):
        return "in memory: everything is forgotten when it stops"
    path = Path(settings.store.removeprefix(_SQLITE))
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
