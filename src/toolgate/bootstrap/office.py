"""A world without a gateway: for what people decide on an open ledger, where no tool runs.

Not here: what asks a tool's own predicates, as an edit does; that takes a gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolgate.adapters.ids import UlidIds
from toolgate.adapters.reservations import ProcessReservations
from toolgate.bootstrap.stores import clock_of
from toolgate.domain.limits import Limits
from toolgate.gateway.world import World, register
from toolgate.ports import NotBegun

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toolgate.domain.call import ClearedCall
    from toolgate.domain.context import Context
    from toolgate.domain.tool import Tool
    from toolgate.ports import Decider, Keys, Store


class _NothingRuns:
    async def run(self, call: ClearedCall, context: Context) -> Any:  # noqa: ARG002 - the port's signature
        raise NotBegun("this process decides, and runs nothing")


def office_world(
    store: Store,
    keys: Keys,
    *,
    owner: str,
    agents: Mapping[str, str],
    may_decide: Decider | None,
    tools: Iterable[Tool[Any, Any]] = (),
    limits: Limits | None = None,
) -> World:
    """The world over an open ``store``. ``tools``: whose contracts an operation has to know, as a grant's does.

    Raises:
        ContractError: for a tool that nothing can grant, or two of one name.
    """
    clock, chosen = clock_of(store), limits or Limits()
    return World(
        registry=register(tools, keys, chosen),
        store=store,
        keys=keys,
        clock=clock,
        ids=UlidIds(),
        runner=_NothingRuns(),
        reservations=ProcessReservations(chosen, monotonic=clock.monotonic, sync_tools=frozenset()),
        limits=chosen,
        owner=owner,
        agents=dict(agents),
        may_decide=may_decide,
    )
