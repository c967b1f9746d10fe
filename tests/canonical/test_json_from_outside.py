"""The door for JSON: what it lets in, what it refuses, and in which words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from toolgate.domain.canonical import (
    MAX_SAFE_INTEGER,
    RESERVED_KEYS,
    UnfitJson,
    canonical_json,
    check_json,
    parse_json,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = TEXT.filter(lambda key: key not in RESERVED_KEYS)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=30)
# Anything Python can hold in these containers: unfit values among fit ones, at any depth.
LOOSE = st.recursive(
    SCALARS
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=4)
    | st.binary(max_size=3)
    | st.tuples(st.integers())
    | st.sampled_from([object, json]),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(KEYS | st.integers() | st.sampled_from(sorted(RESERVED_KEYS)), inner)
    ),
    max_leaves=20,
)


@pytest.mark.req("M3.7")
@given(JSON, st.booleans(), st.booleans())
def test_what_is_written_is_read_back_unchanged(value: Any, ascii_only: bool, as_bytes: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=1)

    read = parse_json(text.encode() if as_bytes else text)

    assert canonical_json(read) == canonical_json(value)
    assert read == value


@pytest.mark.req("M3.7", "X5.8")
@given(LOOSE)
def test_whatever_passes_the_check_has_a_canonical_form(value: Any) -> None:
    try:
        check_json(value)
    except UnfitJson:
        return
    assert canonical_json(value) == rfc8785.dumps(value)


@pytest.mark.req("M3.7")
@given(st.binary(max_size=200) | st.text(st.characters(), max_size=200))
def test_any_input_is_read_or_refused_and_nothing_else(raw: bytes | str) -> None:
    try:
        value = parse_json(raw)
    except UnfitJson as refusal:
        words = str(refusal)
    else:
        check_json(value)
        words = ""

    assert len(words) < 200


@pytest.mark.req("M3.6")
@pytest.mark.parametrize("text", ['{"a":1,"a":1}', '[{"b":{"a":1,"c":2,"\\u0061":3}}]'])
def test_a_key_that_stands_twice_is_refused_by_name(text: str) -> None:
    with pytest.raises(UnfitJson, match="the key 'a' appears twice"):
        parse_json(text)


@pytest.mark.req("M3.7")
@pytest.mark.parametrize(
    ("raw", "path", "words"),
    [
        (b'{"a":[NaN]}', "a[0]", "not a finite number"),
        (b'{"a":-Infinity}', "a", "not a finite number"),
        (b'{"a":1e999}', "a", "not a finite number"),
        (b'{"a":9007199254740992}', "a", "send it as a string"),
        (b'{"a":-9007199254740992}', "a", "send it as a string"),
        (b'{"a":' + b"9" * 100_000 + b"}", "a", "send it as a string"),
        (b'{"a":"\\ud800"}', "a", "lone surrogate"),
        (b'{"a":{"\\udc00x":1}}', "a", "lone surrogate"),
        ('["\ud800"]', "", "lone surrogate"),
        (b'{"a":"\xff"}', "", "not UTF-8 (at byte 6)"),
        (b'{"a":"\xed\xa0\x80"}', "", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "", "byte order mark"),
        ("\ufeff{}", "", "byte order mark"),
        (b"\xff\xfe{\x00}\x00", "", "not UTF-8"),
        (b"{} {}", "", "not JSON: extra data (line 1, column 4)"),
        (b"", "", "not JSON"),
        (b"{'a':1}", "", "not JSON"),
        (b'{"a":01}', "", "not JSON"),
        (b'["\x01"]', "", "not JSON"),
        (b'{"a":1,}', "", "not JSON"),
    ],
)
def test_a_refusal_says_where_and_why(raw: bytes | str, path: str, words: str) -> None:
    with pytest.raises(UnfitJson, match=re.escape(words)) as refusal:
        parse_json(raw)

    assert refusal.value.path == path


@pytest.mark.req("M3.8")
@pytest.mark.parametrize("key", ["__proto__", "__entity", "__extn", "__pr\\u006fto__"])
@pytest.mark.parametrize("shape", ['{"%s":1}', '[1,{"a":{"%s":{}}}]'])
def test_a_reserved_key_is_refused_at_every_depth_and_in_every_spelling(key: str, shape: str) -> None:
    text = shape % key

    with pytest.raises(UnfitJson, match="is a reserved key; use another name"):
        parse_json(text)
    with pytest.raises(UnfitJson, match="is a reserved key; use another name"):
        check_json(json.loads(text))


@pytest.mark.req("M3.7")
@pytest.mark.parametrize("unit", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("times", [100, 40_000])
def test_deep_nesting_is_refused_before_anything_recurses(unit: str, times: int) -> None:
    with pytest.raises(UnfitJson, match="nested deeper than 64 levels"):
        parse_json(unit * times)


@pytest.mark.req("M3.7")
def test_brackets_within_strings_are_not_nesting() -> None:
    text = json.dumps({"a": "[{" * 500 + '\\"[' * 20, "b": [[]] * 100})

    assert parse_json(text) == json.loads(text)


@pytest.mark.req("M3.7")
def test_depth_is_counted_alike_by_the_parser_and_by_the_check() -> None:
    fits = "[" * 64 + "]" * 64
    assert parse_json(fits) == json.loads(fits)
    check_json(json.loads(fits))

    with pytest.raises(UnfitJson, match="nested deeper than 64 levels"):
        parse_json(f"[{fits}]")
    with pytest.raises(UnfitJson, match="nested deeper than 64 levels"):
        check_json([json.loads(fits)])


@pytest.mark.req("M3.7")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: parse_json(b'"' + b"a" * 300 + b'"', max_bytes=300), "longer than 300 bytes"),
        (lambda: parse_json('"' + "é" * 200 + '"', max_bytes=300), "longer than 300 bytes"),
        (lambda: parse_json("[" + "1," * 50 + "1]", max_nodes=50), "more than 50 values"),
        (lambda: check_json(["x" * 11], max_string=10), r"\[0\]: a string is longer than 10 characters"),
        (lambda: check_json({"x" * 11: 1}, max_string=10), "a key is longer than 10 characters"),
        (lambda: check_json([[1] * 30, [1] * 30], max_nodes=50), "more than 50 values"),
        (lambda: check_json({"a": (1,)}), "a: of type tuple is not JSON"),
        (lambda: check_json({1: 1}), "a key is of type int; keys are strings"),
        (lambda: check_json(object()), "of type object is not JSON"),
    ],
)
def test_size_and_types_are_bounded(call: Callable[[], object], words: str) -> None:
    with pytest.raises(UnfitJson, match=words):
        call()


@pytest.mark.req("M3.5", "M3.7")
@given(st.text(min_size=60, max_size=80, alphabet="abcdefghij"))
def test_a_refusal_repeats_at_most_a_short_piece_of_a_key_and_no_value(secret: str) -> None:
    for raw in (
        f'{{"{secret}":1,"{secret}":2}}',
        f'{{"{secret}":NaN}}',
        f'["{secret}",NaN]',
        f'{{"{secret}',
        f'"{secret}\\x"',
        f"[{secret}]",
    ):
        with pytest.raises(UnfitJson) as refusal:
            parse_json(raw)
        assert secret[:30] not in str(refusal.value)
        assert refusal.value.__context__ is None, "the parser's own error carries the whole input"


@pytest.mark.req("M3.7")
@pytest.mark.parametrize("depth", [64, 100_000])
def test_deep_input_is_refused_whatever_depth_is_allowed(depth: int) -> None:
    with pytest.raises(UnfitJson, match=r"too deep|deeper than"):
        parse_json("[" * 100_000 + "]" * 100_000, max_depth=depth)
