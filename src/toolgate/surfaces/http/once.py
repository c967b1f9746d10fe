"""Something that a server does once at a time, whoever asks for it and over which surface. Not here: what it is."""

from __future__ import annotations


class Once:
    """Taken or free. Nobody waits for it: whoever finds it taken is told so. Inside the server's loop."""

    def __init__(self) -> None:
        self._taken = False

    def take(self) -> bool:
        """Whether it was free; it is now taken, until whoever took it releases it."""
        was_free, self._taken = not self._taken, True
        return was_free

    def release(self) -> None:
        """It has ended."""
        self._taken = False
