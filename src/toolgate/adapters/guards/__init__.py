"""Guards: the half of an argument type that needs the world.

Here: fetching through an ``AllowedUrl`` and opening below a root through a ``ConfinedPath``, each judged at the moment
it happens. Not here: what may be written (``domain.argument_types``).
"""

from __future__ import annotations

from toolgate.adapters.guards.bounded_body import BoundedBody, aread_up_to, read_up_to
from toolgate.adapters.guards.confined_directory import ConfinedDirectory
from toolgate.adapters.guards.guarded_http import (
    AsyncGuardedTransport,
    GuardedTransport,
    guarded_async_client,
    guarded_client,
)
from toolgate.adapters.guards.pinned_network import AsyncConnector, AsyncResolver, Connector, Resolver
from toolgate.adapters.guards.refusal import PathRefused, UrlRefused

__all__ = [
    "AsyncConnector",
    "AsyncGuardedTransport",
    "AsyncResolver",
    "BoundedBody",
    "ConfinedDirectory",
    "Connector",
    "GuardedTransport",
    "PathRefused",
    "Resolver",
    "UrlRefused",
    "aread_up_to",
    "guarded_async_client",
    "guarded_client",
    "read_up_to",
]
