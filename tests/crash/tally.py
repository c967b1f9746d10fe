"""Tells at the end of a run how many crash points were covered.

A hook for conftests: ``tests/crash/conftest.py`` has it for runs of this folder, and the conftest of all tests may
have it too, because the process that prints does not read this folder where workers run the tests.
"""

from __future__ import annotations

import pytest

_SAID = pytest.StashKey[bool]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line: how many times a real process was killed and what it left examined."""
    points = sum(
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "crash_points" and isinstance(value, int)
    )
    if points and not config.stash.get(_SAID, False):
        config.stash[_SAID] = True
        terminalreporter.write_line(
            f"crash points covered: {points}, each by a process that was killed there"
        )
