"""What the files of one gateway come to: read in order, a later one has the last word, key by key.

Overrides are the exception: each file tightens what the files before it left, so that no file can take back what
an earlier one demands. Nothing is imported or opened before it is asked for. Not here: single keys (``sections``).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from toolgate.config.auth import AuthSettings, read_agents, read_auth
from toolgate.config.consent import with_default_expiry
from toolgate.config.imports import import_object
from toolgate.config.jobs import JobSettings, read_jobs
from toolgate.config.notify import SinkSettings, read_sinks
from toolgate.config.overrides import tightened
from toolgate.config.places import lines_of
from toolgate.config.problems import Source, Where
from toolgate.config.references import resolve
from toolgate.config.sections import Given, Sections, read_sections
from toolgate.config.server import Server, read_server
from toolgate.config.telemetry import TelemetrySettings, read_telemetry
from toolgate.config.upstreams import UpstreamSettings, read_upstreams
from toolgate.domain.approval import DEFAULT_EXPIRY
from toolgate.domain.errors import ConfigurationError
from toolgate.domain.limits import Limits
from toolgate.domain.retention import NOTHING_SAID, Retention
from toolgate.domain.tool import Tool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.ports import Callers, Decider, Deps

DEFAULT_FILE: Final = "toolgate.toml"
_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = ("postgresql://", "postgres://")
KEYS_VARIABLE: Final = "TOOLGATE_KEYS_FILE"
_DEFAULT_KEYS: Final = "toolgate.keys"
_MAX_FILE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A configuration that was read and checked. What it names is imported by the method of its key.

    ``store`` may come from a secret and is not part of the repr; it is None where no file says one. ``keys`` is the
    file of the keys, None for the one beside a SQLite database.
    """

    files: tuple[Path, ...]
    limits: Limits
    store: str | None = field(repr=False)
    keys: Path | None
    expires_in: Given[float] | None
    tool_paths: Given[tuple[str, ...]] | None
    deps_path: Given[str] | None
    callers_path: Given[str] | None
    may_decide_path: Given[str] | None
    overrides: tuple[Given[Mapping[str, Any]], ...]
    sinks: tuple[SinkSettings, ...] = ()
    auth: AuthSettings = field(default_factory=AuthSettings)
    auth_is_said: bool = False
    agents: Mapping[str, str] = field(default_factory=dict)
    server: Server = field(default_factory=Server)
    upstreams: tuple[UpstreamSettings, ...] = ()
    retention: Retention = NOTHING_SAID
    telemetry: TelemetrySettings | None = None
    jobs: JobSettings = field(default_factory=JobSettings)

    def tools(self) -> list[Tool[Any, Any]]:
        """The tools of every list that ``tools`` names, tightened by the overrides. Those of upstreams are not here.

        Raises:
            ConfigurationError: naming key and line, for what cannot be imported, is no tool, or would be loosened.
        """
        if self.tool_paths is None and self.upstreams:
            return self.tightened([])
        if self.tool_paths is None:
            where = ", ".join(str(file) for file in self.files)
            raise ConfigurationError(
                f"{where}: tools: no file names any; write tools = ['package.module:tools']"
            )
        found: list[Tool[Any, Any]] = []
        for place, path in enumerate(self.tool_paths.value):
            found += _listed(path, self.tool_paths.where.below(place))
        return self.tightened(found)

    def deps(self) -> Deps | None:
        """The ``deps`` hook, imported."""
        return cast("Deps | None", _hook(self.deps_path, "an async context manager (caller) -> dependencies"))

    def callers(self) -> Callers | None:
        """The ``callers`` hook, imported."""
        hook = _hook(self.callers_path, "an async function (id, tenant) -> Caller | None")
        return cast("Callers | None", hook)

    def may_decide(self) -> Decider | None:
        """The ``may_decide`` hook, imported."""
        hook = _hook(self.may_decide_path, "a function (person, facts) -> bool | Denied")
        return cast("Decider | None", hook)

    def tightened(self, tools: Iterable[Tool[Any, Any]], *, upstreams: bool = False) -> list[Tool[Any, Any]]:
        """``tools`` under the overrides that name them: those of the code, or with ``upstreams`` those of upstreams.

        Raises:
            ConfigurationError: naming key and line, for what names no tool, or would loosen one.
        """
        by_name = {tool.name: tool for tool in tools}
        listed = {overlay.name for upstream in self.upstreams for overlay in upstream.overlays.values()}
        for override in self.overrides:
            name = str(override.where.path[-1])
            if name not in by_name:
                if upstreams or name in listed:
                    continue
                raise override.where.unknown(by_name.keys() | listed)
            tool = by_name[name]
            contract = tightened(
                tool.contract, override.value, override.where, result_size=self.limits.result_size
            )
            by_name[name] = tool.with_contract(contract)
        if self.expires_in is not None:
            by_name = {name: _expiring(tool, self.expires_in.value) for name, tool in by_name.items()}
        return [by_name[tool.name] for tool in tools]


def load_settings(*files: str | Path) -> Settings:
    """Read ``files`` in order; without one, ``toolgate.toml`` in the working directory.

    Raises:
        ConfigurationError: naming file, line, key and what would be right.
        NotBuiltYet: for a key that is designed and not built.
    """
    paths = tuple(Path(file) for file in files or (DEFAULT_FILE,))
    said = [_read(path) for path in paths]
    expiry = _last(sections.expires_in for sections in said)
    limits: dict[str, Given[Any]] = {}
    auth: dict[str, Given[Any]] = {}
    agents: dict[str, Given[Any]] = {}
    retention: dict[str, Given[float | None]] = {}
    for sections in said:
        limits |= sections.limits
        auth |= sections.auth
        agents |= sections.agents
        retention |= sections.retention
    return Settings(
        files=paths,
        limits=Limits(
            **{key: given.value for key, given in limits.items()},
            approval_expires_in=expiry.value if expiry else DEFAULT_EXPIRY,
        ),
        store=(store := _store(_last(sections.store for sections in said))),
        keys=_keys(_last(sections.keys for sections in said), store, paths[0]),
        expires_in=expiry,
        tool_paths=_last(sections.tools for sections in said),
        deps_path=_last(sections.deps for sections in said),
        callers_path=_last(sections.callers for sections in said),
        may_decide_path=_last(sections.may_decide for sections in said),
        overrides=tuple(override for sections in said for override in sections.overrides),
        upstreams=read_upstreams([sections.upstreams for sections in said if sections.upstreams is not None]),
        server=read_server([sections.server for sections in said if sections.server is not None]),
        telemetry=read_telemetry([sections.telemetry for sections in said if sections.telemetry is not None]),
        jobs=read_jobs([sections.jobs for sections in said if sections.jobs is not None]),
        sinks=read_sinks(_last(sections.notify for sections in said)),
        auth=read_auth(auth),
        auth_is_said=any(sections.auth_is_said for sections in said),
        agents=read_agents(agents),
        retention=Retention(**{key: given.value for key, given in retention.items()}),
    )


def _read(path: Path) -> Sections:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_FILE + 1)
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: there is no such file; name another, or write one with `toolgate init`"
        ) from None
    except OSError as fault:
        raise ConfigurationError(f"{path}: it cannot be read: {fault.strerror}") from None
    if len(raw) > _MAX_FILE:
        raise ConfigurationError(f"{path}: it is longer than {_MAX_FILE} bytes, so it is no configuration")
    try:
        return _sections(raw.decode(), path)
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: it is not text in UTF-8") from None


def read_text_settings(text: str, path: Path) -> tuple[UpstreamSettings, ...]:
    """The upstreams of a file of this text, which need not be written yet.

    Raises:
        ConfigurationError: as ``load_settings``.
    """
    said = _sections(text, path)
    return read_upstreams([said.upstreams] if said.upstreams is not None else [])


def _sections(text: str, path: Path) -> Sections:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise ConfigurationError(f"{path}: it is not valid TOML: {broken}") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: it is nested too deep") from None
    return read_sections(document, Source(path, lines_of(text)))


def _last(given: Iterable[Given[Any] | None]) -> Given[Any] | None:
    """What the last file says that says anything."""
    return next((one for one in reversed(tuple(given)) if one is not None), None)


def _store(given: Given[str] | None) -> str | None:
    """The store's URL, a relative path made relative to the file that names it. Never repeats the value."""
    if given is None:
        return None
    url = resolve(given.value, given.where)
    if url.startswith(_POSTGRES):
        return url
    if url in {"memory", "memory://"}:
        return "memory"
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not path:
        raise given.where.wrong(
            "this is no store; write 'sqlite:///toolgate.db', 'postgresql://user@host/database', or 'memory'"
        )
    return f"{_SQLITE}{given.where.source.folder / path}"


def _keys(given: Given[str] | None, store: str | None, first: Path) -> Path | None:
    """The file of the keys: as a file says it; for Postgres else as the environment does, else beside the first file.

    None: beside the database's own file.
    """
    if given is not None:
        return given.where.source.folder / given.value
    if store is None or not store.startswith(_POSTGRES):
        return None
    elsewhere = os.environ.get(KEYS_VARIABLE)
    return Path(elsewhere) if elsewhere else first.parent / _DEFAULT_KEYS


def _listed(path: str, where: Where) -> Sequence[Tool[Any, Any]]:
    found = import_object(path, where)
    tools = [found] if isinstance(found, Tool) else found
    if not isinstance(tools, list | tuple):
        raise where.wrong(f"{path} is {_kind(found)}, and no list of tools")
    for tool in tools:
        if not isinstance(tool, Tool):
            raise where.wrong(f"{path} holds {_kind(tool)}, which is no tool; put @tool(...) on the function")
    return tools


def _hook(given: Given[str] | None, what: str) -> Any:
    if given is None:
        return None
    found = import_object(given.value, given.where)
    if not callable(found):
        raise given.where.wrong(f"{given.value} is {_kind(found)}; it has to be {what}")
    return found


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _expiring(tool: Tool[Any, Any], expires_in: float) -> Tool[Any, Any]:
    approval = tool.contract.approval
    if approval is None:
        return tool
    return tool.with_contract(replace(tool.contract, approval=with_default_expiry(approval, expires_in)))
