"""A URL that names one of the hosts its author listed, in one spelling.

Here: the ``AllowedUrl`` marker and the reading of one URL. Not here: where a name leads, which only the guard in
``adapters.guards`` can judge, at the moment it connects; a tool that fetches must use that guard.

The text has to be RFC 3986 in lower-case scheme and host. What is left is compared with what two other parsers see in
it (the standard library's, and a WHATWG one as in browsers): a URL that they read otherwise is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, Url

from toolgate.domain.argument_types.host_names import (
    HostRule,
    InternalHost,
    host_rules,
    is_plain_name,
    looks_like_an_address,
    match,
)
from toolgate.domain.argument_types.refusal import ArgumentRefusal, RefusalCode, character_name, listing
from toolgate.domain.argument_types.string_schema import described, strict_string
from toolgate.domain.errors import ContractError

DEFAULT_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65_535

_NOT_IN_A_URL = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]")  # RFC 3986 sections 2.1 to 2.3
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED_CONTROL = re.compile(r"%(?:[01][0-9A-Fa-f]|7[fF])")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)"
    r"(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?P<fragment>#.*)?"
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[^:\[\]]*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedUrl:
    """What every parser agrees an allowed URL names.

    Attributes:
        scheme: ``http`` or ``https``.
        host: as it stands in the URL; an IPv6 literal without its brackets.
        port: the one written, or the scheme's default.
        rule: the declared host that it matched.
    """

    scheme: str
    host: str
    port: int
    rule: HostRule


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedUrl:
    """Marks a ``str`` as a URL on an allow-list: ``Annotated[str, AllowedUrl(hosts={"docs.example.com"})]``.

    A URL is refused if it names any other host, holds user info, a fragment, a character outside RFC 3986, an encoded
    host or control character, an upper-case host, or an IP address in any notation that is not itself listed.

    Args:
        hosts: exact names; ``"*.example.com"`` for every name below ``example.com`` but not itself, and not below a
            public suffix (the author has to know that they own what is there); IP literals; ``InternalHost`` for one
            that is meant to be inside. International names in their ``xn--`` form, each listed exactly.
        schemes: out of ``https`` and ``http``.
        ports: every port that may be dialled; by default the scheme's own only.
        max_length: most characters.

    Raises:
        ContractError: a declaration that allows nothing, or that is not clear.
    """

    hosts: Collection[str | InternalHost]
    schemes: Collection[str] = ("https",)
    ports: Collection[int] | None = None
    max_length: int = 2048
    _rules: tuple[HostRule, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rules = host_rules(self.hosts, of="AllowedUrl.hosts")
        if isinstance(self.schemes, str) or not self.schemes or not set(self.schemes) <= set(DEFAULT_PORTS):
            raise ContractError(
                "AllowedUrl.schemes: a tuple out of 'https' and, where there is no TLS, 'http'"
            )
        ports = None if self.ports is None else tuple(sorted(set(self.ports)))
        if ports is not None and (not ports or not 0 < ports[0] <= ports[-1] <= _HIGHEST_PORT):
            raise ContractError("AllowedUrl.ports: list ports between 1 and 65535, or leave it out")
        if self.max_length < 1:
            raise ContractError("AllowedUrl.max_length: at least 1 character")
        object.__setattr__(self, "_rules", rules)
        # Equal declarations compare and hash alike, however their author wrote the collections.
        object.__setattr__(
            self,
            "hosts",
            self.hosts
            if isinstance(self.hosts, tuple)
            else tuple(sorted(self.hosts, key=lambda host: host if isinstance(host, str) else host.name)),
        )
        object.__setattr__(self, "schemes", tuple(sorted(set(self.schemes), reverse=True)))
        object.__setattr__(self, "ports", ports)

    def check(self, value: str) -> ArgumentRefusal | None:
        """Judge one URL."""
        parsed = self.parse(value)
        return parsed if isinstance(parsed, ArgumentRefusal) else None

    def parse(self, value: str) -> ParsedUrl | ArgumentRefusal:
        """Read one URL, or say which rule it breaks and how to mend it."""
        if len(value) > self.max_length:
            return _no("url_form", f"Send a URL of at most {self.max_length} characters.")
        if (refusal := _characters(value)) is not None:
            return refusal
        parts = _URL.fullmatch(value)
        if parts is None:
            return _no("url_form", f"Send one absolute URL, such as {self._example}.")
        return (
            self._scheme_refusal(parts["scheme"])
            or _rest_refusal(parts)
            or self._authority(value, parts["scheme"], parts["authority"])
        )

    def rule_for(self, host: str) -> HostRule | None:
        """The declared host that ``host`` is; an IPv6 literal with or without its brackets."""
        return match(self._rules, f"[{host}]" if ":" in host and not host.startswith("[") else host)

    def permits_port(self, port: int) -> bool:
        """Whether any allowed URL can lead to ``port``."""
        return port in self._ports

    def _scheme_refusal(self, scheme: str) -> ArgumentRefusal | None:
        if scheme in self.schemes:
            return None
        return _no("url_scheme", f"Use the scheme {' or '.join(self.schemes)}, in lower case.")

    def _authority(self, value: str, scheme: str, authority: str) -> ParsedUrl | ArgumentRefusal:
        if "@" in authority:
            return _no("url_userinfo", "Remove the user name and the @ before the host.")
        parts = _AUTHORITY.fullmatch(authority)
        if parts is None:
            return _no("url_host", f"Write the host plainly, as in {self._example}.")
        rule = self.rule_for(parts["host"])
        if rule is None:
            return self._host_refusal(parts["host"])
        port = self._port(scheme, parts["port"])
        if isinstance(port, ArgumentRefusal):
            return port
        host = parts["host"].removeprefix("[").removesuffix("]")
        parsed = ParsedUrl(scheme=scheme, host=host, port=port, rule=rule)
        if _standard_library(value) == _whatwg(value) == (scheme, host, port):
            return parsed
        return _no("url_ambiguous", f"Programs read this URL in different ways: write it as {self._example}.")

    def _port(self, scheme: str, written: str | None) -> int | ArgumentRefusal:
        port = DEFAULT_PORTS[scheme] if written is None else -1
        if written is not None and _PORT.fullmatch(written):
            port = int(written)
        if port == DEFAULT_PORTS[scheme] if self.ports is None else port in self.ports:
            return port
        if self.ports is None:
            return _no("url_port", "Leave out the port.")
        return _no("url_port", f"Use port {listing(tuple(str(one) for one in self.ports))}.")

    def _host_refusal(self, host: str) -> ArgumentRefusal:
        allowed = f"Allowed: {listing(self._shown)}."
        if not host:
            return _no("url_host", f"Name a host. {allowed}")
        if host.endswith("."):
            return _no("url_host", f"Remove the dot at the end of the host. {allowed}")
        if "%" in host:
            return _no("url_host", f"Write the host without percent-encoding. {allowed}")
        if looks_like_an_address(host):
            return _no("url_ip_address", f"Use the name of the host, not an IP address. {allowed}")
        if host != host.lower() and is_plain_name(host.lower()):
            return _no("url_host", f"Write the host in lower case. {allowed}")
        if not is_plain_name(host):
            return _no("url_host", f"The host is not a valid name. {allowed}")
        return _no("url_host_not_allowed", f"This host is not allowed. {allowed}")

    @property
    def _ports(self) -> tuple[int, ...]:
        if self.ports is None:
            return tuple(DEFAULT_PORTS[scheme] for scheme in self.schemes)
        return tuple(self.ports)

    @property
    def _shown(self) -> tuple[str, ...]:
        return tuple(rule.shown for rule in self._rules)

    @property
    def _example(self) -> str:
        return f"{next(iter(self.schemes))}://{self._rules[0].shown.replace('*', 'www')}/path"

    @property
    def _pattern(self) -> str:
        hosts = "|".join(rule.pattern for rule in self._rules)
        ports = "|".join(str(port) for port in self._ports)
        return f"^({'|'.join(self.schemes)})://({hosts})(:({ports}))?([/?][!-~]*)?$"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return strict_string(self, source, handler, self.check, max_length=self.max_length)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return described(
            handler(schema),
            description=(
                f"One {' or '.join(self.schemes)} URL in ASCII on an allowed host: {listing(self._shown)}. "
                "No user name, no fragment."
            ),
            pattern=self._pattern,
            format_="uri",
        )


def _no(code: RefusalCode, message: str) -> ArgumentRefusal:
    return ArgumentRefusal(code=code, message=message)


def _characters(value: str) -> ArgumentRefusal | None:
    foreign = _NOT_IN_A_URL.search(value)
    if foreign is not None:
        return _no("url_characters", _character_advice(foreign.group()))
    if _BROKEN_PERCENT.search(value):
        return _no(
            "url_characters", "Each % must be followed by two hexadecimal digits; write a plain % as %25."
        )
    if _ENCODED_CONTROL.search(value):
        return _no("url_characters", "Remove the percent-encoded control characters (%00 to %1F, %7F).")
    return None


def _character_advice(character: str) -> str:
    name = character_name(character)
    if character == "\\":
        return "Write slashes (/) and no backslash."
    if not character.isascii():
        return f"Remove {name} or percent-encode it; write an international host in its xn-- form."
    if character.isspace() or not character.isprintable():
        return f"Remove the blank or control character {name}."
    return f"Percent-encode {name}, which may not stand in a URL."


def _rest_refusal(parts: re.Match[str]) -> ArgumentRefusal | None:
    if parts["fragment"] is not None:
        return _no("url_fragment", "Remove the fragment (# and what follows); a server never sees it.")
    if any(bracket in (parts["path"] or "") + (parts["query"] or "") for bracket in "[]"):
        return _no("url_characters", "Percent-encode [ as %5B and ] as %5D.")
    return None


def _standard_library(value: str) -> tuple[str, str, int] | None:
    """Scheme, host and port as ``urllib`` reads them, or ``None`` if it sees more or less than those."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.password is not None or parts.hostname is None:
        return None
    return parts.scheme, parts.hostname, DEFAULT_PORTS.get(parts.scheme, 0) if port is None else port


def _whatwg(value: str) -> tuple[str, str, int] | None:
    """Scheme, host and port as a WHATWG parser reads them, or ``None`` if it sees more or less than those."""
    try:
        url = Url(value)
    except ValueError:
        return None
    if url.username is not None or url.password is not None or url.host is None or url.port is None:
        return None
    return url.scheme, url.host.removeprefix("[").removesuffix("]"), url.port
