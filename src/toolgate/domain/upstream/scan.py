"""What in a tool's definition speaks to the model instead of describing the tool: documented rules, each with an id.

Everything that a model would read is looked at: name, title, description, and in the schemas every title, description,
property name, choice, default and example. A finding is a reason for a person to look, and no proof; a definition
without findings is not thereby harmless. Findings of severity ``refuse`` cannot be accepted: the text cannot be
reviewed as it stands. ``warn`` has to be accepted by name, ``note`` is told.
Not here: who accepts (``toolgate upstreams pin``), and what is done with a tool that changes later (the lock).
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from toolgate.domain.argument_types.hidden_characters import first_hidden
from toolgate.domain.upstream.definition import Definition
from toolgate.domain.upstream.lock import escaped

Severity = Literal["refuse", "warn", "note"]
MAX_FINDINGS: Final = 50
LONG_DESCRIPTION: Final = 4_000
"""Characters of a description beyond which nobody reads it to the end."""
_LONG_FIELD: Final = 1_500
_EXCERPT: Final = 120
_MAX_TEXT: Final = 65_536
_SHORTEST_NAME: Final = 5
_SENTENCE: Final = 500
"""Characters to either side of a name that count as its sentence, at most."""


class Rule(NamedTuple):
    """What is looked for. ``why`` is for the documentation and for whoever pins."""

    severity: Severity
    title: str
    why: str
    patterns: tuple[str, ...] = ()


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "hidden-text": Rule(
            "refuse",
            "characters that do not show",
            "direction marks, zero-width characters, tags, runs of variation selectors and private use hide text from "
            "whoever reviews it, and not from the model",
        ),
        "override": Rule(
            "warn",
            "tells the model to forget what it was told",
            "a description has no business with other instructions",
            (
                (
                    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,40}\b(?:previous|prior|above|"
                    r"earlier|all|any|"
                    r"system|other|your)\b[^.\n]{0,30}\b(?:instruction|prompt|rule|guideline|message|"
                    r"context|polic|direction)"
                ),
                r"\b(?:new|updated|real|actual) (?:system )?instructions?\b\s*(?::|are|follow)",
                r"\byou are (?:now|no longer)\b",
                r"\bfrom now on\b[^.\n]{0,40}\byou\b",
                (
                    r"\b(?:these|this|the following) instructions?\b[^.\n]{0,40}\b(?:priority|precedence|"
                    r"overrid|supersede)"
                ),
            ),
        ),
        "conceal": Rule(
            "warn",
            "asks for silence towards the user",
            "what a tool does may be told to whoever asked for it",
            (
                (
                    r"\b(?:do not|don'?t|never|must not|should not|without)\b[^.\n]{0,30}\b(?:tell|telling|"
                    r"inform|informing|"
                    r"mention|mentioning|reveal|revealing|show|showing|notify|notifying|disclose|"
                    r"disclosing|alert|alerting|"
                    r"let)\b[^.\n]{0,40}\b(?:user|human|person|anyone|customer|operator|them|they)\b"
                ),
                (
                    r"\b(?:secretly|covertly|silently|quietly)\b[^.\n]{0,40}\b(?:send|read|call|pass|copy|"
                    r"forward|include|use|add|"
                    r"collect|append)\b"
                ),
                r"\bwithout (?:the )?(?:user'?s?|their) (?:knowledge|knowing|noticing|consent|awareness)\b",
                r"\bkeep (?:this|it|that)\b[^.\n]{0,20}\b(?:secret|hidden|confidential|between us)\b",
                r"\b(?:user|they)\b[^.\n]{0,20}\b(?:must|should|need|does|do) not (?:know|see|notice|be told)\b",
            ),
        ),
        "command": Rule(
            "warn",
            "orders the model about, beyond this tool",
            "whether and in which order tools are used is the application's to say",
            (
                (
                    r"\b(?:before|prior to|after|whenever|each time|every time|"
                    r"when)\b[^.\n]{0,25}\b(?:using|calling|invoking|"
                    r"running|use|call|invoke|run)\b[^.\n]{0,15}\b(?:any|all|every|another|"
                    r"other)\b[^.\n]{0,15}\btools?\b"
                ),
                (
                    r"\b(?:before|prior to|after|when) (?:using|calling|invoking|"
                    r"running) this tool\b[^.\n]{0,80}\b(?:you )?"
                    r"(?:must|always|have to|need to|first|read|send|fetch|pass)\b"
                ),
                (
                    r"\b(?:you|the (?:assistant|model|agent|ai|llm)) (?:must|shall|have to|"
                    r"are required to)\b[^.\n]{0,60}\b(?:"
                    r"always|first|also|every|immediately|send|include|append|forward|obey|comply|follow|"
                    r"execute|read)\b"
                ),
                r"\balways (?:call|use|run|invoke|prefer) this (?:tool )?(?:first|before|instead)\b",
                r"\bthis (?:step|tool|call) is (?:mandatory|required) (?:for|before|in) (?:every|all|any)\b",
                r"\botherwise\b[^.\n]{0,40}\b(?:tools? will (?:not work|fail|break)|the (?:system|user) will)\b",
            ),
        ),
        "marker": Rule(
            "warn",
            "marks a part as if it came from somebody else",
            "role tags and attention marks give text a weight that a description does not have",
            (
                (
                    r"</?\s*(?:important|system|instructions?|secret|hidden|critical|admin|developer|"
                    r"assistant|user|prompt|"
                    r"override|internal)\b[^>\n]{0,40}>"
                ),
                r"<\|[a-z_]{2,20}\|>",
                r"\[/?(?:INST|SYS|SYSTEM|ASSISTANT|USER)\]",
                r"(?m)^\s*#{0,4}\s*(?:system|assistant|developer)\s*(?:prompt|message)?\s*:\s",
                r"<!--",
            ),
        ),
        "harvest": Rule(
            "warn",
            "wants files, keys or the environment read",
            "a tool gets what its arguments hold; it never needs the model to fetch secrets for it",
            (
                (
                    r"(?:~|\$HOME|/home/[^\s/]+|/root|%USERPROFILE%)?[/\\]\.(?:ssh|aws|kube|gnupg|docker|"
                    r"netrc|npmrc|pgpass|config)"
                    r"\b"
                ),
                r"\bid_(?:rsa|dsa|ecdsa|ed25519)\b|/etc/(?:passwd|shadow)\b|\bmcp\.json\b|\bclaude_desktop_config\b",
                (
                    r"\b(?:read|open|load|cat|fetch|retrieve|include|send|provide|extract|copy|dump|"
                    r"collect|pass|find)\b[^.\n]{0,60}"
                    r"\b(?:ssh|private|secret|api|access|encryption|signing) ?keys?\b"
                ),
                (
                    r"\b(?:read|open|load|fetch|retrieve|include|send|extract|copy|dump|collect|pass|"
                    r"list)\b[^.\n]{0,40}\b(?:"
                    r"environment variables?|env vars?|\.env\b|credentials? file|password (?:file|store)|"
                    r"keychain|cookies)"
                ),
                (
                    r"\b(?:system prompt|conversation history|chat history|previous messages?|"
                    r"full conversation|entire context)\b"
                    r"[^.\n]{0,60}\b(?:as|in|into|to|with|through)\b[^.\n]{0,30}\b(?:this|argument|"
                    r"parameter|field|tool)\b"
                ),
                (
                    r"\b(?:pass|send|include|provide|put|append|insert|paste|"
                    r"copy)\b[^.\n]{0,40}\b(?:system prompt|conversation "
                    r"history|chat history|previous messages?|full conversation|entire context|"
                    r"(?:contents?|results?|outputs?) of "
                    r"(?:other|all|any|every|previous) (?:tool|file|message))"
                ),
            ),
        ),
        "redirect": Rule(
            "warn",
            "sends data, mail or payments elsewhere",
            "a fixed recipient belongs in the server's configuration and not in words to a model",
            (
                (
                    r"\b(?:send|forward|post|upload|copy|bcc|cc|exfiltrate|transmit|submit|report|"
                    r"redirect)\b[^.\n]{0,80}\b(?:to|at)\b"
                    r"[^.\n]{0,30}(?:https?://|[\w.+-]+@[\w-]+\.[a-z]{2,})"
                ),
                (
                    r"\b(?:change|replace|set|use|substitute)\b[^.\n]{0,40}\b(?:recipient|destination|"
                    r"account|wallet|address|payee|iban)"
                    r"\b[^.\n]{0,40}(?:https?://|[\w.+-]+@[\w-]+\.[a-z]{2,}|\b[A-Z]{2}\d{2}[A-Z0-9]{10,}|"
                    r"\b0x[0-9a-fA-F]{16,})"
                ),
                r"!\[[^\]\n]{0,80}\]\(\s*https?://[^)\n]{0,200}[?&=$\{]",
                r"https?://[^\s\"'<>)]{1,200}[?&][\w-]{1,30}=(?:\{|\$|<|%7B)",
            ),
        ),
        "other-tool": Rule(
            "warn",
            "speaks about another tool",
            "a description that steers other tools (of this or of another upstream) shadows them",
        ),
        "encoded": Rule(
            "warn",
            "holds text that cannot be read",
            "a long run of base64, hexadecimal or escapes can carry anything",
            (
                (
                    r"(?<![A-Za-z0-9+/_-])(?=[A-Za-z0-9+/_-]*[a-z])(?=[A-Za-z0-9+/_-]*[A-Z])(?=[A-Za-z0-9+/_-]*\d)"
                    r"[A-Za-z0-9+/_-]{48,}={0,2}"
                ),
                r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}){40,}(?![0-9A-Fa-f])",
                r"(?:\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|%[0-9A-Fa-f]{2}|&#x?[0-9A-Fa-f]{2,6};){8,}",
            ),
        ),
        "long": Rule(
            "note",
            "is very long",
            f"beyond {LONG_DESCRIPTION} characters a description ({_LONG_FIELD} a field) nobody reads it to the end",
        ),
        "link": Rule(
            "note",
            "holds a link",
            "a model may follow it, and what stands there is not pinned",
            (r"https?://\S",),
        ),
        "look-alike": Rule(
            "warn",
            "mixes alphabets within a word",
            "letters of two scripts in one word make one name look like another",
        ),
        "said-harmless": Rule(
            "note",
            "says by annotation that it is harmless",
            "readOnlyHint and its like are the upstream's own word; the overlay says what counts",
        ),
    }
)
"""Id → rule. The table of the documentation is made of it."""

_COMPILED: Final = {
    rule: tuple(re.compile(pattern, re.IGNORECASE) for pattern in RULES[rule].patterns) for rule in RULES
}
_SPEAKS_OF: Final = re.compile(
    (
        r"\b(?:use|call|using|calling|invoke|invoking|instead of|before|after|first|never|"
        r"always|must|rather than|not|replaces?|prefer)\b"
    ),
    re.IGNORECASE,
)
_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,4096}={0,2}")
_URL_SAFE: Final = frozenset("-_")
_FEWEST_SPACES: Final = 2
_WRAPPED: Final = re.compile(r"(?<=[^\s.:;!?|>])[^\S\n]*\n[^\S\n]*(?=[^\W_])")
"""The end of a line in the midst of a sentence, which a model reads over."""
_SHOWN_ALIKE: Final = str.maketrans(
    "’‘аеорсухіѕԁјһԛԝʼɡАВЕКМНОРСТХІЅЈαονικρτυ",  # noqa: RUF001 - they are meant
    "''aeopcyxisdjhqw'gABEKMHOPCTXISJaovikptu",
)
"""Letters of other alphabets that show as Latin ones: a rule is not evaded by a word spelt with them."""
_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_READ_OUT: Final = frozenset({"title", "description", "default", "examples", "enum", "const", "$comment"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that struck. ``excerpt`` is printable and short; ``where`` names the part of the definition."""

    rule: str
    where: str
    excerpt: str

    @property
    def severity(self) -> Severity:
        """Of its rule."""
        return RULES[self.rule].severity


def scan(definition: Definition, others: Iterable[str] = ()) -> tuple[Finding, ...]:
    """What a person should look at. ``others`` are the names of other tools, of this upstream and of every other."""
    names = {name for name in others if name != definition.name}
    found: dict[tuple[str, str], Finding] = {}
    for where, text in _texts(definition):
        for rule, excerpt in _struck(where, text[:_MAX_TEXT], names):
            found.setdefault((rule, where), Finding(rule=rule, where=where, excerpt=excerpt))
    if (
        definition.annotations.get("readOnlyHint") is True
        or definition.annotations.get("destructiveHint") is False
    ):
        found["said-harmless", "annotations"] = Finding(rule="said-harmless", where="annotations", excerpt="")
    order = {"refuse": 0, "warn": 1, "note": 2}
    return tuple(sorted(found.values(), key=lambda finding: order[finding.severity])[:MAX_FINDINGS])


def _texts(definition: Definition) -> Iterator[tuple[str, str]]:
    yield "name", definition.name
    if definition.title:
        yield "title", definition.title
    yield "description", definition.description
    for part, schema in (
        ("inputSchema", definition.input_schema),
        ("outputSchema", definition.output_schema or {}),
    ):
        yield from _in_schema(schema, part)
    yield from _in_value(definition.annotations, "annotations")


def _in_schema(node: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text of a schema. Names of fields are texts, too."""
    if isinstance(node, list):
        for place, item in enumerate(node):
            yield from _in_schema(item, f"{where}[{place}]")
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield f"{where}, a name", str(key)
            if key in _READ_OUT and not isinstance(value, Mapping):
                yield from _in_value(value, f"{where}.{key}")
            else:
                yield from _in_schema(value, f"{where}.{key}")
    elif isinstance(node, str):
        yield where, node


def _in_value(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list):
        for item in value:
            yield from _in_value(item, where)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield f"{where}, a name", str(key)
            yield from _in_value(item, f"{where}.{key}")


def _struck(where: str, text: str, names: set[str]) -> Iterator[tuple[str, str]]:
    if (hidden := first_hidden(text.replace("\r\n", "\n"), multiline=True)) is not None:
        yield "hidden-text", _around(text, text.index(hidden), text.index(hidden) + 1)
    plain = _folded(f"{text}. {_spelt(text)}" if where.endswith("name") and "_" in text else text)
    # What is written for a machine (a pattern, a format) holds no sentences, and many signs.
    spoken = not where.endswith((".pattern", ".format", ".$ref", ".$schema", ".$id", ".type"))
    for rule, patterns in _COMPILED.items():
        for pattern in patterns if spoken else ():
            if (match := pattern.search(plain)) is not None:
                yield rule, _around(plain, match.start(), match.end())
                break
    if spoken and (name := _other_tool(plain, names)) is not None:
        at = plain.index(name)
        yield "other-tool", _around(plain, at, at + len(name))
    if spoken and (decoded := _decoded(plain)) is not None:
        yield "encoded", escaped(decoded)[:_EXCERPT]
    if (word := _look_alike(text)) is not None:
        yield "look-alike", escaped(word)[:_EXCERPT]
    if len(text) > (LONG_DESCRIPTION if where == "description" else _LONG_FIELD):
        yield "long", f"{len(text)} characters"


def _folded(text: str) -> str:
    """``text`` as a model reads it: compatibility forms as the letters they show, spaces as one."""
    folded = unicodedata.normalize("NFKC", text)
    visible = "".join(
        char for char in folded if char == "\n" or unicodedata.category(char) not in {"Cf", "Cc", "Mn"}
    )
    unwrapped = _WRAPPED.sub(" ", visible.translate(_SHOWN_ALIKE))
    return re.sub(r"[^\S\n]+", " ", unwrapped)


def _spelt(name: str) -> str:
    """``ignore_all_rules`` as the sentence that a model reads in it."""
    return name.replace("_", " ").replace("-", " ")


def _decoded(text: str) -> str | None:
    """What stands there in base64, if that is a sentence."""
    for match in _BASE64.finditer(text):
        run = match[0].rstrip("=")
        try:
            said = base64.b64decode(
                run + "=" * (-len(run) % 4), altchars=b"-_" if _URL_SAFE & set(run) else None
            )
        except binascii.Error:
            continue
        if said.isascii() and said.decode().isprintable() and said.count(b" ") >= _FEWEST_SPACES:
            return said.decode()
    return None


def _other_tool(text: str, names: set[str]) -> str | None:
    """The name of another tool, where the sentence around it says what to do with it.

    A name of one plain word is an ordinary word, too, and counts only in quotes.
    """
    lowered = text.lower()
    for name in sorted(names):
        if len(name) < _SHORTEST_NAME or name.lower() not in lowered:
            continue
        plain = name.isalpha() and (name.islower() or name.istitle())
        wanted = rf"[`'\"]{re.escape(name)}[`'\"]" if plain else rf"(?<![\w-]){re.escape(name)}(?![\w-])"
        for match in re.finditer(wanted, text, re.IGNORECASE):
            least, most = max(0, match.start() - _SENTENCE), match.end() + _SENTENCE
            start, end = text.rfind(".", least, match.start()) + 1, text.find(".", match.end(), most)
            if _SPEAKS_OF.search(text, start or least, end if end >= 0 else most):
                return match[0].strip("`'\"")
    return None


def _look_alike(text: str) -> str | None:
    """A word with letters of the Latin and of the Cyrillic or Greek script."""
    if text.isascii():
        return None
    for match in _WORD.finditer(text):
        scripts = {unicodedata.name(char, "").partition(" ")[0] for char in match[0]}
        if "LATIN" in scripts and scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"}:
            return match[0]
    return None


def _around(text: str, start: int, end: int) -> str:
    end = min(end, start + _EXCERPT)
    margin = max(0, (_EXCERPT - (end - start)) // 2)
    return escaped(" ".join(text[max(0, start - margin) : end + margin].split(" ")))[: 2 * _EXCERPT]


__all__ = ["LONG_DESCRIPTION", "RULES", "Finding", "Rule", "Severity", "scan"]
