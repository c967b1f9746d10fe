"""``toolgate serve``: the gate over HTTP, for programs and for people, until it is told to stop.

Not here: how it is put together (``bootstrap.server``), and what it answers (``surfaces``).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolgate.cli.exits import misused
from toolgate.cli.options import configured
from toolgate.cli.plain import printable
from toolgate.config import Settings
from toolgate.config.server import DEFAULT_ADDRESS, Address, read_address
from toolgate.domain.names import name_problem

if TYPE_CHECKING:
    from toolgate.bootstrap.server import Serving

_SQLITE = "sqlite:///"


@click.command()
@configured
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help=f"Where to listen.  [default: [server] listen, or {DEFAULT_ADDRESS}]",
)
@click.option(
    "--tenant",
    metavar="NAME",
    default="default",
    show_default=True,
    help="Whose admin the printed link makes.",
)
def serve(settings: Settings, listen: str | None, tenant: str) -> None:
    """Serve the tools over HTTP: REST for programs, the console for people.

    Without [auth] it listens on this machine alone, and prints a link that signs you in once. SIGINT (Ctrl+C) or
    SIGTERM ends it: it takes no more requests, ends streams, and settles the calls on their way before it leaves.
    """
    try:
        from toolgate.bootstrap.server import serve as run  # noqa: PLC0415 - the whole server, and an extra
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] == "toolgate":
            raise
        misused(f"the server needs {missing.name}, which is not installed; install toolgate[server]")
    from toolgate.cli.log_lines import log_to  # noqa: PLC0415 - with the server

    log_to(sys.stderr)
    address = None if listen is None else _address(listen)
    if problem := name_problem(tenant, of="--tenant"):
        misused(problem)
    asyncio.run(
        run(
            settings,
            listen=address,
            tenant=tenant,
            when_open=lambda serving: _announce(settings, serving, tenant),
        )
    )
    click.echo("toolgate has stopped; every call on its way was settled or is recorded as unknown")


def _address(said: str) -> Address:
    address = read_address(said)
    if address is None:
        misused(f"--listen: {said!r} is no address; write HOST:PORT, for example {DEFAULT_ADDRESS}")
    return address


def _announce(settings: Settings, serving: Serving, tenant: str) -> None:
    url = serving.settings.public_url
    tools = len(serving.tools)
    held = sum(tool.contract.approval is not None for tool in serving.tools)
    lines = [
        f"toolgate serves {tools} tool{'' if tools == 1 else 's'} ({held} may ask a person) on {serving.address}",
        "",
        f"  console  {url}/",
        f"  REST     {url}/v1, described in {url}/openapi.json",
        f"  health   {url}/healthz, {url}/readyz, {url}/metrics",
        f"  store    {_store(settings)}",
    ]
    if serving.link is not None:
        lines += [
            f"  sign in  {serving.link}",
            "",
            f"The link signs you in once, within ten minutes, as an admin of the tenant {tenant} who may decide",
            "everything there (--tenant names another). Nobody reaches this server from another machine: [auth] is",
            "not configured.",
        ]
    lines += ["", "Stop it with Ctrl+C."]
    click.echo(printable("\n".join(lines)))


def _store(settings: Settings) -> str:
    if settings.store is None or not settings.store.startswith(_SQLITE):
        return "in memory: everything is forgotten when it stops"
    path = Path(settings.store.removeprefix(_SQLITE))
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
