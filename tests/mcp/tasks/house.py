"""The house of the confirmations, where everything stands around a call that ships, and tools that wait for a lead.

Not here: what is expected of any of it; each test says that.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from tests.mcp.confirm.house import CLIENT, House
from tests.mcp.confirm.house import house as confirming_house
from tests.mcp.server.desk import MODERN
from tests.mcp.tasks.knowing import KnowsTasks
from tests.rest.desk import ANN
from toolgate import Approval, NeedsApproval, Tool, ToolContext, ToolError, tool
from toolgate.domain.content import Content, TextBlock
from toolgate.surfaces.mcp.around import standing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from mcp import Client

    from toolgate.surfaces.mcp.handlers import Around

LEAD: Final = Approval(approvers={"lead"}, expires_in="1h")
RESEARCH: Final = "researcher"


def library() -> list[Tool[Any, Any]]:
    """Tools that wait for a lead, one for each way in which such a call may end."""

    @tool(effect="read", roles={"clerk"}, timeout=60, approval=LEAD)
    async def page(number: int = Field(ge=1, le=99)) -> Content:
        """Read a page."""
        return Content(content=[TextBlock(text=f"page {number}")])

    @tool(effect="write", roles={"clerk"}, timeout=60, approval=LEAD, idempotency="tear:{page}:{workflow_id}")
    async def tear(page: int = Field(ge=1, le=99)) -> str:
        """Find that it cannot be torn."""
        raise ToolError("the paper is too strong", effect="none")

    @tool(effect="read", roles={RESEARCH}, timeout=60, approval=LEAD)
    async def archive() -> str:
        """Read what researchers may read."""
        return "dust"

    @tool(effect="write", roles={"clerk"}, timeout=60, idempotency="lend:{book}:{workflow_id}")
    async def lend(context: ToolContext[Any], book: int = Field(ge=1, le=99)) -> str:
        """Lend a book, of which only the library itself knows that it is rare."""
        if context.approval is None:
            raise NeedsApproval("it is rare", approvers={"lead"})
        return "lent"

    return [page, tear, archive, lend]


@asynccontextmanager
async def house(
    folder: Path, *, around: Around | None = None, more: Iterable[Tool[Any, Any]] = (), **settings: Any
) -> AsyncIterator[House]:
    """The house over ``folder/gate.db``, with ``more`` tools."""
    stands = around or standing()
    async with confirming_house(folder, confirming=stands, tools=[*library(), *more], **settings) as opened:
        yield opened


@asynccontextmanager
async def knowing(gate: House, caller: Any = ANN, **given: Any) -> AsyncIterator[Client]:
    """A client that knows tasks."""
    extension = given.pop("extension", None) or KnowsTasks()
    async with gate.desk.client(
        caller, MODERN, client_info=CLIENT, extensions=[extension], **given
    ) as client:
        yield client
