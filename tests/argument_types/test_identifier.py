"""Ids in one alphabet."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolgate.domain.argument_types import Identifier
from toolgate.domain.errors import ContractError

pytestmark = pytest.mark.req("M2.13")

ORDER = Identifier(prefix="ord_", max_length=12)
PLAIN = Identifier()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ORDER, "ord_1"),
        (ORDER, "ord_A-b_2"),
        (ORDER, "ord_-x"),
        (PLAIN, "7"),
        (PLAIN, "a" * 64),
        (Identifier(alphabet="0123456789"), "0042"),
        (Identifier(prefix="v", alphabet="0123456789."), "v1.2.3"),
    ],
)
def test_an_id_of_the_declared_form_is_accepted(kind: Identifier, value: Any) -> None:
    assert kind.check(value) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ORDER, "ord_"),
        (ORDER, "ORD_1"),
        (ORDER, "cus_1"),
        (ORDER, "1"),
        (ORDER, " ord_1"),
        (ORDER, "ord_1\n"),
        (ORDER, "ord_123456789"),
        (ORDER, "ord_1' OR '1'='1"),
        (ORDER, "ord_1;--"),
        (ORDER, "ord_../1"),
        (ORDER, "ord_%2e"),
        (ORDER, "ord_\uff11"),
        (ORDER, "ord_\u0661"),
        (ORDER, "ord_\u00e9"),
        (ORDER, "ord_1\x00"),
        (ORDER, "ord_1\u200b"),
        (ORDER, "ord_\u0430"),
        (PLAIN, ""),
        (PLAIN, "-rf"),
        (PLAIN, "_x"),
        (PLAIN, "a b"),
        (PLAIN, "a/b"),
        (PLAIN, "a.b"),
        (PLAIN, "\u216b"),
        (Identifier(alphabet="0123456789"), "a1"),
        (Identifier(alphabet="abc."), "a..b"),
        (Identifier(alphabet="abc."), ".a"),
        (Identifier(prefix="v.", alphabet="abc."), "v..a"),
    ],
)
def test_anything_that_could_carry_more_than_an_id_is_refused(kind: Identifier, value: Any) -> None:
    assert kind.check(value) is not None


@pytest.mark.parametrize(
    "declaration",
    [
        {"alphabet": ""},
        {"alphabet": "-_"},
        {"alphabet": "abc/"},
        {"alphabet": "abc "},
        {"alphabet": "abc'"},
        {"alphabet": "abc\u00e9"},
        {"alphabet": "\u0661"},
        {"prefix": "-"},
        {"prefix": "_a"},
        {"prefix": "a/"},
        {"prefix": "\u00e9"},
        {"prefix": "a.."},
        {"prefix": "ord_", "max_length": 4},
        {"max_length": 0},
    ],
)
def test_a_declaration_that_is_no_id_is_the_authors_error(declaration: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="Identifier"):
        Identifier(**declaration)


@given(st.text(max_size=20) | st.text("ord_-.:/'\" \n1aA", max_size=20))
def test_what_is_accepted_is_ascii_without_a_sign_that_any_language_reads(value: Any) -> None:
    for kind in (ORDER, PLAIN, Identifier(alphabet="abc123-_.:")):
        if kind.check(value) is None:
            assert value.isascii()
            assert value[0].isalnum()
            assert not set(value) & set("/\\'\"`;$&|<>(){}[]*?!#%=+,~^@ \t\r\n\0")
            assert ".." not in value
