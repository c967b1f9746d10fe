"""A business that handles one secret in every way it can be mishandled. Run by the tests, in a child process."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel, Field, field_validator, model_validator

from tests.people import decide_approval
from toolgate import (
    Applied,
    Approval,
    Caller,
    Denied,
    Gateway,
    NeedsApproval,
    NotApplied,
    PendingApproval,
    Sensitive,
    ToolContext,
    ToolError,
    TransientError,
    tool,
)
from toolgate.adapters.telemetry.providers import ProvidedTelemetry
from toolgate.surfaces.http.metrics import Metrics
from toolgate.testing import FakeClock

CANARY = "canary7Qx9Zr2Lm"
KEY = "sk_live_" + CANARY + "0000"
NUMBER = 4_111_111_111_111_111  # a card number: also caught where nobody marked it
ANA = Caller("u-ana", {"support"}, "acme")
BOSS = Caller("u-boss", {"boss"}, "acme")


class Inner(BaseModel):
    iban: Annotated[str, Sensitive()] = ""
    size: int = Field(default=1, le=5)


class Pay(BaseModel):
    mode: str = Field(max_length=40)
    card: Annotated[str, Sensitive()] = Field(default="", max_length=60)
    digits: Annotated[int, Sensitive()] = 0
    inner: Inner = Inner()
    others: list[Inner] = Field(default_factory=list)
    password: str = ""
    note: str = ""

    @field_validator("card")
    @classmethod
    def not_refused(cls, value: str) -> str:
        if value.startswith("bad"):
            raise ValueError(f"the card {value} is bad")
        return value

    @model_validator(mode="after")
    def together(self) -> Pay:
        if self.mode == "inconsistent":
            raise ValueError(f"the card {self.card} and {self.mode} do not fit")
        return self


class Declined(ToolError):
    code = "declined"
    effect = "none"


def chained(secret: str) -> Exception:
    try:
        raise KeyError(f"inner {secret}")
    except KeyError as inner:
        error = RuntimeError(f"outer {secret}")
        error.__cause__ = inner
        error.add_note(f"note {secret}")
        return error


async def authorize(context: ToolContext[Any], args: Pay) -> bool | Denied:
    if args.mode == "denied":
        return Denied(f"card {args.card} with {KEY} is not theirs", message=f"Not yours: {args.card}.")
    if args.mode == "predicate raises":
        raise chained(args.card)
    return True


def when(context: ToolContext[Any], args: Pay) -> str | None:
    if args.mode == "condition raises":
        raise chained(args.card)
    return f"the card {args.card} / {args.password} / {args.digits} is new" if args.mode == "held" else None


def preview(context: ToolContext[Any], args: Pay) -> str:
    if args.mode == "condition raises":
        raise chained(args.card)
    return f"Pay with {args.card} ({args.inner.iban}, {args.digits}, {args.password}) {KEY}"


def reconcile(context: ToolContext[Any], args: Pay) -> Applied[str] | NotApplied | None:
    if "applied" in args.mode:
        return Applied(f"found {args.card}")
    if "not there" in args.mode:
        return NotApplied(f"nothing of {args.card}")
    raise chained(args.card)


def act(mode: str, card: str) -> str:
    match mode:
        case "declared":
            raise Declined(f"the card {card} was declined; {KEY}")
        case "transient":
            raise TransientError(f"{card} is not there yet {KEY}")
        case "wants approval":
            raise NeedsApproval(f"somebody must look at {card} and {KEY}")
        case "system exit":
            raise SystemExit(f"bye {card}")
        case "interrupt":
            raise KeyboardInterrupt(card)
        case "group":
            raise ExceptionGroup(f"many {card}", [chained(card)])
        case "connection":
            raise ConnectionError(f"no way to {card}")
        case mode if mode.startswith("undeclared"):
            raise chained(card)
        case "bad result":
            return [card, KEY]  # type: ignore[return-value]
        case _:
            return f"paid with {card} {KEY}"


SETTINGS: dict[str, Any] = {
    "roles": {"support"},
    "authorize": authorize,
    "timeout": 5.0,
    "raises": {Declined},
}


@tool(
    effect="write",
    idempotency="pay:{mode}:{card}:{workflow_id}",
    reconcile=reconcile,
    horizon="1s",
    approval=Approval(approvers={"boss"}, when=when),
    preview=preview,
    **SETTINGS,
)
async def pay(context: ToolContext[Any], args: Pay) -> str:
    """Pay."""
    return act(args.mode, args.card)


@tool(effect="read", **SETTINGS)
def look(context: ToolContext[Any], args: Pay) -> str:
    """Look."""
    return act(args.mode, args.card)


@tool(effect="write", idempotency="slow:{card}", **SETTINGS)
async def slow(context: ToolContext[Any], args: Pay) -> str:
    """Pay, swallow the cancellation, and fail late."""
    context.deps["started"].set()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        context.deps["late"].set()
    raise chained(args.card)


@tool(effect="read", roles={"admin"})
async def hidden(args: Pay) -> None:
    """Not for everybody."""


SIGNALS: dict[str, Any] = {}


@asynccontextmanager
async def deps(caller: Caller) -> AsyncIterator[dict[str, Any]]:
    if SIGNALS.get("deps") == "enter":
        raise chained(CANARY)
    yield SIGNALS
    if SIGNALS.get("deps") == "leave":
        raise chained(CANARY)


def arguments(mode: str, **more: Any) -> dict[str, Any]:
    inner = {"iban": f"{CANARY}-iban", "size": 1}
    return {
        "mode": mode,
        "card": CANARY,
        "digits": NUMBER,
        "inner": inner,
        "others": [inner],
        "password": f"{CANARY}-password",
        "note": f"key {KEY} and Bearer {CANARY}0123456789",
    } | more


MODES = (
    "fine", "denied", "predicate raises", "condition raises", "held", "declared", "transient", "wants approval",
    "system exit", "interrupt", "group", "connection", "undeclared", "undeclared applied", "undeclared not there",
    "bad result", "inconsistent",
)  # fmt: skip


def misfits() -> list[Any]:
    good = arguments("fine")
    return [
        good | {"card": f"bad-{CANARY}"},
        good | {"card": CANARY * 9},
        good | {"card": [CANARY]},
        good | {"card": {"number": CANARY}},
        good | {"crad": CANARY},
        good | {"digits": CANARY},
        good | {"inner": CANARY},
        good | {"inner": {"iban": 5, "more": CANARY}},
        good | {"inner": [CANARY]},
        good | {"others": [{"iban": {"a": CANARY}}]},
        good | {"size": {"deep": [CANARY]}},
        [CANARY],
        CANARY,
        CANARY.encode(),
        f'{{"card": "{CANARY}", "card": "{CANARY}"}}',
        f'{{"card": "{CANARY}"',
        f'{{"card": "{CANARY}", "mode": 5}}'.encode(),
    ]


def morning() -> list[tuple[str, Any]]:
    """Every way to mishandle good arguments, and every kind of bad ones."""
    good = [arguments(mode) for mode in MODES]
    seen = [(name, given) for name in ("pay", "look") for given in (*good, *misfits())]
    return seen + [(name, given) for name in ("hidden", "none") for given in (good[0], *misfits())]


async def day(folder: Path) -> None:
    clock = FakeClock()
    words: dict[str, Any] = {
        "workflow": "w",
        "agent": "a",
        "rationale": f"the user said {CANARY} and {KEY}",
        "request_id": KEY,
    }
    store = f"sqlite:///{folder / 'gate.db'}"
    telemetry, exporter, reader = traced()
    gateway = Gateway(
        [pay, look, slow, hidden],
        store=store,
        deps=deps,
        clock=clock,
        telemetry=telemetry,
        housekeeping=None,
    )
    async with gateway:

        async def call(name: str, given: Any) -> Any:
            outcome = await gateway.call(name, given, caller=ANA, **words)
            if isinstance(outcome, PendingApproval):
                await decide_approval(
                    gateway, outcome.approval_id, "approve", voter=BOSS, reason=f"seen {KEY}"
                )
                await gateway.sweep()
            return outcome

        for name, given in morning():
            await call(name, given)
        for broken in ("enter", "leave"):
            SIGNALS["deps"] = broken
            await call("pay", arguments(f"deps {broken}"))
            await call("look", arguments(f"deps {broken}"))
        SIGNALS.clear()

        SIGNALS.update(started=asyncio.Event(), late=asyncio.Event())
        loop = asyncio.get_running_loop()
        for name in ("started", "late"):
            event = SIGNALS[name]
            SIGNALS[name] = type("Signal", (), {"set": lambda _, e=event: loop.call_soon_threadsafe(e.set)})()
            SIGNALS[f"{name} here"] = event
        waiting = asyncio.ensure_future(call("slow", arguments("slow")))
        await SIGNALS["started here"].wait()
        clock.advance(6)
        await waiting
        await SIGNALS["late here"].wait()
        clock.advance(60)
        for _ in range(3):
            await gateway.sweep()
        numbers = reader.get_metrics_data()
        assert numbers is not None
        (folder / "numbers.json").write_text(numbers.to_json(), encoding="utf-8")
        (folder / "metrics.txt").write_bytes(await Metrics().text(gateway, streams=0))
    spans = [span.to_json() for span in exporter.get_finished_spans()]
    (folder / "spans.json").write_text("\n".join(spans), encoding="utf-8")


def traced() -> tuple[ProvidedTelemetry, InMemorySpanExporter, InMemoryMetricReader]:
    """Telemetry that stays here, so that it can be searched."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    return ProvidedTelemetry(tracers, MeterProvider([reader], shutdown_on_exit=False)), exporter, reader


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    logging.captureWarnings(True)
    asyncio.run(day(Path(sys.argv[1])), debug=len(sys.argv) > 2)
    sys.stdout.write("the day is over\n")
