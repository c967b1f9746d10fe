"""Log records of a server as single lines: when, how grave, what; never a traceback and never a secret.

Not here: what is logged.
"""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

from toolgate.cli.plain import printable
from toolgate.domain.redaction import redact_text

if TYPE_CHECKING:
    from typing import TextIO


class OneLine(logging.Formatter):
    """``time=… level=info logger=toolgate.http …``. An exception's text is left out: it may hold anything."""

    def format(self, record: logging.LogRecord) -> str:
        """Write ``record``."""
        at = (
            datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )
        said = redact_text(" ".join(record.getMessage().splitlines()))
        if record.exc_info and record.exc_info[1] is not None:
            said += f" ({_place(record.exc_info[1])})"
        return printable(f"time={at} level={record.levelname.lower()} logger={record.name} {said}")


def log_to(stream: TextIO, *, level: int = logging.INFO) -> None:
    """Send what this process logs to ``stream``."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("toolgate").setLevel(level)
    logging.captureWarnings(capture=True)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
