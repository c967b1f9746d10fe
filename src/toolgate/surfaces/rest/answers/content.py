"""What every body of an answer is made of: a frozen model, and times as RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel

from toolgate.domain.duration import MICRO

Json = dict[str, JsonValue]


def rfc3339(at: int) -> str:
    """``at``, in microseconds since the epoch."""
    return datetime.fromtimestamp(at / MICRO, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_or_none(at: int | None) -> str | None:
    """``at``, where there is such a time."""
    return None if at is None else rfc3339(at)


class Content(BaseModel):
    """A body. Its fields are all there is."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Next = Annotated[str | None, Field(description="the `cursor` of the next page; null at the end")]


class DescriptionBody(RootModel[Json]):
    """OpenAPI 3.1."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"type": "object", "required": ["openapi", "paths"]}
    )
