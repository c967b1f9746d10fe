"""For authors of tools and for our own tests: everything of the gate can be exercised without a model.

Public. ``FakeClock`` moves time by hand; ``Gateway(clock=..., housekeeping=None)`` and ``gateway.sweep()``
leave nothing to chance.
"""

from toolgate.testing.clock import FakeClock

__all__ = ["FakeClock"]
