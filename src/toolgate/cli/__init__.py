"""The command line: reads words, calls operations, prints. It decides nothing.

``main`` is the program. Read ``app`` first: every command and the module that holds it; ``exits`` says what each
exit code means. Not here: anything that a program could not do as well through the library.
"""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run ``toolgate`` with the words of the process, and end it with one of the codes in ``exits``."""
    from toolgate.cli.app import run  # noqa: PLC0415 - nothing is loaded before the words are known

    run()
