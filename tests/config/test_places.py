"""The lines of keys, as a mistake in a file is told by them."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolgate.config.places import line_of, lines_of

pytestmark = pytest.mark.req("M1.13")

DOCUMENT = '''\
# tools = "not this line"
tools = [
  "a.b:c",  # a ] in a comment
  'd:e',
]
text = """
[not.a.header]
key = "no" \\"""" # the string ended here
"quoted.key" = 1
a.b . "c d" = { x = 1, y = { z = [1, "}"] } }

[overrides.refund]
timeout = 5
approval = { approvers = ["x"], when = { amount = { gt = 1 } } }
[[approvals.notify]]
slack = 'env:X'
[[approvals.notify]]
webhook = "w"
[approvals.notify.inner]
deep = 1979-05-27 07:32:00
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("tools",), 2),
        (("tools", 0), 3),
        (("tools", 1), 4),
        (("text",), 6),
        (("quoted.key",), 9),
        (("a", "b", "c d"), 10),
        (("a", "b", "c d", "y", "z", 1), 10),
        (("overrides", "refund"), 12),
        (("overrides", "refund", "timeout"), 13),
        (("overrides", "refund", "approval", "when", "amount", "gt"), 14),
        (("approvals", "notify", 0, "slack"), 16),
        (("approvals", "notify", 1), 17),
        (("approvals", "notify", 1, "webhook"), 18),
        (("approvals", "notify", 1, "inner", "deep"), 20),
    ],
)
def test_a_key_is_found_on_its_line(path: tuple[str | int, ...], line: int) -> None:
    tomllib.loads(DOCUMENT)

    assert lines_of(DOCUMENT)[path] == line


def test_a_key_without_a_line_of_its_own_has_that_of_the_key_above() -> None:
    lines = lines_of("[a]\n\nb = 1\n")

    assert line_of(lines, ("a", "b", "deeper", 3)) == 3
    assert line_of(lines, ("nowhere",)) is None


def test_windows_line_ends_count_once() -> None:
    assert lines_of("a = 1\r\nb = '''x\r\ny'''\r\nc = 2\r\n")[("c",)] == 4


def every_path(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    found = {path} if path else set()
    if isinstance(value, dict):
        for key, item in value.items():
            found |= every_path(item, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            found |= every_path(item, (*path, place))
    return found


def written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(written(item) for item in value) + "\n]"
    if isinstance(value, str):
        return quoted(value)
    return str(value).lower()


def quoted(text: str) -> str:
    return (
        '"'
        + "".join(char if char.isalnum() and char.isascii() else f"\\U{ord(char):08x}" for char in text)
        + '"'
    )


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.integers(0, 99) | st.booleans() | texts | st.sampled_from(['a"b', "a]b", "a}b", "a#b", "a,b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_every_key_of_any_document_has_a_line(document: dict[str, Any]) -> None:
    text = "".join(f"{quoted(key)} = {written(value)}\n" for key, value in document.items())

    assert tomllib.loads(text) == document
    assert set(lines_of(text)) == every_path(document)


def test_keys_inside_an_inline_table_of_a_deep_header_have_their_line() -> None:
    text = '[server]\nlisten = "0.0.0.0:8080"\n[auth.oidc]\nclaims = { id = "sub", roles = "groups" }\n'

    assert lines_of(text)[("auth", "oidc", "claims", "roles")] == 4
