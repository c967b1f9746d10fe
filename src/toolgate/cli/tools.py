"""``toolgate tools``: what stands behind the gate, as its contracts say, overrides included."""

from __future__ import annotations

from typing import Any

import click

from toolgate.bootstrap.tools import all_tools
from toolgate.cli.options import as_json, configured
from toolgate.cli.plain import print_json
from toolgate.cli.tables import print_rows
from toolgate.config import Settings
from toolgate.domain.approval import Approval
from toolgate.domain.contract import Contract
from toolgate.domain.duration import spoken


@click.command()
@configured
@as_json
def tools(settings: Settings, as_json: bool) -> None:  # noqa: FBT001 - click's parameter
    """List the tools: who may call them, what they do to the world, and what holds them back."""
    contracts = [tool.contract for tool in all_tools(settings)]
    if as_json:
        print_json([_described(contract) for contract in contracts])
        return
    print_rows(
        (("tool", "effect"), ("who may call", "within"), ("a person is asked", "limits")),
        (
            (
                (contract.name, _effect(contract)),
                (_roles(contract), spoken(contract.timeout)),
                (_approval(contract), _limits(contract)),
            )
            for contract in contracts
        ),
        empty="No tools.",
    )


def _effect(contract: Contract) -> str:
    words = contract.effect.value + (", leaves the house" if contract.external else "")
    return words if contract.enabled else f"{words}, switched off"


def _roles(contract: Contract) -> str:
    return contract.roles if isinstance(contract.roles, str) else ", ".join(sorted(contract.roles))


def _approval(contract: Contract) -> str:
    if contract.approval is None:
        return "waived" if contract.approval_waiver else "no"
    return "; ".join(_asks(part) for part in contract.approval.parts)


def _asks(part: Approval) -> str:
    many = f"{part.quorum} of " if part.quorum > 1 else ""
    return f"{'always' if part.when is None else 'sometimes'}: {many}{part.who}"


def _limits(contract: Contract) -> str:
    rate = f"{contract.rate_limit} each" if contract.rate_limit else ""
    at_once = f"{contract.concurrency} at once" if contract.concurrency else ""
    return ", ".join(part for part in (rate, at_once) if part)


def _described(contract: Contract) -> dict[str, Any]:
    """As MCP's ``tools/list`` names it (2025-06-18), with the contract beside it."""
    return {
        "name": contract.name,
        "title": contract.title,
        "description": contract.description,
        "inputSchema": dict(contract.input_schema),
        "outputSchema": None if contract.output_schema is None else dict(contract.output_schema),
        "annotations": contract.annotations(),
        "contract": {
            "version": contract.version,
            "owner": contract.owner,
            "effect": contract.effect.value,
            "external": contract.external,
            "enabled": contract.enabled,
            "roles": contract.roles if isinstance(contract.roles, str) else sorted(contract.roles),
            "timeout": contract.timeout,
            "idempotency": contract.idempotency,
            "approval": contract.approval.described() if contract.approval else None,
            "approval_waiver": contract.approval_waiver,
            "rate_limit": None if contract.rate_limit is None else str(contract.rate_limit),
            "concurrency": contract.concurrency,
            "result_size": contract.result_size,
            "digest": contract.digest,
        },
    }
