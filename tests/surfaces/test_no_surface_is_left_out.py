"""A surface that takes calls and is not in the suite fails here; so does a new folder that nobody has placed.

The source is read, not run: what is found does not depend on what is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import toolgate
from tests.surfaces.ways import REFERENCE, WAYS

pytestmark = pytest.mark.req("X3.40")

SOURCE: Final = Path(toolgate.__file__).parent

TAKE_CALLS: Final = {"python": {"python"}, "rest": {"rest"}, "mcp": {"mcp", "mcp-stdio"}}
"""Folders and modules under ``surfaces``, and what the trail calls the ways into them."""
TAKE_NONE: Final = {
    "console": "people decide, look and resolve there; it has no form for a call",
    "http": "what REST, MCP and console stand on: it passes requests on and knows no tool",
}
"""The others, and why no call comes in by them."""
ELSEWHERE: Final = {"cli": {"cli"}}
"""Surfaces that stand outside of ``surfaces``, by the folder that asks the gate."""
NO_CALLS: Final = {
    "checklist": "operations that show what a contract would do: the gate is not asked to run anything",
}
"""Names given to a call that is never made."""


@cache
def trees() -> dict[str, ast.Module]:
    return {
        path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in SOURCE.rglob("*.py")
        if "surface" in path.read_text("utf-8")
    }


def constants(tree: ast.Module) -> dict[str, str]:
    """The texts that a module gives names."""
    found = {}
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text))):
                found[name] = text
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                found[name] = text
            case _:
                pass
    return found


def given(tree: ast.Module) -> Iterator[str | None]:
    """What each ``surface=`` of a module says; None where it hands on what it was given itself."""
    known = constants(tree)
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="surface", value=ast.Constant(value=str(name))):
                yield name
            case ast.keyword(arg="surface", value=ast.Name(id=name)) if name in known:
                yield known[name]
            case ast.keyword(arg="surface"):
                yield None
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
                    match default:
                        case ast.Constant(value=str(name)) if argument.arg == "surface":
                            yield name
                        case ast.Name(id=name) if argument.arg == "surface" and name in known:
                            yield known[name]
                        case _:
                            pass
            case _:
                pass


def named() -> set[str]:
    return {name for tree in trees().values() for name in given(tree) if name is not None}


def test_everything_under_surfaces_takes_calls_or_says_why_it_takes_none() -> None:
    there = {
        path.stem
        for path in (SOURCE / "surfaces").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {"__init__"}
    assert there == TAKE_CALLS.keys() | TAKE_NONE.keys()


def test_every_name_that_the_source_gives_a_surface_is_placed() -> None:
    placed = set().union(*TAKE_CALLS.values(), *ELSEWHERE.values())
    assert named() == placed | NO_CALLS.keys()


def test_only_what_knows_its_surface_already_hands_the_name_on() -> None:
    """A name that is put together while running could not be found here."""
    handed_on = {path for path, tree in trees().items() if None in given(tree)}
    assert handed_on == {
        "bootstrap/gateway.py",  # to the received call, as the surface said
        "operations/reread.py",  # from the row of a held call
        "surfaces/mcp/handlers.py",  # from the message, noted by HTTP or stdio
        "surfaces/mcp/hot.py",  # from the message, noted by HTTP or stdio
        "surfaces/rest/answers/calls.py",  # from the row, to whoever looks at it
    }


def test_every_surface_that_takes_calls_has_a_way_in_the_suite() -> None:
    walked = {REFERENCE.surface} | {way.surface for way in WAYS.values()}
    assert walked == set().union(*TAKE_CALLS.values(), *ELSEWHERE.values())
