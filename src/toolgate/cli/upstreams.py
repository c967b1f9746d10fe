"""``toolgate upstreams``: what MCP servers stand behind the gate, what of them is pinned, and what changed since.

Not here: pinning (``upstreams_pin``), adding (``upstreams_add``), and any rule about what may be pinned.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import click

from toolgate.adapters.clock import SystemClock
from toolgate.adapters.upstreams.fleet import Berth
from toolgate.bootstrap.upstreams import Plan, Seen, lock_path, look, plan_upstreams, read_lock
from toolgate.cli.exits import Exit, misused
from toolgate.cli.options import as_json, asynchronous, configured
from toolgate.cli.plain import print_json, printable
from toolgate.cli.tables import print_rows
from toolgate.cli.upstreams_add import add
from toolgate.cli.upstreams_pin import pin
from toolgate.config import Settings
from toolgate.config.upstreams import UpstreamSettings
from toolgate.domain.names import label
from toolgate.domain.redaction import redact_text
from toolgate.domain.upstream.lock import Difference, Lock, differences


@click.group()
@click.pass_context
def upstreams(context: click.Context) -> None:
    """Put MCP servers behind the gate, pin what their tools are, and see what changed since."""
    logger = logging.getLogger("toolgate")
    logger.addFilter(_is_no_retry)
    context.call_on_close(lambda: logger.removeFilter(_is_no_retry))


def _is_no_retry(record: logging.LogRecord) -> bool:
    """These commands try once, and say themselves what is not there."""
    return "next try" not in str(record.msg)


upstreams.add_command(add)
upstreams.add_command(pin)


@upstreams.command(name="list")
@click.option("--live", is_flag=True, help="Connect to each of them, and say whether it is there.")
@configured
@as_json
@asynchronous
async def list_(settings: Settings, live: bool, as_json: bool) -> None:  # noqa: FBT001 - click's parameters
    """List the upstreams and their tools, pinned or not. Nothing is reached but with --live."""
    plan = plan_upstreams(settings, read_lock(lock_path(settings)))
    seen = {each.name: await look(each, SystemClock()) for each in settings.upstreams} if live else {}
    if as_json:
        print_json([_described(each, plan, seen.get(each.name)) for each in settings.upstreams])
        return
    rows: list[tuple[tuple[str, str], tuple[str, str]]] = []
    drifted = False
    for upstream in settings.upstreams:
        rows.append(((upstream.name, upstream.kind), (upstream.shown, _standing(seen.get(upstream.name)))))
        for berth in plan.berths:
            if berth.name == upstream.name:
                changed = _changed(berth, seen.get(upstream.name))
                drifted = drifted or bool(changed)
                rows += [
                    (
                        ("  " + placed.name, placed.contract.effect.value),
                        ("set aside", changed[placed.tool]) if placed.tool in changed else ("pinned", ""),
                    )
                    for placed in berth.placed
                ]
        rows += [
            (("  " + left.tool, ""), (left.why, "") if left.off else ("not behind the gate", left.why))
            for left in plan.left
            if left.upstream == upstream.name
        ]
    print_rows((("upstream", "tool"), ("how", "state")), rows, empty="No upstreams.")
    if drifted:
        click.echo("\nWhat changed: toolgate upstreams diff")


def _changed(berth: Berth, seen: Seen | None) -> dict[str, str]:
    """Placed tools that are not as they were pinned, each with what happened to it, where somebody looked."""
    if seen is None or seen.down is not None:
        return {}
    names = {placed.tool for placed in berth.placed}
    live = {tool: made for tool, made in seen.definitions.items() if tool in names}
    pinned = {tool: held for tool, held in berth.pinned.items() if tool in names}
    return {each.tool: each.words for each in differences(pinned, live)}


def _standing(seen: Seen | None) -> str:
    if seen is None:
        return ""
    return f"unavailable: {redact_text(seen.down)}" if seen.down is not None else f"ready: {seen.server}"


def _described(upstream: UpstreamSettings, plan: Plan, seen: Seen | None) -> dict[str, Any]:
    berth = next(berth for berth in plan.berths if berth.name == upstream.name)
    changed = _changed(berth, seen)
    left = [each for each in plan.left if each.upstream == upstream.name]
    described: dict[str, Any] = {
        "name": upstream.name,
        "kind": upstream.kind,
        "how": upstream.shown,
        "tools": [
            {"tool": each.tool, "name": each.name, "effect": each.contract.effect.value}
            | ({"set_aside": changed.get(each.tool)} if seen is not None else {})
            for each in berth.placed
        ],
        "left": [{"tool": each.tool, "why": each.why} for each in left],
    }
    if seen is not None:
        described |= {"ready": seen.down is None, "server": seen.server, "why": seen.down}
    return described


# --- diff -------------------------------------------------------------------------------------------------------


@upstreams.command()
@click.argument("name", required=False)
@configured
@as_json
@asynchronous
async def diff(settings: Settings, name: str | None, as_json: bool) -> int:  # noqa: FBT001 - click's parameter
    """Show what differs from what is pinned. Exit code 1 if anything does, or if an upstream is not there."""
    lock = read_lock(lock_path(settings))
    found = [(each, *await _compared(each, lock)) for each in chosen(settings, name)]
    drifted = any(seen.down is not None or changes for _, seen, changes in found)
    if as_json:
        print_json([_json(upstream, seen, changes) for upstream, seen, changes in found])
    else:
        for upstream, seen, changes in found:
            _print(upstream, seen, changes)
    return Exit.NO if drifted else Exit.OK


def chosen(settings: Settings, name: str | None) -> Sequence[UpstreamSettings]:
    """The upstreams that a command is about."""
    if name is None:
        return settings.upstreams
    found = [each for each in settings.upstreams if each.name == name]
    if not found:
        known = ", ".join(each.name for each in settings.upstreams) or "none"
        misused(f"there is no upstream {name!r}; the configuration names {known}")
    return found


async def _compared(upstream: UpstreamSettings, lock: Lock) -> tuple[Seen, tuple[Difference, ...]]:
    """What an upstream offers, and how the tools that an overlay lists differ from their pins."""
    seen = await look(upstream, SystemClock())
    if seen.down is not None:
        return seen, ()
    pinned = {tool: held for tool, held in lock.tools(upstream.name).items() if tool in upstream.overlays}
    wanted = {tool for tool, overlay in upstream.overlays.items() if overlay.enabled} | set(pinned)
    live = {tool: made for tool, made in seen.definitions.items() if tool in wanted}
    nowhere = wanted - {*pinned, *live, *seen.broken}
    return seen, (
        *differences(pinned, live),
        *(Difference(tool=tool, kind="missing") for tool in sorted(nowhere)),
    )


def _json(upstream: UpstreamSettings, seen: Seen, changes: Sequence[Difference]) -> dict[str, Any]:
    return {
        "name": upstream.name,
        "server": seen.server,
        "down": seen.down,
        "broken": dict(seen.broken),
        "unlisted": sorted(set(seen.definitions) - set(upstream.overlays)),
        "differences": [
            {
                "tool": each.tool,
                "kind": each.kind,
                "what": each.words,
                "parts": list(each.parts),
                "pinned": each.before.digest if each.before else None,
                "now": each.after.digest if each.after else None,
                "diff": each.diff(),
            }
            for each in changes
        ],
    }


def _print(upstream: UpstreamSettings, seen: Seen, changes: Sequence[Difference]) -> None:
    if seen.down is not None:
        click.echo(f"{upstream.name}: unavailable: {printable(redact_text(seen.down))}")
        return
    for tool, why in seen.broken.items():
        click.echo(
            f"{upstream.name}: {printable(label(tool))}: its definition cannot be used: {printable(why)}"
        )
    for each in changes:
        click.echo(f"{upstream.name}: {printable(each.tool)}: {each.words}")
        if each.kind == "changed":
            # Whole, and nothing masked: what is shown here is what every model would be told.
            click.echo("\n".join(f"    {printable(line)}" for line in each.diff()))
    if not changes and not seen.broken:
        click.echo(f"{upstream.name}: as pinned")
    closed = sum(not overlay.enabled for overlay in upstream.overlays.values())
    if closed:
        click.echo(f"{upstream.name}: {closed} switched off (enabled = false)")
    unlisted = sorted(set(seen.definitions) - set(upstream.overlays))
    if unlisted:
        click.echo(
            f"{upstream.name}: {len(unlisted)} more that no overlay lists: {printable(', '.join(unlisted))}"
        )
