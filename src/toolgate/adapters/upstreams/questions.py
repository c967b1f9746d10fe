"""What an upstream asks or tells us of its own accord, on either transport.

The gate samples nothing, has no roots and asks nobody: it says so in its capabilities, and whoever asks all the same
is told that there is no such method. ``ping`` is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from toolgate.adapters.upstreams.failures import NotSent
from toolgate.adapters.upstreams.messages import METHOD_NOT_FOUND, Notice, Question, refusal, reply
from toolgate.adapters.upstreams.terms import Answering, Progress
from toolgate.ports import Clock, Timer

NEWS_INTERVAL: Final = 1.0
"""Seconds between two times that we look at a list which keeps changing."""

TOOLS_CHANGED: Final = "notifications/tools/list_changed"
PROGRESS: Final = "notifications/progress"


async def answer_to(question: Question, answering: Answering | None) -> bytes:
    """The bytes of our answer."""
    if question.method == "ping":
        return reply(question.id, {})
    if answering is not None:
        result = await answering(question.method, question.params)
        try:
            return reply(question.id, result)
        except NotSent:
            return refusal(question.id, METHOD_NOT_FOUND, "the answer has no JSON form")
    return refusal(question.id, METHOD_NOT_FOUND, "Method not found")


class News:
    """Tells that the list of tools changed: at once, and then not again within ``NEWS_INTERVAL`` seconds."""

    __slots__ = ("_again", "_clock", "_tell", "_timer")

    def __init__(self, tell: Callable[[], None], clock: Clock) -> None:
        self._tell = tell
        self._clock = clock
        self._timer: Timer | None = None
        self._again = False

    def tools_changed(self) -> None:
        """It changed."""
        if self._timer is not None:
            self._again = True
            return
        self._timer = self._clock.call_later(NEWS_INTERVAL, self._next)
        self._tell()

    def _next(self) -> None:
        self._timer = None
        if self._again:
            self._again = False
            self.tools_changed()

    def close(self) -> None:
        """Tell nothing more."""
        if self._timer is not None:
            self._timer.cancel()


def progress_of(notice: Notice) -> tuple[Any, float, float | None, str | None] | None:
    """Token, done, total and a word of a progress notification; None where it is none that makes sense."""
    params: Mapping[str, Any] = notice.params
    done, total, note = _number(params.get("progress")), _number(params.get("total")), params.get("message")
    if done is None or type(params.get("progressToken")) not in {int, str}:
        return None
    return params["progressToken"], done, total, note if type(note) is str else None


def _number(value: Any) -> float | None:
    try:
        return float(value) if type(value) in {int, float} else None
    except OverflowError:
        return None


def pass_on(notice: Notice, waiting: Mapping[Any, Progress | None]) -> bool:
    """Hand a progress notification to whoever waits under its token; False if nobody does."""
    said = progress_of(notice)
    if said is None or said[0] not in waiting:
        return False
    token, done, total, note = said
    if (callback := waiting[token]) is not None:
        callback(done, total, note)
    return True
