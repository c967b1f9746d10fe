"""A way to Postgres that fails where a test says: at one message of one connection, before, in or after it.

It stands between the driver and the server, in threads of this process, and reads the client's messages (PostgreSQL,
"Frontend/Backend Protocol") far enough to know where one begins and what it says::

    with Proxy(dsn) as proxy:
        store = PostgresStore(proxy.dsn, ...)
        proxy.fail(Cut.BEFORE, "COMMIT")  # the next COMMIT of a writer never gets to the server
        proxy.fail(Cut.IN, "COMMIT")  # it gets there, and the connection is gone before it is answered
        proxy.fail(Cut.AFTER, "COMMIT")  # the server answers, and the answer is lost
        proxy.fail(Cut.FREEZE, "COMMIT")  # nothing passes any more, and nothing is closed
        proxy.fail(Cut.BEFORE, at=7)  # the seventh statement from now on, whatever it says
        proxy.closed = True  # nobody gets through until it is False again; cuts what is there

Not here: what a test expects of it.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable


_WORK = (b"Q", b"E")
"""Query and Execute: what the server does something for. Parse, Bind and Sync come in one breath with them."""


class Cut(Enum):
    """Where a connection fails."""

    BEFORE = "before the server has the message"
    IN = "while the server works on it"
    AFTER = "when the server has answered it"
    FREEZE = "without a word"


@dataclass(slots=True)
class _Plan:
    cut: Cut
    text: bytes
    left: int
    whose: bytes
    stay_closed: bool
    done: threading.Event


class Proxy:
    """Listens on loopback and passes on to the server of ``dsn``.

    Attributes:
        dsn: the way through the proxy.
        statements: how many statements writers have sent.
    """

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        given = parse_qs(parts.query)
        self._target = (
            given["host"][0] if "host" in given else parts.hostname or "127.0.0.1",
            int(given["port"][0]) if "port" in given else parts.port or 5432,
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        user = parts.username or "toolgate"
        port = self._listener.getsockname()[1]
        self.dsn = f"postgresql://{user}@127.0.0.1:{port}{parts.path}?sslmode=disable"
        self._lock = threading.Lock()
        self._plan: _Plan | None = None
        self._closed = False
        self._live: set[_Way] = set()
        self.statements = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True
        self._listener.close()

    @property
    def closed(self) -> bool:
        return self._closed

    @closed.setter
    def closed(self, value: bool) -> None:
        self._closed = value
        if value:
            with self._lock:
                live = list(self._live)
            for way in live:
                way.close()

    def fail(
        self, cut: Cut, text: str = "", *, at: int = 1, whose: str = "writer", stay_closed: bool = False
    ) -> threading.Event:
        """Fail once, at the ``at``-th statement with ``text`` of a connection of that purpose; the event tells when.

        ``stay_closed``: from then on nobody gets through, as if ``closed`` had been set at that moment.
        """
        plan = _Plan(cut, text.encode(), at, whose.encode(), stay_closed, threading.Event())
        with self._lock:
            self._plan = plan
        return plan.done

    def judge(self, name: bytes, message: bytes) -> _Plan | None:
        """The plan, if ``message`` of the connection ``name`` is where it fails."""
        if message[:1] not in _WORK:
            return None
        with self._lock:
            if b"writer" in name:
                self.statements += 1
            plan = self._plan
            if plan is None or plan.whose not in name or plan.text not in message:
                return None
            plan.left -= 1
            if plan.left:
                return None
            self._plan = None
            self._closed = self._closed or plan.stay_closed
            return plan

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._closed:
                _reset(client)
                continue
            try:
                server = self._reach()
            except OSError:
                _reset(client)
                continue
            way = _Way(self, client, server)
            with self._lock:
                self._live.add(way)
            way.start()

    def forget(self, way: _Way) -> None:
        """It has ended."""
        with self._lock:
            self._live.discard(way)

    def _reach(self) -> socket.socket:
        host, port = self._target
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(f"{host}/.s.PGSQL.{port}")
        except OSError:
            server.close()
            raise
        return server


class _Way:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client, self._server = client, server
        self._answered: Callable[[], None] | None = None
        self._frozen = False

    def start(self) -> None:
        """Pass on in both directions."""
        for work in (self._ask, self._answer):
            threading.Thread(target=self._until_it_ends, args=(work,), name="proxy-way", daemon=True).start()

    def close(self) -> None:
        """Cut it, without a goodbye."""
        _reset(self._client)
        _reset(self._server)

    def _until_it_ends(self, work: Callable[[], None]) -> None:
        with suppress(OSError, EOFError):
            work()
        if not self._frozen:
            self.close()
            self._proxy.forget(self)

    def _ask(self) -> None:
        name = self._startup()
        while True:
            kind = _exactly(self._client, 1)
            length = _exactly(self._client, 4)
            message = kind + length + _exactly(self._client, struct.unpack("!I", length)[0] - 4)
            plan = self._proxy.judge(name, message)
            if plan is None:
                self._server.sendall(message)
                continue
            if plan.cut is Cut.FREEZE:
                self._frozen = True
                plan.done.set()
                return
            if plan.cut is Cut.AFTER:
                self._answered = plan.done.set
            if plan.cut is not Cut.BEFORE:
                self._server.sendall(message)
            if plan.cut is not Cut.AFTER:
                plan.done.set()
                return

    def _startup(self) -> bytes:
        """The first message, which has no type: the parameters of the session."""
        length = _exactly(self._client, 4)
        body = _exactly(self._client, struct.unpack("!I", length)[0] - 4)
        self._server.sendall(length + body)
        return body

    def _answer(self) -> None:
        while data := self._server.recv(65536):
            if self._answered is not None:
                # All that comes from here on answers the message after which it fails.
                self._answered()
                return
            if self._frozen:
                continue
            self._client.sendall(data)


def _exactly(source: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        data = source.recv(count)
        if not data:
            raise EOFError
        parts.append(data)
        count -= len(data)
    return b"".join(parts)


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
