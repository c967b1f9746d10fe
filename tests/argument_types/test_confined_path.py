"""What may be written as a path. Nothing here touches a file system."""

from __future__ import annotations

import posixpath
import unicodedata
import urllib.parse
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toolgate.domain.argument_types import ArgumentRefusal, ConfinedPath
from toolgate.domain.errors import ContractError

pytestmark = pytest.mark.req("M2.11")

ANY = ConfinedPath()


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "runbooks/restart-db.md",
        "a b/c (1).txt",
        "a..b",
        "v1.2.3/notes_final,=@+.md",
        "handb\u00fccher/\u65e5\u672c\u8a9e/\u0645\u0644\u0641.md",
        "/".join("abcdefgh"),
        "console/nullable/company.txt",
    ],
)
def test_a_plain_relative_path_is_accepted(path: str) -> None:
    assert ANY.segments(path) == tuple(path.split("/"))


REFUSED = {
    # up and away
    "..": "path_segment",
    ".": "path_segment",
    "../etc/passwd": "path_segment",
    "a/../b": "path_segment",
    "a/..": "path_segment",
    "a/./b": "path_segment",
    "...": "path_segment",
    "a/.../b": "path_segment",
    ". ./b": "path_segment",
    ".. /b": "path_segment",
    "a/.. ": "path_segment",
    "..;/etc": "path_characters",
    # absolute, by every system's notion
    "/": "path_not_relative",
    "/etc/passwd": "path_not_relative",
    "//host/share": "path_not_relative",
    "\\\\host\\share": "path_characters",
    "\\etc": "path_characters",
    "C:\\Windows": "path_characters",
    "C:/Windows": "path_characters",
    "c:a": "path_characters",
    "~": "path_characters",
    "~root/x": "path_characters",
    "a/~/b": "path_characters",
    "$HOME/x": "path_characters",
    "${HOME}": "path_characters",
    "%APPDATA%/x": "path_characters",
    "file:///etc/passwd": "path_characters",
    # backslashes, encodings
    "a\\..\\b": "path_characters",
    "..\\etc": "path_characters",
    "%2e%2e/etc": "path_characters",
    "..%2fetc": "path_characters",
    "%252e%252e%252f": "path_characters",
    "a%00.md": "path_characters",
    "..%c0%af": "path_characters",
    "&#46;&#46;/": "path_characters",
    "\\u002e\\u002e/": "path_characters",
    # control and invisible characters
    "a\x00.md": "path_characters",
    "a\n": "path_characters",
    "a\r\nb": "path_characters",
    "a\tb": "path_characters",
    "a\x7f": "path_characters",
    "a\x1b[2J": "path_characters",
    "a\u202egpj.exe": "path_characters",
    "a\u200b/b": "path_characters",
    "a\u200d": "path_characters",
    "\ufeffa": "path_characters",
    "a\u00a0b": "path_characters",
    "a\u2028": "path_characters",
    "a\ufe0f": "path_characters",
    "a\u034f": "path_characters",
    "\u3164": "path_characters",
    "\u115f": "path_characters",
    "a\U000e0041": "path_characters",
    "a\ue000": "path_characters",
    # look-alikes of slash, dot and backslash
    "a\uff0fb": "path_characters",
    "a\u2215b": "path_characters",
    "a\u2044b": "path_characters",
    "a\u29f8b": "path_characters",
    "a\u2571b": "path_characters",
    "\uff0e\uff0e/x": "path_characters",
    "\u2024\u2024/x": "path_characters",
    "\u2025/x": "path_characters",
    "\u2026": "path_characters",
    "\ufe52\ufe52/x": "path_characters",
    "a\uff3cb": "path_characters",
    "a\u2216b": "path_characters",
    "a\uff1ab": "path_characters",
    "a\uff05b": "path_characters",
    # normal forms
    "cafe\u0301": "path_normalisation",
    "\ufb01le": "path_normalisation",
    "\uff41": "path_normalisation",
    "\u212b": "path_normalisation",
    "\u2488": "path_normalisation",
    # segments
    "": "path_segment",
    "a//b": "path_segment",
    "a/": "path_segment",
    " a": "path_segment",
    "a /b": "path_segment",
    "a./b": "path_segment",
    ".env": "path_segment",
    "a/.git/config": "path_segment",
    "CON": "path_segment",
    "a/nul.txt": "path_segment",
    "com1": "path_segment",
    "LPT9.log": "path_segment",
    "aux .txt": "path_segment",
    "\u00fc" * 128: "path_segment",
    # shells and globs
    "a*": "path_characters",
    "a?": "path_characters",
    "a|b": "path_characters",
    "a;b": "path_characters",
    "a`b`": "path_characters",
    "a<b": "path_characters",
    'a"b': "path_characters",
    "a'b": "path_characters",
    # bounds
    "/".join("abcdefghi"): "path_depth",
    "a" * 256: "path_segment",
}


@pytest.mark.parametrize(("path", "code"), REFUSED.items())
def test_a_path_that_might_lead_out_or_deceive_is_refused(path: str, code: str) -> None:
    refusal = ANY.segments(path)
    assert isinstance(refusal, ArgumentRefusal)
    assert refusal.code == code


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        ("a.md", True),
        ("a.txt", True),
        ("a.md.txt", True),
        ("a.MD", False),
        ("a", False),
        ("md", False),
        ("a.md/b", False),
    ],
)
def test_only_listed_suffixes_are_accepted(path: str, accepted: bool) -> None:
    allowed = ConfinedPath(suffixes={".md", ".txt"})
    assert isinstance(allowed.segments(path), tuple) == accepted


@pytest.mark.parametrize(
    "declaration",
    [
        {"suffixes": ".md"},
        {"suffixes": set()},
        {"suffixes": {"md"}},
        {"suffixes": {"./x"}},
        {"suffixes": {".."}},
        {"suffixes": {".md/"}},
        {"suffixes": {".a."}},
        {"max_length": 0},
        {"max_depth": 0},
    ],
)
def test_a_declaration_that_no_path_fits_is_the_authors_error(declaration: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="ConfinedPath"):
        ConfinedPath(**declaration)


SOUP = st.lists(
    st.one_of(
        st.sampled_from([*"/.\\:~% ab\u00fc", "..", "\uff0f", "\u2024", "%2e", "nul", ".md"]), st.characters()
    ),
    max_size=10,
).map("".join)


@given(SOUP)
@example("a/b")
def test_what_is_accepted_reads_the_same_to_every_program_and_stays_below_its_root(path: str) -> None:
    if isinstance(ANY.segments(path), ArgumentRefusal):
        return
    root = PurePosixPath("/root")
    for reading in (
        path,
        urllib.parse.unquote(path),
        unicodedata.normalize("NFKC", path),
        unicodedata.normalize("NFC", path),
        posixpath.normpath(path),
        posixpath.expanduser(path),
        posixpath.expandvars(path),
    ):
        assert reading == path
    assert PurePosixPath(posixpath.normpath(root / path)).is_relative_to(root)
    assert PureWindowsPath(path).drive == PureWindowsPath(path).root == ""
    assert ".." not in PureWindowsPath(path).parts
