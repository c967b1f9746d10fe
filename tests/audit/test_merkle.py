"""The Merkle tree, against the test vectors of Certificate Transparency and against every small tree."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolgate.domain.merkle import inclusion_proof, leaf_hash, merkle_root, verify_inclusion

pytestmark = pytest.mark.req("X5.13")

LEAVES = [
    leaf_hash(bytes.fromhex(record))
    for record in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
TREES = st.lists(st.binary(max_size=4), min_size=1, max_size=40).map(
    lambda records: [*map(leaf_hash, records)]
)


def by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + by_definition(leaves[:split]) + by_definition(leaves[split:])).digest()


@pytest.mark.parametrize(
    ("size", "root"),
    [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_roots_equal_the_published_ones(size: int, root: str) -> None:
    assert merkle_root(LEAVES[:size]).hex() == root


@given(TREES)
def test_a_root_is_what_the_rfc_defines(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == by_definition(leaves)


@given(TREES, st.data())
def test_every_leaf_can_be_proved_and_only_where_it_is(leaves: list[bytes], data: st.DataObject) -> None:
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    claimed = data.draw(st.integers(-1, size))
    proof, root = inclusion_proof(leaves, index), merkle_root(leaves)

    def holds(leaf: bytes, at: int, of: int) -> bool:
        return verify_inclusion(leaf=leaf, index=at, size=of, proof=proof, root=root)

    assert holds(leaves[index], index, size)
    assert not holds(leaf_hash(b"another record"), index, size)
    if claimed != index and (not 0 <= claimed < size or leaves[claimed] != leaves[index]):
        assert not holds(leaves[index], claimed, size)


@given(TREES, st.data())
def test_a_proof_that_was_changed_in_any_way_fails(leaves: list[bytes], data: st.DataObject) -> None:
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = list(inclusion_proof(leaves, index))
    change = data.draw(st.sampled_from(["more", "less", "other", "short"]) if proof else st.just("more"))
    at = data.draw(st.integers(0, max(len(proof) - 1, 0)))
    if change == "more":
        proof.insert(at, bytes(32))
    elif change == "less":
        del proof[at]
    else:
        proof[at] = sha256(proof[at]).digest() if change == "other" else proof[at][:-1]

    assert not verify_inclusion(
        leaf=leaves[index], index=index, size=size, proof=proof, root=merkle_root(leaves)
    )


@pytest.mark.parametrize("index", [-1, 8, 100])
def test_a_leaf_that_is_not_there_has_no_proof(index: int) -> None:
    with pytest.raises(IndexError, match="in a tree of 8"):
        inclusion_proof(LEAVES, index)
