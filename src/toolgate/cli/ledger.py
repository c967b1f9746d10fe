"""Opening the store that a configuration names, for a command: to look, or to write.

Owning the key file beside the database is owning the gate: whoever can read it may look at everything (what is
shown is redacted) and may make tokens. Acting in somebody's name takes that person's token, which comes from the
environment alone, so that no option can name oneself.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from toolgate.adapters.clock import SystemClock
from toolgate.adapters.ids import UlidIds
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.adapters.stores.sqlite.presence import is_served
from toolgate.adapters.stores.sqlite.reading import ReadingStore
from toolgate.bootstrap import office_world, open_keys
from toolgate.bootstrap.tools import all_tools
from toolgate.cli.exits import misused, no
from toolgate.domain.errors import ConfigurationError
from toolgate.operations.authenticate import BEARERS, look_up, stands_for

if TYPE_CHECKING:
    from toolgate.adapters.keys import Keyring
    from toolgate.config import Settings
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World
    from toolgate.ports import Keys, Store

TOKEN_VARIABLE = "TOOLGATE_TOKEN"  # noqa: S105 - the name of a variable
_SQLITE = "sqlite:///"
_NOBODY: Mapping[str, str] = MappingProxyType({})


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

    def office(self, settings: Settings, *, with_tools: bool = False) -> World:
        """The world that operations work with. ``with_tools``: with the contracts that the configuration names."""
        return office_world(
            self.store,
            self.keys,
            owner=keyholder(),
            agents=settings.agents,
            may_decide=settings.may_decide(),
            tools=all_tools(settings) if with_tools else (),
            limits=settings.limits,
        )


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


async def acting(
    store: Store, keys: Keys, agents: Mapping[str, str] = _NOBODY, *, otherwise: str = ""
) -> Principal:
    """Whom the token in the environment stands for. It leaves the environment, so that no tool inherits it.

    ``agents`` are the owners that the configuration names; ``otherwise`` is what can be done without a token.
    """
    secret = os.environ.pop(TOKEN_VARIABLE, "").strip()
    if not secret:
        instead = f", or {otherwise}" if otherwise else ""
        misused(
            f"set {TOKEN_VARIABLE} to your token{instead}; whoever owns the key file makes one: "
            "toolgate tokens create --id ID --roles ROLE"
        )
    row = await look_up(store, keys, secret, kinds=BEARERS)
    if isinstance(row, str):
        no(
            f"the token in {TOKEN_VARIABLE} is unknown, expired or revoked; whoever owns the key file makes another: "
            "toolgate tokens create --id ID --roles ROLE"
        )
    return stands_for(row, agents)


def keyholder() -> str:
    """Who owns the process, as the system knows it, for the trail: ``keyholder:alice``. No variable can change it."""
    uid = os.geteuid()
    try:
        return f"keyholder:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"keyholder:uid {uid}"
