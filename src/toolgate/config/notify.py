"""``[[approvals.notify]]``: who hears of what waits for people.

A mistake is found when the file is read. What a reference stands for is looked up only by whoever sends
(``url``, ``secrets``), so that a command that sends nothing needs no secret. Not here: sending.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from toolgate.config.problems import Where
from toolgate.config.references import resolve
from toolgate.config.sections import Given, names, table, text
from toolgate.domain.approval import RISKS
from toolgate.domain.notice import TOPICS, Wanted, name_problem, target_problem
from toolgate.domain.webhook import key_of

_EXAMPLE: Final = "[[approvals.notify]] with webhook = 'https://…' and 'env:NAME' as its secret"
_REFERENCES: Final = ("env:", "file:")

KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "slack": "the URL of an incoming webhook, by reference",
        "webhook": "the URL that signed requests go to",
        "secret": "what a webhook is signed with, by reference; a list while it is being replaced, the new one first",
        "name": "what the ledger and `toolgate notifications` call it",
        "risk": "only requests of these risks",
        "topics": "only these topics",
        "tools": "only these tools",
        "tenant": "only these tenants",
    }
)
"""Key → what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSettings:
    """One receiver, as the file has it."""

    name: str
    kind: Literal["slack", "webhook"]
    wanted: Wanted
    address: Given[str]
    secret_references: tuple[Given[str], ...] = ()

    def url(self) -> str:
        """Where to send.

        Raises:
            ConfigurationError: if the reference leads nowhere, or to an address that nothing may be sent to.
        """
        url = resolve(self.address.value, self.address.where)
        if (problem := target_problem(url)) is not None:
            raise self.address.where.wrong(problem)
        return url

    def secrets(self) -> tuple[str, ...]:
        """What to sign with, the current one first.

        Raises:
            ConfigurationError: if a reference leads nowhere, or to what cannot be a secret; never with it in the words.
        """
        return tuple(
            _usable(resolve(given.value, given.where), given.where) for given in self.secret_references
        )


def read_sinks(given: Given[Any] | None) -> tuple[SinkSettings, ...]:
    """Every receiver that ``approvals.notify`` names.

    Raises:
        ConfigurationError: at the first key that is unknown or cannot be used, or a name that stands twice.
    """
    if given is None:
        return ()
    if not isinstance(given.value, list):
        raise given.where.wrong(f"write a list of tables, for example {_EXAMPLE}")
    found: dict[str, SinkSettings] = {}
    for place, item in enumerate(given.value):
        where = given.where.below(place)
        sink = _sink(table(item, where, example=_EXAMPLE), where)
        if sink.name in found:
            raise where.wrong(f"two are named {sink.name!r}; give this one another name = '…'")
        found[sink.name] = sink
    return tuple(found.values())


def _sink(given: Mapping[str, Any], where: Where) -> SinkSettings:
    for key in given:
        if key not in KEYS:
            raise where.below(key).unknown(KEYS)
    if ("slack" in given) == ("webhook" in given):
        raise where.wrong(
            "say where it goes, once: slack = 'env:NAME', or webhook = 'https://…' with a secret"
        )
    kind: Literal["slack", "webhook"] = "slack" if "slack" in given else "webhook"
    name = text(given.get("name", kind), where.below("name"), example="ops-pager")
    if (problem := name_problem(name)) is not None:
        raise where.below("name").wrong(problem)
    return SinkSettings(
        name=name,
        kind=kind,
        wanted=Wanted(
            topics=_some(given, "topics", where, known=TOPICS),
            risks=_some(given, "risk", where, known=RISKS),
            tools=_some(given, "tools", where),
            tenants=_some(given, "tenant", where),
        ),
        address=(_slack if kind == "slack" else _webhook)(given[kind], where.below(kind)),
        secret_references=_secrets(given, kind, where),
    )


def _slack(value: Any, where: Where) -> Given[str]:
    return Given(where, _reference(value, where, "whoever knows this URL may post to the channel"))


def _webhook(value: Any, where: Where) -> Given[str]:
    url = text(value, where, example="https://ops.example.com/toolgate")
    if not url.startswith(_REFERENCES) and (problem := target_problem(url)) is not None:
        raise where.wrong(problem)
    return Given(where, url)


def _secrets(given: Mapping[str, Any], kind: str, where: Where) -> tuple[Given[str], ...]:
    inner = where.below("secret")
    if kind == "slack":
        if "secret" in given:
            raise inner.wrong("Slack checks no signature; take it out")
        return ()
    if "secret" not in given:
        raise where.wrong(
            "a webhook is signed: add the key secret, such as 'env:NAME', with at least 24 random bytes behind it"
        )
    listed = given["secret"] if isinstance(given["secret"], list) else [given["secret"]]
    if not listed:
        raise inner.wrong("name at least one secret")
    return tuple(
        Given(inner, _reference(item, inner, "a secret does not lie in a configuration")) for item in listed
    )


def _reference(value: Any, where: Where, why: str) -> str:
    """``value`` if it is a reference. What else it is may be a secret, and is not repeated."""
    if not isinstance(value, str) or not value.startswith(_REFERENCES):
        raise where.wrong(f"{why}: write 'env:NAME' or 'file:/path', and put it there")
    return value


def _usable(secret: str, where: Where) -> str:
    try:
        key_of(secret)
    except ValueError as unfit:
        raise where.wrong(str(unfit)) from None
    return secret


def _some(
    given: Mapping[str, Any],
    key: str,
    where: Where,
    *,
    known: Mapping[str, str] | tuple[str, ...] | None = None,
) -> frozenset[str] | None:
    if key not in given:
        return None
    inner = where.below(key)
    example = {"topics": "['approval.requested']", "risk": "['high']"}.get(key, "['…']")
    chosen = names(given[key], inner, example=example)
    if not chosen:
        raise inner.wrong("nothing would be sent; take the key out to get everything, or the whole entry")
    if known is not None and (odd := next((name for name in chosen if name not in known), None)) is not None:
        raise inner.wrong(f"there is no {odd!r}; write some of {', '.join(known)}")
    return frozenset(chosen)


__all__ = ["KEYS", "SinkSettings", "read_sinks"]
