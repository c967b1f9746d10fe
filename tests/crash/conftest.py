"""The nursery of the child processes, and the tally of where they died."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.nursery import Nursery
from tests.crash.tally import pytest_terminal_summary

__all__ = ["nursery", "pytest_terminal_summary"]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Where children come from."""
    with Nursery() as nursery:
        yield nursery
