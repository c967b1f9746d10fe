"""Load for the cluster through its proxy: two tenants that post, pay out, read and close months, and insist on an end.

Each wish is one piece of work with an id of its own. It is asked for again, as a careful application does, until the
gate says how it ended; whatever it was told on the way is kept (``Told``), so that everybody can be held to their word.
Not here: whether it was true (``aftermath``).
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

TENANTS: Final = ("north", "south")
BOOKKEEPER: Final = "bookkeeper"
CONTROLLER: Final = "controller"
INSPECTOR: Final = "auditor"
PATIENCE: Final = 90.0
"""Seconds until a wish without an end is lost."""
AGAIN: Final = 0.05
"""Seconds before the first repetition; each one waits longer, up to ``LONGEST``."""
LONGEST: Final = 1.0
ANSWER: Final = 15.0
"""Seconds that one answer may take: a gateway that was stopped gives none."""
TOOLS: Final[Mapping[str, int]] = {"post_entry": 12, "read_balance": 3, "pay_out": 2, "close_month": 2}
_KINDS: Final[Mapping[str, str]] = {"post_entry": "entry", "pay_out": "payout", "close_month": "month"}
_ENDS: Final = frozenset({"succeeded", "refused", "failed", "unknown"})
_PASSING: Final = frozenset(
    {"idempotency_in_flight", "audit_unavailable", "overloaded", "circuit_open", "rate_limited"}
)


@dataclass(slots=True, kw_only=True)
class Told:
    """One wish, and what was said of it, in order.

    Attributes:
        key: of its effect; None where it has none.
        answers: the outcomes that a gateway gave, as JSON.
        lost: how many requests had no answer that says anything.
        end: the last answer, where there is one.
    """

    tenant: str
    tool: str
    workflow: str
    key: str | None
    answers: list[dict[str, Any]] = field(default_factory=list)
    lost: int = 0
    end: dict[str, Any] | None = None

    @property
    def kind(self) -> str | None:
        """What its effect is called in the books."""
        return _KINDS.get(self.tool)


@dataclass(slots=True, kw_only=True)
class People:
    """The secrets of one tenant's people, by role."""

    secrets: dict[str, str]

    def headers(self, role: str) -> dict[str, str]:
        """For a request of whoever has ``role``."""
        return {"authorization": f"Bearer {self.secrets[role]}"}


class Load:
    """Wishes of all tenants at once.

    Args:
        base: the proxy's URL.
        people: by tenant.
        seed: decides which wishes are made, in which order.
        at_once: wishes of one tenant that are on their way at a time.
        tools: what is wished for, and how often beside the others.
        rest: seconds after each wish, so that a small machine has time for the faults, too.
        name: of this load: no other one on the same store may have it.
    """

    def __init__(
        self,
        base: str,
        people: Mapping[str, People],
        *,
        seed: int,
        at_once: int = 8,
        name: str = "w",
        tools: Mapping[str, int] = TOOLS,
        rest: float = 0.0,
    ) -> None:
        self._base = base
        self._people = people
        self._random = random.Random(seed)  # noqa: S311 - the same wishes for the same seed
        self._at_once = at_once
        self._tools = dict(tools)
        self._rest = rest
        self._name = name
        self._numbers = 0
        self._enough = asyncio.Event()
        self.told: list[Told] = []
        self.complaints: list[str] = []
        self.counts: Counter[str] = Counter()

    async def run(self, *, wishes: int | None = None) -> None:
        """Wish until ``stop``, or for so many wishes of each tenant; then until each of them has ended."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=4 * self._at_once)
        async with httpx.AsyncClient(base_url=self._base, timeout=ANSWER, limits=limits) as client:
            deciding = [asyncio.create_task(self._decide(client, tenant)) for tenant in self._people]
            each = None if wishes is None else wishes // self._at_once
            async with asyncio.TaskGroup() as group:
                for tenant in self._people:
                    for _ in range(self._at_once):
                        group.create_task(self._wish_on(client, tenant, each))
            for task in deciding:
                task.cancel()
            await asyncio.gather(*deciding, return_exceptions=True)

    def stop(self) -> None:
        """No more new wishes."""
        self._enough.set()

    async def _wish_on(self, client: httpx.AsyncClient, tenant: str, wishes: int | None) -> None:
        made = 0
        while not self._enough.is_set() and (wishes is None or made < wishes):
            made += 1
            await self._wish(client, tenant)
            await asyncio.sleep(self._rest)

    async def _wish(self, client: httpx.AsyncClient, tenant: str) -> None:
        self._numbers += 1
        (tool,) = self._random.choices(list(self._tools), list(self._tools.values()))
        number, account = self._numbers, f"{tenant}-{self._name}-{self._random.randrange(5)}"
        kind = _KINDS.get(tool)
        told = Told(
            tenant=tenant,
            tool=tool,
            workflow=f"{self._name}-{tenant}-{number}",
            key=None if kind is None else f"{kind}:{account}:{number}",
        )
        self.told.append(told)
        arguments: dict[str, Any] = {"account": account}
        if kind is not None:
            arguments["number"] = number
        if tool == "close_month":
            arguments["pages"] = self._random.randint(1, 4)
        elif kind is not None:
            arguments["cents"] = self._random.randint(1, 1000)
        try:
            async with asyncio.timeout(PATIENCE):
                told.end = await self._insist(client, told, arguments)
        except TimeoutError:
            self.complaints.append(f"{told.workflow} ({tool}) has no end; it was told {told.answers[-2:]}")
            return
        self.counts[f"{tool} {told.end['status']}"] += 1
        await self._pry(client, told)

    async def _insist(
        self, client: httpx.AsyncClient, told: Told, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Ask until it has ended."""
        pause = AGAIN
        body = {"arguments": arguments, "workflow_id": told.workflow}
        while True:
            outcome = await self._ask(client, told, "POST", f"/v1/tools/{told.tool}/calls", json=body)
            while outcome is not None and outcome["status"] in {"pending_approval", "started", "running"}:
                path = f"/v1/calls/{outcome['call_id']}?wait=5"
                outcome = await self._ask(client, told, "GET", path)
            if outcome is not None and outcome["status"] in _ENDS and not _passes(outcome):
                return outcome
            await asyncio.sleep(pause)
            pause = min(LONGEST, 2 * pause)

    async def _ask(
        self, client: httpx.AsyncClient, told: Told, method: str, path: str, **more: Any
    ) -> dict[str, Any] | None:
        """One request; the outcome that its answer holds, or None."""
        headers = self._people[told.tenant].headers(BOOKKEEPER)
        try:
            answer = await client.request(method, path, headers=headers, **more)
            said = answer.json()
        except (httpx.HTTPError, ValueError):
            told.lost += 1
            self.counts["requests without an answer"] += 1
            return None
        outcome: dict[str, Any] = said.get("outcome", said)
        if "status" not in outcome or "call_id" not in outcome:
            self.counts[f"answered {answer.status_code} without an outcome"] += 1
            if answer.status_code in {401, 403, 404, 422}:
                self.complaints.append(f"{told.workflow}: {method} answered {answer.status_code}: {said}")
            return None
        told.answers.append(outcome)
        return outcome

    async def _pry(self, client: httpx.AsyncClient, told: Told) -> None:
        """Somebody of another tenant asks for this call now and then, and must not find it."""
        call_id = told.end["call_id"] if told.end else None
        if call_id is None or self._random.random() > 0.1:  # noqa: PLR2004 - one in ten
            return
        other = next(tenant for tenant in self._people if tenant != told.tenant)
        for role, path in ((BOOKKEEPER, f"/v1/calls/{call_id}"), (INSPECTOR, f"/v1/calls/{call_id}/story")):
            try:
                answer = await client.get(path, headers=self._people[other].headers(role))
            except httpx.HTTPError:
                continue
            self.counts["looks at what is another's"] += 1
            if answer.status_code < 400:  # noqa: PLR2004 - HTTP
                self.complaints.append(f"{other} was shown {told.workflow} of {told.tenant}")

    async def _decide(self, client: httpx.AsyncClient, tenant: str) -> None:
        """A controller agrees to whatever waits."""
        headers = self._people[tenant].headers(CONTROLLER)
        while True:
            try:
                page = (await client.get("/v1/approvals", headers=headers)).json()
                for approval in page.get("approvals", []):
                    if not str(approval["arguments"]["account"]).startswith(tenant):
                        self.complaints.append(f"{tenant} was asked about {approval['arguments']}")
                    body = {"decision": "approve", "digest": approval["digest"], "reason": "it is due"}
                    path = f"/v1/approvals/{approval['approval_id']}/decision"
                    await client.post(path, headers=headers, json=body)
            except (httpx.HTTPError, ValueError):
                self.counts["requests without an answer"] += 1
            await asyncio.sleep(0.1)


def _passes(outcome: Mapping[str, Any]) -> bool:
    """Whether a careful application asks again: nothing happened, and it is not the last word."""
    if outcome["status"] == "unknown":
        # It may be found out by the books; until then nobody repeats it.
        return False
    again = outcome.get("error_type") in _PASSING or outcome.get("advice") in {"retry", "retry_later"}
    return outcome["status"] != "succeeded" and outcome["effect"] == "none" and again


async def hire(base: str, admins: Mapping[str, str]) -> dict[str, People]:
    """People with tokens of their own in each tenant, made by its admin (tenant → secret), through the proxy."""
    people: dict[str, People] = {}
    roles = {BOOKKEEPER: ["call"], CONTROLLER: ["approve"], INSPECTOR: ["call", "operate"]}
    async with httpx.AsyncClient(base_url=base, timeout=ANSWER) as client:
        for tenant, secret in admins.items():
            secrets = {}
            for role, scopes in roles.items():
                body = {
                    "caller_id": f"{role}-of-{tenant}",
                    "roles": [role],
                    "scopes": scopes,
                    "lasting": "1d",
                }
                made = await client.post(
                    "/v1/tokens", json=body, headers={"authorization": f"Bearer {secret}"}
                )
                made.raise_for_status()
                secrets[role] = made.json()["secret"]
            people[tenant] = People(secrets=secrets)
    return people
