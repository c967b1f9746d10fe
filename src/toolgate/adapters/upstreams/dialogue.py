"""Questions and answers over one stream of lines: which answer belongs to whom.

Here: ids, who waits, what is no answer. It reads and writes nothing by itself. Not here: processes and their pipes
(``stdio``), time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

from toolgate.adapters.upstreams.failures import Lost
from toolgate.adapters.upstreams.messages import Answer, Heard, Notice, Question, Stray, heard
from toolgate.adapters.upstreams.questions import PROGRESS, TOOLS_CHANGED, pass_on
from toolgate.adapters.upstreams.strays import Strays
from toolgate.adapters.upstreams.terms import Progress

REMEMBERED: Final = 1024
"""Ids of answered and forgotten requests that are still known, so that a late answer is told from an invented one."""


class Dialogue:
    """The requests on their way over one stream.

    Args:
        strays: counts what is not believed.
        asked: called with each request of the upstream.
        tools_changed: called when it says that its list changed.
    """

    __slots__ = ("_asked", "_ids", "_known", "_progress", "_strays", "_tools_changed", "_waiting")

    def __init__(
        self, *, strays: Strays, asked: Callable[[Question], None], tools_changed: Callable[[], None]
    ) -> None:
        self._strays = strays
        self._asked = asked
        self._tools_changed = tools_changed
        self._ids = count(1)
        self._waiting: dict[object, asyncio.Future[Any]] = {}
        self._progress: dict[object, Progress | None] = {}
        self._known: OrderedDict[object, str] = OrderedDict()

    @property
    def busy(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def expect(self, progress: Progress | None) -> tuple[int, asyncio.Future[Any]]:
        """A fresh id, and what its answer will be."""
        id = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[id] = future
        if progress is not None:
            self._progress[id] = progress
        return id, future

    def forget(self, id: int) -> bool:
        """Nobody waits for ``id`` any more. False if it was answered already."""
        return self._settled(id, "a late answer") is not None

    def hear(self, lines: list[bytes]) -> bool:
        """Take what came in one piece; True if anything of it answered somebody.

        Answers are given when all of it was read, so that two at once to one question are seen to be two.
        """
        answers: dict[object, Answer] = {}
        for line in lines:
            for message in heard(line):
                self._take(message, line, answers)
        for answer in answers.values():
            self._give(answer)
        return bool(answers)

    def _take(self, message: Heard, line: bytes, answers: dict[object, Answer]) -> None:
        match message:
            case Answer(id=id):
                self._sort(message, answers, id if type(id) is int else None)
            case Notice(method=method):
                self._notice(message, method)
            case Question():
                self._asked(message)
            case Stray(why=why):
                self._strays.note(why, line)

    def _sort(self, answer: Answer, answers: dict[object, Answer], id: int | None) -> None:
        if id is None or id not in self._waiting:
            self._strays.note(self._known.get(id, "an answer to nothing that was asked"))
            return
        first = answers.get(id)
        if first is None:
            answers[id] = answer
            return
        self._strays.note("a second answer")
        if first.result != answer.result or str(first.error) != str(answer.error):
            future = self._settled(id, "a second answer")
            del answers[id]
            if future is not None and not future.done():
                future.set_exception(Lost("it gave two different answers to one call"))

    def _notice(self, notice: Notice, method: str) -> None:
        if method == PROGRESS:
            if not pass_on(notice, self._progress):
                self._strays.note("progress of nothing that runs")
        elif method == TOOLS_CHANGED:
            self._tools_changed()

    def _give(self, answer: Answer) -> None:
        future = self._settled(answer.id, "a second answer")
        if future is None or future.done():
            return
        if answer.error is not None:
            future.set_exception(answer.error)
        else:
            future.set_result(answer.result)

    def _settled(self, id: object, later: str) -> asyncio.Future[Any] | None:
        self._progress.pop(id, None)
        future = self._waiting.pop(id, None)
        if future is not None:
            self._known[id] = later
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return future

    def end(self, reason: str) -> None:
        """Nothing more will come: whoever waits has lost."""
        self._progress.clear()
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(Lost(reason))


def with_progress(params: Mapping[str, Any], token: int) -> Mapping[str, Any]:
    """``params`` that ask for progress under ``token``."""
    return {**params, "_meta": {**params.get("_meta", {}), "progressToken": token}}
