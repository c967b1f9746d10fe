"""The tools behind the gate as a person looks at them: the contract, and the checklist's answers about it.

Whoever may see every call sees every tool; everybody else those that they may use. The answers are found once a
process, in a thread: nothing of the tool's function is run, but its author's validators are. Not here: the questions
(``domain.checklist``), trying (``check_tools``).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from toolgate.domain.call import ReceivedCall, Workflow
from toolgate.domain.caller import ANYONE, Caller
from toolgate.domain.checklist import Rehearsal, Report
from toolgate.domain.checklist.wrong_inputs import UNEXPECTED
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.gateway.prepare.find import NotFound, find
from toolgate.gateway.prepare.seal import Unfit, seal
from toolgate.operations.check_tools import check_tools

if TYPE_CHECKING:
    from toolgate.domain.checklist import ToolReport
    from toolgate.domain.contract import Contract
    from toolgate.domain.principal import Principal
    from toolgate.domain.tool import Tool
    from toolgate.gateway.world import World
    from toolgate.ports import UpstreamState


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTool:
    """A tool as somebody sees it.

    Attributes:
        usable: whether whoever looks may call it.
        reconciles: whether it can find out by itself what became of an effect in doubt.
        upstream: whose tool it is, where it is an upstream's.
        now: whether a call of it could run now, as far as its upstream goes: ``set_aside`` where it is not the tool
            that was reviewed.
        why: why it could not, for whoever may see every call; what an upstream is and says is no caller's business.
    """

    contract: Contract
    usable: bool
    reconciles: bool
    upstream: str | None = None
    now: Literal["ready", "set_aside", "unavailable"] = "ready"
    why: str | None = None


async def list_tools(world: World, *, by: Principal) -> tuple[ListedTool, ...] | Declined:
    """The tools that ``by`` may see, by name."""
    everything = forbids(by, Action.SEE_ALL_CALLS) is None
    if not everything and (why := forbids(by, Action.CALL_TOOLS)) is not None:
        return Declined("forbidden", why)
    may_call = forbids(by, Action.CALL_TOOLS) is None
    states = () if world.upstreams is None else world.upstreams.states()
    homes = {tool: state for state in states for tool in state.tools}
    listed = (
        _placed(
            ListedTool(
                contract=registered.contract,
                usable=may_call and registered.visible_to(by.caller),
                reconciles=registered.tool.reconcile is not None,
            ),
            homes.get(name),
            told=everything,
        )
        for name, registered in sorted(world.registry.items())
    )
    return tuple(tool for tool in listed if everything or tool.usable)


def _placed(tool: ListedTool, home: UpstreamState | None, *, told: bool) -> ListedTool:
    if home is None:
        return tool
    tool = replace(tool, upstream=home.name)
    if (why := home.set_aside.get(tool.contract.name)) is not None:
        return replace(tool, now="set_aside", why=why if told else None)
    if home.status == "unavailable":
        return replace(tool, now="unavailable", why=home.reason if told else None)
    return tool


async def answered_questions(world: World) -> dict[str, ToolReport]:
    """The eleven answers about each tool, by its name. Worth asking once: a registry does not change."""
    report = await asyncio.to_thread(_checked, world)
    return {tool.name: tool for tool in report.tools}


def _checked(world: World) -> Report:
    tools = [registered.tool for registered in world.registry.values()]
    return check_tools(tools, rehearse=lambda tool: _rehearsed(world, tool), source_of=lambda _: None)


def _rehearsed(world: World, tool: Tool[Any, Any]) -> Rehearsal:
    """What this gateway's own first steps say to a stranger and to an unknown field. Neither is recorded or run."""
    contract = tool.contract
    if not contract.enabled:
        return Rehearsal(problem="it is switched off, so that no call of it was tried")
    open_to_all = contract.roles == ANYONE
    trusted = Caller("checklist", roles=() if open_to_all else contract.roles)
    registered = find(world, _wrong_call(contract.name, trusted))
    if isinstance(registered, NotFound):
        return Rehearsal(problem=registered.reason)
    refused = isinstance(seal(world, registered, _wrong_call(contract.name, trusted)), Unfit)
    stranger = isinstance(find(world, _wrong_call(contract.name, Caller("stranger"))), NotFound)
    return Rehearsal(refused_wrong_arguments=refused, refused_stranger=None if open_to_all else stranger)


def _wrong_call(name: str, caller: Caller) -> ReceivedCall:
    return ReceivedCall(
        call_id="call_checklist",
        tool=name,
        arguments={UNEXPECTED: 1},
        caller=caller,
        workflow=Workflow(id="checklist", explicit=True),
        received_at=0,
        surface="checklist",
    )
