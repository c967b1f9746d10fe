"""How values are written on a page."""

from __future__ import annotations

import html
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolgate.domain.argument_types.hidden_characters import first_hidden
from toolgate.surfaces.console import spelling

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    max_leaves=12,
)
_TAG = re.compile(r"<[^>]*>")


@pytest.mark.req("M12.16", "M12.5")
@given(_JSON)
def test_what_is_shown_is_exactly_the_value(value: object) -> None:
    text = html.unescape(_TAG.sub("", str(spelling.exact(value))))
    # A line break inside a text is shown by its escape and made besides.
    joined = re.sub(r"\\n\n *", r"\\n", text)
    assert json.loads(joined) == value


@pytest.mark.req("M12.16")
@given(st.text())
def test_no_character_that_a_reader_would_not_see_reaches_a_page(text: str) -> None:
    for written in (str(spelling.exact(text)), str(spelling.visible(text))):
        shown = html.unescape(_TAG.sub("", written))
        assert first_hidden(shown, multiline=True) is None


@pytest.mark.req("M12.16")
@given(st.text())
def test_a_page_gets_no_markup_from_a_text(text: str) -> None:
    for written in (spelling.exact(text), spelling.exact({text: [text]}), spelling.visible(text)):
        assert set(re.findall(r"</?([a-z]+)", str(written))) <= {"bdi", "span"}


@pytest.mark.req("M12.12")
def test_a_mask_is_marked_where_it_is_and_nowhere_else() -> None:
    value = {"card": "hmac:1:ab", "note": "hmac:1:ab", "items": [{"card": "[redacted:card]"}]}
    written = str(spelling.exact(value, [("card",), ("items", "0", "card")]))
    assert written.count('class="masked"') == 2
    assert '<span class="key"><bdi class="text">"note"</bdi></span>: <bdi class="text">' in written


@pytest.mark.req("M12.5")
@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(seconds: int, words: str) -> None:
    assert spelling.span(seconds * 1_000_000) == words
