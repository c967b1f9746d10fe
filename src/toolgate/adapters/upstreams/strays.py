"""What an upstream says that nobody asked for: counted, and told to the operator once of each kind."""

from __future__ import annotations

import logging
from typing import Final

from toolgate.domain.redaction import redact_text

_log = logging.getLogger("toolgate")
_MAX_SHOWN: Final = 200


class Strays:
    """The count of one connection."""

    __slots__ = ("_name", "_seen", "count")

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: set[str] = set()
        self.count = 0

    def note(self, why: str, data: bytes | bytearray = b"") -> None:
        """One more. ``data`` is shown at debug, redacted, and its beginning alone."""
        self.count += 1
        if why not in self._seen:
            self._seen.add(why)
            _log.warning(
                "upstream %s sent %s; it is ignored, and further ones are told at debug", self._name, why
            )
        if _log.isEnabledFor(logging.DEBUG):
            shown = redact_text(
                bytes(data[: 4 * _MAX_SHOWN]).decode(errors="replace"), max_characters=_MAX_SHOWN
            )
            _log.debug("upstream %s sent %s: %r", self._name, why, shown)
