"""The desk's eleven tools, what they are given, and the gate before them. READ FIRST, then `writes`.

Each tool is a contract above a few lines: who may call it, what it does to the world, when a person must agree,
what happens when it is asked twice or its answer is lost. The work is done by the services (`refunds`,
`tickets`, …), which check their own rules again.

Belongs here: the list. The contracts are in `reads`, `writes` and `analyses`, the people in `personas`.
"""

from __future__ import annotations

from typing import Any

from toolgate import Gateway, Tool
from toolgate.examples.support_desk.analyses import start_static_analysis
from toolgate.examples.support_desk.personas import callers, deps, personas
from toolgate.examples.support_desk.reads import (
    check_shipping_status,
    fetch_runbook,
    generate_customer_report,
    read_customer_notes,
    search_runbooks,
)
from toolgate.examples.support_desk.writes import (
    create_refund,
    create_support_ticket,
    delete_customer,
    send_email,
    update_customer_email,
)

__all__ = ["callers", "deps", "gateway", "personas", "tools"]

tools: list[Tool[Any, Any]] = [
    read_customer_notes,
    search_runbooks,
    fetch_runbook,
    check_shipping_status,
    generate_customer_report,
    start_static_analysis,
    create_support_ticket,
    create_refund,
    update_customer_email,
    delete_customer,
    send_email,
]
"""Every tool, reads first: what `toolgate check toolgate.examples.support_desk:tools` looks at."""


def gateway(*, store: str | None = None) -> Gateway:
    """Put the gate before the desk that is in use (`World.use`). Without `store`, memory."""
    return Gateway(tools, store=store, deps=deps, callers=callers)
