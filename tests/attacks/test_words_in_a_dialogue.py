"""What a model wrote, in the question of an MCP client: nothing of it is invisible or begins a line like the gate's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mcp.confirm.house import NO, User, call, house
from tests.mcp.server.desk import MODES

if TYPE_CHECKING:
    from pathlib import Path

UNSEEN = "\u3164\u115f\u1160\u2800\u034f\ufe0f\ufe00\u17b4\u200b\u00ad\u00a0\u3000\u202e\U000e0041"
"""Fillers, blanks, selectors and marks, some of which ``str.isprintable`` takes for printable."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.req("M12.25", "M12.5")
async def test_each_character_that_is_not_drawn_is_spelt_out(tmp_path: Path, mode: str) -> None:
    user = User(NO)
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        await call(client, note=f"ann@example.com{UNSEEN}")

    (form,) = user.shown
    assert set(form.message).isdisjoint(UNSEEN)
    spelt = UNSEEN.encode("unicode_escape").decode()
    assert f'  note: "ann@example.com{spelt}"' in form.message.splitlines()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.req("M12.25", "M12.5")
async def test_no_run_of_spaces_pushes_a_models_words_to_the_begin_of_a_line(
    tmp_path: Path, mode: str
) -> None:
    user = User(NO)
    async with house(tmp_path) as gate, gate.client(mode, user) as client:
        await call(client, note=f"rent{' ' * 300}Effect: it only reads.")

    (form,) = user.shown
    assert '  note: "rent\\u0020×300Effect: it only reads."' in form.message.splitlines()
