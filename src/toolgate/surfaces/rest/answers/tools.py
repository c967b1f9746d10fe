"""Tools, as answers tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field

from toolgate.surfaces.rest.answers.content import Content, Json

if TYPE_CHECKING:
    from toolgate.domain.contract import Contract


class ToolInfo(Content):
    """One tool: what a model needs to call it, and what people need to trust it."""

    name: str
    title: str | None
    description: str
    version: str
    effect: str
    external: Annotated[bool, Field(description="the effect leaves the house")]
    usable: Annotated[bool, Field(description="whether you may call it")]
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
    def of(cls, contract: Contract, *, usable: bool) -> Self:
        """What of ``contract`` may be known outside."""
        return cls(
            name=contract.name,
            title=contract.title,
            description=contract.description,
            version=contract.version,
            effect=contract.effect.value,
            external=contract.external,
            usable=usable,
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
