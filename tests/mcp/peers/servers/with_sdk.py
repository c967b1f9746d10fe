"""``python with_sdk.py``: a server of the ``mcp`` SDK over stdio. It knows nothing of any gate."""

from __future__ import annotations

from typing import Annotated

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

server = MCPServer("desk", version="0.9.0")
notes: list[str] = []


class Note(BaseModel):
    """A note, and its number."""

    number: int
    text: str


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def read_note(number: Annotated[int, Field(ge=1)]) -> Note:
    """Read a note."""
    if number > len(notes):
        raise ValueError(f"there is no note {number}")
    return Note(number=number, text=notes[number - 1])


@server.tool()
def write_note(text: Annotated[str, Field(max_length=200)]) -> Note:
    """Write a note."""
    notes.append(text)
    return Note(number=len(notes), text=text)


if __name__ == "__main__":
    server.run("stdio")
