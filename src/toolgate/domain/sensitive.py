"""Which fields an author marked as sensitive, found from the types or from written paths.

Here: the marker, the search for it in a model, and the reading of dotted paths. Not here: what happens to a
sensitive value (`redaction`), and secrets that nobody marked (`secret_shapes`).

A path is a tuple of steps from the root: a key, `"*"` for every item of a list or every value of an object, and
`"**"` for any number of levels, which is how a model that contains itself is covered to every depth.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import types
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Literal,
    NotRequired,
    Required,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import AliasChoices, AliasPath, BaseModel, RootModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from typing_extensions import ReadOnly, TypeAliasType, is_typeddict

SensitivePath: TypeAlias = tuple[str, ...]

EACH: Final = "*"
ANY_DEPTH: Final = "**"


@dataclasses.dataclass(frozen=True, slots=True)
class Sensitive:
    """Marks a field, `Annotated[str, Sensitive()]`: its value never lies in clear in a trail, a log or an error.

    A keyed digest stands in its place, the same for equal values, so that they can be looked up and not read.
    Works on any type and at any depth; on a list, an object or a model it covers the whole of it.
    """


def dotted_paths(paths: Iterable[str]) -> tuple[SensitivePath, ...]:
    r"""Paths written by hand, for tools described by a JSON Schema: `customer.iban`, `items.*.card`, `items[].card`.

    `\.` is a dot within a key. Raises `ValueError` for an empty path or step: a path that matches nothing would
    hide nothing.
    """
    return tuple(_steps(path) for path in paths)


def _steps(path: str) -> SensitivePath:
    steps = tuple(step.replace("\\.", ".") for step in re.split(r"(?<!\\)\.", path.replace("[]", ".*")))
    if not all(steps):
        msg = f"the sensitive path {path!r} has an empty step; write it as `customer.iban` or `items.*.card`"
        raise ValueError(msg)
    return steps


def sensitive_paths(model: type[BaseModel]) -> tuple[SensitivePath, ...]:
    """Every path of `model` that is marked `Sensitive()` or typed `SecretStr`/`SecretBytes`, in order and once.

    Looks through nested models, dataclasses, typed dicts, lists, mappings, optionals and unions. A field is listed
    under its name and under each alias. Raises `NameError` if an annotation cannot be resolved.
    """
    shapes: dict[_Node, _Shape] = {}
    _explore(model, shapes)
    return tuple(dict.fromkeys(_paths_of(model, shapes)))


# A class with fields or a named alias: what may hold itself, and so is a node of a graph and not a part of a tree.
_Node: TypeAlias = type | TypeAliasType
_Found: TypeAlias = tuple[SensitivePath, _Node | None]  # the node that is held there, or None: sensitive


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """One node: the sensitive paths within itself, and where it holds other nodes."""

    marked: tuple[SensitivePath, ...]
    holds: tuple[tuple[SensitivePath, _Node], ...]


def _explore(model: type, shapes: dict[_Node, _Shape]) -> None:
    pending: list[_Node] = [model]
    while pending:
        current = pending.pop()
        if current in shapes:
            continue
        found = [each for path, annotation in _places(current) for each in _find(annotation, path)]
        holds = tuple((path, held) for path, held in found if held is not None)
        shapes[current] = _Shape(marked=tuple(path for path, held in found if held is None), holds=holds)
        pending += (held for _, held in holds)


def _paths_of(node: _Node, shapes: Mapping[_Node, _Shape]) -> Iterator[SensitivePath]:
    """The paths from `node` on. Nodes that contain themselves are named once, as "anywhere below"."""
    reached = _reachable(node, shapes)
    if node in reached:
        for each in reached:
            yield from ((ANY_DEPTH, *path) for path in shapes[each].marked)
        return
    yield from shapes[node].marked
    for prefix, held in shapes[node].holds:
        yield from ((*prefix, *path) for path in _paths_of(held, shapes))


def _reachable(node: _Node, shapes: Mapping[_Node, _Shape]) -> dict[_Node, None]:
    """What `node` holds, directly or not; itself only if it contains itself. In order, for a stable result."""
    reached: dict[_Node, None] = {}
    pending = [held for _, held in shapes[node].holds]
    while pending:
        current = pending.pop()
        if current not in reached:
            reached[current] = None
            pending += (held for _, held in shapes[current].holds)
    return reached


# --- the places within a node ---------------------------------------------------------------------------------


def _places(node: _Node) -> Iterator[tuple[SensitivePath, Any]]:
    """Each place within `node` with its annotation; the marks of a pydantic field are put back around it."""
    if isinstance(node, TypeAliasType):
        yield (), _resolved(node)
    elif hasattr(node, "__pydantic_fields__"):
        yield from _pydantic_places(node)
    else:
        for name, annotation in get_type_hints(node, include_extras=True).items():
            yield (name,), annotation


def _pydantic_places(owner: type[Any]) -> Iterator[tuple[SensitivePath, Any]]:
    if issubclass(owner, BaseModel):
        owner.model_rebuild()  # does nothing once every annotation is resolved, and raises if one cannot be
    is_root = issubclass(owner, RootModel)
    for name, info in owner.__pydantic_fields__.items():
        marks = tuple(mark for mark in info.metadata if _is_mark(mark))
        annotation = Annotated[(info.annotation, *marks)] if marks else info.annotation
        for path in [()] if is_root else _names_of(name, info):
            yield path, annotation


def _names_of(name: str, info: FieldInfo) -> Iterator[SensitivePath]:
    yield (name,)
    for alias in (info.alias, info.validation_alias, info.serialization_alias):
        for choice in alias.choices if isinstance(alias, AliasChoices) else (alias,):
            if isinstance(choice, AliasPath):
                yield tuple(EACH if isinstance(step, int) else step for step in choice.path)
            elif choice is not None:
                yield (choice,)


def _resolved(alias: TypeAliasType) -> Any:
    """What an alias stands for, with the names in quotes looked up where it was defined."""
    holder = types.SimpleNamespace(__annotations__={"value": alias.__value__})
    names = vars(sys.modules[alias.__module__]) if alias.__module__ in sys.modules else {}
    return get_type_hints(holder, globalns={**names, alias.__name__: alias}, include_extras=True)["value"]


def _is_mark(mark: object) -> bool:
    return isinstance(mark, Sensitive) or mark is Sensitive


# --- the places within an annotation --------------------------------------------------------------------------

_SAME_LEVEL: Final = (Union, types.UnionType, Required, NotRequired, ReadOnly)


def _find(annotation: Any, path: SensitivePath) -> Iterator[_Found]:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        if any(_is_mark(mark) for mark in marks):
            yield path, None
        else:
            yield from _find(inner, path)
    elif _is_node(annotation):
        yield path, annotation
    elif origin in _SAME_LEVEL:
        for inner in get_args(annotation):
            yield from _find(inner, path)
    elif isinstance(annotation, ForwardRef | str):
        msg = f"the annotation {annotation!r} cannot be resolved; define its name before the tool is made"
        raise NameError(msg)
    elif origin is None:
        yield from _find_in_plain(annotation, path)
    elif origin is not Literal:
        yield from _find_in_generic(annotation, origin, path)


def _find_in_plain(annotation: Any, path: SensitivePath) -> Iterator[_Found]:
    if hasattr(annotation, "__supertype__"):  # a NewType
        yield from _find(annotation.__supertype__, path)
    elif isinstance(annotation, type) and issubclass(annotation, SecretStr | SecretBytes):
        yield path, None
    elif isinstance(annotation, type) and issubclass(annotation, tuple):
        for inner in get_type_hints(annotation, include_extras=True).values():  # a NamedTuple
            yield from _find(inner, (*path, EACH))


def _find_in_generic(annotation: Any, origin: Any, path: SensitivePath) -> Iterator[_Found]:
    arguments = get_args(annotation)
    if isinstance(origin, type) and issubclass(origin, Mapping) and not _is_node(origin):
        # A sensitive key cannot be told from the others once it is a key: the whole mapping goes.
        if any(held is None for _, held in _find(arguments[0], path)):
            yield path, None
        for inner in arguments[1:]:
            yield from _find(inner, (*path, EACH))
    elif isinstance(origin, type) and issubclass(origin, Collection | Iterator) and not _is_node(origin):
        for inner in arguments:
            yield from _find(inner, (*path, EACH))
    else:
        # Where a foreign generic keeps its parameter is its own affair: anywhere below.
        if _is_node(origin):
            yield path, origin
        for inner in arguments:
            yield from _find(inner, (*path, ANY_DEPTH))


def _is_node(annotation: Any) -> bool:
    if isinstance(annotation, type):
        fields = issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)
        return fields or is_typeddict(annotation)
    return isinstance(annotation, TypeAliasType)
