"""A JSON Schema from outside → one that is as strict as the gate's own, in JSON Schema 2020-12.

What comes out accepts only what the original accepts. Objects are closed where their fields are declared: by
``additionalProperties`` where the fields stand in one place, by ``unevaluatedProperties`` on the outermost schema where
``allOf``, ``if`` or a reference adds some, so that no part refuses what another declares. Each string, number, list and
open mapping without a bound gets one of the house's. Alternatives under ``oneOf`` are bounded only where none can then
pass for another; ``not``, ``if`` and ``contains`` stay as they were given, because a narrower condition there would
let more through. What cannot be held to this is ``Unusable``, with the reason, and never a looser schema.

Not here: that ``1.0`` is no integer, which no keyword can say; ``adapters.upstreams.shape`` holds to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote

from toolgate.domain.canonical import MAX_SAFE_INTEGER, NotCanonical, UnfitJson, canonical_json, check_json
from toolgate.domain.names import MAX_NAME
from toolgate.domain.schema import DIALECT
from toolgate.domain.upstream.definition import Unusable
from toolgate.domain.upstream.disjoint import told_apart
from toolgate.domain.upstream.effort import MAX_UNFOLDED, unfolded
from toolgate.domain.upstream.keywords import (
    ANNOTATIONS,
    DECLARING,
    FORMATS,
    IGNORED,
    IN_PLACE,
    MAPPINGS,
    NUMBER_FORMATS,
    OF_ARRAYS,
    OF_NUMBERS,
    OF_OBJECTS,
    OF_STRINGS,
    SILENT_FORMATS,
    SINGLE,
)
from toolgate.domain.upstream.patterns import looks_around, pattern_problem
from toolgate.domain.upstream.reading import Refused, dialect_of, shown, today

MAX_STRING: Final = 65_536
"""Characters of a string that its author did not bound."""
MAX_ITEMS: Final = 1_000
"""Items of a list, and entries of a mapping, that its author did not bound."""
MAX_NOTES: Final = 50
_MAX_SCHEMA_NODES: Final = 20_000
_MAX_SCHEMA_DEPTH: Final = 64
_MAX_ROOT_REFERENCES: Final = 16
_MAX_LOOKS: Final = 100_000
"""Times that it is asked of a schema whether its parts say all about its fields."""
_MAX_PAIRS: Final = 100_000
"""Pairs of alternatives that are told apart."""
MAX_LOOKED_AROUND: Final = 1_000
"""Characters of a string whose pattern looks around from anywhere: each is a place to look from."""
_ANY: Final[Mapping[str, int]] = {
    "maxLength": MAX_STRING,
    "minimum": -MAX_SAFE_INTEGER,
    "maximum": MAX_SAFE_INTEGER,
    "maxItems": MAX_ITEMS,
    "maxProperties": MAX_ITEMS,
}
_ANCHOR: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_UNNAMED: Final = re.compile(r"[^A-Za-z0-9_.-]+")

Mode: TypeAlias = Literal["closed", "open", "given"]
"""Closed: of a value of its own. Open: beside another schema for the same value, which closes it. Given: unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    """A schema in 2020-12 that refers to its own ``$defs`` alone. ``notes`` tell what was added or left out."""

    schema: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def strict_outside(schema: Mapping[str, Any]) -> Strict | Unusable:
    """``schema`` of an input, made strict. Doing it again changes nothing."""
    return _guarded(schema, lambda walk: walk.input())


def plain_outside(schema: Mapping[str, Any]) -> Strict | Unusable:
    """``schema`` of an output as it was given, in 2020-12, references under ``$defs``; formats only describe."""
    return _guarded(schema, lambda walk: walk.output())


def _guarded(schema: Mapping[str, Any], make: Any) -> Strict | Unusable:
    try:
        check_json(schema, max_depth=_MAX_SCHEMA_DEPTH, max_nodes=_MAX_SCHEMA_NODES)
        walk = _Walk(root=schema, dialect=dialect_of(schema))
        made = make(walk)
        canonical_json(made)
        size, _ = unfolded(made)
        if size > MAX_UNFOLDED:
            return Unusable(f"its references, written out, come to more than {MAX_UNFOLDED} schemas")
    except (UnfitJson, NotCanonical) as unfit:
        return Unusable(f"the schema is not plain JSON: {unfit.problem}")
    except Refused as refused:
        return Unusable(str(refused))
    except RecursionError:
        return Unusable("its references lead on and on, deeper than they can be followed")
    return Strict(schema=made, notes=tuple(walk.notes))


@dataclass(slots=True, kw_only=True)
class _Walk:
    root: Mapping[str, Any]
    dialect: str
    notes: dict[str, None] = field(default_factory=dict)
    names: dict[tuple[str, Mode], str] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    pending: list[tuple[str, Mode]] = field(default_factory=list)
    in_place: dict[str, set[str]] = field(default_factory=dict)
    holder: str = ""
    depth: int = 0
    looked: int = 0

    # ------------------------------------------------------------------------------------- the whole

    def input(self) -> dict[str, Any]:
        top = self._top()
        made = self.node(top, "closed", "")
        made = {"type": "object", **made}
        if "properties" not in made and made.get("additionalProperties") is False:
            made["properties"] = {}
        return self._with_definitions(made)

    def output(self) -> dict[str, Any]:
        made = self.node(self.root, "given", "")
        return self._with_definitions({"$schema": DIALECT} | made if isinstance(made, dict) else {"not": {}})

    def _top(self) -> dict[str, Any]:
        """The schema of the arguments as a whole: an object, whatever it says of itself."""
        top = dict(self.root)
        for _ in range(_MAX_ROOT_REFERENCES):
            if "$ref" not in top:
                break
            more = {key: value for key, value in top.items() if key not in IGNORED | {"$ref"}}
            if set(more) - ANNOTATIONS - {"type"}:
                raise Refused("it refers to another schema at its top and says more besides")
            target = self.resolved(top["$ref"])
            if not isinstance(target, Mapping):
                raise Refused("what its top refers to is no schema of an object")
            top = {**more, **target}
        kind = top.get("type", "object")
        if kind != "object" and not (isinstance(kind, list) and "object" in kind):
            raise Refused("its top is no object, and arguments are one")
        return {**top, "type": "object"}

    def _with_definitions(self, made: dict[str, Any]) -> dict[str, Any]:
        while self.pending:
            pointer, mode = self.pending.pop()
            self.holder = self.names[pointer, mode]
            target = self.resolved(pointer)
            # A boolean stands nowhere but where a schema may; as a definition it is one with nothing in it.
            self.made[self.holder] = self._anchored(self.node(target, mode, self.holder), target, mode)
        self._refuse_circles()
        kept = _reachable(made, self.made)
        definitions = {"$defs": {name: self.made[name] for name in sorted(kept)}} if kept else {}
        return {"$schema": DIALECT, **made, **definitions}

    def _anchored(self, made: Any, target: Any, mode: Mode) -> Any:
        """A definition keeps the name that it has for others (2020-12, 8.2.2), where it stands as one definition."""
        anchor = target.get("$anchor") if isinstance(target, Mapping) else None
        taken = {each.get("$anchor") for each in self.made.values() if isinstance(each, dict)}
        fits = mode == "closed" and isinstance(anchor, str) and _ANCHOR.fullmatch(anchor)
        return {"$anchor": anchor, **made} if fits and anchor not in taken else made

    def _refuse_circles(self) -> None:
        """A schema that comes back to itself without going into the value would never be done."""
        done: set[str] = set()

        def visit(name: str, path: frozenset[str]) -> None:
            if name in path:
                raise Refused("it refers to itself without end")
            if name not in done:
                for other in self.in_place.get(name, ()):
                    visit(other, path | {name})
                done.add(name)

        for name in list(self.in_place):
            visit(name, frozenset())

    # --------------------------------------------------------------------------------- references

    def resolved(self, reference: Any) -> Any:
        """What a reference within the document stands for (RFC 6901)."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise Refused("it refers to a schema elsewhere, and nothing is fetched")
        pointer = unquote(reference[1:])
        if pointer and not pointer.startswith("/"):
            raise Refused("it refers to a schema by an anchor; only paths such as #/$defs/name are followed")
        found: Any = self.root
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, Mapping) and key in found:
                found = found[key]
            else:
                raise Refused("it refers to a part of itself that is not there")
        if not isinstance(found, Mapping | bool):
            raise Refused("it refers to a part of itself that is no schema")
        return found

    def reference(self, said: Any, mode: Mode) -> str:
        self.resolved(said)
        pointer = unquote(said)
        if (pointer, mode) not in self.names:
            base = _UNNAMED.sub("_", pointer.rpartition("/")[2].lstrip("#")) or "arguments"
            suffix = {"closed": "", "open": ".open", "given": ".given"}[mode]
            base = base.removesuffix(".open").removesuffix(".given") or "part"
            name, count, taken = f"{base}{suffix}", 1, set(self.names.values())
            while name in taken:
                count += 1
                name = f"{base}.{count}{suffix}"
            self.names[pointer, mode] = name
            self.pending.append((pointer, mode))
        name = self.names[pointer, mode]
        if not self.depth:
            self.in_place.setdefault(self.holder, set()).add(name)
        return f"#/$defs/{name}"

    # ------------------------------------------------------------------------------------ one node

    def inner(self, node: Any, mode: Mode, at: str) -> Any:
        """A schema for a value inside this one."""
        self.depth += 1
        try:
            return self.node(node, "given" if mode == "given" else "closed", at)
        finally:
            self.depth -= 1

    def node(self, node: Any, mode: Mode, at: str) -> Any:
        if isinstance(node, bool):
            if node and mode == "closed":
                self.note(at, "any value is accepted, within the house's bounds")
                return dict(_ANY)
            return node
        if not isinstance(node, Mapping):
            raise Refused(f"{shown(at)}: a schema is an object, true or false")
        node, unknown = today(node, at, self.dialect)
        if unknown:
            self.note(at, f"left out, since no validator knows it: {', '.join(unknown)[:120]}")
        roams = "pattern" in node and looks_around(node["pattern"])
        if mode == "given":
            if roams:
                raise Refused(
                    f"{shown(at)}: a pattern looks around from anywhere, and no bound can be set to it here"
                )
            return self._given(node, at)
        made = self._strict(node, mode, at)
        self._infer(made, mode, at)
        self._bound(made, at)
        if roams and made.get("maxLength", MAX_STRING) > MAX_LOOKED_AROUND:
            made["maxLength"] = MAX_LOOKED_AROUND
            self.note(
                at, f"at most {MAX_LOOKED_AROUND} characters, for its pattern looks around from anywhere"
            )
        if mode == "closed":
            self._close(made, node, at)
        return made

    def _given(self, node: Mapping[str, Any], at: str) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in node.items():
            if key == "$ref":
                made[key] = self.reference(value, "given")
            elif key in {"allOf", "anyOf", "oneOf"}:
                made[key] = [self.node(item, "given", at) for item in self._list(value, key, at)]
            elif key == "prefixItems":
                made[key] = [self.inner(item, "given", at) for item in self._list(value, key, at)]
            elif key in MAPPINGS:
                made[key] = self._named(value, key, "given", at)
            elif key in {"not", "if", "then", "else"}:
                made[key] = self.node(value, "given", at)
            elif key in SINGLE:
                made[key] = self.inner(value, "given", at)
            elif key != "format":
                made[key] = value
        return made

    def _strict(  # noqa: C901 - a branch for each kind of keyword
        self, node: Mapping[str, Any], mode: Mode, at: str
    ) -> dict[str, Any]:
        beside: Mode = "closed" if mode == "closed" and self._by_parts(node) else "open"
        made: dict[str, Any] = {}
        for key, value in node.items():
            if key == "$ref":
                made[key] = self.reference(value, beside)
            elif key in {"allOf", "anyOf"}:
                made[key] = [self.node(item, beside, at) for item in self._list(value, key, at)]
            elif key == "prefixItems":
                items = self._list(value, key, at)
                made[key] = [self.inner(item, mode, f"{at}[{place}]") for place, item in enumerate(items)]
            elif key in MAPPINGS:
                made[key] = self._named(value, key, mode, at)
            elif key in {"not", "if"}:
                made[key] = self.node(value, "given", at)
            elif key in {"then", "else"}:
                made[key] = self.node(value, "open", at)
            elif key == "contains":
                made[key] = self.inner(value, "given", at)
            elif key in SINGLE:
                if (key, value) not in _SAYS_NOTHING:
                    below = {"items": f"{at}[]", "propertyNames": f"the keys of {shown(at)}"}
                    made[key] = self._single(key, value, mode, below.get(key, f"{at}.*" if at else "*"))
            elif key not in {"oneOf", "format"}:
                made[key] = value
        if "oneOf" in node:
            self._one_of(made, self._list(node["oneOf"], "oneOf", at), beside, at)
        self._formed(made, node.get("format"), at)
        return made

    def _single(self, key: str, value: Any, mode: Mode, at: str) -> Any:
        if key == "propertyNames":
            named = {"type": "string", **value} if isinstance(value, Mapping) else value
            return {"type": "string", "maxLength": MAX_NAME} if named is True else self.inner(named, mode, at)
        return self.inner(value, mode, at)

    def _one_of(self, made: dict[str, Any], branches: list[Any], beside: Mode, at: str) -> None:
        strict = [self.node(branch, beside, at) for branch in branches]
        if len(branches) ** 2 // 2 <= _MAX_PAIRS and told_apart(
            branches, self.resolved, closed=beside == "closed"
        ):
            # At most one can fit, so that "any" says the same; and each may be narrowed.
            if "anyOf" in made:
                made["allOf"] = [*made.get("allOf", ()), {"anyOf": strict}]
            else:
                made["anyOf"] = strict
            return
        if strict != [self.node(branch, "given", at) for branch in branches]:
            raise Refused(
                f"{shown(at)}: a value may fit several alternatives of oneOf at once, and bounding them would let "
                "more through; tell them apart by a constant field, or write anyOf"
            )
        made["oneOf"] = strict

    def _named(self, value: Any, key: str, mode: Mode, at: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Refused(f"{shown(at)}: the value of {key} cannot be read")
        if key == "patternProperties":
            for pattern in value:
                if (problem := pattern_problem(pattern)) is not None:
                    raise Refused(f"{shown(at)}: {problem}")
                if looks_around(pattern):
                    raise Refused(f"{shown(at)}: a pattern for names of fields looks around from anywhere")
        if key == "dependentSchemas":
            beside: Mode = "given" if mode == "given" else "open"
            return {name: self.node(item, beside, at) for name, item in value.items()}
        return {
            name: self.inner(item, mode, f"{at}.{name}" if at else str(name)) for name, item in value.items()
        }

    def _list(self, value: Any, key: str, at: str) -> list[Any]:
        if not isinstance(value, list) or not value:
            raise Refused(f"{shown(at)}: {key} is a list of schemas")
        return value

    def _formed(self, made: dict[str, Any], named: str | None, at: str) -> None:
        if named is None or named in SILENT_FORMATS:
            return
        if named in FORMATS:
            made["format"] = named
        elif named in NUMBER_FORMATS:
            least, most = NUMBER_FORMATS[named]
            made["minimum"] = max(made.get("minimum", least), least)
            made["maximum"] = min(made.get("maximum", most), most)
        else:
            raise Refused(
                f"{shown(at)}: its format {named[:40]!r} is none that is known here, so nothing checks it"
            )

    # ------------------------------------------------------------------------------ types and bounds

    def _infer(self, made: dict[str, Any], mode: Mode, at: str) -> None:
        """Give a value the type that its keywords speak of; one that may be anything gets every bound."""
        if mode == "open" or made.keys() & {"type", "enum", "const"} or made.keys() & IN_PLACE:
            return
        kinds = [
            kind
            for kind, keys in (
                ("object", OF_OBJECTS),
                ("array", OF_ARRAYS),
                ("string", OF_STRINGS),
                ("number", OF_NUMBERS),
            )
            if keys & made.keys()
            and not _ANY.keys() >= made.keys() & (OF_OBJECTS | OF_ARRAYS | OF_STRINGS | OF_NUMBERS)
        ]
        if len(kinds) == 1:
            made["type"] = kinds[0]
            self.note(at, f"is of type {kinds[0]}, which it did not say")
            return
        if not _ANY.keys() <= made.keys():
            self.note(at, "any value is accepted, within the house's bounds")
        for key, value in _ANY.items():
            made.setdefault(key, value)

    def _bound(self, made: dict[str, Any], at: str) -> None:
        if "enum" in made or "const" in made:
            return
        kind = made.get("type", ())
        kinds = {kind} if isinstance(kind, str) else set(kind)
        if "string" in kinds:
            self._most(made, at, most="maxLength", least="minLength", house=MAX_STRING, what="characters")
        if kinds & {"integer", "number"}:
            self._between(made, kinds, at)
        if "array" in kinds and not ("prefixItems" in made and made.get("items") is False):
            if "prefixItems" in made and "items" not in made:
                made["items"] = False
                self.note(at, f"has exactly the {len(made['prefixItems'])} items that it names, at most")
            else:
                self._most(made, at, most="maxItems", least="minItems", house=MAX_ITEMS, what="items")
        if "array" in kinds and "items" not in made and "prefixItems" not in made:
            made["items"] = dict(_ANY)
            self.note(f"{at}[]", "any value is accepted, within the house's bounds")

    def _most(self, made: dict[str, Any], at: str, *, most: str, least: str, house: int, what: str) -> None:
        if most in made:
            return
        if made.get(least, 0) > house:
            raise Refused(f"{shown(at)}: it demands more than {house} {what}, and says no bound above")
        made[most] = house
        self.note(at, f"at most {house} {what}")

    def _between(self, made: dict[str, Any], kinds: set[str], at: str) -> None:
        whole = "number" not in kinds
        if whole:
            for key, sign in (("minimum", -1), ("maximum", 1)):
                if key in made and abs(made[key]) > MAX_SAFE_INTEGER and (made[key] > 0) == (sign > 0):
                    made[key] = sign * MAX_SAFE_INTEGER
        added = False
        if "minimum" not in made and "exclusiveMinimum" not in made:
            made["minimum"], added = -MAX_SAFE_INTEGER, True
        if "maximum" not in made and "exclusiveMaximum" not in made:
            made["maximum"], added = MAX_SAFE_INTEGER, True
        least = max(made.get("minimum", -MAX_SAFE_INTEGER), made.get("exclusiveMinimum", -MAX_SAFE_INTEGER))
        most = min(made.get("maximum", MAX_SAFE_INTEGER), made.get("exclusiveMaximum", MAX_SAFE_INTEGER))
        if added and least > most:
            raise Refused(
                f"{shown(at)}: its numbers lie beyond ±(2^53-1), which not every reader holds exactly"
            )
        if added and not whole:
            self.note(at, "a number within ±(2^53-1)")

    # ------------------------------------------------------------------------------------- closing

    def _close(self, made: dict[str, Any], node: Mapping[str, Any], at: str) -> None:
        kind = made.get("type", "object")
        beside = node.keys() & IN_PLACE
        if (kind != "object" and "object" not in kind) or self._by_parts(node):
            return
        if beside and any(self._declares(part, set()) for part in self._parts(node)):
            if made.get("unevaluatedProperties", True) in (True, {}):
                made["unevaluatedProperties"] = False
        elif "properties" in made or "patternProperties" in made:
            self._close_named(made, node, at)
        elif "type" in made and "enum" not in made and "const" not in made:
            self._close_unnamed(made, at)
        if any(
            isinstance(made.get(key), Mapping) for key in ("additionalProperties", "unevaluatedProperties")
        ) or (made.get("patternProperties")):
            self._bound_mapping(made, at)

    def _close_named(self, made: dict[str, Any], node: Mapping[str, Any], at: str) -> None:
        if "additionalProperties" not in made and not isinstance(made.get("unevaluatedProperties"), Mapping):
            made["additionalProperties"] = False
            if node.get("additionalProperties") in (True, {}):
                self.note(at, "unknown fields are refused, which it would have taken")
        if made.get("additionalProperties") is False and not made.get("patternProperties"):
            strangers = set(made.get("required", ())) - set(made.get("properties", ()))
            if strangers:
                raise Refused(f"{shown(at)}: it requires {min(strangers)!r} and does not describe it")

    def _close_unnamed(self, made: dict[str, Any], at: str) -> None:
        open_by_schema = isinstance(made.get("unevaluatedProperties"), Mapping)
        if "additionalProperties" not in made and not open_by_schema and not at:
            made["additionalProperties"] = False
        if made.get("additionalProperties") is False and made.get("required"):
            raise Refused(f"{shown(at)}: it requires {min(made['required'])!r} and does not describe it")
        if "additionalProperties" not in made and not open_by_schema:
            made["additionalProperties"] = dict(_ANY)
            self.note(at, "fields of any name and value are accepted, within the house's bounds")

    def _bound_mapping(self, made: dict[str, Any], at: str) -> None:
        if made.get("minProperties", 0) > MAX_ITEMS and "maxProperties" not in made:
            raise Refused(f"{shown(at)}: it demands more than {MAX_ITEMS} fields, and says no bound above")
        if "maxProperties" not in made:
            made["maxProperties"] = MAX_ITEMS
            self.note(at, f"at most {MAX_ITEMS} fields")
        if "propertyNames" not in made:
            made["propertyNames"] = {"type": "string", "maxLength": MAX_NAME}

    def _parts(self, node: Mapping[str, Any]) -> Iterator[Any]:
        """The schemas for the very same value."""
        for key in ("allOf", "anyOf", "oneOf"):
            yield from node.get(key, ())
        for key in ("if", "then", "else"):
            if key in node:
                yield node[key]
        dependents = node.get("dependentSchemas", {})
        yield from dependents.values() if isinstance(dependents, Mapping) else ()
        if "$ref" in node:
            yield {"$ref": node["$ref"]}

    def _declares(self, node: Any, seen: set[str]) -> bool:
        if not isinstance(node, Mapping):
            return False
        if _declaring(node):
            return True
        if isinstance(reference := node.get("$ref"), str) and reference not in seen:
            seen.add(reference)
            if self._declares(self.resolved(reference), seen):
                return True
        parts = {key: value for key, value in node.items() if key != "$ref"}
        return any(self._declares(part, seen) for part in self._parts(parts))

    def _by_parts(self, node: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> bool:
        """Whether one reference, or one list of alternatives, says all about the fields: each part closes itself."""
        self.looked += 1
        if self.looked > _MAX_LOOKS:
            raise Refused("its references and alternatives branch more often than can be followed")
        beside = node.keys() & IN_PLACE
        if _declaring(node) or len(beside) != 1:
            return False
        (key,) = beside
        parts = node[key]
        if key == "$ref":
            return parts in seen or self._closes_itself(self.resolved(parts), seen | {parts})
        if not isinstance(parts, list) or not (
            key in {"anyOf", "oneOf"} or (key == "allOf" and len(parts) == 1)
        ):
            return False
        return all(self._closes_itself(part, seen) for part in parts)

    def _closes_itself(self, part: Any, seen: frozenset[str]) -> bool:
        """Whether ``part``, closed, says which fields an object has, or that it is none."""
        if not isinstance(part, Mapping):
            return part is False
        return bool(part.keys() & {"type", "enum", "const"}) or _declaring(part) or self._by_parts(part, seen)

    def note(self, at: str, words: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes[f"{shown(at)}: {words}"] = None


_SAYS_NOTHING: Final[tuple[tuple[str, Any], ...]] = (
    ("additionalProperties", True),
    ("additionalProperties", {}),
    ("unevaluatedProperties", True),
    ("unevaluatedProperties", {}),
)
"""Open by its own words, which is no condition, and would take the place of one."""


def _declaring(node: Mapping[str, Any]) -> bool:
    """Whether ``node`` itself says which fields there are."""
    return any(key in node and (key, node[key]) not in _SAYS_NOTHING for key in DECLARING)


def _reachable(made: Any, definitions: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = [made]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, Mapping):
            reference = node.get("$ref")
            if isinstance(reference, str) and (name := reference.rpartition("/")[2]) not in found:
                found.add(name)
                waiting.append(definitions.get(name))
            waiting += node.values()
    return found & definitions.keys()


__all__ = ["MAX_ITEMS", "MAX_STRING", "Strict", "plain_outside", "strict_outside"]
