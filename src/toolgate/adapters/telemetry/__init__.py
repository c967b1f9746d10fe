"""OpenTelemetry: a span for each call, and the numbers of ``domain.metrics`` as instruments.

Only ``bootstrap`` imports this, when somebody asks for it; it needs the ``otel`` extra. Not here: what may be told of a
call (``operations.watch_call``), and what is counted.
"""
