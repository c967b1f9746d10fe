"""Characters that a person does not see, or that change how others are read.

Here: which code points they are, from the Unicode Character Database (General_Category Cc, Cf, Cs, Co, Zl, Zp;
Default_Ignorable_Code_Point; the noncharacters of Unicode 23.7). Not here: which types refuse them.

Letters, marks, numbers, punctuation and symbols of every script pass. Format characters that are drawn (the Arabic
number signs and their like) pass. Zero-width joiners do not: they are how text is hidden from a reviewer.
"""

from __future__ import annotations

import re

_RANGES: tuple[tuple[int, int], ...] = (
    (0x0000, 0x001F),  # C0 controls; tab and newline are allowed back where a type is multiline
    (0x007F, 0x009F),  # delete and C1 controls
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x061C, 0x061C),  # Arabic letter mark
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),  # Khmer inherent vowels, never drawn
    (0x180B, 0x180F),  # Mongolian selectors and vowel separator
    (0x200B, 0x200F),  # zero-width space and joiners, direction marks
    (0x2028, 0x202E),  # line and paragraph separators, bidi embeddings and overrides
    (0x2060, 0x206F),  # word joiner, invisible operators, bidi isolates
    (0x3164, 0x3164),  # Hangul filler
    (0xD800, 0xF8FF),  # surrogates and private use
    (0xFDD0, 0xFDEF),  # noncharacters
    (0xFE00, 0xFE0D),  # variation selectors that no plain text needs
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFFA0, 0xFFA0),  # halfwidth Hangul filler
    (0xFFF0, 0xFFFB),  # unassigned ignorables, interlinear annotation
    (0x13430, 0x1345F),  # Egyptian format controls
    (0x1BCA0, 0x1BCA3),  # shorthand format controls
    (0x1D173, 0x1D17A),  # musical format controls
    (0xE0000, 0xE0FFF),  # tags and supplementary variation selectors
    (0xF0000, 0x10FFFF),  # private-use planes
    *((plane | 0xFFFE, plane | 0xFFFF) for plane in range(0, 0x110000, 0x10000)),
)

_CLASS = "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in _RANGES)

# U+FE0E and U+FE0F choose between the text and the emoji form of the character before them. One is text; a run
# of them, or one with nothing before it, is a channel.
_STRAY_SELECTOR = "(?:\\A|(?<=[\ufe0e\ufe0f\\s]))[\ufe0e\ufe0f]"

_ONE_LINE = re.compile(f"[{_CLASS}]|{_STRAY_SELECTOR}")
_MULTILINE = re.compile(f"(?![\t\n])[{_CLASS}]|{_STRAY_SELECTOR}")

#: The part of the rule that every JSON Schema dialect can state: nothing here is in an accepted one-line text.
ONE_LINE_PATTERN = (
    r"^[^\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]*$"
)
MULTILINE_PATTERN = (
    r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]*$"
)


def first_hidden(text: str, *, multiline: bool = False) -> str | None:
    """The first character of ``text`` that a reader would not see, or ``None``.

    With ``multiline`` the newline U+000A and the tab U+0009 are text; a carriage return never is.
    """
    if text.isascii() and text.isprintable():
        return None  # most text, in a tenth of the time
    found = (_MULTILINE if multiline else _ONE_LINE).search(text)
    return found.group() if found else None
