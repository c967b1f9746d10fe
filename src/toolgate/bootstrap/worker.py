"""A worker: a gateway that takes no calls from outside. It runs jobs, and keeps house as every gateway does.

Beside it a server answers probers and monitoring, and nobody else. Not here: words for the terminal (``cli.worker``),
and when a job runs (``operations``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolgate.bootstrap.gateway import Gateway
from toolgate.bootstrap.server import bound, drain_of, server_settings
from toolgate.bootstrap.telemetry import share_telemetry
from toolgate.config.server import Address
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.metrics import Metrics
from toolgate.surfaces.http.office import open_office
from toolgate.surfaces.http.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolgate.config import Settings

DEFAULT_WORKER: Final = Address("127.0.0.1", 8081)


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """What works, once it does: where probers ask, and how many tools and how many of them are jobs."""

    address: Address
    tools: int
    jobs: int


async def work(
    settings: Settings, *, listen: Address | None = None, when_open: Callable[[Working], object]
) -> None:
    """Work until SIGINT or SIGTERM; then begin nothing more, and end as any gateway does.

    Args:
        settings: those of the gateways that it works for; of ``[server]`` it takes what is said about its name, about
            who may see numbers, and ``drain``.
        listen: where probers ask, ``DEFAULT_WORKER`` by default: ``[server] listen`` is the gateways'.
        when_open: called once it works.

    Raises:
        ConfigurationError: for an address that cannot be listened on.
    """
    with bound(settings, listen or DEFAULT_WORKER) as listening:
        address = Address(*listening.getsockname()[:2])
        async with Gateway.from_config(*settings.files, run_jobs=True) as gateway:
            share_telemetry(gateway.world.telemetry)
            office = open_office(gateway, server_settings(settings, address))
            registry = gateway.world.registry.values()
            working = Working(
                address=address,
                tools=len(registry),
                jobs=sum(entry.contract.job is not None for entry in registry),
            )
            # No routes but those for health: nobody is let in here.
            server = Server(
                build_app(office, routes=(), metrics=Metrics()),
                office.closing,
                drain=drain_of(settings),
                when_open=lambda: when_open(working),
            )
            await server.serve(sockets=[listening])
