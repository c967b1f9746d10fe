"""What the questions say of a tool that runs as a job: its deadline, its steps, and a worker that dies over it.

The rules: a job says how long it may take, for the default ends any that deserves the name. After a worker's death it
runs again where that doubles nothing, as for a call, and else it ends as unknown; that is safe, so it is no defect, but
a worker may die at each release, so the answer says it. Durable steps that nothing records are a defect: the first one
fails every run.
"""

from __future__ import annotations

import dis
from itertools import pairwise
from types import CodeType
from typing import TYPE_CHECKING, Any

from toolgate.domain.checklist.answers import Defect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from toolgate.domain.checklist.exhibit import Exhibit

_CONTEXT = "context"
_STEPS = frozenset({"step", "step_sync"})


def takes_steps(function: Callable[..., Any]) -> bool:
    """Whether the function itself asks its ``context`` for a step. One that hands it on is not followed."""
    code = getattr(function, "__code__", None)
    return isinstance(code, CodeType) and _asks(code)


def _asks(code: CodeType) -> bool:
    told = [instruction.argval for instruction in dis.get_instructions(code)]
    if any(first == _CONTEXT and second in _STEPS for first, second in pairwise(told) if _named(second)):
        return True
    return any(_asks(inner) for inner in code.co_consts if isinstance(inner, CodeType))


def _named(told: object) -> bool:
    return isinstance(told, str)


def unrecorded_steps(exhibit: Exhibit) -> Iterator[Defect]:
    """Steps of a tool that has none (question 9)."""
    if not exhibit.takes_steps or (exhibit.job and not exhibit.isolated):
        return
    if exhibit.job:
        why = (
            "it takes durable steps, and in a process of its own there are none: the first one fails the run"
        )
        how = "isolation='process' or context.step, not both"
    else:
        why = "it takes durable steps and is no job: the first one fails the call"
        how = "job=True, or do the work without context.step"
    yield Defect(why=why, how=how)


def not_repeated(exhibit: Exhibit) -> str:
    """What to add to the answer about retries (question 6)."""
    if not exhibit.job:
        return ""
    if not exhibit.has_effects:
        return "; run again after its worker's death"
    if exhibit.honours_key:
        return "; run again under the same key after its worker's death"
    return "; not run again after its worker's death"


def after_a_death(exhibit: Exhibit) -> Iterator[str]:
    """How it ends when its worker dies (question 9)."""
    if not exhibit.job:
        return
    if exhibit.has_effects and not exhibit.honours_key:
        if exhibit.reconcile is None:
            yield "so does a job whose worker died, at a release for instance"
        return
    if exhibit.isolated:
        yield "a job whose worker died begins again from the start: a process of its own takes no steps"
    elif exhibit.takes_steps:
        yield "a job whose worker died goes on after the last step that it recorded"
    else:
        yield "a job whose worker died begins again from the start: it takes no steps"
