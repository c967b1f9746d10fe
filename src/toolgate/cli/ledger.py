"""Opening the store that a configuration names, for a command: to look, or to write.

Owning the key file beside the database is owning the gate: whoever can read it may look at everything (what is
shown is redacted) and may make tokens. Acting in somebody's name takes that person's token, which comes from the
environment alone, so that no option can name oneself.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from toolgate.adapters.clock import SystemClock
from toolgate.adapters.ids import UlidIds
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.adapters.stores.sqlite.presence import is_served
from toolgate.adapters.stores.sqlite.reading import ReadingStore
from toolgate.bootstrap import open_keys
from toolgate.cli.exits import misused, no
from toolgate.domain.errors import ConfigurationError
from toolgate.operations.tokens import caller_of

if TYPE_CHECKING:
    from toolgate.adapters.keys import Keyring
    from toolgate.config import Settings
    from toolgate.domain.caller import Caller
    from toolgate.ports import Keys, Store

TOKEN_VARIABLE = "TOOLGATE_TOKEN"  # noqa: S105 - the name of a variable
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """An open store and its keys."""

    path: Path
    store: SqliteStore
    keys: Keyring = field(repr=False)

    @property
    def served(self) -> bool:
        """Whether a gateway that keeps house is open on it."""
        return is_served(self.path)


def database(settings: Settings) -> Path:
    """The file that the configuration's store is.

    Raises:
        ConfigurationError: if it names none, so that nothing is kept that could be looked at.
    """
    if settings.store is None or not settings.store.startswith(_SQLITE):
        files = ", ".join(str(file) for file in settings.files)
        raise ConfigurationError(f"{files}: store: nothing is kept; write store = 'sqlite:///toolgate.db'")
    return Path(settings.store.removeprefix(_SQLITE))


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger, to look at it. A live gateway does not notice."""
    path = database(settings)
    if not path.exists():
        raise ConfigurationError(
            f"there is no database at {path} yet; a gateway makes it when it opens, or `toolgate migrate`"
        )
    keys = open_keys(path)
    store = ReadingStore(path, boot_id="", now=SystemClock().now, ring_id=keys.ring_id)
    async with _opened(Ledger(path=path, store=store, keys=keys)) as ledger:
        yield ledger


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger, to write to it: with a boot of its own, whose chain begins with the first record."""
    path = database(settings)
    keys = open_keys(path)
    store = SqliteStore(path, boot_id=UlidIds().new("cli"), now=SystemClock().now, ring_id=keys.ring_id)
    async with _opened(Ledger(path=path, store=store, keys=keys)) as ledger:
        yield ledger


@asynccontextmanager
async def _opened(ledger: Ledger) -> AsyncIterator[Ledger]:
    await ledger.store.open()
    try:
        yield ledger
    finally:
        await ledger.store.close()


async def acting(store: Store, keys: Keys) -> Caller:
    """Whom the token in the environment stands for. It leaves the environment, so that no tool inherits it."""
    secret = os.environ.pop(TOKEN_VARIABLE, "").strip()
    if not secret:
        misused(
            f"set {TOKEN_VARIABLE} to your token; whoever owns the key file makes one: toolgate tokens create"
        )
    caller = await caller_of(store, keys, secret)
    if caller is None:
        no(f"the token in {TOKEN_VARIABLE} is unknown, expired or revoked")
    return caller


def keyholder() -> str:
    """Who owns the process, as the system knows it, for the trail: ``keyholder:alice``. No variable can change it."""
    uid = os.geteuid()
    try:
        return f"keyholder:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"keyholder:uid {uid}"
