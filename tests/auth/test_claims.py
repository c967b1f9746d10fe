"""Claims become a caller: the configured ones, in the configured way, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.auth.fake_issuer import FakeIssuer, access_token
from toolgate.domain.principal import Declined, Principal, Scope

pytestmark = pytest.mark.req("M4.20")


async def found(side: Any, token: str) -> Principal:
    principal = await side.principal(token)
    assert isinstance(principal, Principal), principal
    return principal


@pytest.mark.parametrize(
    ("groups", "roles"),
    [
        (["grp-support"], {"support"}),
        (["grp-leads", "grp-support"], {"support", "lead"}),
        ("grp-leads", {"support", "lead"}),
        ("grp-support grp-leads", set()),
        (["support", "admin", "lead"], set()),
        ([["grp-support"], {"grp-support": 1}, 7, None], set()),
        ({"grp-support": True}, set()),
        (None, set()),
        ([], set()),
    ],
)
async def test_groups_give_the_roles_they_are_mapped_to_and_unmapped_ones_nothing(
    issuer: FakeIssuer, groups: Any, roles: set[str]
) -> None:
    assert (await found(issuer.gate_side(), access_token(groups=groups))).caller.roles == roles


async def test_a_claim_of_roles_that_nobody_configured_gives_nothing(issuer: FakeIssuer) -> None:
    side = issuer.gate_side(roles_claim=None)

    assert (await found(side, access_token(groups=["grp-support"], roles=["admin"]))).caller.roles == set()


async def test_claims_may_lie_deeper_or_have_a_dot_in_their_name(issuer: FakeIssuer) -> None:
    side = issuer.gate_side(
        id_claim="user.id", tenant_claim="https://acme.example/org", roles_claim="realm_access.roles"
    )
    claims: dict[str, Any] = {
        "user": {"id": "u9"},
        "https://acme.example/org": "globex",
        "realm_access": {"roles": ["grp-support"]},
    }

    caller = (await found(side, access_token(**claims))).caller

    assert (caller.id, caller.tenant, caller.roles) == ("u9", "globex", frozenset({"support"}))


async def test_without_a_configured_tenant_claim_everybody_is_of_the_default_tenant(
    issuer: FakeIssuer,
) -> None:
    side = issuer.gate_side(tenant_claim=None)

    assert (await found(side, access_token(org_id="acme", tenant="globex"))).tenant == "default"


@pytest.mark.parametrize(
    ("said", "granted"),
    [
        ("call", {Scope.CALL}),
        ("openid toolgate:approve toolgate:call", {Scope.CALL, Scope.APPROVE}),
        (["operate", "admin"], {Scope.OPERATE, Scope.ADMIN}),
        ("openid profile", set()),
        ("CALL", set()),
        (None, set()),
        (7, set()),
        ([7, ["call"]], set()),
    ],
)
async def test_where_a_scope_claim_is_configured_it_alone_says_what_the_token_is_good_for(
    issuer: FakeIssuer, said: Any, granted: set[Scope]
) -> None:
    side = issuer.gate_side(scope_claim="scope")

    assert (await found(side, access_token(scope=said))).scopes == granted


async def test_no_signed_token_is_good_for_administration_unless_its_scope_says_so(
    issuer: FakeIssuer,
) -> None:
    assert Scope.ADMIN not in (await found(issuer.gate_side(), access_token(scope="admin"))).scopes


@pytest.mark.req("M4.22")
async def test_the_actor_is_the_agent_and_its_owner_is_whom_the_configuration_names(
    issuer: FakeIssuer,
) -> None:
    known = await found(issuer.gate_side(), access_token(act={"sub": "support_assistant"}))
    unknown = await issuer.gate_side().principal(access_token(act={"sub": "other"}, owner="u9"))

    assert (known.id, known.agent, known.owner, known.scopes) == (
        "u481",
        "support_assistant",
        "u7",
        frozenset({Scope.CALL}),
    )
    # Nobody answers for it, so nobody could be kept from approving what it asks for.
    assert isinstance(unknown, Declined)


@pytest.mark.req("M4.22")
async def test_of_a_chain_of_actors_the_outermost_acts(issuer: FakeIssuer) -> None:
    chain = {"sub": "support_assistant", "act": {"sub": "planner", "act": {"sub": "crawler"}}}

    assert (await found(issuer.gate_side(), access_token(act=chain))).agent == "support_assistant"


@pytest.mark.req("M4.22")
async def test_an_actor_narrows_to_calls_whatever_the_scope_says(issuer: FakeIssuer) -> None:
    side = issuer.gate_side(scope_claim="scope")
    everything = await found(
        side, access_token(act={"sub": "support_assistant"}, scope="call approve operate admin")
    )
    no_calls = await found(side, access_token(act={"sub": "support_assistant"}, scope="approve"))

    assert (everything.scopes, no_calls.scopes) == (frozenset({Scope.CALL}), frozenset())


async def test_an_address_names_nobody_before_it_was_checked(issuer: FakeIssuer) -> None:
    side = issuer.gate_side(id_claim="email")

    assert isinstance(await side.principal(access_token(email="a@example.com")), Declined)
    assert isinstance(
        await side.principal(access_token(email="a@example.com", email_verified="true")), Declined
    )
    assert (await found(side, access_token(email="a@example.com", email_verified=True))).id == "a@example.com"
