"""How votes count: distinct people, never the requester, every set of roles, and a later demand only adds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger import rows as make
from toolgate.domain.approval import RISKS, Requirement, Vote, tally

PEOPLE = ["u-ann", "u-ben", "u-cid", make.REQUESTER]
ROLES = ["billing", "risk", "legal"]

votes = st.lists(
    st.builds(
        make.vote,
        st.sampled_from(PEOPLE),
        revision=st.integers(1, 2),
        roles=st.lists(st.sampled_from(ROLES), min_size=1, unique=True).map(" ".join),
    ),
    max_size=8,
)
requirements = st.builds(
    Requirement,
    reason=st.sampled_from(["above the limit", "abroad", ""]),
    approvers=st.lists(st.frozensets(st.sampled_from(ROLES), min_size=1), max_size=2, unique=True).map(tuple),
    risk=st.sampled_from(RISKS),
    expires_in=st.sampled_from([60.0, 3600.0]),
    quorum=st.integers(1, 3),
)


def enough(required: Requirement, given_votes: list[Vote]) -> bool:
    return tally(required, given_votes, revision=1, requester=make.REQUESTER).enough


@pytest.mark.req("X2.9", "X2.8")
@given(required=requirements, cast=votes)
def test_it_is_enough_when_enough_people_of_every_role_agreed(
    required: Requirement, cast: list[Vote]
) -> None:
    # A person's last vote is what they hold to.
    agreed = {vote.voter: vote.roles for vote in cast if vote.revision == 1 and vote.voter != make.REQUESTER}
    every_role = all(any(roles & held for held in agreed.values()) for roles in required.approvers)

    counted = tally(required, cast, revision=1, requester=make.REQUESTER)

    assert counted.enough is (len(agreed) >= required.quorum and every_role)
    assert set(counted.voters) == set(agreed)
    assert bool(counted.missing) is not counted.enough


@pytest.mark.req("X2.9")
@given(required=requirements, cast=votes)
def test_the_same_person_twice_is_one_person(required: Requirement, cast: list[Vote]) -> None:
    assert enough(required, cast) is enough(required, cast + cast)


@pytest.mark.req("X2.9")
@given(required=requirements, cast=votes)
def test_votes_for_another_revision_do_not_count(required: Requirement, cast: list[Vote]) -> None:
    earlier = [vote for vote in cast if vote.revision != 1]

    assert enough(required, earlier) is False


@pytest.mark.req("X2.10", "M5.4")
@given(one=requirements, other=requirements, cast=votes)
def test_both_demands_are_met_or_the_merged_one_is_not(
    one: Requirement, other: Requirement, cast: list[Vote]
) -> None:
    both = one.merged(other)

    assert not enough(both, cast) or (enough(one, cast) and enough(other, cast))
    assert both.quorum == max(one.quorum, other.quorum)
    assert both.expires_in == min(one.expires_in, other.expires_in)
    assert RISKS.index(both.risk) == max(RISKS.index(one.risk), RISKS.index(other.risk))


@pytest.mark.req("X2.10", "M5.4")
@given(one=requirements, other=requirements)
def test_merging_does_not_depend_on_the_order_and_repeats_nothing(
    one: Requirement, other: Requirement
) -> None:
    there, back = one.merged(other), other.merged(one)

    assert (set(there.approvers), there.quorum, there.risk) == (set(back.approvers), back.quorum, back.risk)
    assert there.merged(other) == there
    assert there.merged(one) == there


@pytest.mark.req("X2.9")
def test_what_is_missing_is_said_in_words() -> None:
    required = make.requirement(3, "billing", "risk")

    counted = tally(required, [make.vote()], revision=1, requester=make.REQUESTER)

    assert counted.missing == "2 more approvals, one by risk"
