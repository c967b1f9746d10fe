"""Effect × failure × what downstream promises × was it dispatched: every combination, run through a real gate.

``python -m tests.execution.retry_table`` prints the table that ``tests/golden/retries.txt`` holds.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.execution.stage import ANN, Halt, drive, stage
from toolgate import BusinessRule, Caller, Retry, ToolError, TransientError, tool
from toolgate.testing import FakeClock

HEADER = (
    "effect",
    "honours_key",
    "dispatched",
    "failure",
    "attempts",
    "status",
    "error_type",
    "world",
    "advice",
)

RAISED: dict[str, Any] = {
    "transient": lambda: TransientError("Busy."),
    "transient, in doubt": lambda: TransientError("Busy.", effect="unknown"),
    "connection": ConnectionResetError,
    "own time-out": TimeoutError,
    "declared, none": lambda: ToolError("No.", effect="none"),
    "declared, applied": lambda: ToolError("Done, but.", effect="applied"),
    "declared, silent": lambda: ToolError("No."),
    "business rule": lambda: BusinessRule("No."),
    "undeclared": lambda: ValueError("secret"),
    "quit": SystemExit,
    "deadline": None,
}
BEFORE_DISPATCH = ("deps raise", "deps hang")
CONTRACTS = (("read", None), ("write", False), ("write", True), ("destructive", False), ("destructive", True))


async def lines() -> list[str]:
    """The table, one combination a line."""
    found: list[tuple[str, ...]] = [HEADER]
    for effect, honours in CONTRACTS:
        found.extend([await combination(effect, honours, failure) for failure in (*RAISED, *BEFORE_DISPATCH)])
    widths = [max(len(line[column]) for line in found) for column in range(len(HEADER))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in found
    ]


async def combination(effect: str, honours: bool | None, failure: str) -> tuple[str, ...]:
    """One line: what three permitted attempts come to."""
    clock, halt, attempts = FakeClock(), Halt(), 0
    dispatched = failure not in BEFORE_DISPATCH

    @asynccontextmanager
    async def deps(caller: Caller) -> AsyncIterator[None]:
        if failure == "deps hang":
            await halt.here()
        if failure == "deps raise":
            raise ConnectionError
        yield

    async def act(number: int) -> str:
        """Fail in one way."""
        nonlocal attempts
        attempts += 1
        if failure == "deadline":
            await halt.here()
        error: BaseException = RAISED[failure]()
        raise error

    key: dict[str, Any] = {} if honours is None else {"idempotency": "act:{number}", "honours_key": honours}
    contract: Any = {
        "effect": effect,
        "roles": {"support"},
        "timeout": 5,
        "retries": Retry(attempts=3),
        **key,
    }
    made = tool(name="act", **contract)(act)
    async with stage(made, clock=clock, deps=deps) as gateway:
        call = asyncio.create_task(gateway.call("act", {"number": 1}, caller=ANN))
        if failure in {"deadline", "deps hang"}:
            await halt.reached()
            clock.advance(5.1)
            outcome = await call
        else:
            outcome = await drive(call, clock)
    promise = "-" if honours is None else "yes" if honours else "no"
    body = outcome.to_model()
    said = (str(body["status"]), str(body["error_type"]), str(body["effect"]), str(body["advice"]))
    return (effect, promise, "yes" if dispatched else "no", failure, str(attempts), *said)


if __name__ == "__main__":
    sys.stdout.write("\n".join(asyncio.run(lines())) + "\n")
