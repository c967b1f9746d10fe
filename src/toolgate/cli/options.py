"""What several commands take: where the configuration is, and whether a program reads the answer."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from toolgate.config import DEFAULT_FILE, load_settings
from toolgate.domain.duration import MICRO, seconds
from toolgate.domain.errors import ContractError

P = ParamSpec("P")
R = TypeVar("R")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs instead of a table.")
"""``--json``, as the parameter ``as_json``."""

reason = click.option("--reason", required=True, metavar="TEXT", help="Why; the trail keeps it.")
digest_option = click.option(
    "--digest", metavar="HEX", help="The digest that `approvals show` showed: refuse if it is another by now."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask again on a terminal.")

NO_APPROVAL = "there is no approval {}; `toolgate approvals list` shows what waits"


def configured(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--config`` and its settings, read and checked, as the first argument."""

    @click.option(
        "--config",
        "config",
        multiple=True,
        metavar="FILE",
        help=f"A configuration; several are read in order.  [default: {DEFAULT_FILE}]",
    )
    @functools.wraps(function)
    def with_settings(*args: Any, config: tuple[str, ...] = (), **kwargs: Any) -> Any:
        return function(load_settings(*config), *args, **kwargs)

    return with_settings


def asynchronous(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """A command that is a coroutine, run to its end."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return asyncio.run(function(*args, **kwargs))

    return run


if TYPE_CHECKING:
    _ParamType = click.ParamType[float]
    _MomentParam = click.ParamType[int]
else:
    # Generic from click 8.2 on.
    _ParamType = _MomentParam = click.ParamType


class DurationType(_ParamType):
    """Seconds, ``24h`` or ``PT24H``; the command gets seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read ``value``, or fail in words."""
        try:
            text = value if not isinstance(value, str) or not value.isdigit() else int(value)
            return seconds(text)
        except ContractError as refused:
            self.fail(str(refused).partition(": ")[2], param, ctx)


class MomentType(_MomentParam):
    """A moment with its offset, or in UTC; the command gets microseconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read ``value`` (RFC 3339, or a date alone), or fail in words."""
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no moment; write 2026-11-22T18:00:00Z", param, ctx)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * MICRO)


__all__ = [
    "NO_APPROVAL",
    "DurationType",
    "MomentType",
    "as_json",
    "asynchronous",
    "configured",
    "digest_option",
    "reason",
    "yes_option",
]
