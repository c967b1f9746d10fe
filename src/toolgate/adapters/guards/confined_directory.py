"""Opening files below a root without trusting what lies on the way.

Here: ``ConfinedDirectory``, which walks from an open handle of the root, one name at a time, refusing every symbolic
link (``openat`` with ``O_NOFOLLOW``). Paths are never joined, so a directory that is swapped for a link while we walk
leads nowhere. Not here: how a path may be written (``domain.argument_types.ConfinedPath``), who may read it.

Needs POSIX: ``os.open`` with ``dir_fd``, ``O_DIRECTORY`` and ``O_NOFOLLOW`` (Linux, macOS, BSD). Elsewhere making one
raises ``ConfigurationError``. Hard links and mounts below the root count as part of it. Calls block: an async tool
makes them in a thread.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from toolgate.adapters.guards.bounded_body import BoundedBody
from toolgate.adapters.guards.refusal import PathRefused
from toolgate.domain.argument_types.confined_path import ConfinedPath
from toolgate.domain.argument_types.refusal import ArgumentRefusal
from toolgate.domain.errors import ConfigurationError, UsageError

DEFAULT_MAX_BYTES: Final = 1024 * 1024
_CHUNK = 64 * 1024
_NEW_FILE_MODE = 0o600


class ConfinedDirectory:
    """A directory that arguments may name files in.

    Use it as a context manager, or call ``close``::

        with ConfinedDirectory("runbooks", ConfinedPath(suffixes={".md"})) as runbooks:
            text = runbooks.read_text(args.path)

    Args:
        root: the directory. It is the author's and may itself be reached through links; it is opened once.
        allowed: the same declaration that stands on the tool's argument; every path is judged by it again.
        max_bytes: most bytes of a file read or written.

    Raises:
        ConfigurationError: the root cannot be opened, or the platform lacks what is needed.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        allowed: ConfinedPath | None = None,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        _require_posix()
        if max_bytes < 1:
            raise ConfigurationError("max_bytes: at least 1")
        self._allowed = allowed or ConfinedPath()
        self._max_bytes = max_bytes
        try:
            self._root = os.open(Path(root), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigurationError(f"root: the directory cannot be opened: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the handle of the root back. Closing twice is harmless."""
        root, self._root = self._root, -1
        if root >= 0:
            os.close(root)

    def read_bytes(self, path: str) -> bytes:
        """The whole file.

        Raises:
            PathRefused: no such plain file below the root, or it is larger than ``max_bytes``.
        """
        body = self.read_up_to(path, self._max_bytes)
        if body.cut:
            raise PathRefused(f"The file is larger than {self._max_bytes} bytes.", code="path_too_large")
        return body.content

    def read_text(self, path: str) -> str:
        """The whole file as UTF-8; errors as for ``read_bytes``, and ``UnicodeDecodeError`` if it is none."""
        return self.read_bytes(path).decode("utf-8")

    def read_up_to(self, path: str, limit: int) -> BoundedBody:
        """At most ``limit`` bytes from the start of the file, and whether there was more."""
        segments = self._segments(path)
        with self._directory(segments[:-1]) as directory, _plain_file(directory, segments[-1]) as file:
            content = _read(file, limit + 1)
        return BoundedBody(content=content[:limit], cut=len(content) > limit)

    def create(self, path: str, content: bytes) -> None:
        """Write a new file (mode 0600), whole or not at all. Its directory has to exist.

        Raises:
            PathRefused: something of that name is there already, or the content is larger than ``max_bytes``.
        """
        self._write(path, content, replace=False)

    def replace(self, path: str, content: bytes) -> None:
        """Write a file, new or in place of a plain file, whole or not at all; mode 0600. Errors as for ``create``."""
        self._write(path, content, replace=True)

    def _segments(self, path: str) -> tuple[str, ...]:
        segments = self._allowed.segments(path)
        if isinstance(segments, ArgumentRefusal):
            raise PathRefused(segments.message, code=segments.code)
        return segments

    @contextmanager
    def _directory(self, names: tuple[str, ...]) -> Generator[int]:
        """Walk down from the root, holding one handle at a time."""
        if self._root < 0:
            raise UsageError("ConfinedDirectory is closed; use it inside its with block")
        handle = os.dup(self._root)
        try:
            for name in names:
                with _refusing():
                    below = os.open(
                        name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle
                    )
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)

    def _write(self, path: str, content: bytes, *, replace: bool) -> None:
        if len(content) > self._max_bytes:
            raise PathRefused(f"The content is larger than {self._max_bytes} bytes.", code="path_too_large")
        segments = self._segments(path)
        name = segments[-1]
        with self._directory(segments[:-1]) as directory:
            if replace:
                _refuse_all_but_files(directory, name)
            # A name that ConfinedPath cannot express, so that no argument reaches a half-written file.
            temporary = f".{secrets.token_hex(16)}~"
            try:
                _write_new(directory, temporary, content)
                _publish(directory, temporary, name, replace=replace)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=directory)
            os.fsync(directory)


@contextmanager
def _plain_file(directory: int, name: str) -> Generator[int]:
    """Open a regular file. It is looked at before opening, because opening a device can already act on it."""
    with _refusing():
        _require_file(os.stat(name, dir_fd=directory, follow_symlinks=False))
        handle = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=directory
        )
    try:
        _require_file(os.fstat(handle))  # it may have been swapped in between
        yield handle
    finally:
        os.close(handle)


def _refuse_all_but_files(directory: int, name: str) -> None:
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    _require_file(found)


def _require_file(found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _link()
    if not stat.S_ISREG(found.st_mode):
        raise PathRefused("The path names something other than a file.", code="path_not_a_file")


def _read(handle: int, limit: int) -> bytes:
    content = bytearray()
    while len(content) < limit:
        chunk = os.read(handle, min(_CHUNK, limit - len(content)))
        if not chunk:
            break
        content += chunk
    return bytes(content)


def _write_new(directory: int, name: str, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _refusing():
        handle = os.open(name, flags, _NEW_FILE_MODE, dir_fd=directory)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _publish(directory: int, temporary: str, name: str, *, replace: bool) -> None:
    """Give the finished file its name in one step. A link fails where a rename would overwrite."""
    with _refusing():
        if replace:
            os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        else:
            os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)


@contextmanager
def _refusing() -> Generator[None]:
    """Say what the system refused, without its message, which holds names of the machine."""
    try:
        yield
    except FileNotFoundError:
        raise PathRefused("There is no such file.", code="path_not_found") from None
    except FileExistsError:
        raise PathRefused("Something of that name exists; choose another name.", code="path_exists") from None
    except PermissionError:
        raise PathRefused("The program may not open this path.", code="path_denied") from None
    except (NotADirectoryError, IsADirectoryError):
        # With O_DIRECTORY | O_NOFOLLOW, Linux answers ENOTDIR for a link as well.
        raise PathRefused(
            "A link, or something that is no directory, is in the way.", code="path_not_a_file"
        ) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):  # EMLINK: FreeBSD's answer to O_NOFOLLOW
            raise _link() from None
        if error.errno in (errno.ENXIO, errno.ENODEV):
            raise PathRefused("The path names something other than a file.", code="path_not_a_file") from None
        if error.errno == errno.ENAMETOOLONG:
            raise PathRefused("A name in the path is too long for this system.", code="path_denied") from None
        raise


def _link() -> PathRefused:
    return PathRefused("The path leads through a link; name the file itself.", code="path_link")


def _require_posix() -> None:
    missing = [
        flag for flag in ("O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY") if not hasattr(os, flag)
    ]
    if missing or os.open not in os.supports_dir_fd:
        raise ConfigurationError(
            "ConfinedDirectory needs a POSIX system (os.open with dir_fd, O_DIRECTORY, O_NOFOLLOW); "
            "on this one, read files in a tool of your own that takes no path from the model"
        )
