"""What a client carries for the gate between two of its requests: sealed, and good for whoever carried it away alone.

Any gateway with the same keys opens it. What comes back is an attacker's text until it is opened; whatever is wrong
with it, the answer is the same. Not here: what is carried, and how it lies on the wire (surfaces).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.duration import MICRO
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable, ToolgateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World

_KIND: Final = "client_state"


async def seal_state(
    world: World, said: Mapping[str, Any], *, by: Principal, bound_to: str, seconds: float
) -> bytes:
    """``said`` (values of JSON) as bytes that nobody else reads, for ``by`` and ``bound_to``, good for ``seconds``."""
    ends = await world.store.now() + round(seconds * MICRO)
    plain = json.dumps({"who": _who(by), "to": bound_to, "ends": ends, "said": dict(said)})
    return world.keys.encrypt(plain.encode(), tenant=by.tenant, call_id="", kind=_KIND)


async def open_state(world: World, sealed: bytes, *, by: Principal, bound_to: str) -> dict[str, Any] | None:
    """What was sealed for ``by`` and ``bound_to``; None if it was not, was changed, or its time is over."""
    try:
        opened = world.keys.decrypt(sealed, tenant=by.tenant, call_id="", kind=_KIND)
    except (StoreUnavailable, StoreInDoubt):
        raise
    except ToolgateError:
        return None
    state = json.loads(opened)
    if state["who"] != _who(by) or state["to"] != bound_to or await world.store.now() >= state["ends"]:
        return None
    said: dict[str, Any] = state["said"]
    return said


def _who(by: Principal) -> list[str | None]:
    return [by.tenant, by.id, by.agent]
