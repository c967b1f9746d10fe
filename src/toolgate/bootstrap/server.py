"""The server around a gateway: its settings checked against each other, its routes collected, its door opened.

Not here: words for the terminal (``cli.serve``), and everything that happens to a request (``surfaces.http``).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from toolgate.bootstrap.gateway import Gateway
from toolgate.bootstrap.stores import is_postgres
from toolgate.bootstrap.telemetry import share_telemetry
from toolgate.config.server import DEFAULT_ADDRESS, DEFAULT_PORTS, Address
from toolgate.domain.errors import ConfigurationError
from toolgate.operations.sessions import one_time_link
from toolgate.surfaces.console.refusals import refusal_page
from toolgate.surfaces.console.routes import routes as console_routes
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.metrics import Metrics
from toolgate.surfaces.http.office import open_office
from toolgate.surfaces.http.server import Server
from toolgate.surfaces.http.settings import BODY_LIMIT, ServerSettings
from toolgate.surfaces.mcp.around import standing
from toolgate.surfaces.mcp.http import McpHttp
from toolgate.surfaces.rest.endpoints import routes as rest_routes

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from toolgate.config import Settings
    from toolgate.domain.tool import Tool
    from toolgate.surfaces.http.office import Office

SIGN_IN: Final = "/console/sign-in"
_BACKLOG: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What is served, once it is.

    Attributes:
        link: opens one session at the console and no second; None where people sign in by ``[auth]``. The secret
            stands behind ``#``, which browsers keep to themselves, so that it reaches no log and no referrer.
    """

    settings: ServerSettings
    address: Address
    tools: tuple[Tool[Any, Any], ...]
    link: str | None = field(repr=False)


async def serve(
    settings: Settings,
    *,
    listen: Address | None = None,
    tenant: str = "default",
    run_jobs: bool | None = None,
    when_open: Callable[[Serving], object],
) -> None:
    """Serve until SIGINT or SIGTERM; then end streams, let requests end, and settle what the gate runs.

    Args:
        settings: names the tools, the store and ``[server]``.
        listen: instead of what ``[server]`` says.
        tenant: whose admin the link makes that is printed where nobody can sign in.
        run_jobs: instead of what ``[jobs] run`` says.
        when_open: called once requests are taken.

    Raises:
        ConfigurationError: for an address that cannot be listened on, or that nobody could sign in from.
    """
    with bound(settings, listen) as listening:
        address = Address(*listening.getsockname()[:2])
        known = server_settings(settings, address)
        async with Gateway.from_config(*settings.files, run_jobs=run_jobs) as gateway:
            share_telemetry(gateway.world.telemetry)
            metrics = Metrics()
            office = open_office(gateway, known)
            mcp = McpHttp(office, around=standing(), sessions=not is_shared(settings))
            routes = [*mcp.routes(), *all_routes(office)]
            app = build_app(office, routes=routes, pages=refusal_page, metrics=metrics)
            link = await _link(gateway, settings, known, tenant)
            serving = Serving(settings=known, address=address, tools=_all_tools(gateway), link=link)
            server = Server(
                app, office.closing, drain=drain_of(settings), when_open=lambda: when_open(serving)
            )
            async with mcp.running():
                await server.serve(sockets=[listening])


def bound(settings: Settings, listen: Address | None = None) -> socket.socket:
    """A socket on the address that was asked for, if it may be.

    Raises:
        ConfigurationError: naming the key, if others could reach it and none of them sign in, or if it is taken.
    """
    given = settings.server.listen
    address = listen or (given.value if given else DEFAULT_ADDRESS)
    place = "--listen" if listen or given is None else str(given.where)
    if not settings.auth_is_said and not is_local(address.host):
        raise ConfigurationError(
            f"{place}: {address} can be reached from other machines, and nobody could sign in there: without [auth] "
            f"the server listens on this machine alone. Listen on {DEFAULT_ADDRESS.host}, or configure [auth]"
        )
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # By its protocol's number: asyncio turns Nagle's algorithm off only for what says that it is TCP, and with it
    # each answer would wait some 40 ms for the client's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(_BACKLOG)
    except OSError as fault:
        listening.close()
        why = fault.strerror or "no such address"
        raise ConfigurationError(
            f"{place}: {address} cannot be listened on: {why}; choose another with --listen"
        ) from None
    listening.setblocking(False)
    return listening


def server_settings(settings: Settings, address: Address) -> ServerSettings:
    """What the HTTP surface is told about a server that listens on ``address``.

    Raises:
        ConfigurationError: if nobody can tell under which name it is reached, or should not be reached under it.
    """
    said = settings.server
    own = _own_names(address)
    if said.public_url is not None:
        public_url = said.public_url.value
        if not settings.auth_is_said and not is_local(urlsplit(public_url).hostname or ""):
            raise said.public_url.where.wrong(
                "others are meant to reach it, and none of them could sign in; configure [auth], or take it out"
            )
    elif address.host in {"0.0.0.0", "::"}:  # noqa: S104 - refused, not bound
        raise ConfigurationError(
            "server.public_url: it listens on every address, so say what people and programs call it: "
            'public_url = "https://gate.example.com"'
        )
    else:
        public_url = f"http://{address}"
    return ServerSettings(
        host=address.host,
        port=address.port,
        public_url=public_url,
        names=own | _names_in(public_url),
        local=is_local(address.host) and is_local(urlsplit(public_url).hostname or ""),
        trusted_proxies=said.trusted_proxies.value if said.trusted_proxies else (),
        metrics=said.metrics.value if said.metrics else "protected",
        body_limit=said.body_limit.value if said.body_limit else BODY_LIMIT,
        issuers=(settings.auth.oidc.issuer,) if settings.auth.oidc else (),
    )


def is_shared(settings: Settings) -> bool:
    """Whether other servers may answer the same clients: they would have to be on the same store."""
    return settings.store is not None and is_postgres(settings.store)


def drain_of(settings: Settings) -> float:
    """Seconds for which a server that was asked to end still takes requests."""
    return settings.server.drain.value if settings.server.drain else 0.0


def is_local(host: str) -> bool:
    """Whether only this machine reaches ``host``. A name is not looked up: what it means may change."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _own_names(address: Address) -> frozenset[str]:
    """What a request on this machine may call it."""
    hosts = {"127.0.0.1", "localhost", "[::1]", str(address).rpartition(":")[0].lower()}
    return frozenset(f"{host}:{address.port}" for host in hosts)


def _names_in(url: str) -> frozenset[str]:
    """What a request may call ``url``'s host: with the port that its scheme implies, and without."""
    parts = urlsplit(url)
    if parts.port is not None:
        return frozenset({parts.netloc})
    return frozenset({parts.netloc, f"{parts.netloc}:{DEFAULT_PORTS[parts.scheme]}"})


async def _link(gateway: Gateway, settings: Settings, known: ServerSettings, tenant: str) -> str | None:
    """A link for whoever started the server, where nobody else can sign in."""
    if settings.auth_is_said:
        return None
    made = await gateway.operate(one_time_link, tenant=tenant)
    return f"{known.public_url}{SIGN_IN}#{made.secret}"


def all_routes(office: Office) -> list[BaseRoute]:
    """What programs and people find on the server, beside ``/healthz``, ``/readyz`` and ``/metrics``."""
    return [*rest_routes(office), *console_routes(office)]


def _all_tools(gateway: Gateway) -> tuple[Tool[Any, Any], ...]:
    return tuple(entry.tool for _, entry in sorted(gateway.world.registry.items()))
