"""Whether a gateway keeps house on a database now: a lock beside it that such a gateway holds while it is open.

The kernel lets go of the lock when a process ends, however it ends, so a crash leaves no false sign. The file itself
stays: removing it would let two processes hold locks on two files of one name. Not here: what housekeeping does, and
whether that gateway has the tool that somebody waits for.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from toolgate.domain.errors import ConfigurationError

_OWNER_ONLY = 0o600


def lock_file(database: Path) -> Path:
    """Where the sign of ``database`` lies."""
    return database.with_name(f"{database.name}.gateway.lock")


class Presence:
    """A gateway's own sign. Several may be held at once, by one process or by many."""

    def __init__(self, database: Path) -> None:
        self._path = lock_file(database)
        self._descriptor: int | None = None

    def announce(self) -> None:
        """Hold the sign up.

        Raises:
            ConfigurationError: if the lock file cannot be made; without it people would be told that nobody runs.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(self._path, flags, _OWNER_ONLY)
        except OSError as fault:
            raise ConfigurationError(
                f"store=: {self._path.name} cannot be made: {fault.strerror}; give this user the right to write it"
            ) from fault
        # Shared, so that gateways do not exclude each other; whoever only asks holds its own lock for an instant.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self._descriptor = descriptor

    def withdraw(self) -> None:
        """Take the sign down; without one, nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def is_served(database: Path) -> bool:
    """Whether a gateway that keeps house is open on ``database``, in this process or another."""
    try:
        descriptor = os.open(lock_file(database), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
