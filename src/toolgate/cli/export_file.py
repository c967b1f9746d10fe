"""The file of an exported trail: read a line at a time, more than once; written whole or not at all.

Not here: what a line says (``domain.audit_export``), and whether the trail in it is sound (``domain.audit``).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from toolgate.cli.exits import misused
from toolgate.domain.audit import StoredRecord
from toolgate.domain.audit_export import MAX_LINE, FinalHeads, parse_line


class ExportBrokenError(Exception):
    """The file is no whole export; the message says which line."""


class ExportFile:
    """The records of an export, in their order; ``final`` is its last line.

    Raises:
        ExportBrokenError: if the last line, or while iterating any other, is not what an export holds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        last, number = b"", 0
        for number, line in self._lines():  # noqa: B007 - the last one counts
            last = line
        final = _parsed(path, number, last)
        if not isinstance(final, FinalHeads):
            raise ExportBrokenError(f"{path}: it does not end with its heads: the export was cut")
        self.final = final
        self._end = number

    def __iter__(self) -> Iterator[StoredRecord]:
        for number, line in self._lines():
            found = _parsed(self._path, number, line)
            if isinstance(found, StoredRecord):
                yield found
            elif number != self._end:
                raise ExportBrokenError(f"{self._path}: line {number}: heads stand before the end")

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            with self._path.open("rb") as file:
                number = 0
                while line := file.readline(MAX_LINE + 1):
                    number += 1
                    yield number, line.rstrip(b"\n")
        except OSError as fault:
            misused(f"{self._path} cannot be read: {fault.strerror}")


def _parsed(path: Path, number: int, line: bytes) -> StoredRecord | FinalHeads:
    try:
        return parse_line(line)
    except ValueError as unfit:
        raise ExportBrokenError(f"{path}: line {number}: {unfit}") from None


@contextmanager
def written_to(path: Path | None) -> Iterator[IO[bytes]]:
    """A file that takes the name ``path`` once everything is in it, its owner's alone; without a path, stdout."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists():
        misused(f"{path} is there already; name a new file")
    try:
        descriptor, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    except OSError as fault:
        misused(f"{path} cannot be written: {fault.strerror}")
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
