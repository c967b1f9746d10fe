"""This boot's audit chain, kept in memory by the one writer of a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from toolgate.domain.audit import GENESIS, leaf_hash, link_hash


class Linked(NamedTuple):
    """A record's place in its chain."""

    seq: int
    leaf: bytes
    link: bytes


@dataclass(slots=True)
class ChainHead:
    """The last link. It advances in memory as records are linked and is put back if their commit fails."""

    chain_id: str
    seq: int = 0
    link: bytes = GENESIS

    def extend(self, record: bytes) -> Linked:
        """Link ``record`` behind the head. Sequence numbers start at 1 and have no gaps."""
        leaf = leaf_hash(record)
        self.seq += 1
        self.link = link_hash(self.link, self.chain_id, self.seq, leaf)
        return Linked(self.seq, leaf, self.link)

    def mark(self) -> tuple[int, bytes]:
        """Where the head is, for ``back_to``."""
        return self.seq, self.link

    def back_to(self, mark: tuple[int, bytes]) -> None:
        """Forget what was linked after ``mark``: it was not committed."""
        self.seq, self.link = mark
