"""Tools, as answers tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field

from toolgate.surfaces.rest.answers.content import Content, Json

if TYPE_CHECKING:
    from toolgate.operations.list_tools import ListedTool


class ToolInfo(Content):
    """One tool: what a model needs to call it, and what people need to trust it."""

    name: str
    title: str | None
    description: str
    version: str
    effect: str
    external: Annotated[bool, Field(description="the effect leaves the house")]
    usable: Annotated[bool, Field(description="whether you may call it")]
    now: Annotated[
        Literal["ready", "set_aside", "unavailable"],
        Field(
            description="whether its upstream could run it now; `set_aside`: it changed since it was reviewed"
        ),
    ]
    input_schema: Annotated[Json, Field(description="JSON Schema 2020-12")]
    output_schema: Json | None
    annotations: Annotated[dict[str, bool], Field(description="the hints of MCP's tool annotations")]
    approval: Annotated[Json | None, Field(description="when a person is asked, and which roles may decide")]
    idempotency: Annotated[
        str | None, Field(description="the key's template; `{workflow_id}` needs an explicit one")
    ]
    timeout_s: float
    sensitive: Annotated[list[str], Field(description="paths of arguments that are masked")]
    tags: list[str]

    @classmethod
    def of(cls, tool: ListedTool) -> Self:
        """What of ``tool`` may be known outside."""
        contract = tool.contract
        return cls(
            name=contract.name,
            title=contract.title,
            description=contract.description,
            version=contract.version,
            effect=contract.effect.value,
            external=contract.external,
            usable=tool.usable,
            now=tool.now,
            input_schema=_plain(contract.input_schema),
            output_schema=None if contract.output_schema is None else _plain(contract.output_schema),
            annotations=contract.annotations(),
            approval=None if contract.approval is None else contract.approval.described(),
            idempotency=contract.idempotency,
            timeout_s=contract.timeout,
            sensitive=[".".join(path) for path in contract.sensitive],
            tags=sorted(contract.tags),
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


class ToolList(Content):
    """Tools by name."""

    tools: list[ToolInfo]
