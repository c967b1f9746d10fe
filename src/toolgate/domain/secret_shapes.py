"""What a secret looks like: the names that hold one and the formats that are one.

Here: the list of names, one combined pattern of formats, and the functions that replace what they find in a text.
Not here: fields that an author marked (`sensitive`), the walk through structures (`redaction`).

Where a shape is uncertain it counts as a secret: a lost detail is a nuisance, a leaked key is not. Personal data
without a telling shape (names, addresses) is for `Sensitive()`, since only the author knows it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

# --- names ----------------------------------------------------------------------------------------------------

_SECRET_NAMES: Final = frozenset({
    # credentials
    "password", "passwords", "passwd", "passphrase", "passcode", "pwd", "userpass", "dbpass", "credential",
    "credentials", "secret", "secrets", "token", "authorization", "bearer", "jwt", "cookie", "cookies",
    "sessionid", "otp", "totp", "securitycode", "recoverycode", "backupcode", "backupcodes", "pin", "pincode",
    # keys
    "apikey", "apikeys", "accesskey", "secretkey", "privatekey", "signingkey", "encryptionkey", "masterkey",
    "sharedkey", "accountkey", "sshkey", "connectionstring", "mnemonic", "seedphrase",
    # payment instruments and the one number that is a credential in practice
    "cardnumber", "creditcard", "creditcardnumber", "ccnumber", "cvv", "cvc", "cvv2", "cvc2", "iban", "ssn",
    "socialsecuritynumber",
})  # fmt: skip
_GLUED_ENDINGS: Final = (
    "password", "passwd", "passphrase", "secret", "apikey", "accesskey", "secretkey", "privatekey",
    "accesstoken", "refreshtoken", "authtoken", "sessiontoken", "idtoken", "apitoken",
)  # fmt: skip
_TRAILING_WORDS: Final = frozenset(
    {"confirm", "confirmation", "again", "repeat", "hash", "value", "old", "new"}
)
# Words of snake_case, kebab-case and camelCase; "APIKey" is two, and so is "cvv2".
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]")
_LONGEST_NAME: Final = 128
_WORDS_IN_A_NAME: Final = 3


def secret_name(key: str) -> str | None:
    """The secret that a key of this name holds (`apikey` for `X-Api-Key`), or `None`. Case and separators are free.

    The last words decide: `refresh_token` and `dbPassword2` hold one, `token_count` and `password_policy` do not.
    """
    # Its end alone is judged and remembered: a memory of whole keys would be as large as somebody's keys are long.
    return _secret_name(key[-_LONGEST_NAME:])


@lru_cache(maxsize=4096)
def _secret_name(key: str) -> str | None:
    plain = key if key.isascii() else unicodedata.normalize("NFKC", key)
    words = [word.lower() for word in _WORD.findall(plain[-_LONGEST_NAME:])]
    while words:
        for count in range(min(_WORDS_IN_A_NAME, len(words)), 0, -1):
            if (name := "".join(words[-count:])) in _SECRET_NAMES:
                return name
        for ending in _GLUED_ENDINGS:
            if words[-1].endswith(ending):
                return ending
        if not (words[-1] in _TRAILING_WORDS or words[-1].isdigit()):
            return None
        words.pop()
    return None


# --- formats --------------------------------------------------------------------------------------------------

_NAMED: Final = (
    r"(?:passw(?:or)?d|passphrase|passcode|pwd|secret|token|credentials?|(?<![a-z])(?:ssn|cvv2?|cvc2?|otp|iban)"
    r"|(?:api|access|secret|private|signing|encryption|account|shared|master)[ _-]?key)"
)
# In quotes, to the closing one (in JSON within JSON the quotes themselves are escaped).
_QUOTED: Final = r"""\[redacted:\w+\]|"(?:[^"\\\r\n]++|\\.)*+"?|'(?:[^'\\\r\n]++|\\.)*+'?|\\++"[^"\r\n]*+"?"""
# Bare, to the next space, `&`, `;` or the comma of a list; a value may hold any other sign.
_VALUE: Final = rf"""(?:{_QUOTED}|(?:(?:bearer|basic|digest|token)\s{{1,4}})?(?:[^\s&;,]|,(?![\s"']))++)"""
_IS: Final = r"""\\*["']?\s{0,4}[:=>]\s{0,4}"""

_FORMATS: Final = {
    "private_key": (
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)"
    ),
    "header": rf"(?P<header_name>(?i:authorization|cookie){_IS})(?:{_QUOTED}|[^\r\n]++)",
    "secret": rf"(?P<secret_name>(?i:{_NAMED}){_IS})(?i:{_VALUE})",
    "option": rf"(?P<option_name>--(?!-)[\w-]{{0,32}}?(?i:{_NAMED})\s{{1,4}})(?!-)(?i:{_VALUE})",
    "jwt": r"eyJ[A-Za-z0-9_-]{5,1024}+\.[A-Za-z0-9_-]{2,}+(?:\.[A-Za-z0-9_-]*+)*+",
    "aws_key": r"A[KS]IA[A-Z0-9]{16,}+",
    "github_token": r"gh[pousr]_[A-Za-z0-9]{20,}+|github_pat_[A-Za-z0-9_]{20,}+",
    "gitlab_token": r"glpat-[A-Za-z0-9_-]{16,}+",
    "slack_token": r"xox[a-z]-[A-Za-z0-9-]{10,}+|xapp-[A-Za-z0-9-]{10,}+",
    "stripe_key": r"[sr]k_(?:live|test)_[A-Za-z0-9]{10,}+|whsec_[A-Za-z0-9+/=]{10,}+",
    # Within a word only what has a digit and a capital: "risk-assessment-procedure" stays readable.
    "api_key": (
        r"sk-(?:(?<![A-Za-z0-9]sk-)|(?=[a-z0-9_-]{0,64}+[A-Z])(?=[A-Za-z_-]{0,64}+[0-9]))[A-Za-z0-9_-]{16,}+"
    ),
    "google_key": r"AIza[A-Za-z0-9_-]{30,}+|ya29\.[A-Za-z0-9_-]{20,}+",
    "bearer": r"(?i:bearer)\s{1,4}(?:(?=[^\s0-9]{0,64}[0-9])[A-Za-z0-9._~+/=-]{8,}+|[A-Za-z0-9._~+/=-]{20,}+)",
    # Greedy up to the last "@" of the authority, for a password may hold one.
    "url_credentials": r"(?<=://)(?:[^\s/@:?#]{0,128}:[^\s/?#]{0,256}|[^\s/@:?#]{16,256})(?=@)",
    "card": r"[0-9](?:[ \u00a0-]?[0-9]){12,}+",
}
_SECRET: Final = re.compile("|".join(f"(?P<{kind}>{shape})" for kind, shape in _FORMATS.items()))
_KEPT_NAME: Final = {"header": "header_name", "secret": "secret_name", "option": "option_name"}

# The cheap question first. Each hint begins with a letter that prose seldom uses, and looks back from there.
_HINT: Final = re.compile(
    r"kia(?<=akia)|k_(?<=[sr]k_)|k-(?<=sk-)|za(?<=aiza)|yj(?<=eyj)|ya29|bearer|xox|xapp-|whsec_"
    r"|gh[pousr]_|github_pat_|glpat-|://[^\s/?#]+@|-----|asia"
)
_NAME_HINT: Final = re.compile(
    r"ssw(?:or)?d|ssphrase|sscode|pwd|secret|token|key|credential|authorization|cookie|ssn|cv[vc]|otp|iban"
)
_DIGITS_HINT: Final = re.compile(r"[0-9][0-9 \u00a0-]{11}")
_SHORTEST_SECRET: Final = 5  # "pwd=x"
_SHORTEST_CARD: Final = 13
_LOOK_AHEAD: Final = 1024  # more than any format needs from its first character on to be recognised


def may_hold_secret(text: str) -> bool:
    """False only where `scrub` would change nothing; made to cost well under a microsecond for a short text."""
    size = len(text)
    if size < _SHORTEST_SECRET:
        return False
    lowered = text.lower()
    if _HINT.search(lowered):
        return True
    if size >= _SHORTEST_CARD and _DIGITS_HINT.search(text):
        return True
    named = "=" in text or ":" in text or ">" in text or "--" in text
    return named and _NAME_HINT.search(lowered) is not None


def scrub(text: str, limit: int) -> str:
    """`text` with each secret replaced by `[redacted:<kind>]`, and cut after `limit` characters of the original.

    A secret that begins before the cut is replaced whole. What was cut is said: `…[cut: N more characters]`.
    """
    size = len(text)
    if size <= limit:
        return _SECRET.sub(_replacement, text) if may_hold_secret(text) else text
    window = text[: limit + _LOOK_AHEAD]
    pieces: list[str] = []
    position = 0
    for match in _SECRET.finditer(window):
        if match.start() >= limit:
            break
        pieces += (window[position : match.start()], _replacement(match))
        position = match.end()
    pieces.append(window[position:limit])
    return f"{''.join(pieces)}…[cut: {size - max(position, limit)} more characters]"


def _replacement(match: re.Match[str]) -> str:
    kind = match.lastgroup or "secret"
    if kind == "card":
        return _without_cards(match[0])
    name = _KEPT_NAME.get(kind)
    return f"{match[name] if name else ''}[redacted:{'secret' if kind == 'option' else kind}]"


# --- payment cards --------------------------------------------------------------------------------------------

_CARD: Final = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|5[1-5][0-9]{14}|2(?:2[2-9]|[3-6][0-9]|7[012])[0-9]{13}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11}|35[0-9]{14}|220[0-4][0-9]{12}|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12,15}"
    r"|62[0-9]{14,17}|(?:50|5[6-8]|6[0-9])[0-9]{14}"
)
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_VALUES: Final = bytes.maketrans(b"0123456789", bytes(range(10)))
_GROUP: Final = re.compile("[0-9]+")
_LONGEST_CARD: Final = 19
_FIRST_DIGITS: Final = "23456"


def is_card_number(digits: str) -> bool:
    """Whether these ASCII digits have an issuer's prefix and length and the check digit of ISO/IEC 7812 (Luhn)."""
    if not _CARD.fullmatch(digits):
        return False
    raw = digits.encode()
    return (sum(raw[::-2].translate(_VALUES)) + sum(raw[-2::-2].translate(_DOUBLED))) % 10 == 0


def _without_cards(run: str) -> str:
    """A run of digit groups with each card number in it replaced; a card begins and ends where a group does."""
    groups = [(match.start(), match.end(), match[0]) for match in _GROUP.finditer(run)]
    pieces: list[str] = []
    position = first = 0
    while first < len(groups):
        after = _end_of_card([group[2] for group in groups[first : first + _LONGEST_CARD]])
        if after:
            pieces += (run[position : groups[first][0]], "[redacted:card]")
            position = groups[first + after - 1][1]
        first += after or 1
    return "".join(pieces) + run[position:]


def _end_of_card(groups: list[str]) -> int:
    """How many of these groups, from the first on, make up the longest card number; 0 if there is none."""
    found = 0
    digits = ""
    if groups[0][0] in _FIRST_DIGITS:
        for count, group in enumerate(groups, start=1):
            digits += group
            if len(digits) > _LONGEST_CARD:
                break
            if len(digits) >= _SHORTEST_CARD and is_card_number(digits):
                found = count
    return found
