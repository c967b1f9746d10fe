"""The program: its commands, each loaded when it is used, and the one place where every end becomes an exit code.

Not here: what a command does.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Final, NoReturn

import click

from toolgate.cli.exits import Ended, Exit, code_of
from toolgate.cli.plain import printable
from toolgate.domain.errors import ToolgateError
from toolgate.domain.redaction import redact_text

COMMANDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "demo": ("toolgate.cli.demo:demo", "Run a scripted agent's day through the real gate."),
        "init": ("toolgate.cli.init:init", "Write a first configuration and two example tools."),
        "serve": ("toolgate.cli.serve:serve", "Serve the tools over HTTP, with a console for people."),
        "worker": ("toolgate.cli.worker:worker", "Run jobs and keep house beside gateways on one store."),
        "tools": ("toolgate.cli.tools:tools", "List the tools, and what their contracts promise."),
        "upstreams": (
            "toolgate.cli.upstreams:upstreams",
            "Put MCP servers behind the gate, and pin what they are.",
        ),
        "check": ("toolgate.cli.check:check", "Ask the eleven questions of every tool."),
        "call": ("toolgate.cli.call:call", "Call a tool through the gate."),
        "approvals": ("toolgate.cli.approvals:approvals", "See what waits for a person, and decide."),
        "grants": ("toolgate.cli.grants:grants", "See, give and revoke consent beforehand."),
        "calls": ("toolgate.cli.calls:calls", "See what became of calls, and resolve unknown ones."),
        "jobs": ("toolgate.cli.jobs:jobs", "See how far long work is, follow it, and cancel it."),
        "audit": ("toolgate.cli.audit:audit", "Read, search, verify and export the trail."),
        "notifications": (
            "toolgate.cli.notifications:notifications",
            "See what did not arrive, and send it again.",
        ),
        "tokens": ("toolgate.cli.tokens:tokens", "Make and revoke the tokens that people act by."),
        "doctor": ("toolgate.cli.doctor:doctor", "Look at everything, and say what mends what is not well."),
        "retention": ("toolgate.cli.retention:retention", "Remove what was kept long enough."),
        "store": ("toolgate.cli.store:store", "Move a ledger from SQLite to Postgres."),
        "migrate": ("toolgate.cli.migrate:migrate", "Bring the store's schema up to date."),
    }
)
"""Name → where it lives, and its line in the list: the list is printed without loading any of them."""


_NO_ARGUMENTS: Final = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""What click raises, from 8.2 on, where a group is named without a command."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Those whose module is there."""
        return [name for name, (path, _) in COMMANDS.items() if find_spec(path.partition(":")[0])]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command, or say which ones there are."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            ctx.fail(
                f"there is no command {args[0]!r}; the commands are {', '.join(self.list_commands(ctx))}"
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Whoever reads its output and had enough ends it well."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Python would complain again when it flushes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(Exit.OK) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and rarely asked for

        click.echo(f"toolgate {version('toolgate')}")
        ctx.exit()


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Say which."
)
def app() -> None:
    """The gate between a model and your systems.

    Commands read toolgate.toml in the working directory; --config FILE names others. Whoever acts (calls, decides,
    grants, resolves) is who the token in the variable TOOLGATE_TOKEN says.

    Exit codes: 0 done or so, 1 no, 2 wrong usage or configuration, 3 the store or the gate failed, 4 held for a
    person, 5 unknown whether it happened.
    """


def run() -> NoReturn:
    """Run the program and end the process; no traceback, whatever happens."""
    sys.exit(code(sys.argv[1:]))


def code(words: list[str]) -> int:
    """Run the program on ``words``; its exit code. Errors go to stderr, in one form."""
    try:
        answer = app.main(args=words, prog_name="toolgate", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except _NO_ARGUMENTS as help_wanted:
        help_wanted.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return _said("stopped", Exit.INTERRUPTED)
    except Ended as end:
        return _said(end.message, end.end)
    except click.ClickException as misuse:
        return _said(misuse.format_message(), Exit.USAGE)
    except ToolgateError as fault:
        return _said(str(fault), code_of(fault))
    except Exception as defect:  # noqa: BLE001 - the last door: a defect is named and never shown as a traceback
        return _said(_named(defect), Exit.FAULT)
    return int(answer) if isinstance(answer, int) else Exit.OK


def _said(words: str, end: Exit) -> int:
    click.echo(f"toolgate: {printable(redact_text(words))}", err=True)
    return end


def _named(defect: Exception) -> str:
    if isinstance(defect, OSError) and defect.strerror:
        name = f"{defect.filename}: " if defect.filename else ""
        return f"{name}{defect.strerror}"
    place = traceback.extract_tb(defect.__traceback__)[-1]
    return f"a defect of toolgate or of a tool's module: {type(defect).__name__} in {place.name}, line {place.lineno}"
