"""A JWT as a bearer: what is believed, and everything that is not."""

from __future__ import annotations

import json
import logging
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.auth.fake_issuer import (
    AUDIENCE,
    ISSUER,
    KINDS,
    NOW,
    FakeIssuer,
    access_token,
    private_key,
    public_jwk,
    segment,
)
from toolgate import Caller, Gateway
from toolgate.adapters.identity import OidcIssuer
from toolgate.domain.principal import Declined, Principal, Scope
from toolgate.operations.authenticate import REFUSED, authenticate

GOOD = Caller("u481", roles={"support"}, tenant="acme")


async def why_not(side: OidcIssuer, token: str) -> str:
    """The true reason, which only the log gets."""
    found = await side.principal(token)
    assert isinstance(found, Declined), found
    assert not any(part and part in found.reason for part in token.split(".") if len(part) > 8)
    return found.reason


@pytest.mark.req("M4.19", "M4.20")
async def test_a_token_of_the_issuer_stands_for_whom_its_claims_name(gate: Gateway) -> None:
    found = await gate.operate(authenticate, access_token())

    assert found == Principal(
        caller=GOOD,
        credential=f"jwt:{ISSUER}",
        granted=frozenset({Scope.CALL, Scope.APPROVE, Scope.OPERATE}),
        expires_at=(NOW + 300) * 1_000_000,
    )


@pytest.mark.req("M4.20")
@pytest.mark.parametrize("algorithm", sorted(KINDS))
async def test_each_asymmetric_algorithm_that_is_configured_is_believed(algorithm: str) -> None:
    key = private_key(KINDS[algorithm])
    side = FakeIssuer(keys=[public_jwk(key, algorithm, kid="k1")]).gate_side()

    assert isinstance(await side.principal(access_token(key=key, algorithm=algorithm)), Principal)


@pytest.mark.req("M4.20")
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "https://login.example.com/"}, "iss"),
        ({"iss": "https://evil.example.com"}, "iss"),
        ({"without": ("iss",)}, "iss"),
        ({"aud": "toolgate2"}, "aud"),
        ({"aud": ["other", "toolgate "]}, "aud"),
        ({"aud": {"toolgate": 1}}, "aud"),
        ({"without": ("aud",)}, "aud"),
        ({"without": ("exp",)}, "exp"),
        ({"exp": str(NOW + 300)}, "number"),
        ({"exp": True}, "number"),
        ({"exp": 10**400}, "number"),
        ({"exp": None}, "exp"),
        ({"nbf": "soon"}, "number"),
        ({"iat": [NOW]}, "number"),
        ({"exp": NOW - 61}, "expired"),
        ({"exp": NOW - 60}, "expired"),
        ({"nbf": NOW + 61}, "not valid yet"),
        ({"iat": NOW + 61}, "not valid yet"),
        ({"without": ("sub",)}, "claim sub"),
        ({"sub": ""}, "claim sub"),
        ({"sub": "two\nlines"}, "claim sub"),
        ({"sub": 7}, "signature or form|claim sub"),
        ({"without": ("org_id",)}, "claim org_id"),
        ({"org_id": ""}, "claim org_id"),
        ({"org_id": ["acme", "globex"]}, "claim org_id"),
        ({"act": "support_assistant"}, "act"),
        ({"act": {}}, "act"),
        ({"act": {"sub": ""}}, "act"),
        ({"act": None}, "act"),
        ({"nonce": "n"}, "ID token"),
        ({"at_hash": "h"}, "ID token"),
        ({"typ": "ID"}, "ID token"),
        ({"token_use": "id"}, "ID token"),
        ({"headers": {"typ": "dpop+jwt"}}, "typ"),
        ({"headers": {"typ": "logout+jwt"}}, "typ"),
        ({"headers": {"typ": "application/id+jwt"}}, "typ"),
        ({"headers": {"kid": "k2"}}, "no key"),
        ({"headers": {"crit": ["exp"]}}, "crit|signed"),
        ({"headers": {"b64": False, "crit": ["b64"]}}, "crit|signed"),
    ],
)
async def test_what_is_missing_wrong_or_meant_for_others_is_not_believed(
    issuer: FakeIssuer, changed: dict[str, Any], reason: str
) -> None:
    refused = await why_not(issuer.gate_side(), access_token(**changed))

    assert any(part in refused for part in reason.split("|")), refused


@pytest.mark.req("M4.20")
@pytest.mark.parametrize("changed", [{"exp": NOW - 59}, {"nbf": NOW + 60}, {"iat": NOW + 60}])
async def test_a_clock_that_differs_by_less_than_a_minute_is_forgiven(
    issuer: FakeIssuer, changed: dict[str, Any]
) -> None:
    assert isinstance(await issuer.gate_side().principal(access_token(**changed)), Principal)
    assert isinstance(await issuer.gate_side(skew=1.0).principal(access_token(**changed)), Declined)


@pytest.mark.req("M4.20")
async def test_a_token_ends_when_it_says(issuer: FakeIssuer) -> None:
    side, token = issuer.gate_side(), access_token()
    before = await side.principal(token)

    issuer.clock.advance(361.0)

    assert isinstance(before, Principal)
    assert await why_not(side, token) == "it expired"


@pytest.mark.req("M4.20")
async def test_one_audience_of_several_is_enough_if_it_is_exactly_ours(issuer: FakeIssuer) -> None:
    assert isinstance(await issuer.gate_side().principal(access_token(aud=["other", AUDIENCE])), Principal)


@pytest.mark.req("M4.20")
@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt", "AT+JWT", "JWT", ...])
async def test_an_access_token_may_say_its_type_or_be_plain(issuer: FakeIssuer, typ: Any) -> None:
    token = access_token(headers={"typ": typ})
    strict = await issuer.gate_side(types=frozenset({"at+jwt"})).principal(token)

    assert isinstance(await issuer.gate_side().principal(token), Principal)
    assert isinstance(strict, Principal) == (typ not in {"JWT", ...})


@pytest.mark.req("M4.20")
async def test_the_public_key_is_no_secret_to_sign_with(issuer: FakeIssuer) -> None:
    public = private_key("RSA").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    said = jwt.decode(access_token(), options={"verify_signature": False})
    head = segment({"alg": "HS256", "kid": "k1", "typ": "at+jwt"})
    signed = jwt.get_algorithm_by_name("HS256").sign(f"{head}.{segment(said)}".encode(), public)
    token = f"{head}.{segment(said)}.{segment(signed)}"

    assert "alg" in await why_not(issuer.gate_side(), token)


@pytest.mark.req("M4.20")
@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, ["RS256"], {"RS256": 1}, 256])
async def test_nobody_says_of_a_token_that_it_needs_no_signature(issuer: FakeIssuer, algorithm: Any) -> None:
    said = jwt.decode(access_token(), options={"verify_signature": False})
    head = segment({"alg": algorithm, "kid": "k1", "typ": "at+jwt"})

    for signature in ("", access_token().rpartition(".")[2]):
        await why_not(issuer.gate_side(), f"{head}.{segment(said)}.{signature}")


@pytest.mark.req("M4.20")
async def test_an_algorithm_that_is_not_configured_is_not_believed_though_the_key_would_fit() -> None:
    issuer = FakeIssuer(keys=[public_jwk(private_key("RSA"), "RS256", kid="k1")])
    token = access_token(algorithm="PS256")

    assert isinstance(await issuer.gate_side().principal(token), Principal)
    assert "alg" in await why_not(issuer.gate_side(algorithms=frozenset({"RS256"})), token)


@pytest.mark.req("M4.20")
@pytest.mark.parametrize(
    "keys",
    [
        [public_jwk(private_key("RSA"), "RS256", kid="k1", alg="PS256")],
        [public_jwk(private_key("RSA"), "RS256", kid="k1", use="enc")],
        [public_jwk(private_key("RSA"), "RS256", kid="k1", key_ops=["encrypt"])],
        [public_jwk(private_key("EC"), "ES256", kid="k1")],
        [{"kty": "oct", "k": segment(b"x" * 32), "kid": "k1", "alg": "RS256"}],
        [{"kty": "RSA", "kid": "k1"}],
        [{"kty": "RSA", "kid": "k1", "n": 7, "e": "AQAB"}],
        [{"kid": ["k1"], "kty": ["RSA"], "use": {}, "alg": []}],
        ["k1", None, 7],
        [
            public_jwk(private_key("RSA"), "RS256", kid="k1"),
            public_jwk(private_key("RSA", 1), "RS256", kid="k1"),
        ],
    ],
    ids=[
        "other alg",
        "for encryption",
        "cannot verify",
        "other kind",
        "symmetric",
        "empty",
        "broken",
        "odd",
        "no keys",
        "two",
    ],
)
async def test_a_key_that_does_not_fit_checks_nothing(keys: list[Any]) -> None:
    assert "no key" in await why_not(FakeIssuer(keys=keys).gate_side(), access_token())


@pytest.mark.req("M4.20")
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_short_key_checks_nothing() -> None:
    key = private_key("short RSA")
    issuer = FakeIssuer(keys=[public_jwk(key, "RS256", kid="k1")])

    assert "no key" in await why_not(issuer.gate_side(), access_token(key=key))


@pytest.mark.req("M4.20")
async def test_a_token_without_a_key_id_is_believed_only_where_one_key_could_have_signed_it() -> None:
    one = public_jwk(private_key("RSA"), "RS256", kid="k1")
    other_kind = public_jwk(private_key("EC"), "ES256", kid="k2")
    second = public_jwk(private_key("RSA", 1), "RS256", kid="k3")
    token = access_token(headers={"kid": ...})

    assert isinstance(await FakeIssuer(keys=[one, other_kind]).gate_side().principal(token), Principal)
    assert "no key" in await why_not(FakeIssuer(keys=[one, second]).gate_side(), token)


@pytest.mark.req("M4.20")
async def test_a_huge_token_is_refused_before_anybody_is_asked(gate: Gateway, issuer: FakeIssuer) -> None:
    huge = access_token(padding="x" * 20_000)

    assert await gate.operate(authenticate, huge) == REFUSED
    assert await why_not(issuer.gate_side(), huge)
    assert issuer.asked == []


@pytest.mark.req("M4.20")
@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", f"{segment([1])}.{segment({})}.x", "é.é.é", "\ud800", "[" * 9000,
     f"{segment(b'[' * 9000)}.e30.e30", f"{segment(b'not json')}.e30.e30"],
    ids=str,
)  # fmt: skip
async def test_what_is_no_token_is_refused(issuer: FakeIssuer, token: str) -> None:
    assert isinstance(await issuer.gate_side().principal(token), Declined)
    assert issuer.asked == []


@pytest.mark.req("M4.20")
@pytest.mark.parametrize("payload", [b"[1]", b"null", b"not json", b"\xff", b"[" * 9_000, b'{"exp":1e999}'])
async def test_claims_that_are_no_object_are_refused_though_they_are_signed(
    issuer: FakeIssuer, payload: bytes
) -> None:
    token = jwt.PyJWS().encode(payload, private_key("RSA"), "RS256", headers={"kid": "k1"})

    await why_not(issuer.gate_side(), token)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.req("M4.20")
@given(
    head=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jku", "x5u", "jwk"]), _JSON),
    claims=st.dictionaries(
        st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub", "org_id", "act", "groups"]), _JSON
    ),
)
async def test_a_token_that_nobody_signed_is_refused_whatever_it_says(
    head: dict[str, Any], claims: dict[str, Any]
) -> None:
    signature = access_token().rpartition(".")[2]
    said = {"alg": "RS256", "kid": "k1"} | head

    found = await FakeIssuer().gate_side().principal(f"{segment(said)}.{segment(claims)}.{signature}")

    assert isinstance(found, Declined)


@pytest.mark.req("M4.20")
@given(
    st.dictionaries(
        st.sampled_from(["exp", "nbf", "iat", "sub", "org_id", "act", "groups", "aud", "nonce"]), _JSON
    )
)
async def test_odd_claims_of_the_issuer_itself_never_break_the_gate(claims: dict[str, Any]) -> None:
    payload = jwt.decode(access_token(), options={"verify_signature": False}) | claims
    token = jwt.PyJWS().encode(
        json.dumps(payload).encode(), private_key("RSA"), "RS256", headers={"kid": "k1"}
    )

    assert isinstance(await FakeIssuer().gate_side().principal(token), Principal | Declined)


@pytest.mark.req("M4.20")
async def test_every_refusal_sounds_alike_and_the_log_tells_why_without_the_token(
    gate: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = [
        access_token(aud="other"),
        access_token(exp=NOW - 900),
        access_token()[:-4] + "AAAA",
        "tgt_made-up",
        "x",
    ]

    answers = [await gate.operate(authenticate, token) for token in tokens]

    assert set(answers) == {REFUSED}
    assert "aud" in caplog.text
    assert "expired" in caplog.text
    assert not [token for token in tokens if len(token) > 1 and token[-20:] in caplog.text]


@pytest.mark.req("M4.19")
async def test_without_a_configured_issuer_no_signed_token_is_believed() -> None:
    async with Gateway([], housekeeping=None) as gateway:
        assert await gateway.operate(authenticate, access_token()) == REFUSED
