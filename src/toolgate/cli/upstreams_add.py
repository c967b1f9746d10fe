"""``toolgate upstreams add``: write a section for an MCP server, with its tools proposed and closed.

The file keeps its text, comments and order: what is added stands at its end, and is shown. Not here: what a foreign
configuration means (``config.mcp_servers``), and the words of a section (``config.upstream_text``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from toolgate.adapters.clock import SystemClock
from toolgate.bootstrap.upstreams import look, write_text
from toolgate.cli.exits import Exit, misused, no
from toolgate.cli.options import as_json, asynchronous
from toolgate.cli.plain import one_line, print_json, printable
from toolgate.config import DEFAULT_FILE, read_text_settings
from toolgate.config.mcp_servers import Imported, Wanted, read_servers, upstream_name
from toolgate.config.upstream_text import proposal_text, section_text
from toolgate.config.upstreams import UpstreamSettings, looks_secret
from toolgate.domain.canonical import UnfitJson, parse_json
from toolgate.domain.errors import ConfigurationError
from toolgate.domain.redaction import redact_text

MAX_FILE = 1024 * 1024
_BEGINNING = 'store = "sqlite:///toolgate.db"\n'
"""What a file that is not there yet begins with: a store that keeps what was agreed to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """One upstream on its way into the file. ``why`` says why its tools are not proposed."""

    name: str
    text: str
    tools: tuple[str, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    why: str | None = None


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("name", required=False)
@click.argument("command", nargs=-1)
@click.option("--url", metavar="URL", help="A server over HTTP instead of a command.")
@click.option(
    "--env",
    "env",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="For the command; NAME alone is taken from here.",
)
@click.option("--from", "source", metavar="FILE", type=click.Path(path_type=Path), help="An mcpServers JSON.")
@click.option("--no-look", is_flag=True, help="Do not connect, and propose no tools.")
@click.option("--dry-run", is_flag=True, help="Show what would be added, and write nothing.")
@click.option(
    "--config", "config", metavar="FILE", default=DEFAULT_FILE, show_default=True, help="The file to add to."
)
@as_json
@asynchronous
async def add(
    name: str | None,
    command: tuple[str, ...],
    url: str | None,
    env: tuple[str, ...],
    source: Path | None,
    no_look: bool,  # noqa: FBT001 - click's parameters
    dry_run: bool,  # noqa: FBT001
    config: str,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Add an MCP server: NAME -- command args…, NAME --url URL, or every server of --from FILE.

    Its tools are proposed from what it says of itself and stay closed (enabled = false) until somebody has reviewed
    them. NAME alone proposes the tools of an upstream that is there already and that nothing lists yet.
    """
    path = Path(config)
    before = _read(path)
    fresh = before is _BEGINNING
    imported = _asked(name, command, url, env, source)
    added, text = [], before
    skipped = [each for each in imported if each.skipped is not None]
    for each in imported:
        if each.skipped is None:
            made = await _made(each, text, path, looking=not no_look)
            added.append(made)
            text = _joined(text, made.text)
    if not imported and name is not None:
        made = await _more(name, text, path)
        added.append(made)
        text = _joined(text, made.text)
    read_text_settings(text, path)
    if not dry_run and text != before:
        write_text(path, text)
    if as_json:
        print_json(_json(path, added, skipped, written=not dry_run and text != before))
    else:
        if fresh and added:
            click.echo(f"+ {_BEGINNING}")
        _print(path, added, skipped, dry_run=dry_run)
    return Exit.NO if skipped and not added else Exit.OK


def _asked(
    name: str | None, command: Sequence[str], url: str | None, env: Sequence[str], source: Path | None
) -> tuple[Imported, ...]:
    if source is not None:
        if name is not None or url is not None or command:
            misused("--from brings names and commands along; give it alone")
        return read_servers(_document(source))
    if name is None:
        misused("name it: toolgate upstreams add NAME -- npx -y some-server; or give --url, or --from FILE")
    if name != upstream_name(name):
        misused(f"an upstream's name is lower case letters, digits, _ and -; write {upstream_name(name)!r}")
    if url is not None and command:
        misused("say how it is reached, once: a command, or --url")
    if url is not None:
        return (Imported(name=name, section={"url": url}),)
    if not command:
        return ()
    section: dict[str, Any] = {"command": command[0]}
    if command[1:]:
        section["args"] = list(command[1:])
    if env:
        section["env"] = dict(_variable(item) for item in env)
    return (Imported(name=name, section=section),)


def _variable(said: str) -> tuple[str, str]:
    key, equals, value = said.partition("=")
    if equals and looks_secret(key, value):
        misused(f"what {key} is given looks like a secret; set it here and write --env {key}")
    return key, value if equals else f"env:{key}"


def _document(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return parse_json(file.read(MAX_FILE + 1), max_bytes=MAX_FILE)
    except OSError as fault:
        raise ConfigurationError(f"{path}: it cannot be read: {fault.strerror}") from None
    except UnfitJson as unfit:
        raise ConfigurationError(f"{path}: {unfit}") from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return _BEGINNING
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigurationError(f"{path}: it cannot be read ({type(fault).__name__})") from None


def _joined(text: str, more: str) -> str:
    return (text.rstrip("\n") + "\n\n" if text.strip() else text) + more if more else text


async def _made(each: Imported, text: str, path: Path, *, looking: bool) -> Added:
    section = section_text(each.name, each.section or {})
    settings = _known(each.name, text, path)
    if settings is not None:
        no(
            f"{path}: there is an upstream {each.name!r} already; "
            f"`toolgate upstreams add {each.name}` proposes its other tools"
        )
    if not looking:
        return Added(name=each.name, text=section, wanted=each.wanted, why="it was not asked for its tools")
    if each.wanted and "url" in (each.section or {}):
        # A foreign file must not have what lies in a variable sent to an address that nobody has read yet.
        unread = "what it would be sent from the environment was not sent yet; read its address first"
        return Added(name=each.name, text=section, wanted=each.wanted, why=unread)
    upstream = _known(each.name, _joined(text, section), path)
    assert upstream is not None
    proposals, tools, why = await _proposed(upstream)
    joined = section + (f"\n{proposals}" if proposals else "")
    return Added(name=each.name, text=joined, tools=tools, wanted=each.wanted, why=why)


async def _more(name: str, text: str, path: Path) -> Added:
    upstream = _known(name, text, path)
    if upstream is None:
        misused(
            f"{path}: there is no upstream {name!r}; say how it is reached: a command behind --, or --url"
        )
    proposals, tools, why = await _proposed(upstream)
    return Added(name=name, text=proposals, tools=tools, why=why)


async def _proposed(upstream: UpstreamSettings) -> tuple[str, tuple[str, ...], str | None]:
    try:
        seen = await look(upstream, SystemClock())
    except ConfigurationError as fault:
        return "", (), str(fault)
    if seen.down is not None:
        return "", (), f"it is not there now: {redact_text(seen.down)}"
    new = [made for tool, made in seen.definitions.items() if tool not in upstream.overlays]
    return proposal_text(upstream.name, new), tuple(sorted(made.name for made in new)), None


def _known(name: str, text: str, path: Path) -> UpstreamSettings | None:
    return next((each for each in read_text_settings(text, path) if each.name == name), None)


# --- words ------------------------------------------------------------------------------------------------------


def _print(path: Path, added: Sequence[Added], skipped: Sequence[Imported], *, dry_run: bool) -> None:
    for each in added:
        click.echo(
            "\n".join(f"+ {printable(line)}" for line in each.text.rstrip("\n").split("\n"))
            if each.text
            else ""
        )
        click.echo()
    for each in added:
        said = "would be added to" if dry_run else "is in"
        click.echo(f"{each.name}: {said} {path}{_proposals(each)}")
        if each.why is not None:
            click.echo(f"  no tools are proposed: {printable(each.why)}")
        for wanted in each.wanted:
            click.echo(f"  export {wanted.variable}=…  # {printable(one_line(wanted.why))}")
        if each.why is not None:
            click.echo(f"  once that is mended: toolgate upstreams add {each.name}")
    for left in skipped:
        click.echo(f"{left.name}: skipped: {left.skipped}")
    if any(each.tools for each in added):
        click.echo(
            "Review each proposed tool in the file, take out its enabled = false, then: toolgate upstreams pin"
        )


def _proposals(each: Added) -> str:
    if not each.tools:
        return ""
    return f"; {len(each.tools)} tools proposed, none of them open"


def _json(
    path: Path, added: Sequence[Added], skipped: Sequence[Imported], *, written: bool
) -> Mapping[str, Any]:
    return {
        "file": str(path),
        "written": written,
        "added": [
            {
                "name": each.name,
                "text": each.text,
                "tools": list(each.tools),
                "export": [{"variable": wanted.variable, "why": wanted.why} for wanted in each.wanted],
                "why": each.why,
            }
            for each in added
        ],
        "skipped": [{"name": each.name, "why": each.skipped} for each in skipped],
    }
