"""Every key of ``toolgate.toml``, what it takes, and which of them wait for what is not built yet.

One function a section; each answers typed values with their places. Not here: how values of several files merge
(``settings``), and what an override may say about a tool (``overrides``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from toolgate.config.problems import Source, Where
from toolgate.domain.duration import seconds, spoken
from toolgate.domain.errors import ContractError
from toolgate.domain.limits import Rate, size
from toolgate.domain.retention import SHORTEST

T = TypeVar("T")

NOT_BUILT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "policies": "declarative policies are not built yet; use roles= and authorize= of @tool",
    }
)
"""Designed, and an error until it is there: a setting is never silently ignored."""


FOREVER: Final = "forever"
"""What a retention says that removes nothing."""


@dataclass(frozen=True, slots=True)
class Given(Generic[T]):
    """A value and the key that gave it. A value may be a secret, so only its place is shown."""

    where: Where
    value: T = field(repr=False)


@dataclass(slots=True)
class Sections:
    """What one file says."""

    tools: Given[tuple[str, ...]] | None = None
    store: Given[str] | None = None
    keys: Given[str] | None = None
    deps: Given[str] | None = None
    callers: Given[str] | None = None
    may_decide: Given[str] | None = None
    expires_in: Given[float] | None = None
    notify: Given[Any] | None = None
    server: Given[Any] | None = None
    auth: dict[str, Given[Any]] = field(default_factory=dict)
    auth_is_said: bool = False
    agents: dict[str, Given[Any]] = field(default_factory=dict)
    limits: dict[str, Given[Any]] = field(default_factory=dict)
    overrides: list[Given[Mapping[str, Any]]] = field(default_factory=list)
    upstreams: Given[Any] | None = None
    retention: dict[str, Given[float | None]] = field(default_factory=dict)
    telemetry: Given[Any] | None = None
    jobs: Given[Any] | None = None


def read_sections(document: Mapping[str, Any], source: Source) -> Sections:
    """What ``document`` says.

    Raises:
        ConfigurationError: at the first key that is unknown or has a value that cannot be used.
        NotBuiltYet: at the first key that is designed and not built.
    """
    sections = Sections()
    for key, value in document.items():
        where = source.at((key,))
        if key in NOT_BUILT:
            # The deepest key says most: [upstreams.github], not the whole of upstreams.
            raise (where.below(next(iter(value))) if isinstance(value, dict) and value else where).not_built(
                NOT_BUILT[key]
            )
        if key not in SECTIONS:
            raise where.unknown({*SECTIONS, *NOT_BUILT})
        SECTIONS[key](sections, value, where)
    return sections


def table(value: Any, where: Where, *, example: str) -> Mapping[str, Any]:
    """``value`` if it is a table."""
    if not isinstance(value, dict):
        raise where.wrong(f"write a table, for example {example}")
    return value


def text(value: Any, where: Where, *, example: str) -> str:
    """``value`` if it is text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise where.wrong(f"write a text, for example {example!r}")
    return value


def names(value: Any, where: Where, *, example: str) -> tuple[str, ...]:
    """``value`` if it is a list of texts."""
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise where.wrong(f"write a list of texts, for example {example}")
    return tuple(value)


def whole(value: Any, where: Where) -> int:
    """``value`` if it is a whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise where.wrong("write a whole number of at least 1")
    return value


def parsed(read: Callable[[Any], T], value: Any, where: Where) -> T:
    """``read(value)``; what it refuses becomes an error at ``where``, in its own words."""
    try:
        return read(value)
    except ContractError as refused:
        raise where.wrong(str(refused).partition(": ")[2] or str(refused)) from None
    except (TypeError, AttributeError):
        raise where.wrong("a value of this kind is not understood here") from None


def duration(value: Any, where: Where) -> float:
    """Seconds."""
    if not isinstance(value, int | float | str):
        raise where.wrong("write a duration: seconds (90), '90s', '24h' or 'PT24H'")
    return parsed(lambda given: seconds(given, of="duration"), value, where)


def rate(value: Any, where: Where) -> Rate:
    """A rate."""
    if not isinstance(value, str):
        raise where.wrong("write a rate, for example '30/minute'")
    return parsed(Rate.parse, value, where)


def byte_size(value: Any, where: Where) -> int:
    """Bytes."""
    if not isinstance(value, int | str):
        raise where.wrong("write a size: bytes (65536), or for example '64KiB'")
    return parsed(size, value, where)


def _tools(sections: Sections, value: Any, where: Where) -> None:
    sections.tools = Given(where, names(value, where, example='["support_desk.tools:tools"]'))


def _store(sections: Sections, value: Any, where: Where) -> None:
    sections.store = Given(where, text(value, where, example="sqlite:///toolgate.db"))


def _keys(sections: Sections, value: Any, where: Where) -> None:
    said = text(value, where, example="file:toolgate.keys")
    if not said.startswith("file:") or said == "file:":
        raise where.wrong(
            "name the file that holds them, as in 'file:toolgate.keys'; a key is never written here"
        )
    sections.keys = Given(where, said.removeprefix("file:"))


def _deps(sections: Sections, value: Any, where: Where) -> None:
    sections.deps = Given(where, text(value, where, example="support_desk.tools:deps"))


def _callers(sections: Sections, value: Any, where: Where) -> None:
    sections.callers = Given(where, text(value, where, example="support_desk.tools:callers"))


def _may_decide(sections: Sections, value: Any, where: Where) -> None:
    sections.may_decide = Given(where, text(value, where, example="support_desk.tools:may_decide"))


def _overrides(sections: Sections, value: Any, where: Where) -> None:
    for name, keys in table(value, where, example="[overrides.create_refund]").items():
        inner = where.below(name)
        sections.overrides.append(Given(inner, table(keys, inner, example=f"[overrides.{name}]")))


def _approvals(sections: Sections, value: Any, where: Where) -> None:
    for key, item in table(value, where, example="[approvals]").items():
        inner = where.below(key)
        if key == "notify":
            sections.notify = Given(inner, item)
        elif key == "expires_in":
            sections.expires_in = Given(inner, duration(item, inner))
        else:
            raise inner.unknown({"expires_in", "notify"})


def _server(sections: Sections, value: Any, where: Where) -> None:
    sections.server = Given(where, value)


def _auth(sections: Sections, value: Any, where: Where) -> None:
    # Said by its header alone: people then sign in with tokens.
    sections.auth_is_said = True
    for key, item in table(value, where, example="[auth]").items():
        inner = where.below(key)
        if key == "oidc":
            for name, said in table(item, inner, example="[auth.oidc]").items():
                sections.auth[f"oidc.{name}"] = Given(inner.below(name), said)
        else:
            sections.auth[key] = Given(inner, item)


def _agents(sections: Sections, value: Any, where: Where) -> None:
    for name, item in table(value, where, example="[agents.support_assistant]").items():
        sections.agents[name] = Given(where.below(name), item)


LIMITS: Final[Mapping[str, Callable[[Any, Where], Any]]] = MappingProxyType(
    {"per_caller": rate, "per_tenant": rate, "concurrency": whole, "result_size": byte_size}
)


def _upstreams(sections: Sections, value: Any, where: Where) -> None:
    sections.upstreams = Given(where, table(value, where, example="[upstreams.github]"))


def _limits(sections: Sections, value: Any, where: Where) -> None:
    for key, item in table(value, where, example="[limits]").items():
        inner = where.below(key)
        if key not in LIMITS:
            raise inner.unknown(LIMITS)
        sections.limits[key] = Given(inner, LIMITS[key](item, inner))


def _telemetry(sections: Sections, value: Any, where: Where) -> None:
    sections.telemetry = Given(where, value)


def _jobs(sections: Sections, value: Any, where: Where) -> None:
    sections.jobs = Given(where, value)


def _retention(sections: Sections, value: Any, where: Where) -> None:
    for key, item in table(value, where, example='[retention], and below it: calls = "90d"').items():
        inner = where.below(key)
        if key not in SHORTEST:
            raise inner.unknown(SHORTEST)
        sections.retention[key] = Given(inner, _kept_for(item, inner, SHORTEST[key]))


def _kept_for(value: Any, where: Where, shortest: float) -> float | None:
    """Seconds; None for ever."""
    if value == FOREVER:
        return None
    if not isinstance(value, int | float | str):
        raise where.wrong(f"write a duration ('90d'), or '{FOREVER}'")
    kept = parsed(lambda given: seconds(given, of="duration"), value, where)
    if kept < shortest:
        raise where.wrong(f"nothing is removed before {spoken(shortest)} have passed; write that or more")
    return kept


SECTIONS: Final[Mapping[str, Callable[[Sections, Any, Where], None]]] = MappingProxyType(
    {
        "tools": _tools,
        "store": _store,
        "keys": _keys,
        "deps": _deps,
        "callers": _callers,
        "may_decide": _may_decide,
        "overrides": _overrides,
        "approvals": _approvals,
        "auth": _auth,
        "agents": _agents,
        "limits": _limits,
        "server": _server,
        "upstreams": _upstreams,
        "retention": _retention,
        "telemetry": _telemetry,
        "jobs": _jobs,
    }
)
