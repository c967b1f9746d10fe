"""``toolgate upstreams pin``: read what the tools of an upstream are now, and put it into ``toolgate.lock``.

What a person has to read is shown first: the definition or how it changed, what the scan found, and what is made
stricter. Not here: the rules (``domain.upstream.scan``), and how a lock is written (``bootstrap.upstreams``).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from toolgate.adapters.clock import SystemClock
from toolgate.bootstrap.upstreams import (
    Reviewed,
    Seen,
    lock_path,
    look,
    other_names,
    read_lock,
    review,
    write_lock,
)
from toolgate.cli.exits import Exit, misused
from toolgate.cli.options import as_json, asynchronous, configured, yes_option
from toolgate.cli.plain import print_json, printable
from toolgate.config import Settings
from toolgate.config.upstreams import UpstreamSettings
from toolgate.domain.redaction import redact_text
from toolgate.domain.upstream.lock import Difference, Lock, PinnedTool, differences, escaped, visible
from toolgate.domain.upstream.scan import RULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One listed tool on its way into the lock. ``why_not`` says what keeps it out; None where nothing does."""

    upstream: str
    tool: str
    difference: Difference | None
    reviewed: Reviewed | None
    why_not: str | None

    def accepting(self) -> frozenset[str]:
        """The rules that have to be accepted with it."""
        if self.reviewed is None:
            return frozenset()
        return frozenset(found.rule for found in self.reviewed.findings if found.severity == "warn")


@click.command()
@click.argument("name", required=False)
@click.argument("tools", nargs=-1)
@click.option(
    "--accept", "accept", multiple=True, metavar="RULE", help="Accept what this rule of the scan found."
)
@click.option("--dry-run", is_flag=True, help="Show what would be pinned, and write nothing.")
@yes_option
@configured
@as_json
@asynchronous
async def pin(
    settings: Settings,
    name: str | None,
    tools: tuple[str, ...],
    accept: tuple[str, ...],
    dry_run: bool,  # noqa: FBT001 - click's parameters
    yes: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Pin the listed tools as they are now, after showing what they are and what the scan found.

    Those that are switched off (enabled = false) are shown by --dry-run, and pinned only by name.
    A running gateway takes the new pins when it starts again.
    """
    if unknown := sorted(set(accept) - set(RULES)):
        misused(f"there is no rule {unknown[0]!r}; the rules are {', '.join(RULES)}")
    path = lock_path(settings)
    lock = read_lock(path)
    upstreams = [each for each in settings.upstreams if name in {None, each.name}]
    if name is not None and not upstreams:
        known = ", ".join(each.name for each in settings.upstreams) or "none"
        misused(f"there is no upstream {name!r}; the configuration names {known}")
    seen = {each.name: await look(each, SystemClock()) for each in upstreams}
    cases = [case for each in upstreams for case in _cases(each, tools, lock, seen, accept, closed=dry_run)]
    pinned = []
    for case in cases:
        if not as_json:
            _show(case)
        if case.why_not is None and (dry_run or _agreed(case, yes=yes or as_json)):
            pinned.append(case)
    if not dry_run and pinned:
        write_lock(path, _with(lock, pinned, upstreams, whole=not tools))
    down = {each: what.down for each, what in seen.items() if what.down is not None}
    if as_json:
        print_json({"lock": str(path), "written": bool(pinned) and not dry_run,
                    "unavailable": down, "tools": [_json(case, pinned) for case in cases]})  # fmt: skip
    else:
        _conclude(str(path), pinned, cases, down, dry_run=dry_run)
    return Exit.OK if len(pinned) == len(cases) and not down else Exit.NO


def _cases(
    upstream: UpstreamSettings,
    tools: Sequence[str],
    lock: Lock,
    seen: dict[str, Seen],
    accept: Iterable[str],
    *,
    closed: bool,
) -> list[Case]:
    there = seen[upstream.name]
    if unlisted := sorted(set(tools) - set(upstream.overlays)):
        misused(
            f"no overlay lists {unlisted[0]!r} of {upstream.name}; write "
            f"[upstreams.{upstream.name}.tools.{unlisted[0]}] first"
        )
    if there.down is not None:
        return []
    held = lock.tools(upstream.name)
    meant = tools or [
        tool for tool, overlay in upstream.overlays.items() if overlay.enabled or closed or tool in held
    ]
    return [_case(upstream, tool, lock, seen, frozenset(accept)) for tool in meant]


def _case(
    upstream: UpstreamSettings, tool: str, lock: Lock, seen: dict[str, Seen], accept: frozenset[str]
) -> Case:
    there, overlay = seen[upstream.name], upstream.overlays[tool]
    definition, held = there.definitions.get(tool), lock.tools(upstream.name).get(tool)
    pinned = {} if held is None else {tool: held}
    difference = next(iter(differences(pinned, {tool: definition} if definition else {})), None)
    if definition is None:
        why = there.broken.get(tool, "the upstream does not offer it")
        return Case(upstream=upstream.name, tool=tool, difference=difference, reviewed=None, why_not=why)
    reviewed = review(definition, overlay, other_names(lock, seen, but=(upstream.name, tool)))
    before = (
        held.accepted if held is not None and held.definition.digest == definition.digest else frozenset()
    )
    return Case(
        upstream=upstream.name,
        tool=tool,
        difference=difference,
        reviewed=reviewed,
        why_not=_why_not(reviewed, accept | before),
    )


def _why_not(reviewed: Reviewed, accepted: frozenset[str]) -> str | None:
    if reviewed.unusable is not None:
        return reviewed.unusable
    refused = sorted({found.rule for found in reviewed.findings if found.severity == "refuse"})
    if refused:
        return (
            f"the scan refuses it ({', '.join(refused)}): what it says cannot be reviewed. If its description alone is "
            "meant, say what it does in the overlay: description = '…'"
        )
    warned = {found.rule for found in reviewed.findings if found.severity == "warn"}
    if missing := sorted(warned - accepted):
        flags = " ".join(f"--accept {rule}" for rule in missing)
        return f"the scan warns of it; once you have read it: {flags}"
    return None


def _agreed(case: Case, *, yes: bool) -> bool:
    if case.difference is None or yes:
        return True
    if not sys.stdin.isatty():
        misused("nobody is here to be asked; read what is shown, and repeat the command with --yes")
    return click.confirm(f"Pin {printable(case.tool)} of {case.upstream} as shown?", default=False)


def _with(lock: Lock, cases: Sequence[Case], upstreams: Sequence[UpstreamSettings], *, whole: bool) -> Lock:
    for upstream in upstreams:
        tools = [
            PinnedTool(definition=case.reviewed.definition, accepted=case.accepting())
            for case in cases
            if case.upstream == upstream.name and case.reviewed is not None
        ]
        gone = set(lock.tools(upstream.name)) - set(upstream.overlays) if whole else set()
        lock = lock.with_tools(upstream.name, tools, dropped=gone)
    return lock


# --- words ------------------------------------------------------------------------------------------------------


def _show(case: Case) -> None:
    difference, reviewed = case.difference, case.reviewed
    words = "" if reviewed is None else ": as pinned"
    if difference is not None and difference.words != case.why_not:
        words = f": {difference.words}"
    click.echo(click.style(f"{case.upstream}: {printable(case.tool)}{words}", bold=True))
    if difference is not None and difference.after is not None:
        lines = visible(difference.after) if difference.kind == "new" else difference.diff()
        # Whole, and nothing masked: what is shown here is what every model would be told.
        click.echo("\n".join(f"    {printable(line)}" for line in lines))
    for found in reviewed.findings if reviewed is not None else ():
        shown = f": {printable(redact_text(found.excerpt))}" if found.excerpt else ""
        title = RULES[found.rule].title
        where = "it" if found.where == "annotations" else escaped(found.where)
        click.echo(f"  {found.severity} [{found.rule}] {where} {title}{shown}")
    for note in reviewed.notes if reviewed is not None and difference is not None else ():
        click.echo(f"  made stricter: {printable(note)}")
    if case.why_not is not None:
        click.echo(f"  not pinned: {printable(case.why_not)}")
    click.echo()


def _conclude(
    path: str, pinned: Sequence[Case], cases: Sequence[Case], down: dict[str, str], *, dry_run: bool
) -> None:
    for name, why in down.items():
        click.echo(f"{name}: unavailable: {printable(redact_text(why))}")
    if not cases:
        if not down:
            click.echo("Nothing to pin: no tool is listed and switched on (without enabled = false)")
        return
    said = "would be pinned" if dry_run else f"are pinned in {path}"
    click.echo(f"{len(pinned)} of {len(cases)} tools {said}")


def _json(case: Case, pinned: Sequence[Case]) -> dict[str, Any]:
    reviewed = case.reviewed
    return {
        "upstream": case.upstream,
        "tool": case.tool,
        "pinned": case in pinned,
        "why_not": case.why_not,
        "difference": case.difference.words if case.difference else None,
        "digest": reviewed.definition.digest if reviewed else None,
        "definition": reviewed.definition.described() if reviewed else None,
        "findings": [
            {"rule": found.rule, "severity": found.severity, "where": found.where, "excerpt": found.excerpt}
            for found in (reviewed.findings if reviewed else ())
        ],
        "notes": list(reviewed.notes) if reviewed else [],
    }
