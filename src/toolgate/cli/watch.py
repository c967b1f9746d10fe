"""``toolgate jobs watch``: a job until it ends, as a bar on a terminal and as lines elsewhere.

It looks at the store, and so needs no gateway to ask; where none runs, nothing will move. Not here: what is said of a
job (``job_facts``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Final

import click
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column

from toolgate.cli.exits import Exit, no
from toolgate.cli.job_facts import described, progress_of
from toolgate.cli.ledger import reading
from toolgate.cli.options import DurationType, as_json, asynchronous, configured
from toolgate.cli.plain import instant, one_line, print_json, printable
from toolgate.cli.tables import console
from toolgate.config import Settings
from toolgate.domain.jobs import told_state
from toolgate.domain.rows import ByCall
from toolgate.operations.jobs import UNDER_WAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolgate.domain.rows import CallRow, JobRow
    from toolgate.ports import Store

Tell = Callable[["JobRow", "CallRow"], None]
LOOK_EACH: Final = 0.25
"""Seconds between two looks at the store: a point look-up each."""
_BAR: Final = 24
_CODES: Final = {"succeeded": Exit.OK, "unknown": Exit.UNKNOWN}


@click.command()
@configured
@click.argument("job_id")
@click.option("--for", "patience", type=DurationType(), metavar="DURATION", help="Watch no longer than that.")
@as_json
@asynchronous
async def watch(settings: Settings, job_id: str, *, patience: float | None, as_json: bool) -> int:
    """Follow a job until it ends; its end is the exit code.

    0 succeeded, 1 failed, refused or cancelled, 5 not known whether it happened. With --for, 1 where it has not ended
    by then. On a terminal a bar moves; elsewhere, and with --json, one line stands for each change.
    """
    async with reading(settings) as ledger:
        first = await look(ledger.store, job_id)
        if first is None:
            no(f"there is no job {job_id}; `toolgate jobs list` shows them")
        with _shown(as_json=as_json) as tell:
            _, call = await _followed(ledger.store, first, tell, patience)
    state = told_state(call)
    if state in UNDER_WAY:
        no(
            f"{job_id} is still {state.replace('_', ' ')}; watch it again, or cancel it: toolgate jobs cancel {job_id}"
        )
    return _CODES.get(state, Exit.NO)


async def look(store: Store, job_id: str) -> tuple[JobRow, CallRow] | None:
    """The job and its call as they are now."""
    job = await store.job(job_id)
    call = None if job is None else (await store.find(ByCall(job.call_id))).call
    return None if job is None or call is None else (job, call)


async def _followed(
    store: Store, first: tuple[JobRow, CallRow], tell: Tell, patience: float | None
) -> tuple[JobRow, CallRow]:
    loop = asyncio.get_running_loop()
    until = None if patience is None else loop.time() + patience
    seen = first
    tell(*seen)
    while told_state(seen[1]) in UNDER_WAY and (until is None or loop.time() < until):
        await asyncio.sleep(LOOK_EACH if until is None else max(0.0, min(LOOK_EACH, until - loop.time())))
        now = await look(store, seen[0].job_id)
        if now is not None and now != seen:
            seen = now
            tell(*seen)
    return seen


def _shown(*, as_json: bool) -> AbstractContextManager[Tell]:
    if as_json:
        return _as_lines(lambda job, call: print_json(described(job, call)))
    if console().is_terminal:
        return _as_bar()
    return _as_lines(lambda job, call: click.echo(_line(job, call)))


@contextmanager
def _as_lines(tell: Tell) -> Iterator[Tell]:
    yield tell


def _line(job: JobRow, call: CallRow) -> str:
    """One change: when, how it stands, how far it is."""
    at = max(call.updated_at, job.progress_at or 0)
    said = (instant(at), _state(job, call), progress_of(job), one_line(job.note or ""))
    return printable("  ".join(part for part in said if part))


def _state(job: JobRow, call: CallRow) -> str:
    state = told_state(call).replace("_", " ")
    again = f", run {job.attempts}" if job.attempts > 1 else ""
    stops = ", asked to end" if job.cancel_at is not None and told_state(call) in UNDER_WAY else ""
    error = f": {call.error_type}" if call.error_type not in {None, call.status, state} else ""
    return f"{state}{error}{again}{stops}"


@contextmanager
def _as_bar() -> Iterator[Tell]:
    """A bar that stays on the screen as it stood last."""
    words = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis"))
    with Progress(BarColumn(bar_width=_BAR), TaskProgressColumn(), words, console=console()) as bar:
        task = bar.add_task("", total=None)

        def tell(job: JobRow, call: CallRow) -> None:
            ended = told_state(call) == "succeeded"
            total = job.total or (1.0 if ended else None)
            done = total if ended else job.done
            note = "" if ended else one_line(job.note or "")
            said = "  ".join(part for part in (_state(job, call), progress_of(job), note) if part)
            # As text: what a tool wrote is no markup.
            bar.update(task, total=total, completed=done or 0.0, description=escape(printable(said)))

        yield tell
