"""The application's own rule on who may agree to what, asked beside the required roles: it may only take away.

A decision and nothing else: sync, and run in a thread, so that an engine of policies (Cedar, for one) fits in as it is
and none of it holds the gate up. Whatever it raises or answers but True denies. Not here: the roles (``approval``).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.caller import Denied
from toolgate.domain.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World
    from toolgate.operations.review import Review

_log = logging.getLogger("toolgate")
PATIENCE: Final = 5.0
"""Seconds that the rule may take."""


async def forbidden_by_rule(world: World, by: Principal, facts: Mapping[str, Any]) -> str | None:
    """Why the application does not let ``by`` agree to what ``facts`` tell, or None where it does, or has no rule."""
    if world.may_decide is None:
        return None
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await asyncio.to_thread(world.may_decide, by.caller, facts)
    except TimeoutError:
        return "the application's rule on who may decide did not answer in time; nobody may until it does"
    except Exception as error:  # noqa: BLE001 - whatever an application's rule raises, it denies
        _log.warning("may_decide= raised %s; errors deny", type(error).__name__)
        return "the application's rule on who may decide failed; nobody may until it is mended"
    if answer is True:
        return None
    return redact_text(answer.reason) if isinstance(answer, Denied) else "the application's rule says no"


def facts_of(review: Review) -> dict[str, Any]:
    """What a rule is told about one approval: what is shown of it, sensitive values replaced, and what it requires."""
    return {"action": "approve", **review.described()}
