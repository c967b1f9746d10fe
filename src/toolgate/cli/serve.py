"""``toolgate serve``: the gate over HTTP for programs and people, or over stdio for one MCP client, until told to stop.

Not here: how it is put together (``bootstrap.server``), and what it answers (``surfaces``).
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, BinaryIO

import click

from toolgate.cli.exits import misused, no
from toolgate.cli.ledger import TOKEN_VARIABLE, kept
from toolgate.cli.options import configured
from toolgate.cli.plain import printable
from toolgate.cli.serving import is_missing, read_listen, spare_the_collector, store_words
from toolgate.config import Settings
from toolgate.config.server import DEFAULT_ADDRESS
from toolgate.domain.names import name_problem

if TYPE_CHECKING:
    from toolgate.bootstrap.server import Serving


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
@click.option(
    "--no-jobs",
    is_flag=True,
    help="Start jobs, and leave running them to `toolgate worker`; as [jobs] run = false.",
)
@click.option(
    "--stdio",
    is_flag=True,
    help=f"Serve one MCP client over standard input and output, as whom {TOKEN_VARIABLE} says.",
)
@click.option(
    "--workflow",
    metavar="ID",
    help="With --stdio: the piece of work that calls belong to which name none.",
)
def serve(
    settings: Settings,
    listen: str | None,
    tenant: str,
    no_jobs: bool,  # noqa: FBT001 - click's parameter
    stdio: bool,  # noqa: FBT001 - click's parameter
    workflow: str | None,
) -> None:
    """Serve the tools over HTTP: MCP and REST for programs, the console for people.

    Without [auth] it listens on this machine alone, and prints a link that signs you in once. SIGINT (Ctrl+C) or
    SIGTERM ends it: it takes no more requests, ends streams, and settles the calls on their way before it leaves.
    """
    if stdio:
        if listen is not None:
            misused("--stdio listens nowhere; take --listen out")
        if no_jobs:
            misused("--no-jobs is for a server; with --stdio write [jobs] run = false")
        if workflow is not None and (problem := name_problem(workflow, of="--workflow")):
            misused(problem)
        _serve_stdio(settings, workflow)
        return
    if workflow is not None:
        misused("--workflow is for --stdio; over HTTP each request names its own")
    try:
        from toolgate.bootstrap.server import serve as run  # noqa: PLC0415 - the whole server, and an extra
    except ModuleNotFoundError as missing:
        is_missing(missing)
    from toolgate.cli.log_lines import log_to  # noqa: PLC0415 - with the server

    log_to(sys.stderr)
    address = None if listen is None else read_listen(listen)
    if problem := name_problem(tenant, of="--tenant"):
        misused(problem)
    asyncio.run(
        run(
            settings,
            listen=address,
            tenant=tenant,
            run_jobs=False if no_jobs else None,
            when_open=lambda serving: _begun(settings, serving, tenant),
        )
    )
    click.echo("toolgate has stopped; every call on its way was settled or is recorded as unknown")


def _serve_stdio(settings: Settings, workflow: str | None) -> None:
    """Standard output carries the protocol and nothing else, whatever a tool prints; logs go to stderr."""
    secret = os.environ.pop(TOKEN_VARIABLE, "").strip()
    if not secret:
        misused(
            f"set {TOKEN_VARIABLE} to the token of whoever asks; whoever owns the key file makes one: "
            "toolgate tokens create --id ID --agent NAME"
        )
    kept(settings)  # a store in memory knows no token
    from toolgate.cli.log_lines import log_to  # noqa: PLC0415 - with the server

    source, sink = _wire()
    try:
        from toolgate.bootstrap.stdio import serve_stdio  # noqa: PLC0415 - the whole server, and an extra
    except ModuleNotFoundError as missing:
        is_missing(missing)
    log_to(sys.stderr)
    why = asyncio.run(serve_stdio(settings, secret, source, sink, workflow=workflow))
    if why is not None:
        no(f"what {TOKEN_VARIABLE} holds opens nothing: {why}")


def _wire() -> tuple[BinaryIO, BinaryIO]:
    """The protocol's own ends. From now on whoever reads standard input finds it empty, and prints to standard error.

    For good: what a tool printed may still lie in a buffer when the process ends.
    """
    sys.stdout.flush()
    # Not closed either: a thread may still wait at one of them.
    source, sink = os.fdopen(os.dup(0), "rb", closefd=False), os.fdopen(os.dup(1), "wb", closefd=False)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return source, sink


def _begun(settings: Settings, serving: Serving, tenant: str) -> None:
    spare_the_collector()
    _announce(settings, serving, tenant)


def _announce(settings: Settings, serving: Serving, tenant: str) -> None:
    url = serving.settings.public_url
    tools = len(serving.tools)
    held = sum(tool.contract.approval is not None for tool in serving.tools)
    lines = [
        f"toolgate serves {tools} tool{'' if tools == 1 else 's'} ({held} may ask a person) on {serving.address}",
        "",
        f"  console  {url}/",
        f"  MCP      {url}/mcp",
        f"  REST     {url}/v1, described in {url}/openapi.json",
        f"  health   {url}/healthz, {url}/readyz, {url}/metrics",
        f"  store    {store_words(settings)}",
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
