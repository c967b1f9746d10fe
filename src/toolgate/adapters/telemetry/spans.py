"""A call as a span ``execute_tool {name}``, by OpenTelemetry's GenAI conventions, with what took time beneath it.

Nothing of arguments, results, reasons or exceptions' texts goes into a span: a collector is another house. Steps that
took less than ``WORTH_SHOWING`` are left out. Not here: where spans go (``providers``, ``collector``).
"""

from __future__ import annotations

import contextvars
import logging
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from toolgate.domain.call import ClearedCall, ReceivedCall
    from toolgate.domain.context import Context
    from toolgate.ports import Runner

WORTH_SHOWING: Final = 1_000_000
"""Nanoseconds."""
OPERATION: Final = "execute_tool"
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_FAULTS: Final = frozenset({"failed", "unknown"})
_log = logging.getLogger("toolgate")


def read_traceparent(said: str | None) -> SpanContext | None:
    """Where a W3C ``traceparent`` points to; None where it is none."""
    found = _TRACEPARENT.fullmatch(said or "")
    if found is None:
        return None
    told = SpanContext(
        trace_id=int(found[1], 16),
        span_id=int(found[2], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(found[3], 16)),
    )
    return told if told.is_valid else None


def write_traceparent(span: SpanContext) -> str:
    """``span`` as a W3C ``traceparent``."""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags & 0x01:02x}"


class TracedCall:
    """One run of the pipeline. Its methods may be called from any thread."""

    def __init__(self, tracer: Tracer, span: Span, context: contextvars.Context) -> None:
        self.trace = write_traceparent(span.get_span_context())
        self.context = context
        self._tracer = tracer
        self._span = span
        self._within = trace.set_span_in_context(span)
        self._since = time.time_ns()
        self._ended = False

    def step(self, name: str | None) -> None:
        """Show what was done since the step before, if it took long enough to be worth it."""
        now, since = time.time_ns(), self._since
        self._since = now
        if name is None or now - since < WORTH_SHOWING or not self._span.is_recording():
            return
        self._tracer.start_span(name, context=self._within, start_time=since).end(now)

    def end(self, *, status: str, effect: str, error_type: str | None, attempts: int) -> None:
        """It was answered."""
        if self._ended:
            return
        self._ended = True
        span = self._span
        span.set_attribute("toolgate.status", status)
        span.set_attribute("toolgate.effect", effect)
        span.set_attribute("toolgate.attempts", attempts)
        if error_type is not None:
            span.set_attribute("error.type", error_type)
        if status in _FAULTS:
            span.set_status(StatusCode.ERROR)
        span.end()


def begin(
    tracer: Tracer, received: ReceivedCall, context: contextvars.Context | None, *, resumes: bool
) -> TracedCall | None:
    """The span of one run; None where nobody has set up tracing and no trace was begun elsewhere.

    Its parent is the span that is current where the call was asked for, else the ``traceparent`` that came with it. A
    run that somebody agreed to, and a job's, begins a trace of its own, linked to the one that its request left.
    """
    asked = read_traceparent(received.trace)
    parent, links = otel_context.Context(), []
    if resumes:
        links = [Link(asked)] if asked is not None else []
    else:
        here = context.run(trace.get_current_span).get_span_context() if context is not None else None
        if here is not None and here.is_valid and (asked is None or asked.trace_id == here.trace_id):
            asked = here
        if asked is not None:
            parent = trace.set_span_in_context(trace.NonRecordingSpan(asked))
    workflow = received.workflow
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": OPERATION,
        "gen_ai.tool.name": received.tool,
        "gen_ai.tool.type": "function",
        "toolgate.call.id": received.call_id,
        "toolgate.surface": received.surface,
    }
    if workflow.agent is not None:
        attributes["gen_ai.agent.name"] = workflow.agent
    if workflow.model is not None:
        attributes["gen_ai.request.model"] = workflow.model
    span = tracer.start_span(
        f"{OPERATION} {received.tool}",
        context=parent,
        kind=SpanKind.INTERNAL,
        attributes=attributes,
        links=links,
    )
    if not span.get_span_context().is_valid:
        return None
    # The asker's own context variables stay; only the current span is another one, so that spans which the tool makes
    # lie beneath it.
    within = context if context is not None else contextvars.copy_context()
    within.run(_make_current, span)
    return TracedCall(tracer, span, within)


def _make_current(span: Span) -> None:
    otel_context.attach(trace.set_span_in_context(span))


class TracedRunner:
    """A runner with a span around each attempt, which is what the tool passes on downstream."""

    def __init__(self, runner: Runner, tracer: Tracer) -> None:
        self._runner = runner
        self._tracer = tracer

    async def run(self, call: ClearedCall, context: Context) -> Any:
        """The tool's own return value. Raises whatever the runner raises."""
        if not trace.get_current_span().is_recording():
            # Whoever decided that this trace is not recorded decided it for the attempt too.
            return await self._runner.run(call, context)
        with self._tracer.start_as_current_span(
            "attempt",
            attributes={"toolgate.attempt": context.attempt, "gen_ai.tool.name": context.tool},
            # The text of an exception may hold anything.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                told = replace(context, trace=write_traceparent(span.get_span_context()))
                return await self._runner.run(call, told)
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise
