"""What a value looks like once it may be written down: no secret, bounded, and always writable."""

from __future__ import annotations

import enum
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolgate.domain.canonical import canonical_json
from toolgate.domain.redaction import Redactor, redact_text
from toolgate.domain.secret_shapes import is_card_number, may_hold_secret, scrub, secret_name

# Put together here, so that no scanner of the repository takes an example for a leak.
SECRETS = {
    "aws_key": "AKIA" + "IOSFODNN7EXAMPLE",
    "github_token": "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "fine_grained": "github_pat_" + "11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "gitlab_token": "glpat-" + "XyZ0123456789abcdefg",
    "slack_token": "xoxb-" + "123456789012-abcdefABCDEF",
    "stripe_key": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "restricted": "rk_test_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "openai": "sk-proj-" + "abcDEF0123456789abcDEF",
    "anthropic": "sk-ant-api03-" + "abcDEF0123456789abcDEF",
    "google_key": "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "jwt": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "private_key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nx/Y+z\n-----END RSA PRIVATE KEY-----",
    "cut_private_key": "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA",
    "bearer": "Bearer " + "mF_9.B5f-4.1JqM",
    "url": "postgres://app:" + "s3cr@t!x@db.internal/app",
    "assignment": "password=" + "correct;horse"[:7] + "9x",
    "header": "Authorization: Basic " + "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    "option": "--api-key " + "zzz999yyy",
    "json_in_text": '{"client_secret": "' + 'a \\"quoted\\" one"}',
    "card": "4111 1111 " + "1111 1111",
    "amex": "3782-822463-10005",
}
# What must be gone: the part that gives access, not the words that name it.
CORES = {
    "bearer": "mF_9.B5f-4.1JqM",
    "url": "s3cr@t!x",
    "assignment": "correct9x",
    "header": "QWxhZGRpbjpvcGVuIHNlc2FtZQ",
    "option": "zzz999yyy",
    "json_in_text": "one",
    "private_key": "MIIEowIBAAKCAQEA",
    "cut_private_key": "MIIEowIBAAKCAQEA",
}
NAMES = sorted(SECRETS)
SECRET_KEYS = [
    "password",
    "Passwd",
    "apiKey",
    "x-api-key",
    "ACCESS_TOKEN",
    "clientSecret",
    "Set-Cookie",
    "cvv",
]

PLAIN = st.text(st.characters(codec="ascii", categories=["Ll", "Zs"]), max_size=20)
ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.binary(max_size=5)
    | st.tuples(st.integers())
    | st.sampled_from([object(), json, b"x", {1, 2}, enum.Enum])
)
TREES = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(ODD.filter(_hashable := lambda x: x.__hash__), inner)
    ),
    max_leaves=20,
)


def keyed(message: bytes) -> str:
    return "hmac:k1:" + hmac.digest(b"k" * 32, message, "sha256").hex()[:16]


def plant(leaf: Any, steps: list[str | int]) -> Any:
    """`leaf` at the end of `steps`: a number makes a list with so many items before it."""
    for step in reversed(steps):
        leaf = {step: leaf, "other": "plain"} if isinstance(step, str) else [*range(step), leaf]
    return leaf


STEPS = st.lists(st.integers(0, 3) | st.sampled_from(["a", "note", "body", "items"]), max_size=8)


@pytest.mark.req("M11.5")
@given(st.sampled_from(NAMES), PLAIN, PLAIN, STEPS)
def test_a_known_secret_never_survives_wherever_it_is_planted(
    name: str, before: str, after: str, steps: list[str | int]
) -> None:
    text = f"{before} {SECRETS[name]} {after}"

    written = json.dumps(Redactor(keyed).redact(plant(text, steps)))

    assert CORES.get(name, SECRETS[name]) not in json.loads(f'"{json.dumps(written)[1:-1]}"')
    assert CORES.get(name, SECRETS[name]) not in written
    assert "[redacted:" in written


@pytest.mark.req("M11.5")
@given(st.sampled_from(SECRET_KEYS), st.uuids().map(str) | st.integers(10**6, 10**9), STEPS, STEPS)
def test_whatever_stands_under_a_secret_name_is_replaced_whole(
    key: str, secret: str | int, above: list[str | int], below: list[str | int]
) -> None:
    written = json.dumps(Redactor(keyed).redact(plant({key: plant(secret, below)}, above)))

    assert str(secret) not in written
    assert "[redacted:" in written


@pytest.mark.req("M11.4")
@given(st.text() | st.integers() | st.booleans() | st.none() | st.lists(st.integers()), STEPS)
def test_a_marked_value_of_any_type_becomes_a_keyed_digest_at_any_depth(
    secret: Any, steps: list[str | int]
) -> None:
    path = (*("*" if isinstance(step, int) else step for step in steps), "iban")
    redactor = Redactor(keyed, [path])

    written = redactor.redact(plant({"iban": secret, "visible": "yes"}, steps))

    for step in steps:
        written = written[step]  # type: ignore[index]
    assert isinstance(written, dict)
    assert str(written["iban"]).startswith(("hmac:k1:", "[redacted:sensitive]"))
    assert written["visible"] == "yes"


@pytest.mark.req("M11.4")
def test_equal_values_have_equal_digests_and_others_do_not() -> None:
    redactor = Redactor(keyed, [("a",), ("b",), ("c",), ("d",)])

    shown: Any = redactor.redact({"a": 1234, "b": 1234, "c": "1234", "d": {"x": [1234]}})

    assert shown["a"] == shown["b"] == keyed(b"1234")
    assert shown["c"] == keyed(b'"1234"')
    assert len({shown["a"], shown["c"], shown["d"]}) == 3


@pytest.mark.req("M11.4")
def test_a_marked_container_is_replaced_whole_and_a_marked_root_too() -> None:
    value: dict[str, Any] = {"card": {"number": "4111", "holder": ["Jane"]}}

    assert Redactor(keyed, [("card",)]).redact(value) == {"card": keyed(canonical_json(value["card"]))}
    assert Redactor(keyed, [()]).redact(value) == keyed(canonical_json(value))


@pytest.mark.req("M11.4")
def test_paths_reach_through_lists_mappings_and_any_number_of_levels() -> None:
    redactor = Redactor(keyed, [("items", "*", "card"), ("by_name", "*"), ("tree", "**", "secret_note")])
    tree = {"secret_note": "a", "kids": [{"secret_note": "b", "kids": [{"secret_note": "c", "n": 1}]}]}

    shown: Any = redactor.redact(
        {
            "items": [{"card": "x", "n": 1}, {"card": "y"}],
            "by_name": {"p": "x", "q": 2},
            "tree": tree,
            "card": "z",
        }
    )

    hidden = {letter: keyed(json.dumps(letter).encode()) for letter in "abcxy"}
    assert shown == {
        "items": [{"card": hidden["x"], "n": 1}, {"card": hidden["y"]}],
        "by_name": {"p": hidden["x"], "q": keyed(b"2")},
        "tree": {
            "secret_note": hidden["a"],
            "kids": [{"secret_note": hidden["b"], "kids": [{"secret_note": hidden["c"], "n": 1}]}],
        },
        "card": "z",
    }


@pytest.mark.req("M11.5", "M11.18")
@given(TREES)
def test_any_value_at_all_becomes_one_that_can_be_hashed_and_written(value: Any) -> None:
    shown = Redactor(keyed, [("a",), ("*", "b"), ("**", "c")]).redact(value)

    canonical_json(shown).decode()


@pytest.mark.req("M11.18")
@given(TREES)
def test_redaction_leaves_what_it_was_given_untouched(value: Any) -> None:
    before = repr(value)

    Redactor(keyed).redact(value)

    assert repr(value) == before


@pytest.mark.req("M11.18")
def test_what_is_no_json_is_named_by_its_type_and_never_shown() -> None:
    class Account:
        def __repr__(self) -> str:
            return "Account(secret)"

    value = {"a": Account(), "b": b"secret", "c": (1,), "d": float("nan"), "e": 10**30, ("k",): 1, "f": 2**60}

    assert Redactor(keyed).redact(value) == {
        "a": "[not JSON: Account]",
        "b": "[not JSON: bytes]",
        "c": "[not JSON: tuple]",
        "d": "[not JSON: number that is not finite]",
        "e": "[not JSON: integer of 100 bits]",
        "[not JSON: tuple]": 1,
        "f": str(2**60),
    }


@pytest.mark.req("M11.18")
def test_every_bound_says_what_it_cut() -> None:
    redactor = Redactor(keyed, max_depth=3, max_nodes=12, max_string=10, max_total=100)

    shown: Any = redactor.redact({"text": "x" * 25, "deep": [[[["x"]]]], "list": list(range(20)), "last": 1})

    assert shown["text"] == "x" * 10 + "…[cut: 15 more characters]"
    assert shown["deep"] == [["…[cut: nested too deep]"]]
    assert shown["list"] == [0, 1, 2, 3, 4, 5, 6, "…[cut: 13 more items]"]
    assert shown["…"] == "[cut: 1 more entries]"
    assert redactor.redact(["x" * 10] * 11)[10] == "…[cut: 10 more characters]"  # type: ignore[index]


@pytest.mark.req("M11.18")
def test_a_value_that_contains_itself_is_cut() -> None:
    loop: dict[str, Any] = {}
    loop["again"] = [loop, loop]

    assert len(json.dumps(Redactor(keyed).redact(loop))) < 1_000_000


@pytest.mark.req("M11.5")
def test_a_secret_that_is_a_key_or_a_number_is_caught_too() -> None:
    number = int("4111" + "1111" * 3)
    shown = Redactor(keyed).redact({SECRETS["jwt"]: 1, SECRETS["openai"]: 2, "n": number, "f": float(number)})

    assert shown == {
        "[redacted:jwt]": 1,
        "[redacted:api_key]": 2,
        "n": "[redacted:card]",
        "f": "[redacted:card]",
    }


@pytest.mark.req("M11.5")
def test_two_keys_that_look_alike_once_redacted_are_both_kept() -> None:
    assert Redactor(keyed).redact({chr(0xD800): 1, chr(0xD801): 2}) == {"?": 1, "?#1": 2}


# --- texts ----------------------------------------------------------------------------------------------------


@pytest.mark.req("M11.5")
@given(st.sampled_from(NAMES), st.integers(0, 60), st.integers(1, 80))
def test_a_secret_across_the_cut_is_never_shown_in_part(name: str, before: int, limit: int) -> None:
    secret = SECRETS[name]
    core = CORES.get(name, secret)
    text = "." * before + " " + secret + " " + "tail " * 60

    shown = redact_text(text, max_characters=limit)

    assert core[: len(core) // 2 + 1] not in shown
    assert "more characters]" in shown


@pytest.mark.req("M11.5")
@given(
    st.lists(
        st.text(max_size=6)
        | st.sampled_from(sorted(SECRETS.values()))
        | st.sampled_from(
            ["password", "key", "token", ":", "=", "--", ">", " ", "sk-", "4111", "1111", "://", "@", "a"]
        )
    ).map("".join)
)
def test_the_cheap_question_overlooks_nothing_that_the_patterns_find(text: str) -> None:
    if not may_hold_secret(text):
        assert scrub(text + " " * 5_000, len(text)).startswith(text)


@pytest.mark.req("M11.5")
@given(st.lists(st.sampled_from([*SECRETS.values(), "plain", "\n", " ", "password: "])).map("".join))
def test_what_was_redacted_once_stays_as_it_is(text: str) -> None:
    once = redact_text(text)

    assert redact_text(once) == once


@pytest.mark.req("M11.5")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DB_PASSWORD=hunter2 next", "DB_PASSWORD=[redacted:secret] next"),
        ("?token=abc&page=2", "?token=[redacted:secret]&page=2"),
        ('{"password": "a b", "n": 1}', '{"password": [redacted:secret], "n": 1}'),
        (r"{\"password\": \"a b\", \"n\": 1}", r"{\"password\": [redacted:secret], \"n\": 1}"),
        ("<password>abc</password>", "<password>[redacted:secret]"),
        ("Cookie: a=b; c=d\nHost: x", "Cookie: [redacted:header]\nHost: x"),
        ("mysql --password hunter2 -v", "mysql --password [redacted:secret] -v"),
        ("https://user:pa:ss@host/path", "https://[redacted:url_credentials]@host/path"),
        ("paid with 4111-1111-1111-1111 12/30", "paid with [redacted:card] 12/30"),
        ("order 1234 4111 1111 1111 1111.", "order 1234 [redacted:card]."),
    ],
)
def test_the_secret_goes_and_what_names_it_stays(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@pytest.mark.req("M11.5")
@pytest.mark.parametrize(
    "text",
    [
        "customer asked for it, was very unhappy",
        "2024-01-01T00:00:00.123456Z",
        "https://example.com:8080/a/b?x=1&mail=a@b.c",
        "01HZX3K5V5T2Q7N8B9C0D1E2F3",
        "jane.doe@example.com",
        "risk-assessment-procedure-for-the-desk",
        "the secretary: Joe; max_tokens=512; keyboard: large",
        "order 4111 1111 1111 1112",
        "phone +49 151 2345 6789 01",
        "9f8b7c6d-1234-5678-9abc-def012345678",
        "a bearer of news",
    ],
)
def test_an_ordinary_text_stays_readable(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.req("M11.5")
@given(st.integers(10**12, 10**19 - 1))
def test_no_number_with_a_wrong_check_digit_counts_as_a_card(number: int) -> None:
    alike = [number - number % 10 + last for last in range(10)]

    assert sum(is_card_number(str(each)) for each in alike) <= 1


@pytest.mark.req("M11.5")
@pytest.mark.parametrize(
    "number",
    [
        "4222222222222",
        "4111111111111111",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "6011111111111117",
        "30569309025904",
        "3530111333300000",
        "6200000000000005",
    ],
)
def test_the_cards_of_every_large_issuer_are_known(number: str) -> None:
    assert redact_text(f"card {number}!") == "card [redacted:card]!"


@pytest.mark.req("M11.5")
@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("apiKey", "apikey"),
        ("X-Api-Key", "apikey"),
        ("APIKey", "apikey"),
        ("api_key_2", "apikey"),
        ("userPassword", "password"),
        ("userpassword", "password"),
        ("PASSWORD_CONFIRMATION", "password"),
        ("password_hash", "password"),
        ("refreshToken", "token"),
        ("csrf-token", "token"),
        ("aws_secret_access_key", "accesskey"),
        ("card_number", "cardnumber"),
        ("customer.iban", "iban"),
        ("\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44", "password"),
        ("PIN", "pin"),
        ("token_count", None),
        ("max_tokens", None),
        ("password_policy", None),
        ("secretary", None),
        ("keyboard", None),
        ("spinner", None),
        ("author", None),
        ("order_id", None),
        ("", None),
        ("密码", None),
    ],
)
def test_the_last_words_of_a_name_tell_whether_it_holds_a_secret(key: str, name: str | None) -> None:
    assert secret_name(key) == name


@pytest.mark.req("M11.5")
@pytest.mark.parametrize(
    "unit",
    [
        "1 ",
        "4 ",
        "://",
        "-----BEGIN PRIVATE KEY",
        "--",
        "bearer ",
        "pwd:\\",
        "eyJ",
        "key=,",
        "password='",
        "://a:",
    ],
)
def test_a_text_made_to_be_slow_is_searched_in_linear_time(unit: str) -> None:
    # In quadratic time this would run into the time limit of the test.
    text = unit * (400_000 // len(unit))

    assert scrub(text, len(text))
