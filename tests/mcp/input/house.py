"""Tools that ask whoever calls, behind the server that ships, and a user at a client who answers.

Not here: what is expected of any of it; each test says that.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import mcp_types as types
from pydantic import Field

from tests.mcp.server.desk import Desk, meta, opened
from tests.rest.desk import ANN
from toolgate import Answer, Form, NeedsInput, Roots, Sample, Tool, ToolContext, tool
from toolgate.surfaces.mcp.around import standing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from mcp import Client

NAME: Final = Form("Who are you?", {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}})
POEM: Final = Sample("A line about rain", max_tokens=20, system="Be short.")
asks: Final[dict[str, Any]] = {"effect": "read", "roles": {"clerk"}, "timeout": 60, "raises": {NeedsInput}}


@dataclass(slots=True)
class Business:
    """What the tools were told, each time that they ran."""

    seen: list[dict[str, Answer]] = field(default_factory=list)

    def tools(self) -> list[Tool[Any, Any]]:
        """One that asks for a form, one for all there is at once, one again and again, and one that asks nothing."""

        @tool(**asks)
        async def greet(
            context: ToolContext[Any], shop: Annotated[str, Field(max_length=20)] = "north"
        ) -> str:
            """Greet the user by their name."""
            self.seen.append(dict(context.answers))
            answer = context.answers.get("who")
            if answer is None:
                raise NeedsInput({"who": NAME})
            return f"{shop}: {answer.action} {answer.content.get('name')}"

        @tool(**asks)
        async def survey(context: ToolContext[Any]) -> list[str]:
            """Ask all that can be asked."""
            self.seen.append(dict(context.answers))
            wanted: dict[str, Form | Sample | Roots] = {"who": NAME, "poem": POEM, "where": Roots()}
            if missing := {key: each for key, each in wanted.items() if key not in context.answers}:
                raise NeedsInput(missing)
            given = context.answers
            roots = [root["uri"] for root in given["where"].content.get("roots", [])]
            return [given["poem"].action, given["poem"].content.get("text", ""), *roots]

        @tool(**asks)
        async def pry(context: ToolContext[Any], times: Annotated[int, Field(ge=1, le=20)]) -> int:
            """Ask one thing after the other."""
            for step in range(times):
                if f"step{step}" not in context.answers:
                    raise NeedsInput({f"step{step}": Form("Yes?", {"yes": {"type": "boolean"}})})
            return times

        @tool(**asks)
        async def can_ask(context: ToolContext[Any]) -> list[str]:
            """Say what can be asked."""
            return sorted(context.can_ask)

        @tool(effect="read", roles={"clerk"}, timeout=60)
        async def plain() -> str:
            """Ask nothing."""
            return "plain"

        return [greet, survey, pry, can_ask, plain]


@dataclass(slots=True)
class User:
    """Somebody at a client: says what they were told to say, and keeps what they were shown."""

    form: Any = None
    sample: Any = None
    roots: Any = None
    shown: list[Any] = field(default_factory=list)

    def callbacks(self) -> dict[str, Any]:
        """What the client is made with: it declares what this user answers."""

        async def elicit(context: Any, params: Any) -> Any:
            self.shown.append(params)
            return self.form(params) if callable(self.form) else self.form

        async def sample(context: Any, params: Any) -> Any:
            self.shown.append(params)
            return self.sample

        async def roots(context: Any) -> Any:
            self.shown.append("roots")
            return self.roots

        given = {
            "elicitation_callback": (self.form, elicit),
            "sampling_callback": (self.sample, sample),
            "list_roots_callback": (self.roots, roots),
        }
        return {name: callback for name, (answer, callback) in given.items() if answer is not None}


def accepted(**content: Any) -> types.ElicitResult:
    """A form that was filled in."""
    return types.ElicitResult(action="accept", content=content)


ADA: Final = accepted(name="Ada", age=36)
LINE: Final = types.CreateMessageResult(
    role="assistant", content=types.TextContent(type="text", text="It rains."), model="m-1"
)
HOME: Final = types.ListRootsResult.model_validate({"roots": [{"uri": "file:///home/ann", "name": "home"}]})


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The desk, and the business behind it."""

    desk: Desk
    business: Business

    @asynccontextmanager
    async def client(self, mode: str, user: User | None = None, **given: Any) -> AsyncIterator[Client]:
        """A client of Ann's, or of whoever is given."""
        caller = given.pop("caller", ANN)
        callbacks = {} if user is None else user.callbacks()
        async with self.desk.client(caller, mode, **callbacks, **given) as client:
            yield client

    async def trail(self) -> list[tuple[str, Any]]:
        """How each call ended, and what the trail tells of its questions."""
        return [(event["toolgate.status"], event.get("toolgate.input")) for event in await self.desk.trail()]


@asynccontextmanager
async def house(folder: Path, **settings: Any) -> AsyncIterator[House]:
    """The house over ``folder/gate.db``."""
    business = Business()
    async with opened(folder, around=standing(), tools=business.tools(), **settings) as desk:
        yield House(desk=desk, business=business)


async def call(client: Client, name: str = "greet", **args: Any) -> dict[str, Any]:
    """What the model is told, after whatever the client does on the way."""
    result = await client.call_tool(name, args, meta=meta(None))
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def once(
    client: Client,
    name: str = "greet",
    *,
    says: Mapping[str, Any] | None = None,
    state: str | None = None,
    workflow: str | None = None,
    **args: Any,
) -> Any:
    """What one request of the modern era is answered with."""
    return await client.session.call_tool(
        name,
        args,
        input_responses=None if says is None else dict(says),
        request_state=state,
        meta=meta(workflow),
        allow_input_required=True,
    )


async def asked(client: Client, name: str = "greet", **given: Any) -> types.InputRequiredResult:
    """The questions that a call of the modern era is answered with."""
    result = await once(client, name, **given)
    assert isinstance(result, types.InputRequiredResult), result
    return result


async def told(client: Client, name: str = "greet", **given: Any) -> dict[str, Any]:
    """The outcome that a request of the modern era is answered with."""
    result = await once(client, name, **given)
    assert isinstance(result, types.CallToolResult), result
    assert isinstance(result.structured_content, dict)
    return result.structured_content
