"""For authors of tools and for our own tests: everything of the gate can be exercised without a model.

Public. ``FakeClock`` moves time by hand; ``Gateway(clock=..., housekeeping=None)`` and ``gateway.sweep()``
leave nothing to chance. ``PortTap`` names every step that the gate takes through its ports, for tests that stop a
program there. ``FaultyStore`` refuses, loses or holds what a test chooses of the ledger's commands.
``FakeIssuer``, ``FakeSignIn`` and ``KeptNotices`` stand for those outside who vouch for people and hear of things,
``FakeUpstreams`` for MCP servers behind the gate.
``CountedIds`` gives ids that a test can foretell; ``MemoryStore`` and ``Keyring.ephemeral()`` leave nothing on
a disk.
"""

from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.memory import MemoryStore
from toolgate.testing.clock import FakeClock
from toolgate.testing.crash_points import CrashPoint, PortTap
from toolgate.testing.faults import Fault, FaultyStore
from toolgate.testing.ids import CountedIds
from toolgate.testing.people import FakeIssuer, FakeSignIn, KeptNotices
from toolgate.testing.upstreams import FakeUpstreams

__all__ = [
    "CountedIds",
    "CrashPoint",
    "FakeClock",
    "FakeIssuer",
    "FakeSignIn",
    "FakeUpstreams",
    "Fault",
    "FaultyStore",
    "KeptNotices",
    "Keyring",
    "MemoryStore",
    "PortTap",
]
