"""What the driver's errors mean: whose fault, whether the connection is gone, and in which words it may be told.

A server's message may quote values of rows, and its details do; so only its condition and the names of our own tables
and constraints are passed on. Not here: what is done about it (``writer``, ``link``, ``migrate``).
"""

from __future__ import annotations

import asyncio

import asyncpg

from toolgate.domain.errors import ConfigurationError, StoreUnavailable

FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What the driver raises. ``OSError`` holds ``TimeoutError`` and what a socket says."""

_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    # A server that became a standby answers, but it is not the one that writes any more.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InternalClientError,
    OSError,
)
_CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_CLAIMED_MEANWHILE = frozenset({"claims_pkey", "chains_chain_id_key"})
_OF_THE_DATA = frozenset({"0A", "21", "22", "23", "42", "44", "54", "P0"})
"""Classes of SQLSTATE (PostgreSQL, Appendix A) for which what was asked is to blame, and not the server."""

_AT_CONNECTING = {
    "28P01": "the password is not the one of this user; correct it",
    "28000": "this user may not connect; see pg_hba.conf of the server",
    "3D000": "there is no such database; create it with createdb",
    "42704": "the server has no such setting; see the parameters behind ? of the address",
}
"""What the server says of an address, by SQLSTATE, to whoever connects first or anew."""
_AT_START = {
    **_AT_CONNECTING,
    "42P01": "this user does not see the tables of its schema; connect as the owner of the schema",
    "42501": (
        "this user lacks a right; it must own the schema, or be allowed to CREATE in the database to make it"
    ),
    "25006": "it takes no writes: it is a standby or read-only; name the primary",
}


def is_gone(fault: BaseException, connection: asyncpg.Connection | None = None) -> bool:
    """Whether the connection is of no more use; nothing is said about what the server did last."""
    if isinstance(fault, asyncpg.DataError | asyncpg.ClientConfigurationError):
        return False
    closed = connection is not None and connection.is_closed()
    return closed or isinstance(fault, (*_GONE, asyncpg.InterfaceError))


def is_conflict(fault: BaseException) -> bool:
    """Whether another writer was first, so that the same command may do on rows that are read anew."""
    if isinstance(fault, asyncpg.UniqueViolationError):
        return getattr(fault, "constraint_name", None) in _CLAIMED_MEANWHILE
    return isinstance(fault, _CONFLICTS)


def is_of_the_data(fault: BaseException) -> bool:
    """Whether one command of a group may be to blame, so that the others shall be tried without it."""
    if isinstance(fault, asyncpg.PostgresError):
        return (fault.sqlstate or "")[:2] in _OF_THE_DATA or isinstance(fault, asyncpg.LockNotAvailableError)
    return not isinstance(fault, FAULTS)


def words(fault: BaseException) -> str:
    """What may be said of ``fault``: its kind, the table or constraint that it is about, and what mends an address."""
    if isinstance(fault, asyncpg.PostgresError):
        about = getattr(fault, "constraint_name", None) or getattr(fault, "table_name", None)
        kind = type(fault).__name__.removesuffix("Error")
        said = f"{kind}, {fault.sqlstate}" + (f", {about}" if about else "")
        mend = _AT_CONNECTING.get(fault.sqlstate or "")
        return f"{mend} ({said})" if mend else said
    if isinstance(fault, TimeoutError | asyncio.TimeoutError):
        return "it did not answer in time"
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror
    return type(fault).__name__


def told_at_start(fault: BaseException, shown: str) -> ConfigurationError | StoreUnavailable:
    """The error for whoever starts a gateway: what to change, where a change would help."""
    state = fault.sqlstate if isinstance(fault, asyncpg.PostgresError) else None
    if state in _AT_START:
        return ConfigurationError(f"store=: {shown}: {_AT_START[state]}")
    if isinstance(fault, asyncpg.ClientConfigurationError):
        return ConfigurationError(f"store=: the driver cannot use the address of {shown}; see its parameters")
    return StoreUnavailable(f"{shown} cannot be used: {words(fault)}")


def unavailable(fault: BaseException) -> StoreUnavailable:
    """For a command of which nothing was written."""
    return StoreUnavailable(f"the store refused to write: {words(fault)}")
