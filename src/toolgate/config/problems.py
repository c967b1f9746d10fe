"""A mistake in a configuration, said so that it can be mended: key, file, line, and what is right.

No message here repeats a value that may be a secret. Not here: finding mistakes (``sections``, ``overrides``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from toolgate.config.places import Path, line_of
from toolgate.domain.errors import ConfigurationError, NotBuiltYet
from toolgate.domain.secret_shapes import secret_name


@dataclass(frozen=True, slots=True)
class Source:
    """One file, with the lines of its keys."""

    file: FilePath
    lines: Mapping[Path, int]

    @property
    def folder(self) -> FilePath:
        """What relative paths in the file are relative to."""
        return self.file.absolute().parent

    def at(self, path: Path) -> Where:
        """The place of a key in this file."""
        return Where(self, path)


@dataclass(frozen=True, slots=True)
class Where:
    """One key of one file."""

    source: Source
    path: Path

    def below(self, *keys: str | int) -> Where:
        """A key inside this one."""
        return Where(self.source, (*self.path, *keys))

    @property
    def line(self) -> int | None:
        """The line of the key, from 1."""
        return line_of(self.source.lines, self.path)

    def __str__(self) -> str:
        """``toolgate.toml:9: overrides.create_refund.timeout``."""
        line = f":{self.line}" if self.line is not None else ""
        return f"{self.source.file}{line}: {spoken(self.path)}"

    def wrong(self, what: str) -> ConfigurationError:
        """The key is there and cannot be used."""
        # Behind a key that is named like a secret the next word would be taken for one where the error is printed.
        joined = " cannot be used:" if self.path and secret_name(str(self.path[-1])) else ":"
        return ConfigurationError(f"{self}{joined} {what}")

    def not_built(self, what: str) -> NotBuiltYet:
        """The key is designed, and this version has nothing behind it."""
        return NotBuiltYet(f"{self}: {what}")

    def unknown(self, known: Iterable[str]) -> ConfigurationError:
        """The key is none of ours."""
        right = sorted(known)
        key = str(self.path[-1])
        near = difflib.get_close_matches(key.lower(), right, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"the keys here are {', '.join(right)}"
        return ConfigurationError(f"{self}: there is no such key; {hint}")


def spoken(path: Path) -> str:
    """The key as it is written in a header: ``overrides.create_refund.approval.when``."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text
