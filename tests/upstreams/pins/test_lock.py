"""Definitions, their digests, and the lock that holds them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolgate import ConfigurationError
from toolgate.domain.upstream.definition import Definition, Unusable
from toolgate.domain.upstream.lock import Lock, PinnedTool, differences, parse_lock, visible

pytestmark = pytest.mark.req("X3.22")

RAW: dict[str, Any] = {
    "name": "find_book",
    "title": "Find",
    "description": "Find a book.\nBy title.",
    "inputSchema": {"type": "object", "properties": {"title": {"type": "string"}}},
    "outputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True},
}


def defined(**changed: Any) -> Definition:
    made = Definition.of({**RAW, **changed})
    assert isinstance(made, Definition), made
    return made


def pinned(*definitions: Definition, accepted: frozenset[str] = frozenset()) -> dict[str, PinnedTool]:
    return {each.name: PinnedTool(definition=each, accepted=accepted) for each in definitions}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"title": None}, "its title changed"),
        ({"description": "Find a book.\nBy title. "}, "its description changed"),
        ({"inputSchema": {"type": "object"}}, "its input schema changed"),
        ({"outputSchema": None}, "its output schema changed"),
        ({"annotations": {}}, "its annotations changed"),
        ({"description": "", "annotations": {}}, "its description and annotations changed"),
    ],
)
def test_whatever_a_model_would_be_told_is_in_the_digest_and_a_change_is_named(
    changed: dict[str, Any], words: str
) -> None:
    now = defined(**changed)
    (found,) = differences(pinned(defined()), {"find_book": now})

    assert now.digest != defined().digest
    assert found.kind == "changed"
    assert found.words.startswith(words)


def test_what_no_model_is_told_and_the_order_of_keys_change_no_digest() -> None:
    turned = {key: RAW[key] for key in reversed(RAW)}

    assert defined(_meta={"x": 1}, icons=[]).digest == defined().digest
    assert Definition.of(turned) == defined()


def test_a_tool_that_came_and_one_that_went_are_told_apart() -> None:
    found = differences(
        pinned(defined(name="a"), defined(name="b")), {"b": defined(name="b"), "c": defined(name="c")}
    )

    assert [(each.tool, each.kind) for each in found] == [("a", "missing"), ("c", "new")]


def test_a_lock_is_read_as_it_was_written_and_written_alike_each_time() -> None:
    lock = Lock().with_tools("shelf", pinned(defined(), accepted=frozenset({"long"})).values())

    assert parse_lock(lock.text()) == lock
    assert parse_lock(lock.text()).text() == lock.text()


def test_nothing_in_a_lock_hides_from_whoever_reviews_it() -> None:
    text = Lock().with_tools("shelf", pinned(defined(description="a\u200bb\u202e")).values()).text()

    assert text.isascii()
    assert "\\u200b" in text


def test_a_diff_shows_what_does_not_show() -> None:
    (found,) = differences(
        pinned(defined()), {"find_book": defined(description="Find a book.\nBy title.\u200b\x1b[8m")}
    )
    diff = "\n".join(found.diff())

    assert "+  | By title.\\u200b\\x1b[8m" in diff
    assert all(line.isprintable() for line in [*found.diff(), *visible(found.after)])


def test_a_diff_shows_the_sentence_that_changed_and_tells_a_line_s_end_from_a_sentence_s() -> None:
    long = "Find a book. " * 20
    (found,) = differences(
        pinned(defined(description=f"{long}By title. Soon.")),
        {"find_book": defined(description=f"{long}By title.\nSoon.")},
    )
    changed = [line for line in found.diff()[2:] if line[0] in "+-"]

    assert changed == ["-  : By title. ", "-  : Soon.", "+  : By title.", "+  | Soon."]


def test_a_schema_is_shown_whole_in_lines_that_read_back() -> None:
    deep = {
        "type": "object",
        "properties": {f"field_{n}": {"type": "string", "enum": ["a,b", "}"]} for n in range(9)},
    }
    lines = visible(defined(inputSchema=deep))
    first, last = lines.index("inputSchema:") + 1, lines.index("outputSchema:")

    assert json.loads("\n".join(lines[first:last])) == deep
    assert max(len(line) for line in lines[first:last]) < 100


@pytest.mark.parametrize(
    "spoil",
    [
        lambda said: said["upstreams"]["shelf"]["find_book"]["definition"].update(description="Other."),
        lambda said: said["upstreams"]["shelf"]["find_book"].update(digest="sha256:00"),
        lambda said: said["upstreams"]["shelf"].update(other=said["upstreams"]["shelf"]["find_book"]),
        lambda said: said.update(version=2),
        lambda said: said.update(upstreams=[]),
        lambda said: said["upstreams"]["shelf"]["find_book"].update(accepted="all"),
    ],
)
def test_a_lock_that_was_edited_by_hand_is_refused(spoil: Any) -> None:
    said = json.loads(Lock().with_tools("shelf", pinned(defined()).values()).text())
    spoil(said)

    with pytest.raises(ConfigurationError, match=r"toolgate\.lock"):
        parse_lock(json.dumps(said))


@given(raw=st.one_of(st.none(), st.dictionaries(st.sampled_from(["name", "title", "description", "inputSchema",
       "outputSchema", "annotations"]), st.one_of(st.text(max_size=5), st.none(), st.integers(), st.dictionaries(
           st.text(max_size=3), st.one_of(st.text(max_size=3), st.integers(), st.floats()), max_size=2)))))  # fmt: skip
def test_whatever_an_upstream_lists_is_a_definition_or_a_reason(raw: Any) -> None:
    made = Definition.of(raw)

    assert isinstance(made, Definition | Unusable)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""},
        {"name": "x" * 129},
        {"name": "a\nb"},
        {"inputSchema": None},
        {"inputSchema": []},
        {"description": 7},
        {"description": "x" * 300_000},
        {"description": "\ud800"},
        {"annotations": {"__proto__": 1}},
    ],
)
def test_what_is_no_definition_is_refused(changed: dict[str, Any]) -> None:
    assert isinstance(Definition.of({**RAW, **changed}), Unusable)


def test_a_bound_beyond_what_doubles_hold_is_read_as_the_double_that_it_is() -> None:
    huge = defined(
        inputSchema={"type": "object", "properties": {"n": {"type": "integer", "maximum": 2**64 - 1}}}
    )

    assert huge.input_schema["properties"]["n"]["maximum"] == float(2**64)
