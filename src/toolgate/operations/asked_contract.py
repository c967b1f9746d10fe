"""The contract of what somebody is asked about: its input schema shapes the form in which they may change it.

Whoever may see an approval may see the contract that it is under, also without a role to call the tool. Not here: the
edit itself (``edit_approval``), and the list of tools (``list_tools``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.review_approval import review_approval

if TYPE_CHECKING:
    from toolgate.domain.contract import Contract
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World

EACH_BY_ITSELF: Final = "each call of this tool is confirmed by whoever asks for it, and by nobody beforehand"
SEVERAL: Final = "each call of this tool needs several people, and a grant stands for one vote"


async def asked_contract(world: World, approval_id: str, *, by: Principal) -> Contract | Declined:
    """The contract as this gateway has it now; a refusal where the approval is not to be seen, or the tool not here."""
    found = await review_approval(world, approval_id, by=by)
    if isinstance(found, Declined):
        return found
    return _contract(world, found.row.tool)


async def grantable_contract(world: World, tool: str, *, by: Principal) -> Contract | Declined:
    """The contract of a tool that somebody wants to make a grant for; whether they may is ``make_grant``'s to say."""
    if (why := forbids(by, Action.GRANT)) is not None:
        return Declined("forbidden", why)
    contract = _contract(world, tool)
    if isinstance(contract, Declined) or contract.approval is None:
        return contract
    if all(part.own for part in contract.approval.parts):
        return Declined("conflict", EACH_BY_ITSELF)
    if all(part.quorum > 1 or part.own for part in contract.approval.parts):
        return Declined("conflict", SEVERAL)
    return contract


async def grantable_tools(world: World, *, by: Principal) -> tuple[str, ...]:
    """The tools that ask for an approval which ``by`` has a role for."""
    if forbids(by, Action.GRANT) is not None:
        return ()
    return tuple(
        name
        for name, registered in sorted(world.registry.items())
        if (asks := registered.contract.approval) is not None
        and any(part.approvers & by.caller.roles for part in asks.parts)
        and any(part.quorum == 1 and not part.own for part in asks.parts)
    )


def _contract(world: World, tool: str) -> Contract | Declined:
    registered = world.registry.get(tool)
    if registered is None:
        return Declined("conflict", f"the tool {tool} is not behind this gateway any more")
    return registered.contract
