"""The handbook as a web site on this machine: `GET /{slug}.txt`.

A real server on a real socket, because the tool that reads it shows how a URL from a model is fetched safely.
`/moved.txt` redirects to a cloud's metadata address, as a hostile page would.
"""

from __future__ import annotations

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from toolgate.examples.support_desk.database import connect
from toolgate.examples.support_desk.runbooks import Runbooks

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_SECONDS_TO_CLOSE = 0.02
METADATA_ADDRESS = "http://169.254.169.254/latest/meta-data/"


class RunbookSite:
    """A site over the desk's database, on 127.0.0.1 and a port the system chose. Close it when done."""

    def __init__(self, database: Path) -> None:
        """Start serving the handbook of the desk at `database`."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(database))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._serve, name="runbook-site", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=_SECONDS_TO_CLOSE)

    def close(self) -> None:
        """Stop serving and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        """Serve until the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Stop serving."""
        self.close()


def _handler(database: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/moved.txt":
                self.send_response(HTTPStatus.FOUND)
                self.send_header("Location", METADATA_ADDRESS)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            page = _page(database, self.path)
            if page is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            body = page.encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the terminal belongs to the demo."""

    return Handler


def _page(database: Path, path: str) -> str | None:
    connection = connect(database)
    try:
        return Runbooks(connection).page(path.removeprefix("/").removesuffix(".txt"))
    finally:
        connection.close()
