"""Upstreams of a configuration put together: their lock read and written, contracts made of pins and overlays.

Nothing here reaches an upstream before the fleet is opened, but ``look``, which a command asks. Not here: the rules
(``domain.upstream``), and keys (``config.upstreams``).
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolgate.adapters.upstreams.connection import UpstreamDown, open_connection
from toolgate.adapters.upstreams.fleet import Berth, Fleet, definitions_of
from toolgate.adapters.upstreams.shape import JsonShape
from toolgate.adapters.upstreams.tools import Placed
from toolgate.domain.errors import ConfigurationError, ContractError
from toolgate.domain.upstream.definition import Definition, Unusable
from toolgate.domain.upstream.lock import MAX_LOCK, Lock, PinnedTool, parse_lock
from toolgate.domain.upstream.scan import Finding, scan
from toolgate.domain.upstream.strict import plain_outside, strict_outside

if TYPE_CHECKING:
    from toolgate.config.settings import Settings
    from toolgate.config.upstreams import Overlay, UpstreamSettings
    from toolgate.ports import Clock

LOCK_FILE: Final = "toolgate.lock"
_log = logging.getLogger("toolgate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A listed tool that does not stand behind the gate, and why, with what to do about it. ``off``: as it was said."""

    upstream: str
    tool: str
    why: str
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a configuration and its lock come to, before anything is reached."""

    berths: tuple[Berth, ...]
    left: tuple[Left, ...]


def lock_path(settings: Settings) -> Path:
    """Beside the first file of the configuration."""
    return settings.files[0].absolute().parent / LOCK_FILE


def read_lock(path: Path) -> Lock:
    """The lock at ``path``; an empty one where there is no file.

    Raises:
        ConfigurationError: if it cannot be read, is no lock, or was edited by hand.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_LOCK + 1)
    except FileNotFoundError:
        return Lock()
    except OSError as fault:
        raise ConfigurationError(f"{path}: it cannot be read: {fault.strerror}") from None
    return parse_lock(raw, of=str(path))


def write_lock(path: Path, lock: Lock) -> None:
    """Put ``lock`` at ``path``, whole or not at all.

    Raises:
        ConfigurationError: if it cannot be written.
    """
    write_text(path, lock.text())


def write_text(path: Path, text: str) -> None:
    """Put ``text`` at ``path``, whole or not at all, with the rights that the file there had.

    Raises:
        ConfigurationError: if it cannot be written.
    """
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(mode)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as fault:
        raise ConfigurationError(f"{path}: it cannot be written: {fault.strerror}") from None


def plan_upstreams(settings: Settings, lock: Lock) -> Plan:
    """Every upstream with the contracts of its pinned tools.

    Raises:
        ConfigurationError: for an overlay that does not fit its pinned definition.
    """
    berths: list[Berth] = []
    left: list[Left] = []
    for upstream in settings.upstreams:
        pinned = lock.tools(upstream.name)
        placed = []
        for overlay in upstream.overlays.values():
            made = _placed(upstream.name, overlay, pinned.get(overlay.tool))
            if isinstance(made, Placed):
                placed.append(made)
            else:
                left.append(made)
        berths.append(
            Berth(name=upstream.name, settings=upstream.connection, pinned=pinned, placed=tuple(placed))
        )
    return Plan(berths=tuple(berths), left=tuple(left))


def open_upstreams(settings: Settings, clock: Clock, *, lazily: bool = False) -> Fleet:
    """The fleet of a configuration, not opened yet.

    ``lazily``: it reaches an upstream only when one of its tools is called.

    Raises:
        ConfigurationError: for a lock that cannot be read, or an overlay that does not fit its pinned definition.
    """
    plan = plan_upstreams(settings, read_lock(lock_path(settings)))
    for left in plan.left:
        if left.off:
            continue
        _log.warning("upstream %s: %s is not behind the gate: %s", left.upstream, left.tool, left.why)
    fleet = Fleet(plan.berths, clock=clock, lazily=lazily)
    return fleet.with_tools(settings.tightened(fleet.tools, upstreams=True))


def _placed(upstream: str, overlay: Overlay, pinned: PinnedTool | None) -> Placed | Left:
    def left(why: str) -> Left:
        return Left(upstream=upstream, tool=overlay.tool, why=why)

    if not overlay.enabled:
        return Left(upstream=upstream, tool=overlay.tool, why="switched off (enabled = false)", off=True)
    if pinned is None:
        return left(
            f"nobody has pinned it; read it, and run `toolgate upstreams pin {upstream} {overlay.tool}`"
        )
    made = shapes_of(pinned.definition)
    if isinstance(made, Unusable):
        return left(made.reason)
    given, answer = made
    try:
        contract = overlay.contract(pinned.definition, given.schema, answer.schema if answer else None)
    except ContractError as refused:
        return left(str(refused))
    return Placed(
        upstream=upstream,
        tool=overlay.tool,
        contract=contract,
        input=given,
        output=answer,
        error_effect=overlay.error_effect,
    )


def shapes_of(definition: Definition) -> tuple[JsonShape, JsonShape | None] | Unusable:
    """The validators of a definition: its input made strict, its output as it is."""
    strict = strict_outside(definition.input_schema)
    if isinstance(strict, Unusable):
        return Unusable(f"its input schema cannot be made strict: {strict.reason}")
    given = JsonShape.of(strict.schema, strict=True)
    if isinstance(given, Unusable):
        return given
    if definition.output_schema is None:
        return given, None
    plain = plain_outside(definition.output_schema)
    if isinstance(plain, Unusable):
        return Unusable(f"its output schema cannot be used: {plain.reason}")
    answer = JsonShape.of(plain.schema, strict=False)
    return answer if isinstance(answer, Unusable) else (given, answer)


# --- looking at what is there -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an upstream offers now. ``broken`` are definitions that cannot be read; ``down`` is why it is not there."""

    definitions: Mapping[str, Definition]
    broken: Mapping[str, str]
    server: str | None = None
    down: str | None = None


async def look(upstream: UpstreamSettings, clock: Clock) -> Seen:
    """Connect to one upstream, read its list, and end the connection.

    Raises:
        ConfigurationError: if its settings or references cannot be used.
    """
    connection = open_connection(
        upstream.connection(), name=upstream.name, on_tools_changed=lambda: None, clock=clock
    )
    try:
        listed = await connection.tools()
        state = connection.state()
    except UpstreamDown as down:
        return Seen(
            definitions={}, broken={}, down=down.reason.removeprefix(f"{upstream.name} is unavailable: ")
        )
    finally:
        await connection.close()
    live, broken = definitions_of(listed)
    server = f"{state.server_name or 'unnamed'} {state.server_version or ''}".strip()
    return Seen(definitions=live, broken=broken, server=f"{server}, MCP {state.version}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A definition, what the scan found in it, what was made strict, and what keeps it from being pinned."""

    definition: Definition
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    unusable: str | None


def review(definition: Definition, overlay: Overlay | None, others: Iterable[str]) -> Reviewed:
    """What a person should read before this definition is pinned.

    Where an overlay says what the tool is in its own words, the upstream's description (and its title, where the
    overlay gives one too) reaches no model, and its text is not held against it.
    """
    looked_at = definition
    if overlay is not None and overlay.description is not None:
        own_title = any(key == "title" for key, _ in overlay.said)
        looked_at = replace(definition, description="", title=None if own_title else definition.title)
    strict = strict_outside(definition.input_schema)
    made = shapes_of(definition)
    return Reviewed(
        definition=definition,
        findings=scan(looked_at, others),
        notes=() if isinstance(strict, Unusable) else strict.notes,
        unusable=made.reason if isinstance(made, Unusable) else None,
    )


def other_names(lock: Lock, seen: Mapping[str, Seen], *, but: tuple[str, str]) -> set[str]:
    """Names of tools, of every upstream, that a description should not speak of. ``but``: upstream and tool itself."""
    names = {tool for upstream, tools in lock.upstreams.items() for tool in tools if (upstream, tool) != but}
    names |= {tool for name, each in seen.items() for tool in each.definitions if (name, tool) != but}
    return names - {but[1]}


__all__ = [
    "LOCK_FILE",
    "Left",
    "Plan",
    "Reviewed",
    "Seen",
    "lock_path",
    "look",
    "open_upstreams",
    "other_names",
    "plan_upstreams",
    "read_lock",
    "review",
    "shapes_of",
    "write_lock",
    "write_text",
]
