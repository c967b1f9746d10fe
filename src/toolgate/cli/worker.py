"""``toolgate worker``: runs jobs and keeps house for the gateways on one store, until told to stop.

Not here: how it is put together (``bootstrap.worker``).
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from toolgate.cli.exits import misused
from toolgate.cli.options import configured
from toolgate.cli.plain import printable
from toolgate.cli.serving import is_missing, read_listen, spare_the_collector, store_words
from toolgate.config import Settings

if TYPE_CHECKING:
    from toolgate.bootstrap.worker import Working


@click.command()
@configured
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:8081",
    show_default=True,
    help="Where probers ask /healthz, /readyz and /metrics; nothing else is served.",
)
def worker(settings: Settings, listen: str) -> None:
    """Run jobs, and keep house: recovery, expiry, approved calls, notices. Any number of workers share one store.

    It reads the same toolgate.toml as `toolgate serve`, needs a store that other processes reach, and takes no calls.
    SIGINT (Ctrl+C) or SIGTERM ends it: it begins no more, and settles what it runs before it leaves.
    """
    if settings.store is None or settings.store.startswith("memory"):
        misused(
            "a store in memory is this process's alone: a worker would find nothing there; configure store"
        )
    try:
        from toolgate.bootstrap.worker import work  # noqa: PLC0415 - the whole server, and an extra
    except ModuleNotFoundError as missing:
        is_missing(missing)
    from toolgate.cli.log_lines import log_to  # noqa: PLC0415 - with the server

    log_to(sys.stderr)
    address = read_listen(listen)
    asyncio.run(work(settings, listen=address, when_open=lambda working: _begun(settings, working)))
    click.echo("toolgate has stopped; what this worker ran was settled, or goes on in another one")


def _begun(settings: Settings, working: Working) -> None:
    spare_the_collector()
    tools = f"{working.tools} tool{'' if working.tools == 1 else 's'}"
    jobs = "is a job" if working.jobs == 1 else "are jobs"
    lines = [
        f"toolgate works for {tools} ({working.jobs} {jobs})",
        "",
        f"  health   http://{working.address}/healthz, /readyz, /metrics",
        f"  store    {store_words(settings)}",
        "",
        "Stop it with Ctrl+C.",
    ]
    click.echo(printable("\n".join(lines)))
