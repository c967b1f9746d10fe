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
from types import MappingProxyType
from typing import TYPE_CHECKING

from toolgate.adapters.ids import UlidIds
from toolgate.bootstrap import office_world
from toolgate.bootstrap.stores import SQLITE, is_postgres, keys_of, open_ledger, sqlite_file
from toolgate.bootstrap.tools import all_tools
from toolgate.cli.exits import misused, no
from toolgate.domain.errors import ConfigurationError
from toolgate.operations.authenticate import BEARERS, look_up, stands_for

if TYPE_CHECKING:
    from toolgate.adapters.keys import Keyring
    from toolgate.adapters.stores.postgres.store import PostgresStore
    from toolgate.adapters.stores.sqlite import SqliteStore
    from toolgate.config import Settings
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World
    from toolgate.ports import Keys, Store

TOKEN_VARIABLE = "TOOLGATE_TOKEN"  # noqa: S105 - the name of a variable
_NOBODY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """An open store and its keys. ``served``: whether a gateway that keeps house was open on it just now."""

    store: SqliteStore | PostgresStore
    keys: Keyring = field(repr=False)
    served: bool = False

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


def kept(settings: Settings) -> str:
    """The store of the configuration, as an address that is kept. It may hold a password.

    Raises:
        ConfigurationError: if it names none, so that nothing is kept that could be looked at.
    """
    if settings.store is None or not (is_postgres(settings.store) or settings.store.startswith(SQLITE)):
        files = ", ".join(str(file) for file in settings.files)
        raise ConfigurationError(
            f"{files}: store: nothing is kept; write store = 'sqlite:///toolgate.db', or an address of Postgres"
        )
    return settings.store


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger, to look at it. A live gateway does not notice."""
    store = kept(settings)
    if not is_postgres(store) and not (path := sqlite_file(store)).exists():
        raise ConfigurationError(
            f"there is no database at {path} yet; a gateway makes it when it opens, or `toolgate migrate`"
        )
    keys = keys_of(store, settings.keys)
    async with _opened(open_ledger(store, keys, boot_id=UlidIds().new("cli"), reading=True), keys) as ledger:
        yield ledger


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger, to write to it: with a boot of its own, whose chain begins with the first record."""
    store = kept(settings)
    keys = keys_of(store, settings.keys)
    async with _opened(open_ledger(store, keys, boot_id=UlidIds().new("cli")), keys) as ledger:
        yield ledger


@asynccontextmanager
async def _opened(store: SqliteStore | PostgresStore, keys: Keyring) -> AsyncIterator[Ledger]:
    await store.open()
    try:
        yield Ledger(store=store, keys=keys, served=await store.is_served())
    finally:
        await store.close()


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
