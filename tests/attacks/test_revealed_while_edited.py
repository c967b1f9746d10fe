"""An edit that comes in while somebody looks at what is masked: nobody decides about other arguments than they see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.console.house import CARD, LEA, MAX, House, approval, opened
from toolgate.domain.commands import Answer, Command, RevealMasked
from toolgate.domain.principal import Declined, in_person
from toolgate.domain.rows import Found, SealedRow, Subject
from toolgate.operations.edit_approval import edit_approval
from toolgate.operations.reveal_masked import reveal_masked
from toolgate.operations.review import Review
from toolgate.operations.review_approval import review_approval
from toolgate.testing import FaultyStore

WHY = "the bank asked"


class Between(FaultyStore):
    """A store behind which ``then`` happens, once, before the ``nth`` read that follows a reveal."""

    def __init__(self, inner: Any, *, nth: int, then: Callable[[], Awaitable[None]]) -> None:
        super().__init__(inner)
        self._left: int | None = None
        self._nth = nth
        self._then = then

    async def execute(self, command: Command) -> Answer:
        answer = await super().execute(command)
        if isinstance(command, RevealMasked):
            self._left = self._nth
        return answer

    async def _count(self) -> None:
        if self._left is None:
            return
        self._left -= 1
        if self._left == 0:
            self._left = None
            await self._then()

    async def sealed(self, call_id: str, kind: str) -> SealedRow | None:
        await self._count()
        return await super().sealed(call_id, kind)

    async def find(self, subject: Subject) -> Found:
        await self._count()
        return await super().find(subject)


async def seen(house: House, waiting: str) -> Review:
    review = await house.gateway.operate(review_approval, waiting, by=in_person(MAX))
    assert isinstance(review, Review)
    return review


def between(house: House, waiting: str, nth: int) -> None:
    """Let MAX raise the amount before the ``nth`` read after a reveal."""
    world = house.gateway.world

    async def raised() -> None:
        digest = (await seen_now(world, waiting)).row.digest
        done = await edit_approval(
            world, waiting, {"cents": 9_000}, by=in_person(MAX), reason="as agreed", digest=digest
        )
        assert isinstance(done, Review), done

    world.store = Between(world.store, nth=nth, then=raised)


async def seen_now(world: Any, waiting: str) -> Review:
    review = await review_approval(world, waiting, by=in_person(MAX))
    assert isinstance(review, Review)
    return review


@pytest.mark.req("M12.12", "X2.2")
async def test_what_is_revealed_is_of_the_revision_for_which_the_look_is_recorded(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        waiting = await house.held(order=1, cents=5000, card=CARD)
        digest = (await seen(house, waiting)).row.digest
        between(house, waiting, nth=1)
        answer = await house.gateway.operate(
            reveal_masked, waiting, by=in_person(LEA), reason=WHY, digest=digest
        )

    assert isinstance(answer, Declined)
    assert answer.why == "conflict"


@pytest.mark.req("M12.12", "X2.2")
@pytest.mark.parametrize("nth", range(1, 6))
async def test_beside_revealed_arguments_never_stands_the_form_that_decides_about_others(
    nth: int, tmp_path: Path
) -> None:
    async with opened(tmp_path) as house:
        waiting = await house.held(order=1, cents=5000, card=CARD)
        async with house.person(LEA) as lea:
            form = (await lea.get(approval(waiting))).form(approval(waiting, "/reveal"))
            between(house, waiting, nth)
            page = await lea.send(form, reason=WHY)
            shown = lea.answer.text
            decides = page.form(approval(waiting, "/decide")).fields["digest"]
        now = (await seen(house, waiting)).row.digest.hex()

    if CARD in shown:
        assert '"cents": 5000' in page.text
        assert decides == form.fields["digest"] != now
