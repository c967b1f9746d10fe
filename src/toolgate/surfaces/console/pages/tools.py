"""The pages about tools: each contract in words, and the checklist's eleven answers about it.

The answers are found once a process and never while a page waits: until they are there, a page says so. Not here: the
questions themselves, and which tools somebody may see (``operations``).
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from toolgate.domain.approval import Approval
from toolgate.domain.checklist import Standing
from toolgate.domain.duration import spoken
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.list_tools import answered_questions, list_tools
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.render import page
from toolgate.surfaces.console.session import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from toolgate.domain.checklist import ToolReport
    from toolgate.domain.contract import Contract
    from toolgate.surfaces.console.session import Visit

_log = logging.getLogger("toolgate")
_PATIENCE = 0.3
"""Seconds that the first visitor waits for the answers before the page comes without them."""


class ToolPages:
    """The pages of one console, which keep the answers once they were found."""

    def __init__(self) -> None:
        self._answers: asyncio.Task[dict[str, ToolReport]] | None = None

    async def all(self, visit: Visit) -> Response:
        """Every tool that the visitor may see, as a card."""
        tools = await visit.operate(list_tools, by=visit.principal)
        if isinstance(tools, Declined):
            return visit.declined(tools)
        reports = await self._reports(visit)
        return page(
            visit,
            "tools.html",
            title="Tools",
            tools=[(tool, (reports or {}).get(tool.contract.name)) for tool in tools],
            checking=reports is None,
            everything=forbids(visit.principal, Action.SEE_ALL_CALLS) is None,
            words=in_words,
            tally=tally,
        )

    async def one(self, visit: Visit) -> Response:
        """One tool, with its schema and its answers."""
        tools = await visit.operate(list_tools, by=visit.principal)
        if isinstance(tools, Declined):
            return visit.declined(tools)
        name = visit.request.path_params["name"]
        tool = next((tool for tool in tools if tool.contract.name == name), None)
        if tool is None:
            return visit.declined(Declined("not_found", "there is no such tool for you"), back=paths.TOOLS)
        contract = tool.contract
        return page(
            visit,
            "tool.html",
            title=contract.name,
            tool=tool,
            report=(await self._reports(visit) or {}).get(contract.name),
            input_schema=_plain(contract.input_schema),
            output_schema=None if contract.output_schema is None else _plain(contract.output_schema),
            words=in_words,
            tally=tally,
        )

    async def _reports(self, visit: Visit) -> Mapping[str, ToolReport] | None:
        if self._answers is None:
            self._answers = asyncio.create_task(visit.operate(answered_questions), name="toolgate-checklist")
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.shield(self._answers)
        except TimeoutError:
            return None
        except Exception as fault:  # noqa: BLE001 - an author's validators may raise anything; the contracts are shown all the same
            _log.warning("the checklist of the console failed: %s", type(fault).__name__)
            return {}


class Words(NamedTuple):
    """What a contract says, for people."""

    roles: str
    approval: str
    timeout: str
    all: tuple[tuple[str, str], ...]


def in_words(contract: Contract) -> Words:
    """A contract's terms, each in a few words."""
    roles = "anyone" if isinstance(contract.roles, str) else ", ".join(sorted(contract.roles))
    told = (
        ("Who may call", roles + _object_level(contract)),
        ("Approval", _approval(contract)),
        ("Within", spoken(contract.timeout)),
        ("Retries", _retries(contract)),
        ("Key", contract.idempotency or ("none: never retried" if contract.has_effects else "")),
        ("Limits", _limits(contract)),
        ("Sensitive", ", ".join(".".join(path) for path in contract.sensitive) or "no argument is marked"),
        ("Declared errors", ", ".join(contract.raises)),
        ("Result", "untrusted content" if contract.result_trust == "untrusted" else ""),
        ("Isolation", "a process of its own" if contract.isolation == "process" else ""),
        ("Owner", contract.owner or ""),
        ("Version", contract.version),
        ("Tags", ", ".join(sorted(contract.tags))),
    )
    return Words(
        roles=told[0][1],
        approval=told[1][1],
        timeout=told[2][1],
        all=tuple((label, value) for label, value in told if value),
    )


def _object_level(contract: Contract) -> str:
    predicate = (contract.authorize or "").rpartition(".")[2]
    return f", if {predicate} allows the object" if predicate else ""


def _approval(contract: Contract) -> str:
    if contract.approval is None:
        return "waived: " + contract.approval_waiver if contract.approval_waiver else "nobody is asked"
    return "; ".join(_asks(part) for part in contract.approval.parts)


def _asks(part: Approval) -> str:
    many = f"{part.quorum} of " if part.quorum > 1 else ""
    return f"{'always' if part.when is None else 'sometimes'}, by {many}{part.who}"


def _retries(contract: Contract) -> str:
    if contract.retries is None:
        return "none"
    return f"up to {contract.retries.attempts} attempts, within the time above"


def _limits(contract: Contract) -> str:
    rate = f"{contract.rate_limit} for each caller" if contract.rate_limit else ""
    at_once = f"{contract.concurrency} at once" if contract.concurrency else ""
    return ", ".join(part for part in (rate, at_once) if part) or "the gateway's own"


def tally(report: ToolReport) -> str:
    """The eleven answers in one line."""
    noes = sum(answer.is_no for answer in report.answers)
    tried = sum(answer.standing is Standing.VERIFIED for answer in report.answers)
    if noes:
        return f"{noes} of {len(report.answers)} answers {'is' if noes == 1 else 'are'} no"
    return f"no defect: {tried} tried, {len(report.answers) - tried} declared"


def _plain(schema: Mapping[str, Any]) -> Any:
    """A frozen schema as plain JSON."""
    return json.loads(json.dumps(schema, default=dict))


def pages() -> tuple[Page, ...]:
    """The pages of one console."""
    mine = ToolPages()
    return (Page("GET", "/tools", mine.all), Page("GET", "/tools/{name}", mine.one))
