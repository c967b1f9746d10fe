"""One e-mail address, as plain as mail software can agree on.

Here: the ``EmailAddress`` marker. Not here: whether the mailbox exists.

RFC 5321 sections 4.1.2 and 4.5.3.1 bound the parts. Of the characters that RFC 5322 allows in a local part, those that
mail programs have taken for routing, pipes, files or options (``! % | / ` $ * ? ^ { } ~ #``) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from toolgate.domain.argument_types.host_names import HostRule, host_rules, is_plain_name, match
from toolgate.domain.argument_types.refusal import ArgumentRefusal, RefusalCode, listing
from toolgate.domain.argument_types.string_schema import described, strict_string
from toolgate.domain.errors import ContractError

LONGEST_ADDRESS = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets
_LONGEST_LOCAL_PART = 64  # RFC 5321 section 4.5.3.1.1
_LOCAL_PATTERN = r"[A-Za-z0-9_+'&=][A-Za-z0-9_+'&=-]*(\.[A-Za-z0-9_+'&=-]+)*"
_LOCAL_PART = re.compile(_LOCAL_PATTERN)
_ANY_DOMAIN = r"[a-z0-9-]+(\.[a-z0-9-]+)+"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailAddress:
    """Marks a ``str`` as one address: ``Annotated[str, EmailAddress(domains={"example.com"})]``.

    No display name, comment, quoted local part, address literal, second recipient or line break; ASCII, the domain in
    lower case and an international one in its ``xn--`` form.

    Args:
        domains: if given, exact domains, or ``"*.example.com"`` for those below one.
        max_length: most characters, up to 254.

    Raises:
        ContractError: a domain that is none, or an impossible length.
    """

    domains: Collection[str] | None = None
    max_length: int = LONGEST_ADDRESS
    _rules: tuple[HostRule, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rules = () if self.domains is None else host_rules(self.domains, of="EmailAddress.domains")
        if any(rule.address is not None or "." not in rule.name for rule in rules):
            raise ContractError("EmailAddress.domains: full domain names only, such as 'example.com'")
        if not 6 <= self.max_length <= LONGEST_ADDRESS:  # noqa: PLR2004 - a@b.cd is the shortest
            raise ContractError(f"EmailAddress.max_length: between 6 and {LONGEST_ADDRESS}")
        object.__setattr__(self, "_rules", rules)
        if self.domains is not None:
            object.__setattr__(self, "domains", tuple(sorted(set(self.domains))))

    def check(self, value: str) -> ArgumentRefusal | None:
        """Judge one address by every rule except its length, which stands in the schema."""
        local, at, domain = value.partition("@")
        if not at or "@" in domain:
            return _no(
                "email_form", "Send exactly one address of the form name@example.com, and nothing else."
            )
        if len(local) > _LONGEST_LOCAL_PART or _LOCAL_PART.fullmatch(local) is None:
            return _no(
                "email_local_part",
                f"Before the @ write 1 to {_LONGEST_LOCAL_PART} ASCII letters, digits or . _ + - ' & = "
                "with no dot or hyphen first, no dot last and no two dots in a row; no display name.",
            )
        if "." not in domain or not is_plain_name(domain):
            return _no(
                "email_domain",
                "After the @ write a full domain name in lower-case ASCII, without a final dot.",
            )
        if self.domains is not None and match(self._rules, domain) is None:
            return _no("email_domain_not_allowed", f"Use an address at {listing(self._shown)}.")
        return None

    @property
    def _shown(self) -> tuple[str, ...]:
        return tuple(rule.shown for rule in self._rules)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return strict_string(self, source, handler, self.check, max_length=self.max_length)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        where = f" at {listing(self._shown)}" if self._rules else ""
        domain = f"({'|'.join(rule.pattern for rule in self._rules)})" if self._rules else _ANY_DOMAIN
        return described(
            handler(schema),
            description=f"One e-mail address{where}, without a display name; the domain in lower case.",
            pattern=f"^{_LOCAL_PATTERN}@{domain}$",
            format_="email",
        )


def _no(code: RefusalCode, message: str) -> ArgumentRefusal:
    return ArgumentRefusal(code=code, message=message)
