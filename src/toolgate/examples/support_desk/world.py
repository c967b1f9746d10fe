"""One desk as it runs in this process: its database, its clock, its faults, its runbook site.

Belongs here: what is the same for every call. What belongs to one caller's call is a `Desk`.

Tools find the world through `current()`, because a list of tools is made once, at import, for every program
that names it in a configuration. A program sets it with `World.use`; a command line finds it in
`SUPPORT_DESK_DB`.
"""

from __future__ import annotations

import os
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from toolgate.examples.support_desk import database
from toolgate.examples.support_desk.clock import Now, system_now
from toolgate.examples.support_desk.desk import Desk
from toolgate.examples.support_desk.faults import Faults
from toolgate.examples.support_desk.runbook_site import RunbookSite
from toolgate.examples.support_desk.seed import sow
from toolgate.examples.support_desk.users import Users

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT = "SUPPORT_DESK_DB"
DEFAULT_NAME = "support_desk.db"


class World:
    """A desk that stands at a path. Close it when done: it may be serving its handbook."""

    def __init__(self, path: Path, *, now: Now = system_now) -> None:
        """Run the desk that was created at `path`."""
        self.path = path
        self.now = now
        self.faults = Faults()
        self._site: RunbookSite | None = None
        self._site_lock = threading.Lock()

    @classmethod
    def create(cls, path: Path, *, now: Now = system_now) -> Self:
        """Create a desk at `path`, filled as on its first morning.

        Raises:
            FileExistsError: something is at `path` already.
        """
        with closing(database.create(path)) as connection:
            sow(connection)
        return cls(path, now=now)

    @contextmanager
    def desk(self, *, tenant: str, user_id: str) -> Iterator[Desk]:
        """Open the desk for one call of one user; the connection is closed afterwards.

        Raises:
            DeskMissingError: the database is gone.
        """
        with closing(database.connect(self.path)) as connection:
            user = Users(connection, tenant=tenant).find(user_id)
            yield Desk(
                connection,
                tenant=tenant,
                user=user,
                now=self.now,
                faults=self.faults,
                site_port=self.site_port,
            )

    def site_port(self) -> int:
        """Serve the handbook, from the first time somebody asks for it, and say on which port."""
        with self._site_lock:
            if self._site is None:
                self._site = RunbookSite(self.path)
            return self._site.port

    def close(self) -> None:
        """Stop serving the handbook, if anybody asked for it."""
        with self._site_lock:
            if self._site is not None:
                self._site.close()
                self._site = None

    @contextmanager
    def use(self) -> Iterator[Self]:
        """Be the world of this process's tools until the block ends, then close."""
        global _current  # noqa: PLW0603  (one process, one desk: the point of this module)
        before, _current = _current, self
        try:
            yield self
        finally:
            _current = before
            self.close()


_current: World | None = None


def current() -> World:
    """Find the world of this process: the one in use, or the one that `SUPPORT_DESK_DB` names.

    Raises:
        DeskMissingError: there is neither, nor a `support_desk.db` in the working directory.
    """
    global _current  # noqa: PLW0603
    if _current is None:
        path = Path(os.environ.get(ENVIRONMENT, DEFAULT_NAME))
        database.connect(path).close()
        _current = World(path)
    return _current
