"""Results that are content: text, images, audio, links and embedded resources, in MCP's own terms.

The blocks are those of MCP 2025-11-25 and 2026-07-28 (``ContentBlock``), under MCP's own names. ``_meta`` and
``icons`` of a block are neither kept nor passed on. Not here: how an outcome shows them (``outcome``), and the limit
that they are cut to (``contract.result_size``).
"""

from __future__ import annotations

import base64
import binascii
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from toolgate.domain.bounding import json_size

_SHORTEST: Final = 64
"""Characters of a text below which its beginning says nothing."""


def _is_base64(text: str) -> str:
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise ValueError("this is no base64 (RFC 4648, section 4)") from None
    return text


def _unset(value: object) -> bool:
    # MCP's optional members are absent where there is nothing to say, and never null.
    return value is None


Base64 = Annotated[str, AfterValidator(_is_base64)]
Uri = Annotated[str, Field(min_length=1)]
MimeType = Annotated[str, Field(min_length=1)]
_Maybe = Field(default=None, exclude_if=_unset)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Annotations(_Part):
    """For whom a block is meant, and how much it matters: 1 is required, 0 wholly optional."""

    audience: list[Literal["user", "assistant"]] | None = _Maybe
    priority: Annotated[float, Field(ge=0, le=1)] | None = _Maybe
    lastModified: str | None = _Maybe  # noqa: N815 - MCP's own name, as are all below


class TextBlock(_Part):
    """Text."""

    type: Literal["text"] = "text"
    text: str
    annotations: Annotations | None = _Maybe


class ImageBlock(_Part):
    """An image: ``data`` is base64."""

    type: Literal["image"] = "image"
    data: Base64
    mimeType: MimeType  # noqa: N815
    annotations: Annotations | None = _Maybe

    @classmethod
    def of(cls, data: bytes, mime_type: str, *, annotations: Annotations | None = None) -> ImageBlock:
        """The block for the bytes of an image."""
        return cls(data=_encoded(data), mimeType=mime_type, annotations=annotations)


class AudioBlock(_Part):
    """A sound: ``data`` is base64."""

    type: Literal["audio"] = "audio"
    data: Base64
    mimeType: MimeType  # noqa: N815
    annotations: Annotations | None = _Maybe

    @classmethod
    def of(cls, data: bytes, mime_type: str, *, annotations: Annotations | None = None) -> AudioBlock:
        """The block for the bytes of a sound."""
        return cls(data=_encoded(data), mimeType=mime_type, annotations=annotations)


class ResourceLink(_Part):
    """A resource that can be read elsewhere; ``size`` is its bytes, before any encoding."""

    type: Literal["resource_link"] = "resource_link"
    uri: Uri
    name: str
    title: str | None = _Maybe
    description: str | None = _Maybe
    mimeType: MimeType | None = _Maybe  # noqa: N815
    size: Annotated[int, Field(ge=0)] | None = _Maybe
    annotations: Annotations | None = _Maybe


class TextResource(_Part):
    """What an embedded resource holds, as text."""

    uri: Uri
    mimeType: MimeType | None = _Maybe  # noqa: N815
    text: str


class BlobResource(_Part):
    """What an embedded resource holds, as bytes: ``blob`` is base64."""

    uri: Uri
    mimeType: MimeType | None = _Maybe  # noqa: N815
    blob: Base64

    @classmethod
    def of(cls, blob: bytes, uri: str, *, mime_type: str | None = None) -> BlobResource:
        """The resource for its bytes."""
        return cls(uri=uri, blob=_encoded(blob), mimeType=mime_type)


class EmbeddedResource(_Part):
    """A resource with what it holds."""

    type: Literal["resource"] = "resource"
    resource: TextResource | BlobResource
    annotations: Annotations | None = _Maybe


Block = TextBlock | ImageBlock | AudioBlock | ResourceLink | EmbeddedResource


class Content(_Part):
    """What a tool answers where that is no data of one shape but content for a reader, in order.

    A tool that is annotated ``-> Content`` has no output schema over MCP: its blocks are its answer. Whatever else it
    may want to answer belongs into a block; ``Content | None`` and the like are refused where the tool is made.
    """

    content: list[Annotated[Block, Field(discriminator="type")]]


def mixes_content(kind: Any) -> bool:
    """Whether a value of the type ``kind`` may be ``Content`` or something else, so that no client knows what comes."""
    bare = _bare(kind)
    return get_origin(bare) in {Union, UnionType} and any(
        _bare(member) is Content or mixes_content(member) for member in get_args(bare)
    )


def _bare(kind: Any) -> Any:
    return _bare(get_args(kind)[0]) if get_origin(kind) is Annotated else kind


def bounded_content(shown: dict[str, Any], *, limit: int, measured: int) -> tuple[dict[str, Any], bool]:
    """``shown`` (a ``Content`` as JSON) if it has at most ``limit`` bytes, else with fewer blocks, and whether so.

    Whole blocks are left out, the last first, and those that are mostly base64 before any other where that keeps as
    many: half an image is none. A last block says what is missing. Where not one block is short enough, the first text
    keeps its beginning. ``measured``: the size of ``shown``.
    """
    if measured <= limit:
        return shown, False
    blocks = shown["content"]
    sizes = [json_size(block) + 1 for block in blocks]
    room = limit - json_size(_content([_note(len(blocks), len(blocks), limit)]))
    in_order = _kept(sizes, [*range(len(blocks))], room)
    text_first = _kept(sizes, sorted(range(len(blocks)), key=lambda at: (_is_binary(blocks[at]), at)), room)
    kept = max(text_first, in_order, key=len)
    if not kept:
        return _content([*_beginning(blocks, room), _note(len(blocks), len(blocks), limit)]), True
    left_out = len(blocks) - len(kept)
    return _content([*(blocks[at] for at in kept), _note(left_out, len(blocks), limit)]), True


def _kept(sizes: list[int], order: list[int], room: int) -> list[int]:
    """Which blocks are left when those at the end of ``order`` go until the others fit into ``room`` bytes."""
    left = list(order)
    while left and sum(sizes[at] for at in left) > room:
        left.pop()
    return sorted(left)


def _beginning(blocks: list[Any], room: int) -> list[Any]:
    text = next((block["text"] for block in blocks if block["type"] == "text"), "")
    length = min(len(text), room)
    while length >= _SHORTEST:
        cut = {
            "type": "text",
            "text": f"{text[:length]}…[cut: {len(text) - length} more characters]",
        }
        if json_size(cut) + 1 <= room:
            return [cut]
        length //= 2
    return []


def _content(blocks: list[Any]) -> dict[str, Any]:
    return {"content": blocks}


def _note(left_out: int, of: int, limit: int) -> dict[str, Any]:
    return {
        "type": "text",
        "text": f"[cut: {left_out} of {of} blocks left out, the result is longer than {limit} bytes]",
    }


def _is_binary(block: Any) -> bool:
    resource = block.get("resource")
    return "data" in block or (isinstance(resource, dict) and "blob" in resource)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
