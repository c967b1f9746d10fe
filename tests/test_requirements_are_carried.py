"""Holds the list of requirements and the tests together, in both directions.

The tests are read, not run: the answer is the same in a partial run, on any worker and where an import fails.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.requirements import PLANNED, REQUIREMENTS

pytestmark = pytest.mark.req("M14.9")

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTest:
    """A test as its source shows it: where it stands, and which requirements it cites."""

    place: str
    ids: frozenset[str]


def cited(node: ast.expr | None) -> frozenset[str]:
    """The ids in a mark, or in a list or tuple of marks; a mark of another name cites nothing."""
    match node:
        case ast.List(elts=marks) | ast.Tuple(elts=marks):
            return frozenset().union(*(cited(mark) for mark in marks))
        case ast.Call(func=ast.Attribute(attr="req", value=ast.Attribute(attr="mark")), args=args):
            return frozenset(literal(arg) for arg in args)
        case _:
            return frozenset()


def literal(arg: ast.expr) -> str:
    if isinstance(arg, ast.Constant) and isinstance(arg.value, str):
        return arg.value
    return f"<not a literal: {ast.unparse(arg)}>"


def module_marks(body: list[ast.stmt]) -> frozenset[str]:
    """What `pytestmark = ...` in a module or class cites for everything below it."""
    found: frozenset[str] = frozenset()
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="pytestmark")], value=value):
                found |= cited(value)
            case ast.AnnAssign(target=ast.Name(id="pytestmark"), value=value):
                found |= cited(value)
            case _:
                pass
    return found


def assigned_marks(body: list[ast.stmt], name: str) -> frozenset[str]:
    """What `TestLedger.pytestmark = ...` cites for a state machine's test case."""
    return frozenset().union(
        *(
            cited(statement.value)
            for statement in body
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == f"{name}.pytestmark"
        )
    )


def find_in(body: list[ast.stmt], *, place: str, inherited: frozenset[str]) -> Iterator[FoundTest]:
    inherited |= module_marks(body)
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("test_"):
                own = frozenset().union(*(cited(mark) for mark in statement.decorator_list))
                yield FoundTest(place=f"{place}::{name}", ids=inherited | own)
            case ast.ClassDef(name=name, body=inner) if name.startswith("Test"):
                own = frozenset().union(*(cited(mark) for mark in statement.decorator_list))
                yield from find_in(inner, place=f"{place}::{name}", inherited=inherited | own)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Attribute(attr="TestCase")):
                yield FoundTest(place=f"{place}::{name}", ids=inherited | assigned_marks(body, name))
            case ast.If(body=inner, orelse=otherwise):
                yield from find_in([*inner, *otherwise], place=place, inherited=inherited)
            case _:
                pass


def find_in_source(source: str, *, place: str) -> list[FoundTest]:
    return list(find_in(ast.parse(source).body, place=place, inherited=frozenset()))


def all_tests() -> list[FoundTest]:
    return [
        found
        for path in sorted(HERE.rglob("test_*.py"))
        for found in find_in_source(path.read_text("utf-8"), place=path.relative_to(HERE).as_posix())
    ]


def in_order(ids: set[str]) -> list[str]:
    return sorted(ids, key=lambda id_: (id_[0], *(int(part) for part in id_[1:].split("."))))


def refuse(what: str, lines: list[str]) -> None:
    """Fail with a list that can be worked off, and without a traceback above it."""
    if lines:
        pytest.fail("\n".join([f"{what}:", *(f"  {line}" for line in lines)]), pytrace=False)


def test_every_requirement_is_carried_or_named_as_planned() -> None:
    carried = frozenset().union(*(found.ids for found in all_tests()))

    missing = REQUIREMENTS.keys() - PLANNED.keys() - carried

    refuse("no test carries", [f"{id_}  {REQUIREMENTS[id_]}" for id_ in in_order(missing)])


def test_every_test_cites_a_requirement() -> None:
    bare = [found.place for found in all_tests() if not found.ids]

    refuse('add @pytest.mark.req("…") to', bare)


def test_no_test_cites_an_unknown_requirement() -> None:
    unknown = [
        f"{found.place}: {', '.join(sorted(found.ids - REQUIREMENTS.keys()))}"
        for found in all_tests()
        if found.ids - REQUIREMENTS.keys()
    ]

    refuse("not in tests/requirements.py", unknown)


def test_what_is_planned_has_no_test_yet() -> None:
    begun = [
        f"{found.place}: {', '.join(in_order(set(found.ids & PLANNED.keys())))}"
        for found in all_tests()
        if found.ids & PLANNED.keys()
    ]

    refuse("take these ids out of PLANNED, their work has begun", begun)


def test_what_is_planned_is_a_requirement_and_says_what_it_waits_for() -> None:
    assert PLANNED.keys() <= REQUIREMENTS.keys()
    assert all(reason.startswith("waits for ") for reason in PLANNED.values())


def test_the_list_keeps_its_order_and_its_sentences_end() -> None:
    assert list(REQUIREMENTS) == in_order(set(REQUIREMENTS))
    assert list(PLANNED) == in_order(set(PLANNED))
    assert [id_ for id_, sentence in REQUIREMENTS.items() if not sentence.endswith(".")] == []


def test_ids_are_found_wherever_a_mark_may_stand() -> None:
    found = find_in_source(
        """
pytestmark = [pytest.mark.req("M1.1"), pytest.mark.slow]

@pytest.mark.req("M1.2", "M1.3")
async def test_function(): ...

@pytest.mark.req("M1.4")
class TestClass:
    pytestmark = pytest.mark.req("M1.5")
    def test_method(self): ...

TestMachine = Machine.TestCase
TestMachine.pytestmark = pytest.mark.req("M1.6")

def not_a_test(): ...
""",
        place="x",
    )

    assert {test.place: set(test.ids) for test in found} == {
        "x::test_function": {"M1.1", "M1.2", "M1.3"},
        "x::TestClass::test_method": {"M1.1", "M1.4", "M1.5"},
        "x::TestMachine": {"M1.1", "M1.6"},
    }


def test_a_test_without_a_mark_or_with_a_computed_one_is_seen() -> None:
    bare, computed = find_in_source(
        "def test_bare(): ...\n@pytest.mark.req(SOME)\ndef test_computed(): ...\n", place="x"
    )

    assert not bare.ids
    assert computed.ids == {"<not a literal: SOME>"}
