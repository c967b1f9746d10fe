"""Every tool of a configuration: those of its code, and those of its upstreams, where it has any.

What upstreams need is loaded only then: it comes with an extra, and takes a while. Not here: how they are put
together (``bootstrap.upstreams``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolgate.adapters.clock import SystemClock
from toolgate.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from toolgate.config.settings import Settings
    from toolgate.domain.tool import Tool
    from toolgate.ports import Clock, Upstreams


def upstreams_of(settings: Settings, clock: Clock | None = None, *, lazily: bool = False) -> Upstreams | None:
    """The upstreams of a configuration, not opened yet; None where it names none.

    ``lazily``: one is reached only when a tool of it is called.

    Raises:
        ConfigurationError: for a lock that cannot be read, an overlay that does not fit its pinned definition, or where
            the packages that upstreams need are not installed.
    """
    if not settings.upstreams:
        return None
    try:
        from toolgate.bootstrap.upstreams import open_upstreams  # noqa: PLC0415 - an extra, and slow to load
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] == "toolgate":
            raise
        raise ConfigurationError(
            f"[upstreams] needs {missing.name}, which is not installed; install toolgate[server]"
        ) from None
    return open_upstreams(settings, clock or SystemClock(), lazily=lazily)


def all_tools(settings: Settings) -> list[Tool[Any, Any]]:
    """Every tool, those of upstreams last, without reaching anything.

    Raises:
        ConfigurationError: as ``Settings.tools`` and ``upstreams_of``.
    """
    upstreams = upstreams_of(settings)
    return [*settings.tools(), *(upstreams.tools if upstreams is not None else ())]
