"""How much: rates, concurrency, breakers, sizes. Durations are in ``duration``; enforcement is a gate's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from toolgate.domain.duration import Duration, seconds
from toolgate.domain.errors import ContractError

_RATE = re.compile(r"(\d+)\s*/\s*(second|minute|hour|day|s|m|h|d)")
_PER = {
    "second": 1.0,
    "s": 1.0,
    "minute": 60.0,
    "m": 60.0,
    "hour": 3600.0,
    "h": 3600.0,
    "day": 86_400.0,
    "d": 86_400.0,
}
_SIZE = re.compile(r"(\d+)\s*(B|KB|KiB|MB|MiB)?")
_BYTES = {None: 1, "B": 1, "KB": 1000, "KiB": 1024, "MB": 1_000_000, "MiB": 1_048_576}


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``count`` calls in any ``per`` seconds, enforced by GCRA (a burst of ``count`` is allowed)."""

    count: int
    per: float

    @classmethod
    def parse(cls, text: str | Rate, *, of: str = "rate_limit") -> Rate:
        """Read ``"30/minute"``.

        Raises:
            ContractError: naming the key ``of``.
        """
        if isinstance(text, Rate):
            return text
        if not (match := _RATE.fullmatch(text.strip())) or not int(match[1]):
            raise ContractError(f"{of}: {text!r} is no rate; write for example '30/minute'")
        return cls(int(match[1]), _PER[match[2]])

    def __str__(self) -> str:
        unit = {1.0: "second", 60.0: "minute", 3600.0: "hour", 86_400.0: "day"}.get(self.per)
        return f"{self.count}/{unit}" if unit else f"{self.count} per {self.per:g}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Open after ``failures`` failures in a row that were the dependency's, and try again after ``cooldown``.

    Timeouts, unreachable upstreams and unknown outcomes count; what the business refuses does not.
    """

    failures: int = 10
    cooldown: float = 30.0

    @classmethod
    def of(cls, *, failures: int = 10, cooldown: Duration = 30.0) -> Breaker:
        """The same with ``cooldown`` as any duration."""
        if failures < 1:
            raise ContractError("breaker: failures must be at least 1")
        return cls(failures=failures, cooldown=seconds(cooldown, of="breaker.cooldown"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a gateway allows in all, whatever the tools allow each.

    ``approval_expires_in`` (seconds) is how long a request stays open that a service asked for and whose
    contract says nothing about approvals.
    """

    per_caller: Rate | None = None
    per_tenant: Rate | None = None
    concurrency: int = 512
    result_size: int = 65_536
    argument_size: int = 262_144
    sync_threads: int = 32
    tool_loops: int = 4
    processes: int = 4
    approval_expires_in: float = 86_400.0


def size(value: int | str, *, of: str = "size") -> int:
    """Bytes in ``value``: a number, ``"64KiB"`` or ``"1MB"``.

    Raises:
        ContractError: naming the key ``of``.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())) and int(match[1]):
        return int(match[1]) * _BYTES[match[2]]
    raise ContractError(f"{of}: {value!r} is no size; write bytes or for example '64KiB'")
