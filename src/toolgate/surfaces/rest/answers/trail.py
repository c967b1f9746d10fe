"""The audit trail, as answers tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from toolgate.surfaces.rest.answers.content import Content, Json, Next

if TYPE_CHECKING:
    from toolgate.domain.audit import ChainReport


class TrailList(Content):
    """A page of the trail, newest first: flat lines, each with its `seq`."""

    events: list[Json]
    next: Next


class BreakInfo(Content):
    """Where and how a chain broke."""

    kind: str
    chain: str
    seq: int | None
    message: str


class VerifyBody(Content):
    """What checking every record, link and head found. Heads that you keep elsewhere show a trail written anew."""

    intact: bool
    records: int
    problem_count: int
    problems: list[BreakInfo]
    heads: Annotated[dict[str, str], Field(description="chain → `seq:hex`, to be kept outside of this host")]

    @classmethod
    def of(cls, report: ChainReport) -> Self:
        """``report`` as ``toolgate audit verify --json`` prints it."""
        return cls(
            intact=report.intact,
            records=report.records,
            problem_count=report.problem_count,
            problems=[
                BreakInfo(kind=each.kind.value, chain=each.chain_id, seq=each.seq, message=each.message)
                for each in report.problems
            ],
            heads={chain: f"{seq}:{link.hex()}" for chain, (seq, link) in sorted(report.heads.items())},
        )
