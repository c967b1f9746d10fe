"""``[upstreams.NAME]``: an MCP server behind the gate, and the contract of each of its tools, by overlay.

A tool that no overlay lists does not exist. The keys of an overlay are the keywords of ``@tool``, read by the functions
that read an override, and a few more that only a tool from outside needs. A mistake is found when the file is read;
what a reference stands for is looked up only by whoever connects. Not here: reaching an upstream, or its definitions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from toolgate.config.jobs import read_job
from toolgate.config.overrides import KEYWORDS as TIGHTENING
from toolgate.config.overrides import Changes, read_retries
from toolgate.config.problems import Where
from toolgate.config.references import resolve
from toolgate.config.sections import Given, byte_size, duration, names, table, text, whole
from toolgate.domain.caller import ANYONE
from toolgate.domain.contract import LONGEST_TIMEOUT, NAME, Contract, Effect, Retry
from toolgate.domain.errors import ContractError
from toolgate.domain.limits import Breaker
from toolgate.domain.secret_shapes import may_hold_secret, scrub, secret_name
from toolgate.domain.upstream.definition import MAX_TOOL_NAME, Definition
from toolgate.domain.upstream.settings import (
    Bearer,
    ClientCredentials,
    ConnectionSettings,
    HttpAuth,
    HttpSettings,
    StdioSettings,
)

REFERENCES: Final = ("env:", "file:")
_UPSTREAM_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_UNDECLARED_TIMEOUT: Final = 30.0
_LONG_LITERAL: Final = 20
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADERS_THAT_ARE_OURS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "mcp-session-id",
     "mcp-protocol-version", "mcp-method", "mcp-name"}
)  # fmt: skip

ErrorEffect = Literal["none", "unknown"]


# --- one tool -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """What an operator says about one tool of an upstream.

    Attributes:
        tool: the upstream's own name of it.
        name: what callers and models know it as.
        error_effect: what an error that the upstream reports says about the world; ``"none"`` where it is known to
            report errors only before it does anything.
        description: told to models instead of the upstream's own.
        enabled: whether there is such a tool at all.
    """

    tool: str
    name: str
    where: Where
    error_effect: ErrorEffect
    description: str | None
    enabled: bool
    said: tuple[tuple[str, Given[Any]], ...] = field(repr=False)

    def contract(
        self, definition: Definition, input_schema: Mapping[str, Any], output_schema: Mapping[str, Any] | None
    ) -> Contract:
        """The contract of ``definition``, with its schemas as the gate made them.

        Raises:
            ConfigurationError: naming the key that does not fit the definition, as a field that it does not have.
        """
        base = _loosest(self.name, self.description or definition.description, input_schema, output_schema)
        titled = replace(base, title=definition.title, version=definition.digest.removeprefix("sha256:")[:12])
        return _with_defaults(_applied(titled, dict(self.said)), dict(self.said))


def _loosest(
    name: str, description: str, input_schema: Mapping[str, Any], output_schema: Mapping[str, Any] | None
) -> Contract:
    """What allows everything, so that each key of an overlay tightens it."""
    return Contract(
        name=name,
        description=description,
        input_schema=input_schema,
        output_schema=output_schema,
        effect=Effect.READ,
        roles=ANYONE,
        timeout=LONGEST_TIMEOUT,
        breaker=None,
    )


def _applied(contract: Contract, said: Mapping[str, Given[Any]]) -> Contract:
    for key in CONTRACT_KEYS:
        if key in said:
            given = said[key]
            changes = CONTRACT_KEYS[key](contract, given.value, given.where)
            try:
                contract = replace(contract, **changes)
            except ContractError as refused:
                raise given.where.wrong(str(refused)) from None
    return contract


def _with_defaults(contract: Contract, said: Mapping[str, Given[Any]]) -> Contract:
    """What an overlay leaves unsaid, on the careful side."""
    defaults: Changes = {}
    if "external" not in said:
        defaults["external"] = True
    if "result_trust" not in said:
        defaults["result_trust"] = "untrusted"
    if "timeout" not in said:
        defaults |= {"timeout": _UNDECLARED_TIMEOUT, "timeout_declared": False}
    if "breaker" not in said:
        defaults["breaker"] = Breaker()
    return replace(contract, **defaults)


def _retries(contract: Contract, value: Any, where: Where) -> Changes:  # noqa: ARG001 - one signature
    return {"retries": read_retries(value, where, Retry())}


def _idempotency(contract: Contract, value: Any, where: Where) -> Changes:  # noqa: ARG001 - one signature
    return {"idempotency": text(value, where, example="{repo}:{title}:{workflow_id}")}


def _honours_key(contract: Contract, value: Any, where: Where) -> Changes:  # noqa: ARG001 - one signature
    return {"honours_key": _yes_or_no(value, where)}


def _approval_waiver(contract: Contract, value: Any, where: Where) -> Changes:  # noqa: ARG001 - one signature
    return {"approval_waiver": text(value, where, example="only adds a comment that its author may delete")}


def _result_size(contract: Contract, value: Any, where: Where) -> Changes:  # noqa: ARG001 - one signature
    return {"result_size": byte_size(value, where)}


def _job(contract: Contract, value: Any, where: Where) -> Changes:
    return {"job": read_job(value, where, contract.job)}


def _yes_or_no(value: Any, where: Where) -> bool:
    if not isinstance(value, bool):
        raise where.wrong("write true or false")
    return value


CONTRACT_KEYS: Final[Mapping[str, Callable[[Contract, Any, Where], Changes]]] = MappingProxyType(
    {
        # The order in which they are applied: a key may need what stands above it.
        "effect": TIGHTENING["effect"],
        **{
            key: TIGHTENING[key]
            for key in (
                "roles",
                "timeout",
                "external",
                "owner",
                "title",
                "tags",
                "sensitive",
                "result_trust",
                "rate_limit",
                "concurrency",
                "breaker",
                "approval",
            )
        },
        "idempotency": _idempotency,
        "honours_key": _honours_key,
        "retries": _retries,
        "approval_waiver": _approval_waiver,
        "job": _job,
        "result_size": _result_size,
    }
)
"""What an overlay says of a contract. ``defaults`` takes the same keys for every tool of an upstream."""

OWN_KEYS: Final = frozenset({"name", "description", "error_effect", "enabled"})
"""What an overlay says besides."""
_NOT_FOR_ALL: Final = frozenset(
    {"idempotency", "title", "name", "description", "sensitive", "approval_waiver"}
)
_CODES: Final = frozenset({"authorize", "preview", "raises", "reconcile", "version", "isolation", "horizon"})


# --- one upstream ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """One upstream, as the files have it. References in it are not resolved before ``connection`` is asked."""

    name: str
    where: Where
    kind: Literal["stdio", "http"]
    said: Mapping[str, Given[Any]] = field(repr=False)
    overlays: Mapping[str, Overlay]

    def connection(self) -> ConnectionSettings:
        """How it is reached, with what its references stand for.

        Raises:
            ConfigurationError: if a reference leads nowhere; never with a secret in the words.
        """
        said = {key: READERS[key](given.value, given.where) for key, given in self.said.items()}
        known = {new: said[old] for old, new in _FIELDS.items() if old in said}
        if self.kind != "stdio":
            return HttpSettings(**known)
        # Not where the gateway was started: a client that starts it chooses that folder, and paths in args follow it.
        known.setdefault("cwd", str(self.said["command"].where.source.folder.absolute()))
        return StdioSettings(**known)

    @property
    def shown(self) -> str:
        """How it is reached, in a few words without anything that may be secret."""
        if self.kind == "stdio":
            return str(self.said["command"].value)
        parts = urlsplit(str(self.said["url"].value))
        return f"{parts.scheme}://{parts.netloc}{parts.path}"


def read_upstreams(tables: Iterable[Given[Any]]) -> tuple[UpstreamSettings, ...]:
    """Every upstream; a later file has the last word, key by key.

    Raises:
        ConfigurationError: at the first key that is unknown, missing or cannot be used, or for two tools of one name.
    """
    merged: dict[str, dict[str, Given[Any]]] = {}
    for given in tables:
        for name, said in given.value.items():
            where = given.where.below(name)
            keys = table(said, where, example=f"[upstreams.{name}]")
            for key, value in keys.items():
                _merge(merged.setdefault(name, {}), key, value, where.below(key))
    found = tuple(_upstream(name, said) for name, said in merged.items())
    _refuse_twins(found)
    return found


def _merge(into: dict[str, Given[Any]], key: str, value: Any, where: Where) -> None:
    """``defaults`` and ``tools`` are merged by their own keys, and the rest is said anew."""
    if key == "defaults":
        inner = dict(into[key].value) if key in into else {}
        for name, item in table(value, where, example="defaults = { roles = ['engineer'] }").items():
            inner[name] = Given(where.below(name), item)
        into[key] = Given(where, inner)
    elif key == "tools":
        tools = dict(into[key].value) if key in into else {}
        for name, said in table(value, where, example="[upstreams.github.tools.search_issues]").items():
            at = where.below(name)
            keys = table(said, at, example=f"[{at.path[0]}.{at.path[1]}.tools.{name}]")
            before = tools[name].value if name in tools else {}
            tools[name] = Given(at, before | {k: Given(at.below(k), item) for k, item in keys.items()})
        into[key] = Given(where, tools)
    else:
        into[key] = Given(where, value)


def _upstream(name: str, said: dict[str, Given[Any]]) -> UpstreamSettings:
    first = next(iter(said.values())).where
    where = Where(first.source, first.path[:2])
    if not _UPSTREAM_NAME.fullmatch(name):
        raise where.wrong(
            "an upstream's name is lower case letters, digits, _ and -, at most 32, beginning with a letter"
        )
    defaults = said.pop("defaults", Given(where, {})).value
    tools = said.pop("tools", Given(where, {})).value
    for key, given in said.items():
        if key not in READERS:
            raise given.where.unknown({*READERS, "defaults", "tools"})
    if ("command" in said) == ("url" in said):
        raise where.wrong("say how it is reached, once: command = 'npx' with args, or url = 'https://…/mcp'")
    kind: Literal["stdio", "http"] = "stdio" if "command" in said else "http"
    for key, given in said.items():
        if key in ONLY_FOR and ONLY_FOR[key] != kind:
            raise given.where.wrong(
                f"this is for an upstream with {'a url' if kind == 'stdio' else 'a command'}; take it out"
            )
        CHECKS[key](given.value, given.where)
    for key, given in defaults.items():
        if key not in {*CONTRACT_KEYS, "error_effect"} - _NOT_FOR_ALL:
            _refuse_key(key, given.where, {*CONTRACT_KEYS, "error_effect"} - _NOT_FOR_ALL)
    overlays = {tool: _overlay(name, tool, defaults, given) for tool, given in tools.items()}
    return UpstreamSettings(name=name, where=where, kind=kind, said=MappingProxyType(said), overlays=overlays)


def _refuse_key(key: str, where: Where, known: Iterable[str]) -> None:
    if key in _CODES:
        raise where.wrong("only the code of a Python tool says this; a tool of an upstream has none here")
    raise where.unknown(known)


def _overlay(upstream: str, tool: str, defaults: Mapping[str, Given[Any]], given: Given[Any]) -> Overlay:
    where, own = given.where, given.value
    if not 0 < len(tool) <= MAX_TOOL_NAME:
        raise where.wrong("this is no tool's name")
    for key, item in own.items():
        if key not in {*CONTRACT_KEYS, *OWN_KEYS}:
            _refuse_key(key, item.where, {*CONTRACT_KEYS, *OWN_KEYS})
    said = {**defaults, **own}
    enabled = _yes_or_no(said["enabled"].value, said["enabled"].where) if "enabled" in said else True
    if "effect" not in said:
        raise where.wrong(
            "say what it does to the world: effect = 'read', 'write' or 'destructive'. What the upstream says of "
            "itself decides nothing"
        )
    if "roles" not in said and enabled:
        raise where.wrong(
            "nobody could call it; say who may: roles = ['engineer'], or 'anyone' if everybody may"
        )
    overlay = Overlay(
        tool=tool,
        name=_name(upstream, tool, own.get("name"), where),
        where=where,
        error_effect=_error_effect(said.get("error_effect")),
        description=text(own["description"].value, own["description"].where, example="Searches issues.")
        if "description" in own
        else None,
        enabled=enabled,
        said=tuple((key, item) for key, item in said.items() if key in CONTRACT_KEYS),
    )
    _tried(overlay)
    return overlay


def _tried(overlay: Overlay) -> None:
    """Read every value now, so that a mistake is told before the tool is pinned. Names of fields wait for that."""
    said = {key: given for key, given in overlay.said if key != "sensitive"}
    _applied(_loosest(overlay.name, "", {"type": "object"}, None), said)


def _error_effect(given: Given[Any] | None) -> ErrorEffect:
    if given is None:
        return "unknown"
    if given.value not in {"none", "unknown"}:
        raise given.where.wrong("write 'none' (it reports errors only before it does anything) or 'unknown'")
    return cast("ErrorEffect", given.value)


def _name(upstream: str, tool: str, given: Given[Any] | None, where: Where) -> str:
    if given is not None:
        if not isinstance(given.value, str) or not NAME.fullmatch(given.value):
            raise given.where.wrong(
                "a name is lower case letters, digits and _, at most 64, starting with a letter"
            )
        return given.value
    made = normalised(upstream, tool)
    if not NAME.fullmatch(made):
        raise where.wrong(
            "its name cannot be made into one of ours (lower case, digits and _, at most 64); add name = '…'"
        )
    return made


def normalised(upstream: str, tool: str) -> str:
    """``github`` and ``searchIssues`` → ``github_search_issues``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", tool)
    plain = re.sub(r"[^A-Za-z0-9]+", "_", f"{upstream}_{words}").strip("_").lower()
    return re.sub(r"__+", "_", plain)


def _refuse_twins(upstreams: Iterable[UpstreamSettings]) -> None:
    seen: dict[str, Overlay] = {}
    for upstream in upstreams:
        for overlay in upstream.overlays.values():
            if overlay.name in seen:
                raise overlay.where.wrong(
                    f"it would be named {overlay.name!r}, as is {seen[overlay.name].where}; "
                    "add name = '…' to one of them"
                )
            seen[overlay.name] = overlay


# --- how it is reached ----------------------------------------------------------------------------------------


def looks_secret(key: str, value: str) -> bool:
    """Whether ``value`` may be a secret: by the name of its key, by a known shape, or long and without any sense."""
    if value.startswith(REFERENCES):
        return False
    if secret_name(key) is not None or key.lower() in {"authorization", "cookie", "proxy-authorization"}:
        return bool(value)
    if may_hold_secret(value) and scrub(value, len(value)) != value:
        return True
    senseless = len(value) >= _LONG_LITERAL and re.fullmatch(r"[A-Za-z0-9_+=-]+", value) is not None
    return senseless and re.search(r"\d", value) is not None and re.search(r"[A-Za-z]", value) is not None


def _reference_or_plain(key: str, value: Any, where: Where) -> str:
    if not isinstance(value, str):
        raise where.wrong("write a text, or a reference such as 'env:NAME'")
    if looks_secret(key, value):
        raise where.wrong(
            "this looks like a secret, which does not lie in a configuration: write 'env:NAME' or 'file:/path'"
        )
    return value


def _reference(value: Any, where: Where) -> str:
    """``value`` if it is a reference. What else it is may be a secret, and is not repeated."""
    if not isinstance(value, str) or not value.startswith(REFERENCES):
        raise where.wrong("a secret is given by reference: write 'env:NAME', or 'file:/path'")
    return value


def _check_texts(value: Any, where: Where) -> None:
    for name, item in table(value, where, example="{ GITHUB_TOKEN = 'env:GITHUB_TOKEN' }").items():
        _reference_or_plain(name, item, where.below(name))


def _check_headers(value: Any, where: Where) -> None:
    for name, item in table(value, where, example="{ X-Team = 'platform' }").items():
        if not _HEADER.fullmatch(name) or name.lower() in _HEADERS_THAT_ARE_OURS:
            raise where.below(name).wrong("this is no header that can be set here")
        _reference_or_plain(name, item, where.below(name))


def _check_args(value: Any, where: Where) -> None:
    for place, item in enumerate(names(value, where, example="['-y', 'server-github']")):
        if may_hold_secret(item) and not item.startswith(REFERENCES) and scrub(item, len(item)) != item:
            raise where.below(place).wrong(
                "this looks like a secret; give it by env, or write 'env:NAME' here"
            )


def _check_url(value: Any, where: Where) -> None:
    example = "https://ledger.internal/mcp"
    url = text(value, where, example=example)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise where.wrong(f"write a URL, for example {example!r}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
        raise where.wrong(f"write a URL, for example {example!r}")
    if parts.username is not None or (parts.query and looks_secret("", parts.query)):
        raise where.wrong("a URL holds no secret here; give it by auth or headers, by reference")


_AUTH_KEYS: Final = frozenset(
    {"type", "token_url", "client_id", "client_secret", "scope", "resource", "client_authentication"}
)


def _check_auth(value: Any, where: Where) -> None:
    if isinstance(value, str):
        _reference(value, where)
        return
    said = table(value, where, example="{ type = 'bearer', token = 'env:LEDGER_TOKEN' }")
    kind = said.get("type")
    if kind not in {"bearer", "client_credentials"}:
        raise where.below("type").wrong("write 'bearer' or 'client_credentials'")
    known = {"type", "token"} if kind == "bearer" else _AUTH_KEYS
    needed = ("token",) if kind == "bearer" else ("token_url", "client_id", "client_secret")
    for key, item in said.items():
        if key not in known:
            raise where.below(key).unknown(known)
        (_reference if key in {"token", "client_secret"} else _plain_text)(item, where.below(key))
    for key in needed:
        if key not in said:
            raise where.wrong(f"{key} is missing")
    if kind == "client_credentials":
        _check_url(said["token_url"], where.below("token_url"))
        if said.get("client_authentication", "basic") not in {"basic", "post"}:
            raise where.below("client_authentication").wrong("write 'basic' or 'post'")


def _plain_text(value: Any, where: Where) -> str:
    return text(value, where, example="toolgate")


def _check_reference_or_url(value: Any, where: Where) -> None:
    if not (isinstance(value, str) and value.startswith(REFERENCES)):
        _check_url(value, where)


CHECKS: Final[Mapping[str, Callable[[Any, Where], Any]]] = MappingProxyType(
    {
        "command": _plain_text,
        "args": _check_args,
        "env": _check_texts,
        "cwd": _plain_text,
        "memory": byte_size,
        "output": byte_size,
        "message": byte_size,
        "connect_timeout": duration,
        "url": _check_url,
        "auth": _check_auth,
        "headers": _check_headers,
        "ca_file": _plain_text,
        "proxy": _check_reference_or_url,
        "pool": whole,
    }
)
"""Key → the check that is made when the file is read."""


def _resolved_texts(value: Any, where: Where) -> dict[str, str]:
    return {name: resolve(item, where.below(name)) for name, item in value.items()}


def _resolved_args(value: Any, where: Where) -> tuple[str, ...]:
    return tuple(resolve(item, where.below(place)) for place, item in enumerate(value))


def _resolved_auth(value: Any, where: Where) -> HttpAuth:
    if isinstance(value, str):
        return Bearer(token=resolve(value, where))
    if value["type"] == "bearer":
        return Bearer(token=resolve(value["token"], where.below("token")))
    rest = {key: item for key, item in value.items() if key not in {"type", "client_secret"}}
    return ClientCredentials(
        **rest, client_secret=resolve(value["client_secret"], where.below("client_secret"))
    )


def _in_folder(value: Any, where: Where) -> str:
    return str(where.source.folder / value)


READERS: Final[Mapping[str, Callable[[Any, Where], Any]]] = MappingProxyType(
    {
        **CHECKS,
        "args": _resolved_args,
        "env": _resolved_texts,
        "headers": _resolved_texts,
        "auth": _resolved_auth,
        "url": lambda value, _: value,
        "proxy": resolve,
        "cwd": _in_folder,
        "ca_file": _in_folder,
    }
)
"""Key → what its value stands for, once somebody connects."""

_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {key: key for key in READERS}
    | {"memory": "memory_limit", "output": "output_limit", "message": "message_limit"}
)
_STDIO: Final = ("command", "args", "env", "cwd", "memory", "output")
_HTTP: Final = ("url", "auth", "headers", "ca_file", "proxy", "pool")
ONLY_FOR: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(_STDIO, "stdio") | dict.fromkeys(_HTTP, "http")
)
"""Keys that make sense for one way of being reached."""

__all__ = [
    "CONTRACT_KEYS",
    "OWN_KEYS",
    "READERS",
    "ErrorEffect",
    "Overlay",
    "UpstreamSettings",
    "looks_secret",
    "normalised",
    "read_upstreams",
]
