"""Which arguments are open-ended: SQL, commands, URLs, paths, and ids or addresses of any form. Part of question 3.

A field is suspected by its name, its format and what its tool is about. It is cleared by trying: each kind has values
that no such field may take, and the field is open if it takes one. Not here: who tries (`wrong_inputs` builds the
documents, an operation feeds them).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from toolgate.domain.checklist.answers import Defect
from toolgate.domain.checklist.exhibit import Exhibit
from toolgate.domain.checklist.places import Place, Shape, chosen, kinds_of
from toolgate.domain.checklist.strictness import FORMATS_OF_KNOWN_LENGTH
from toolgate.domain.checklist.words import names_object, words


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenKind:
    """One kind of open-ended argument, what stands in for it, and values that only an open one takes."""

    what: str
    instead: str
    hostile: tuple[str, ...]


SQL: Final = OpenKind(
    what="raw SQL",
    instead="write the query in the tool and take its values: Identifier for names, PlainText for words to look for",
    hostile=("DROP TABLE users", "1; DELETE FROM users --", "SELECT * FROM users"),
)
CODE: Final = OpenKind(
    what="a command or code to run",
    instead="make each command a tool, its choices a Literal and its names Identifier; for a file, ConfinedPath",
    hostile=("rm -rf /", "id; cat secrets", "$(id)", "`id`"),
)
URL: Final = OpenKind(
    what="an unrestricted URL",
    instead="Annotated[str, AllowedUrl(...)] with the hosts that it may name",
    hostile=("http://169.254.169.254/latest/meta-data/", "https://elsewhere.example/", "file:///etc/passwd"),
)
PATH: Final = OpenKind(
    what="a free path",
    instead="Annotated[str, ConfinedPath(...)], opened below one root",
    hostile=("../../etc/passwd", "/etc/passwd", "..\\..\\secrets.txt"),
)
EMAIL: Final = OpenKind(
    what="an e-mail address of any form",
    instead="Annotated[str, EmailAddress()]",
    hostile=("a@b.example, c@d.example", "a@b.example\r\nBcc: c@d.example", "A <a@b.example>"),
)
ID: Final = OpenKind(
    what="an id of any form",
    instead="Annotated[str, Identifier(prefix=..., max_length=...)], or a bounded integer",
    hostile=("../x", "1' OR '1'='1", "a b"),
)

_URL_NAMES: Final = frozenset(
    {"callback", "endpoint", "href", "link", "uri", "url", "urls", "uris", "webhook"}
)
_PATH_NAMES: Final = frozenset({
    "dir", "directory", "file", "filename", "filepath", "files", "folder", "path", "paths",
})  # fmt: skip
_SQL_PHRASES: Final = frozenset({"order_by", "raw_query", "where_clause"})
_SQL_IN_SQL_TOOLS: Final = frozenset({"expression", "filter", "q", "query", "statement", "stmt"})
_CODE_NAMES: Final = frozenset({
    "argv", "bash", "cmd", "cmdline", "command", "commands", "eval", "javascript", "powershell", "script", "shell",
})  # fmt: skip
_CODE_IN_CODE_TOOLS: Final = frozenset({"code", "expression", "input", "program", "source"})
_CODE_TOOLS: Final = frozenset({
    "bash", "eval", "exec", "interpreter", "javascript", "powershell", "python", "shell", "terminal",
})  # fmt: skip
_PROGRAMS: Final = frozenset({"code", "program", "script", "snippet"})
_MAIL_NAMES: Final = frozenset({"email", "emails", "mail"})
_MAIL_IN_MAIL_TOOLS: Final = frozenset({"bcc", "cc", "recipient", "recipients", "to"})
_MAIL_TOOLS: Final = frozenset({"email", "emails", "mail", "newsletter"})
_RUNS: Final = frozenset({"exec", "execute", "query", "run"})
_DATABASE: Final = frozenset({"database", "db", "mysql", "postgres", "query", "sqlite", "statement"})
_MONEY: Final = frozenset({"amount", "balance", "cost", "fee", "price", "total"})
_URL_FORMATS: Final = frozenset({"iri", "iri-reference", "multi-host-uri", "uri", "uri-reference", "url"})
_PATH_FORMATS: Final = frozenset({"directory-path", "file-path", "path"})
_LONGEST_PATTERN: Final = 4_000


def suspicion(exhibit: Exhibit, place: Place) -> OpenKind | None:
    """The kind of open-ended argument that this place would be, if nothing guards it."""
    name = place.name
    texts = [shape for shape in place.shapes if kinds_of(shape) == {"string"} and not chosen(shape)]
    if name is None or not texts:
        return None
    formats = {shape.get("format") for shape in texts}
    if formats <= FORMATS_OF_KNOWN_LENGTH:
        return None
    parts = set(words(name))
    named = names_object(name)
    if _is_sql(exhibit, name, parts):
        return SQL
    if _is_code(exhibit, parts):
        return CODE
    if formats & _URL_FORMATS or (parts & _URL_NAMES and not named):
        return URL
    if formats & _PATH_FORMATS or (parts & _PATH_NAMES and not named):
        return PATH
    if "email" in formats or _is_mail(exhibit, name):
        return EMAIL
    return ID if named else None


def _is_sql(exhibit: Exhibit, name: str, parts: set[str]) -> bool:
    if "sql" in parts or name.lower() in _SQL_PHRASES:
        return True
    tool = set(words(exhibit.name))
    about = "sql" in tool or "sql" in words(exhibit.description) or bool(tool & _RUNS and tool & _DATABASE)
    return about and bool(parts & _SQL_IN_SQL_TOOLS)


def _is_code(exhibit: Exhibit, parts: set[str]) -> bool:
    if parts & _CODE_NAMES:
        return True
    tool = set(words(exhibit.name))
    about = tool & _CODE_TOOLS or (tool & _RUNS and tool & _PROGRAMS)
    return bool(about and parts & _CODE_IN_CODE_TOOLS)


def _is_mail(exhibit: Exhibit, name: str) -> bool:
    last = words(name)[-1:]
    about = set(words(exhibit.name)) & _MAIL_TOOLS
    return bool(set(last) & _MAIL_NAMES or (about and set(last) & _MAIL_IN_MAIL_TOOLS))


def says_open(place: Place, kind: OpenKind) -> bool:
    """Whether, by the schema alone, the place takes a value that it must not."""
    texts = (shape for shape in place.shapes if kinds_of(shape) == {"string"} and not chosen(shape))
    return any(_fits(shape, value) for shape in texts for value in kind.hostile)


def _fits(shape: Shape, value: str) -> bool:
    longest, pattern = shape.get("maxLength"), shape.get("pattern")
    if isinstance(longest, int) and len(value) > longest:
        return False
    if not isinstance(pattern, str) or len(pattern) > _LONGEST_PATTERN:
        return True
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True


def loose_money(exhibit: Exhibit) -> Iterator[Defect]:
    """Amounts that are floating-point numbers: 0.1 + 0.2 is no amount of money."""
    for place in exhibit.arguments:
        if place.name and set(words(place.name)) & _MONEY and "number" in place.kinds:
            yield Defect(
                place=place.shown,
                why="an amount of money is a floating-point number",
                how="Annotated[Money, MoneyRange(...)], or a bounded integer of the smallest unit (amount_cents)",
            )


def defect_of(place: Place, kind: OpenKind) -> Defect:
    """How an open place is told."""
    return Defect(place=place.shown, why=f"it takes {kind.what}", how=kind.instead)
