"""Text that says what it shows."""

from __future__ import annotations

import sys
import unicodedata
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from toolgate.domain.argument_types import PlainText
from toolgate.domain.errors import ContractError

pytestmark = pytest.mark.req("M2.20")

LINE = PlainText(200)
LINES = PlainText(200, multiline=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The parcel never came; refund 12.50 \u20ac please!",
        "Gr\u00fc\u00dfe, \u65e5\u672c\u8a9e",
        "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
        "\u05e2\u05d1\u05e8\u05d9\u05ea, \u0939\u093f\u0928\u094d\u0926\u0940",
        "cafe\u0301",
        "heart \u2764\ufe0f and \U0001f600",
        "no\u00a0break",
        "{\"json\": '<b>&amp;</b>'}; rm -rf / -- %s ${x}",
        "\u0601 is drawn",
    ],
)
def test_visible_text_of_every_script_is_accepted(text: str) -> None:
    assert LINE.check(text) is None
    assert LINES.check(text) is None


@pytest.mark.parametrize(
    "hidden",
    [
        *("\x00", "\x07", "\x08", "\x1b", "\x7f", "\x85", "\x9b", "\r", "\x0b", "\x0c", "\u2028", "\u2029"),
        *(
            "\u202a",
            "\u202b",
            "\u202d",
            "\u202e",
            "\u202c",
            "\u2066",
            "\u2067",
            "\u2068",
            "\u2069",
            "\u200e",
            "\u061c",
        ),
        *(
            "\u200b",
            "\u200c",
            "\u200d",
            "\u2060",
            "\ufeff",
            "\u00ad",
            "\u034f",
            "\u115f",
            "\u3164",
            "\uffa0",
            "\u180e",
        ),
        *("\U000e0041", "\U000e0001", "\U000e007f", "\U000e0100", "\ufe00", "\ue000", "\U000f0000", "\uffff"),
        *("\ufdd0", "\ufff9", "\u206a", "\u2061", "\U0001d173", "\U0001fffe"),
    ],
)
def test_what_a_reader_would_not_see_is_refused_and_named(hidden: str) -> None:
    for text in (f"a{hidden}b", hidden, f"{hidden}a", f"a{hidden}"):
        for kind in (LINE, LINES):
            refusal = kind.check(text)
            assert refusal is not None
            assert f"U+{ord(hidden):04X}" in refusal.message


@pytest.mark.parametrize(
    "text", ["\ufe0f", "a\ufe0f\ufe0f", "a\ufe0e\ufe0f", " \ufe0fa", "a\ufe0f\ufe0e\ufe0fb"]
)
def test_a_run_of_variation_selectors_is_a_channel_and_refused(text: str) -> None:
    assert LINE.check(text) is not None


def test_every_control_format_surrogate_and_private_character_is_refused_but_the_drawn_ones() -> None:
    drawn = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
    passed = {
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
        and LINE.check(f"a{character}") is None
    }
    assert passed <= drawn


def test_newline_and_tab_are_text_where_lines_are_asked_for() -> None:
    assert LINES.check("one\n\ttwo\n") is None
    assert LINE.check("one\ntwo") is not None
    assert LINE.check("one\ttwo") is not None


def test_blanks_at_the_ends_do_not_count_towards_the_shortest_text() -> None:
    reason = PlainText(50, min_length=5)
    assert reason.check("  abcde  ") is None
    assert reason.check("a         ") is not None
    assert reason.check("\u00a0\u2003 \u3000\u00a0\u00a0") is not None


@pytest.mark.parametrize(
    "declaration",
    [{"max_length": 0}, {"max_length": 5, "min_length": 6}, {"max_length": 5, "min_length": -1}],
)
def test_impossible_bounds_are_the_authors_error(declaration: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="PlainText"):
        PlainText(**declaration)


@given(st.text(st.characters(exclude_categories=())))
def test_no_accepted_text_changes_direction_or_hides_a_character(text: str) -> None:
    if LINES.check(text) is None:
        assert all(
            character.isprintable()
            or unicodedata.category(character) in {"Zs", "Cn", "Cf"}
            or character in "\n\t"
            for character in text
        )
        assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200d\ufeff") & set(text)


@pytest.mark.req("M3.7")
def test_a_lone_surrogate_is_refused_in_python_and_in_json() -> None:
    text = TypeAdapter(Annotated[str, LINE])
    with pytest.raises(ValidationError):
        text.validate_python("a\ud800b")
    with pytest.raises(ValidationError):
        text.validate_json('"a\\ud800b"')
