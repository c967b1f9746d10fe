"""A support desk with its own database, behind the gate. Read `tools` first, then `writes`.

Belongs here: a business as small as can be while still having tenants, money, mail, outsiders' text, a slow
report and a carrier that is not always there. Does not belong here: anything that knows how the gate works.
"""

from __future__ import annotations

from toolgate.examples.support_desk.tools import callers, deps, gateway, personas, tools

__all__ = ["callers", "deps", "gateway", "personas", "tools"]
