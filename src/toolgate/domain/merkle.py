"""The Merkle tree of RFC 6962, section 2.1 (the same in RFC 9162): root, inclusion proof, verification.

Here: hashes in, hashes out. Not here: what a leaf holds, and who signs a root. `leaf_hash` makes a leaf; every other
function takes leaves that are hashed already.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

HASH_SIZE: Final = 32
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def leaf_hash(record: bytes) -> bytes:
    """SHA-256(0x00 || record): the prefix keeps a leaf from ever being taken for an inner node."""
    return sha256(_LEAF + record).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root over hashed leaves, in order; of none it is SHA-256 of nothing. Linear time."""
    if not leaves:
        return sha256().digest()
    # Subtrees that are complete so far, largest first; two of one size merge at once.
    subtrees: list[tuple[int, bytes]] = []
    for leaf in leaves:
        size, root = 1, leaf
        while subtrees and subtrees[-1][0] == size:
            root = _node(subtrees.pop()[1], root)
            size *= 2
        subtrees.append((size, root))
    root = subtrees.pop()[1]
    while subtrees:
        root = _node(subtrees.pop()[1], root)
    return root


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The sibling hashes from leaf `index` up to the root. Raises `IndexError` outside of `leaves`."""
    if not 0 <= index < len(leaves):
        msg = f"there is no leaf {index} in a tree of {len(leaves)}"
        raise IndexError(msg)
    siblings: list[bytes] = []
    low, high = 0, len(leaves)
    while high - low > 1:
        middle = low + _largest_power_below(high - low)
        if index < middle:
            siblings.append(merkle_root(leaves[middle:high]))
            high = middle
        else:
            siblings.append(merkle_root(leaves[low:middle]))
            low = middle
    return tuple(reversed(siblings))


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that hashed `leaf` is number `index` of the `size` leaves under `root`.

    Follows RFC 9162, 2.1.3.2. Never raises on a wrong proof, whoever made it.
    """
    if not 0 <= index < size or any(len(sibling) != HASH_SIZE for sibling in proof):
        return False
    position, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            computed = _node(sibling, computed)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            computed = _node(computed, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and computed == root


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(_NODE + left + right).digest()


def _largest_power_below(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)
