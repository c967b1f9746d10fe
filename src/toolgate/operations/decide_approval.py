"""A person decides on a held call. Deciding only records; a gateway that owns the tool dispatches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from toolgate.domain.commands import DecideApproval, Done, NotAllowed
from toolgate.domain.redaction import redact_text
from toolgate.domain.rows import ByApproval

if TYPE_CHECKING:
    from toolgate.domain.caller import Caller
    from toolgate.domain.rows import ApprovalRow
    from toolgate.ports import Store

MAX_REASON = 2000


async def decide_approval(
    store: Store,
    approval_id: str,
    decision: Literal["approve", "deny"],
    *,
    voter: Caller,
    reason: str,
    digest: bytes | None = None,
) -> ApprovalRow | str:
    """The approval as it is after the decision, or why it may not be decided so.

    ``digest`` is that of what the person saw. Left out, that of the approval as it is now: for programs that
    showed it in the same breath.
    """
    text = redact_text(reason.strip())[:MAX_REASON]
    if not text:
        return "say why, in a few words; the trail keeps it"
    found = await store.find(ByApproval(approval_id))
    if found.approval is None or found.approval.tenant != voter.tenant:
        return "there is no such approval"
    shown = found.approval.digest if digest is None else digest
    answer = await store.execute(DecideApproval(approval_id, decision, voter, text, shown))
    match answer:
        case Done(approval=approval) if approval is not None:
            return approval
        case NotAllowed(why):
            return why
        case _:
            return "it was decided meanwhile"
