"""Tells at the end of a run what was done to clusters, and what they did meanwhile. A hook for conftests."""

from __future__ import annotations

from collections import Counter

import pytest

_SAID = pytest.StashKey[bool]()
NAME = "cluster"
"""Of the property in which a test leaves its counts."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line: the faults, and what stood against them."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == NAME and isinstance(value, dict):
                counts.update(value)
    if counts and not config.stash.get(_SAID, False):
        config.stash[_SAID] = True
        told = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()) if count)
        terminalreporter.write_line(f"cluster faults survived: {told}")
