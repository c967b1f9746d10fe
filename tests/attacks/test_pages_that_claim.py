"""A link that somebody is sent, and a page loaded again: neither has the console say what did not happen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.console.house import LEA, MAX, OLA, approval, decide, opened

LIES = {
    "done=approved": "The gateway runs it now",
    "done=denied": "Asking for the same again gets the same no",
    "done=withdrawn": "It does not run. It may be asked for again.",
    "done=counted": "Your approval is counted",
    "done=edited": "Saved as a new revision",
}


@pytest.mark.req("M12.18")
@pytest.mark.parametrize("mark", ["", "&mark=", "&mark=0123456789abcdef"])
async def test_no_link_has_a_page_say_that_something_was_done(mark: str, tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        waiting = await house.held()
        async with house.person(LEA) as lea, house.person(OLA) as ola:
            told = [(await lea.get(f"{approval(waiting)}?{lie}{mark}")).text for lie in LIES]
            call = (
                await lea.get(f"/console/calls/{house.asked[waiting][0].call_id}?done=applied{mark}")
            ).text
            batch = (await lea.get(f"/console/inbox?done=approve-all{mark}")).text
            stopped = (await ola.get(f"/console/stop?requests=12&grants=3{mark}")).text

    assert [words for words, page in zip(LIES.values(), told, strict=True) if words in page] == []
    assert "Recorded: it happened" not in call
    assert "All of them were approved" not in batch
    assert "Requests cancelled" not in stopped


@pytest.mark.req("M12.18")
async def test_a_mark_of_one_page_or_session_is_none_on_another(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        first, second = await house.held(order=1, cents=5000), await house.held(order=2, cents=5000)
        async with house.person(LEA) as lea, house.person(MAX) as max_:
            page = await decide(lea, first, "approve")
            mark = lea.path.partition("?")[2]
            elsewhere = await lea.get(f"{approval(second)}?{mark}")
            another = await max_.get(f"{approval(first)}?{mark}")

    assert "The gateway runs it now" in page.text
    assert "The gateway runs it now" not in elsewhere.text
    assert "The gateway runs it now" not in another.text
