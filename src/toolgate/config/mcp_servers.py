"""``mcpServers`` as Claude Desktop, Cursor and VS Code write it → sections of ``toolgate.toml``.

A secret found there becomes a reference, and what has to be set is told by name; no value of one is repeated. What the
gate cannot speak (the old SSE transport) is skipped, with the reason. Not here: files, and what the tools are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from toolgate.config.upstreams import REFERENCES, looks_secret
from toolgate.domain.errors import ConfigurationError
from toolgate.domain.secret_shapes import may_hold_secret, scrub, secret_name

_PLACEHOLDER: Final = re.compile(r"\$\{(?:(env|input):)?([A-Za-z_][A-Za-z0-9_.-]*)\}")
_HOLDERS: Final = ("mcpServers", "servers", "context_servers")
_BEARER: Final = re.compile(r"(?i)bearer\s+(.*)", re.DOTALL)
MAX_SERVERS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A variable that has to be set; ``why`` says where its value stands now."""

    variable: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One server. ``section`` holds the keys of ``[upstreams.NAME]``; it is None where ``skipped`` says why."""

    name: str
    section: Mapping[str, Any] | None
    wanted: tuple[Wanted, ...] = ()
    skipped: str | None = None


def read_servers(document: Any) -> tuple[Imported, ...]:
    """The servers of a client's configuration.

    Raises:
        ConfigurationError: if it holds none.
    """
    servers = _servers(document)
    if not servers:
        raise ConfigurationError(
            'no servers: write {"mcpServers": {"name": {"command": "npx", "args": ["…"]}}}, as MCP clients have it'
        )
    if len(servers) > MAX_SERVERS:
        raise ConfigurationError(f"more than {MAX_SERVERS} servers")
    taken: dict[str, str] = {}
    return tuple(_Server(name, entry, taken).imported() for name, entry in servers.items())


def _servers(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        return {}
    for key in _HOLDERS:
        if isinstance(document.get(key), Mapping):
            return dict(document[key])
    inner = document.get("mcp")
    return _servers(inner) if isinstance(inner, Mapping) else {}


def upstream_name(name: str) -> str:
    """``My GitHub`` → ``my_github``: a name that a section may have."""
    plain = re.sub(r"[^a-z0-9_-]+", "_", name.lower()).strip("_-")[:32]
    return plain if plain[:1].isalpha() else f"u_{plain}"[:32]


class _Server:
    """One entry. ``taken`` holds what each variable stands for, so that no server is given another's secret."""

    def __init__(self, name: str, entry: Any, taken: dict[str, str]) -> None:
        self.said = name
        self.taken = taken
        self.name = upstream_name(name)
        self.entry = entry
        self.wanted: dict[str, Wanted] = {}

    def imported(self) -> Imported:
        entry = self.entry
        if not isinstance(entry, Mapping):
            return self._skipped("it is no table")
        kind = str(entry.get("type", entry.get("transport", ""))).lower()
        if kind == "sse":
            return self._skipped(
                "it speaks the SSE transport of 2024-11-05, which the gate does not; many have a /mcp beside it"
            )
        url = entry.get("url", entry.get("serverUrl"))
        if isinstance(entry.get("command"), str):
            return self._made(self._stdio(entry))
        if isinstance(url, str):
            return self._made(self._http(url, entry))
        return self._skipped("it has neither command nor url")

    def _stdio(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        section: dict[str, Any] = {"command": entry["command"]}
        arguments = entry.get("args", [])
        if isinstance(arguments, list) and arguments:
            section["args"] = self._arguments([str(item) for item in arguments])
        if isinstance(environment := entry.get("env"), Mapping) and environment:
            section["env"] = {
                str(key): self._value(str(key), str(value), f"env.{key}")
                for key, value in environment.items()
            }
        if isinstance(entry.get("cwd"), str):
            section["cwd"] = entry["cwd"]
        return section

    def _http(self, url: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        section: dict[str, Any] = {"url": url}
        headers: dict[str, str] = {}
        given = entry.get("headers")
        for key, value in given.items() if isinstance(given, Mapping) else ():
            bearer = _BEARER.fullmatch(str(value)) if str(key).lower() == "authorization" else None
            if bearer is not None:
                token = self._value("authorization", bearer[1].strip(), f"headers.{key}", variable="TOKEN")
                section["auth"] = {"type": "bearer", "token": token}
            else:
                headers[str(key)] = self._value(str(key), str(value), f"headers.{key}")
        if headers:
            section["headers"] = headers
        return section

    def _arguments(self, values: list[str]) -> list[str]:
        """Each argument; one that is, or stands behind a flag named as, a secret becomes a reference."""
        before = ["", *values]
        return [
            self._argument(value, place, named=_flag_of_secret(before[place]))
            for place, value in enumerate(values)
        ]

    def _argument(self, value: str, place: int, *, named: bool) -> str:
        assigned, equals, given = value.partition("=")
        secret = (named and not value.startswith("-")) or (bool(equals and given) and _names_secret(assigned))
        shaped = may_hold_secret(value) and scrub(value, len(value)) != value
        if secret or shaped or _PLACEHOLDER.search(value) or value.startswith(REFERENCES):
            return self._value(f"ARG_{place}", value, f"args[{place}]", secret=True)
        return value

    def _value(
        self, key: str, value: str, where: str, *, secret: bool = False, variable: str | None = None
    ) -> str:
        # A client knows no such reference: there it is plain text, and here it would fetch something else.
        secret = secret or value.startswith(REFERENCES)
        placeholder = _PLACEHOLDER.fullmatch(value)
        if placeholder is not None:
            words = f"what {where} takes from {placeholder[0]}"
            return self._reference(_variable(placeholder[2]), words, placeholder[0])
        if secret or _PLACEHOLDER.search(value) or looks_secret(key, value):
            named = (
                _variable(key)
                if variable is None and not secret
                else _variable(f"{self.name}_{variable or key}")
            )
            return self._reference(named, f"the value that stands at {self.said}.{where} in that file", value)
        return value

    def _reference(self, variable: str, why: str, value: str) -> str:
        if self.taken.setdefault(variable, value) != value:
            variable = _variable(f"{self.name}_{variable}")
            self.taken.setdefault(variable, value)
        self.wanted.setdefault(variable, Wanted(variable=variable, why=why))
        return f"env:{variable}"

    def _made(self, section: Mapping[str, Any]) -> Imported:
        return Imported(name=self.name, section=section, wanted=tuple(self.wanted.values()))

    def _skipped(self, why: str) -> Imported:
        return Imported(name=self.name, section=None, skipped=why)


def _names_secret(flag: str) -> bool:
    """Whether ``--api-key`` or ``API_KEY`` is the name of a secret."""
    return secret_name(flag.lstrip("-").replace("-", "_")) is not None


def _flag_of_secret(argument: str) -> bool:
    return argument.startswith("--") and "=" not in argument and _names_secret(argument)


def _variable(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").upper()
    return plain if plain[:1].isalpha() else f"V_{plain}"


__all__ = ["Imported", "Wanted", "read_servers", "upstream_name"]
