"""``toolgate.lock``: which definitions of upstream tools somebody has read and accepted, whole and with their digests.

Here: the file's text to a value and back, and what differs between it and what an upstream says now. The text is made
to be reviewed: sorted, one value a line, and every character that is not ASCII escaped, so that nothing hides in it.
Not here: reading and writing the file (``bootstrap.upstreams``), and asking an upstream anything.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from toolgate.domain.canonical import UnfitJson, parse_json
from toolgate.domain.errors import ConfigurationError
from toolgate.domain.upstream.definition import Definition, Unusable

LOCK_VERSION: Final = 1
MAX_LOCK: Final = 32 * 1024 * 1024
"""Bytes of a lock."""
_MAX_NODES: Final = 2_000_000
_MAX_DEPTH: Final = 96
_PARTS: Final = ("title", "description", "inputSchema", "outputSchema", "annotations")
_SENTENCE: Final = re.compile(r"(?<=[.!?] )(?! )")
_JSON_LINE: Final = 88
_SPOKEN: Final[Mapping[str, str]] = {
    "title": "title",
    "description": "description",
    "inputSchema": "input schema",
    "outputSchema": "output schema",
    "annotations": "annotations",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedTool:
    """A definition that was accepted, and the ids of the findings (``scan``) that were accepted with it."""

    definition: Definition
    accepted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Upstream → its own name of a tool → what was pinned."""

    upstreams: Mapping[str, Mapping[str, PinnedTool]] = field(default_factory=dict)

    def tools(self, upstream: str) -> Mapping[str, PinnedTool]:
        """What is pinned of one upstream."""
        return self.upstreams.get(upstream, {})

    def with_tools(self, upstream: str, pinned: Iterable[PinnedTool], *, dropped: Iterable[str] = ()) -> Lock:
        """The same with these tools of ``upstream`` pinned as given, and ``dropped`` ones let go."""
        tools = {name: tool for name, tool in self.tools(upstream).items() if name not in set(dropped)}
        tools |= {tool.definition.name: tool for tool in pinned}
        rest = {name: held for name, held in self.upstreams.items() if name != upstream}
        return replace(self, upstreams=rest | ({upstream: tools} if tools else {}))

    def text(self) -> str:
        """The file."""
        said = {
            upstream: {
                name: {
                    "digest": tool.definition.digest,
                    "accepted": sorted(tool.accepted),
                    "definition": tool.definition.described(),
                }
                for name, tool in tools.items()
            }
            for upstream, tools in self.upstreams.items()
        }
        document = {"version": LOCK_VERSION, "upstreams": said}
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"


def parse_lock(text: str | bytes, *, of: str = "toolgate.lock") -> Lock:
    """The lock that ``text`` says.

    Raises:
        ConfigurationError: if it is none, or a digest in it is not that of the definition beside it.
    """
    try:
        document = parse_json(text, max_bytes=MAX_LOCK, max_depth=_MAX_DEPTH, max_nodes=_MAX_NODES)
    except UnfitJson as unfit:
        raise ConfigurationError(f"{of}: it cannot be read: {unfit}; {_AGAIN}") from None
    if not isinstance(document, dict) or document.get("version") != LOCK_VERSION:
        raise ConfigurationError(f"{of}: it is no lock of version {LOCK_VERSION}; {_AGAIN}")
    upstreams = document.get("upstreams")
    if not isinstance(upstreams, dict):
        raise ConfigurationError(f"{of}: upstreams is missing; {_AGAIN}")
    return Lock(upstreams={name: _tools(tools, f"{of}: {name}") for name, tools in upstreams.items()})


_AGAIN: Final = "restore it from version control, or write it anew with `toolgate upstreams pin`"


def _tools(tools: Any, where: str) -> dict[str, PinnedTool]:
    if not isinstance(tools, dict):
        raise ConfigurationError(f"{where}: this is no table of tools; {_AGAIN}")
    return {name: _pinned(name, tool, f"{where}.{name}") for name, tool in tools.items()}


def _pinned(name: str, tool: Any, where: str) -> PinnedTool:
    if not isinstance(tool, dict):
        raise ConfigurationError(f"{where}: this is no pinned tool; {_AGAIN}")
    definition = Definition.of(tool.get("definition"))
    if isinstance(definition, Unusable):
        raise ConfigurationError(f"{where}: {definition.reason}; {_AGAIN}")
    if definition.name != name or definition.digest != tool.get("digest"):
        raise ConfigurationError(
            f"{where}: the digest is not that of the definition beside it, so one of them was edited; {_AGAIN}"
        )
    accepted = tool.get("accepted", [])
    if not isinstance(accepted, list) or not all(isinstance(rule, str) for rule in accepted):
        raise ConfigurationError(f"{where}.accepted: this is no list of rules; {_AGAIN}")
    return PinnedTool(definition=definition, accepted=frozenset(str(rule) for rule in accepted))


# --- what differs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One tool that is not as it was pinned. ``parts`` are what changed, under MCP's names."""

    tool: str
    kind: Literal["new", "missing", "changed"]
    parts: tuple[str, ...] = ()
    before: Definition | None = None
    after: Definition | None = None

    @property
    def words(self) -> str:
        """What happened, in one clause."""
        if self.kind == "missing":
            return "the upstream does not offer it" + (" any more" if self.before is not None else "")
        if self.kind == "new":
            return "nobody has pinned it yet"
        changed = [_SPOKEN[part] for part in self.parts]
        listed = ", ".join(changed[:-1]) + (" and " if len(changed) > 1 else "") + changed[-1]
        return f"its {listed} changed since it was pinned"

    def diff(self) -> list[str]:
        """A unified diff of the two definitions; control and invisible characters stand there as escapes."""
        return list(
            difflib.unified_diff(visible(self.before), visible(self.after), "pinned", "now", lineterm="", n=3)
        )


def differences(pinned: Mapping[str, PinnedTool], live: Mapping[str, Definition]) -> tuple[Difference, ...]:
    """Every tool that is new, missing or changed, by name."""
    found = []
    for name in sorted({*pinned, *live}):
        before = pinned[name].definition if name in pinned else None
        after = live.get(name)
        if before is None or after is None:
            kind: Literal["new", "missing"] = "new" if before is None else "missing"
            found.append(Difference(tool=name, kind=kind, before=before, after=after))
        elif before.digest != after.digest:
            one, other = before.described(), after.described()
            parts = tuple(part for part in _PARTS if one[part] != other[part])
            found.append(Difference(tool=name, kind="changed", parts=parts, before=before, after=after))
    return tuple(found)


def visible(definition: Definition | None) -> list[str]:
    """A definition in lines for a person: its description sentence by sentence, then its schemas as JSON.

    Behind ``|`` a line of the description begins, and behind ``:`` it goes on: a change in a long one is found, and
    no two descriptions look the same.
    """
    if definition is None:
        return []
    said = definition.described()
    lines = [f"name: {escaped(definition.name)}"]
    if definition.title is not None:
        lines.append(f"title: {escaped(definition.title)}")
    lines += ["description:", *(f"  {escaped(line)}" for line in _sentences(definition.description))]
    for part in ("inputSchema", "outputSchema", "annotations"):
        if said[part]:
            lines += [f"{part}:", *(f"  {escaped(line)}" for line in _json_lines(said[part]))]
    return lines


def _sentences(text: str) -> list[str]:
    return [
        ("| " if place == 0 else ": ") + sentence
        for line in text.split("\n")
        for place, sentence in enumerate(_SENTENCE.split(line))
    ]


def _json_lines(value: Any, before: str = "", after: str = "") -> list[str]:
    """``value`` as JSON; what fits into a line stays in one. Text is one line: JSON escapes a line's end."""
    whole = before + json.dumps(value, sort_keys=True, ensure_ascii=False) + after
    if len(whole) <= _JSON_LINE or not isinstance(value, (dict, list)) or not value:
        return [whole]
    named = isinstance(value, dict)
    items = (
        [(json.dumps(key, ensure_ascii=False) + ": ", value[key]) for key in sorted(value)]
        if named
        else [("", item) for item in value]
    )
    inner = [
        "  " + line
        for place, (key, item) in enumerate(items)
        for line in _json_lines(item, key, "," if place < len(items) - 1 else "")
    ]
    opened, closed = ("{", "}") if named else ("[", "]")
    return [before + opened, *inner, closed + after]


def escaped(text: str) -> str:
    """``text`` with every character that does not show written as an escape."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in text
    )


__all__ = [
    "LOCK_VERSION",
    "MAX_LOCK",
    "Difference",
    "Lock",
    "PinnedTool",
    "differences",
    "escaped",
    "parse_lock",
    "visible",
]
