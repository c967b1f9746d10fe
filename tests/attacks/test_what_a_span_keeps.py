"""Spans of the MCP server: whatever a client calls things, no secret, no fault and no long text gets into one."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from mcp.shared import _otel
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, NoOpTracer

from tests.mcp.server.desk import MODES, by_hand, opened
from tests.rest.desk import ANN
from toolgate.domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "sk_live_51H8xyzABCDEFGHIJKLMNOP"


class Kept(NonRecordingSpan):
    """A span that keeps what it is told, whatever that is."""

    def __init__(self, told: list[str]) -> None:
        super().__init__(INVALID_SPAN_CONTEXT)
        self._told = told

    def set_attribute(self, key: str, value: Any) -> None:
        """Keep one."""
        self._told.append(f"{key} {value}")

    def set_attributes(self, attributes: Any) -> None:
        """Keep all of them."""
        self._told.append(str(attributes))

    def set_status(self, status: Any, description: str | None = None) -> None:
        """Keep it, with its words."""
        self._told.append(f"{status} {description}")

    def record_exception(self, exception: BaseException, *args: Any, **given: Any) -> None:
        """Keep its text."""
        self._told.append(repr(exception))


class Tracer(NoOpTracer):
    """What an operator's tracer would be told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def start_as_current_span(self, name: str, *args: Any, **given: Any) -> Any:
        """A span."""
        self.told += [name, str(given.get("attributes"))]
        return nullcontext(Kept(self.told))


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> Tracer:
    found = Tracer()
    monkeypatch.setattr(_otel, "_tracer", found)
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.req("M10.11")
async def test_names_that_a_client_makes_up_are_cut_and_redacted(
    tmp_path: Path, tracer: Tracer, mode: str
) -> None:
    name = f"pay {SECRET} {'x' * 4_000}"
    async with opened(tmp_path) as desk, by_hand(desk, mode, await desk.token(ANN)) as hand:
        body = hand.call(name, "{}").replace(b'"id": 7', f'"id": "{SECRET}"'.encode())
        await hand.post(body, name=name)
        other = f"tools/{SECRET}"
        headers = hand.headers(other)
        await hand.http.post("/mcp", content=body.replace(b"tools/call", other.encode()), headers=headers)

    said = "\n".join(tracer.told)
    assert "tools/call pay" in said
    assert "sk_live" not in said
    assert "tools/[" in said
    assert max(map(len, tracer.told)) < 2_000


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.req("M10.11")
async def test_a_fault_of_ours_leaves_no_words_in_a_span(
    tmp_path: Path, tracer: Tracer, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    async with opened(tmp_path) as desk, by_hand(desk, mode, await desk.token(ANN)) as hand:
        operate = desk.gateway.operate

        async def failing(operation: Any, *args: Any, **given: Any) -> Any:
            if operation.__name__ == "see_call":
                raise StoreUnavailable(f"/srv/gate.db {SECRET}")
            return await operate(operation, *args, **given)

        monkeypatch.setattr(desk.gateway, "operate", failing)
        await hand.ask("get_call", '{"call_id": "call_1"}')

    said = "\n".join(tracer.told)
    assert "-32603" in said
    assert "/srv" not in said
    assert "sk_live" not in said
