"""What the exit code of ``toolgate`` says. The documentation's table is made of ``MEANINGS``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NoReturn

import click

from toolgate.domain.errors import GateFault, ToolgateError


class Exit(IntEnum):
    """The codes. Scripts rely on them: none changes its meaning."""

    OK = 0
    NO = 1
    USAGE = 2
    FAULT = 3
    HELD = 4
    UNKNOWN = 5
    INTERRUPTED = 130


MEANINGS: Final[Mapping[Exit, str]] = MappingProxyType(
    {
        Exit.OK: "It was done, or it is so.",
        Exit.NO: "No: refused, failed, not found, defective, or the trail is broken. The words say which. "
        "`doctor`: it works, and somebody should look.",
        Exit.USAGE: "The command or the configuration has to be changed; nothing was done. "
        "`doctor`: something does not work.",
        Exit.FAULT: "The store or the gate failed, or a record cannot be written; see what it says and try again.",
        Exit.HELD: "`call`: a person has to approve first; nothing ran yet.",
        Exit.UNKNOWN: "`call`: it is not known whether it happened; a person has to look. Do not repeat it.",
        Exit.INTERRUPTED: "Stopped from the keyboard.",
    }
)


class Ended(click.ClickException):
    """The command is over, with words for whoever typed it."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.end = code


def no(message: str) -> NoReturn:
    """The answer is no."""
    raise Ended(message, Exit.NO)


def misused(message: str) -> NoReturn:
    """The command cannot be run like this."""
    raise Ended(message, Exit.USAGE)


def code_of(fault: ToolgateError) -> Exit:
    """Whose fault an exception is: the gate's, or that of whoever wrote the words, the file or the tool."""
    return Exit.FAULT if isinstance(fault, GateFault) else Exit.USAGE
