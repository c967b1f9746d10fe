"""What time it is at the desk. A world is given its clock, so a test can stop it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Now = Callable[[], datetime]
"""The time, in UTC."""


def system_now() -> datetime:
    """Read the machine's clock, in UTC."""
    return datetime.now(UTC)
