"""Which telemetry: none, the application's own providers, or a collector of ``[telemetry]``. Imported when asked for.

Not here: what is traced and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from toolgate.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from toolgate.config.telemetry import TelemetrySettings
    from toolgate.ports import Telemetry

Wanted = Literal["global"]
_EXTRA = "needs the otel extra: pip install 'toolgate[otel]'"


def telemetry_of(wanted: Telemetry | Wanted | None) -> Telemetry | None:
    """What ``Gateway(telemetry=...)`` means.

    Raises:
        ConfigurationError: without OpenTelemetry's API.
    """
    if wanted != "global":
        return wanted
    try:
        from toolgate.adapters.telemetry.providers import of_the_application  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigurationError(f"telemetry='global' {_EXTRA}") from None
    return of_the_application()


def collector_of(settings: TelemetrySettings | None) -> Telemetry | None:
    """What ``[telemetry]`` means.

    Raises:
        ConfigurationError: without the extra.
    """
    if settings is None:
        return None
    try:
        from toolgate.adapters.telemetry.collector import Collector, CollectorTelemetry  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigurationError(f"[telemetry] {_EXTRA}") from None
    return CollectorTelemetry(
        Collector(
            endpoint=settings.otlp,
            instance=str(uuid4()),
            headers=settings.headers,
            service_name=settings.service_name,
            sample=settings.sample,
            traces=settings.traces,
            metrics=settings.metrics,
            every=settings.every,
        )
    )


def share_telemetry(telemetry: Telemetry | None) -> None:
    """In a process that is no application's: what the tools themselves trace and count goes the same way."""
    if telemetry is not None:
        telemetry.make_global()
