"""The canonical bytes of a value, against RFC 8785 and against its reference in Python."""

from __future__ import annotations

import enum
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from toolgate.domain.canonical import (
    MAX_CANONICAL_DEPTH,
    MAX_SAFE_INTEGER,
    JsonValue,
    NotCanonical,
    canonical_json,
    ecmascript_number,
)

pytestmark = pytest.mark.req("X5.8")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
# Keys whose order by code point and by UTF-16 unit differs, beside ordinary ones.
KEYS = TEXT | st.text(st.sampled_from("a\ue000\uffff\U00010000\U0010ffffé"), max_size=3)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(1e-5, 1e17)
    | st.integers(-(10**22), 10**22).map(float)
    | TEXT
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=30)


@given(JSON)
def test_canonical_bytes_equal_those_of_the_reference(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


@given(st.dictionaries(KEYS, SCALARS, min_size=2), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)

    assert canonical_json(dict(items)) == canonical_json(value)


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_in_appendix_b_of_the_rfc(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))

    assert ecmascript_number(number) == text
    assert canonical_json([number]) == f"[{text}]".encode()


def test_keys_are_ordered_by_utf16_units_as_the_rfc_orders_them() -> None:
    value: JsonValue = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\xf6": 7}

    ordered = '{"\\r":2,"1":4,"\x80":6,"\xf6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}'
    assert canonical_json(value) == ordered.encode()


class Colour(enum.StrEnum):
    RED = "red"


class Amount(int):
    pass


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, {"b": MAX_SAFE_INTEGER + 1}]}, "a[1].b"),
        ({"a": -MAX_SAFE_INTEGER - 1}, "a"),
        ({"a": float("nan")}, "a"),
        ([float("inf")], "[0]"),
        ({"a": "\ud800"}, "a"),
        ({"a": {"\udfff": 1}}, "a"),
        ({"a": (1, 2)}, "a"),
        ({"a": b"bytes"}, "a"),
        ({"a": Colour.RED}, "a"),
        ({"a": Amount(3)}, "a"),
        ({"a": {1: 2}}, "a"),
        ({"a b": {Colour.RED: 2}}, "['a b']"),
        (object(), ""),
        ("\udc00", ""),
    ],
)
def test_what_has_no_canonical_form_is_refused_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(NotCanonical) as refusal:
        canonical_json(value)

    assert refusal.value.path == place
    assert refusal.value.problem


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_nesting_is_bounded_at_a_stated_depth() -> None:
    assert canonical_json(nested(MAX_CANONICAL_DEPTH)) == b"[" * 128 + b"1" + b"]" * 128
    with pytest.raises(NotCanonical, match="deeper than 128"):
        canonical_json(nested(MAX_CANONICAL_DEPTH + 1))


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)

    with pytest.raises(NotCanonical, match="deeper than"):
        canonical_json(loop)


def test_a_small_structure_that_unfolds_without_end_is_refused() -> None:
    value: Any = ["x"] * 10
    for _ in range(8):
        value = [value] * 10

    with pytest.raises(NotCanonical, match="more than 1000000 values"):
        canonical_json(value)
