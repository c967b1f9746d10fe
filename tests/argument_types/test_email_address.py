"""One address and nothing else."""

from __future__ import annotations

import email.policy
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from toolgate.domain.argument_types import EmailAddress
from toolgate.domain.errors import ContractError

pytestmark = pytest.mark.req("M2.15")

ANY = EmailAddress()
OURS = EmailAddress(domains={"example.com", "*.example.org"})


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com",
        "Ann.O'Neil+orders@mail.example.co.uk",
        "a@b.cd",
        "a-b_c=d&e@xn--bcher-kva.example",
        "1@2.example",
        "a" * 64 + "@example.com",
    ],
)
def test_a_plain_address_is_accepted(address: str) -> None:
    assert ANY.check(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@example",
        "ann@localhost",
        "Ann <ann@example.com>",
        "<ann@example.com>",
        '"Ann" <ann@example.com>',
        '"ann smith"@example.com',
        '"a@b"@example.com',
        "ann(comment)@example.com",
        "ann@(comment)example.com",
        "ann@example.com (Ann)",
        "ann@example.com, eve@evil.test",
        "ann@example.com,eve@evil.test",
        "ann@example.com;eve@evil.test",
        "ann@example.com eve@evil.test",
        "ann@example.com\r\nBcc: eve@evil.test",
        "ann@example.com\nBcc: eve@evil.test",
        "ann\r\n@example.com",
        "ann@example.com\n",
        " ann@example.com",
        "ann@example.com ",
        "ann@example.com\x00",
        "ann@example.com%0d%0aBcc:eve@evil.test",
        "ann%evil.test@example.com",
        "evil.test!ann@example.com",
        "|/bin/sh@example.com",
        "/etc/passwd@example.com",
        "-oQ/tmp@example.com",
        "`id`@example.com",
        "$(id)@example.com",
        "mailto:ann@example.com",
        "@relay.test:ann@example.com",
        "ann@evil.test@example.com",
        "ann@@example.com",
        ".ann@example.com",
        "ann.@example.com",
        "a..b@example.com",
        "ann@.example.com",
        "ann@example..com",
        "ann@example.com.",
        "ann@-example.com",
        "ann@example-.com",
        "ann@exa_mple.com",
        "ann@Example.com",
        "ann@[127.0.0.1]",
        "ann@[IPv6:::1]",
        "ann@127.0.0.1",
        "ann@1.2",
        "ann@example.0x1",
        "ann@b\u00fccher.example",
        "\u00e4nn@example.com",
        "ann@example\u3002com",
        "ann\uff20example.com",
        "a\u200bnn@example.com",
        "ann@ex\u0430mple.com",
        "a" * 65 + "@example.com",
        "ann@" + "a" * 64 + ".com",
    ],
)
def test_anything_more_or_less_than_one_plain_address_is_refused(address: str) -> None:
    assert ANY.check(address) is not None


def test_an_address_longer_than_mail_allows_is_refused() -> None:
    typed = TypeAdapter(Annotated[str, ANY])
    domain = ".".join(["b" * 55] * 4) + ".example"
    longest = "a" * (254 - len(domain) - 1) + "@" + domain
    assert typed.validate_python(longest) == longest
    with pytest.raises(ValidationError):
        typed.validate_python("a" + longest)


@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ("ann@example.com", True),
        ("ann@x.example.org", True),
        ("ann@example.org", False),
        ("ann@x.example.com", False),
        ("ann@example.com.evil.test", False),
        ("ann@evilexample.com", False),
        ("ann@xn--80ak6aa92e.example.org", False),
    ],
)
def test_only_listed_domains_are_accepted(address: str, accepted: bool) -> None:
    assert (OURS.check(address) is None) == accepted


@pytest.mark.parametrize(
    "declaration",
    [
        {"domains": set()},
        {"domains": "example.com"},
        {"domains": {"localhost"}},
        {"domains": {"*.com"}},
        {"domains": {"Example.com"}},
        {"domains": {"@example.com"}},
        {"domains": {"127.0.0.1"}},
        {"max_length": 255},
        {"max_length": 5},
    ],
)
def test_a_declaration_that_is_no_domain_is_the_authors_error(declaration: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="EmailAddress"):
        EmailAddress(**declaration)


@given(
    st.emails()
    | st.text("ab.@-\"'(),:;<>[]\\ \r\n%!|", max_size=20)
    | st.builds("{}@{}".format, st.text("ab.-+\"'", max_size=6), st.text("ab.-1", max_size=8))
)
def test_what_is_accepted_is_exactly_one_address_to_a_mail_parser_too(address: str) -> None:
    if ANY.check(address) is not None:
        return
    header = email.policy.SMTP.header_factory("To", address)
    (only,) = header.addresses
    assert only.addr_spec == address
    assert only.display_name == ""
    assert not header.defects
