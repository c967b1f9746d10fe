"""Parameters of tools that their schemas mark with ``x-mcp-header``, mirrored into headers (2026-07-28).

The rules of marking are the SDK's own, so that both ends read one source. Not here: the other headers (``http``).
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from toolgate.domain.names import label

_log = logging.getLogger("toolgate")
_PLAIN: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_MARK: Final = "x-mcp-header"


def safe_value(text: str) -> str:
    """``text`` as a header's value ("Value Encoding"): as it is, or in base64 where it would not arrive so."""
    if _PLAIN.fullmatch(text) and not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    return f"=?base64?{base64.b64encode(text.encode(errors='replace')).decode()}?="


class ParameterHeaders:
    """Which parameters of which tool go into headers, as the list that was read last says."""

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks: dict[str, Mapping[tuple[str, ...], str]] = {}

    def learn(self, tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The tools that can be called: one with a wrong mark is left out, as the protocol demands."""
        self._marks = {}
        return [tool for tool in tools if self._usable(tool)]

    def _usable(self, tool: Mapping[str, Any]) -> bool:
        schema = tool.get("inputSchema")
        if _MARK not in str(schema):
            return True
        from mcp.shared.inbound import (  # noqa: PLC0415 - loads all of the SDK, which few tools make necessary
            find_invalid_x_mcp_header,
            x_mcp_header_map,
        )

        name = str(tool.get("name"))
        if (problem := find_invalid_x_mcp_header(schema)) is not None:
            _log.warning("tool %s is left out: %s", label(name, limit=100), label(problem, limit=200))
            return False
        self._marks[name] = x_mcp_header_map(schema)
        return True

    def of(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, str]:
        """The headers of a call."""
        marks = self._marks.get(tool)
        if not marks:
            return {}
        from mcp.shared.inbound import mcp_param_headers  # noqa: PLC0415 - as above

        return mcp_param_headers(marks, arguments)
