"""``toolgate call``: one call through the gate, as the person that the token stands for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from toolgate.cli.exits import Exit, misused, no
from toolgate.cli.ledger import acting, kept
from toolgate.cli.options import DurationType, as_json, asynchronous, configured
from toolgate.cli.plain import print_json
from toolgate.cli.tables import print_facts
from toolgate.config import Settings
from toolgate.domain.idempotency import needs_workflow
from toolgate.domain.outcome import ErrorType, Outcome, Status
from toolgate.domain.principal import Action, Principal, forbids

_MAX_INPUT = 1024 * 1024
WHICH_WORK = (
    "toolgate: the key of {} names the piece of work that a call belongs to; say --workflow ID, the same on every "
    "retry of the same work"
)
_CODES = {
    Status.SUCCEEDED: Exit.OK,
    Status.STARTED: Exit.OK,
    Status.PENDING_APPROVAL: Exit.HELD,
    Status.UNKNOWN: Exit.UNKNOWN,
}


@click.command()
@configured
@click.argument("tool")
@click.option(
    "--args", "arguments", default="{}", metavar="JSON|@FILE|-", help="The arguments; @FILE or - reads them."
)
@click.option("--workflow", metavar="ID", help="The piece of work it belongs to: the same on every retry.")
@click.option("--agent", metavar="NAME", help="Only if the token is this agent's, which it says by itself.")
@click.option("--model", metavar="NAME", help="The model on whose behalf.")
@click.option("--rationale", metavar="TEXT", help="The agent's own reason, shown to approvers as its claim.")
@click.option(
    "--wait",
    type=DurationType(),
    metavar="DURATION",
    help="Wait so long for a held call to be decided, or a job to end.",
)
@as_json
@asynchronous
async def call(
    settings: Settings,
    tool: str,
    arguments: str,
    workflow: str | None,
    agent: str | None,
    model: str | None,
    rationale: str | None,
    wait: float | None,
    as_json: bool,  # noqa: FBT001 - click's parameter
) -> int:
    """Call TOOL through every check of the gate.

    With --wait this process keeps house as a gateway does, so that it runs what was approved itself.
    """
    from toolgate.bootstrap import HOUSEKEEPING_INTERVAL, Gateway  # noqa: PLC0415 - the whole gate

    given = _arguments(arguments)
    kept(settings)  # a store in memory knows no token, and would forget the call
    files = settings.files
    async with Gateway.from_config(
        *files, housekeeping=None if wait is None else HOUSEKEEPING_INTERVAL
    ) as gateway:
        actor = await acting(gateway.store, gateway.world.keys, settings.agents)
        if (why := forbids(actor, Action.CALL_TOOLS)) is not None:
            no(why)
        if agent not in {None, actor.agent}:
            # Or whoever holds a token would have what people granted to an agent.
            misused(
                f"--agent: {_whose(actor)}; a token of an agent is made by: toolgate tokens create --agent NAME"
            )
        caller = actor.caller
        flow = gateway.workflow(workflow, caller=caller, agent=actor.agent, model=model)
        outcome = await gateway.request(
            tool,
            given,
            caller=caller,
            workflow=flow.workflow,
            actor=actor,
            rationale=rationale,
            surface="cli",
        )
        registered = gateway.world.registry.get(tool)
        if wait is not None:
            outcome = await gateway.wait_for(outcome, caller=caller, timeout=wait)
    if as_json:
        print_json(outcome.to_model())
    else:
        _show(outcome)
    if workflow is None and not outcome.ok and registered is not None and needs_workflow(registered.contract):
        click.echo(WHICH_WORK.format(tool), err=True)
    return _code(outcome)


def _whose(actor: Principal) -> str:
    return "this token is a person's" if actor.agent is None else f"this token is the agent {actor.agent}'s"


def _arguments(text: str) -> bytes:
    """The bytes that the gate will parse itself, so that nothing is read more leniently here."""
    if text == "-":
        return sys.stdin.buffer.read(_MAX_INPUT)
    if not text.startswith("@"):
        return text.encode("utf-8", "surrogateescape")
    try:
        with Path(text[1:]).open("rb") as file:
            return file.read(_MAX_INPUT)
    except OSError as fault:
        misused(f"--args: {text[1:]} cannot be read: {fault.strerror}")


def _code(outcome: Outcome[Any]) -> Exit:
    if getattr(outcome, "error_type", None) is ErrorType.AUDIT_UNAVAILABLE:
        return Exit.FAULT
    return _CODES.get(outcome.status, Exit.NO)


def _show(outcome: Outcome[Any]) -> None:
    body = outcome.to_model()
    result = body.pop("result", None)
    facts = [(name, _spoken(value)) for name, value in body.items() if name != "ok"]
    facts += [("why", "; ".join(outcome.reasons))]
    print_facts(facts)
    if outcome.ok:
        click.echo()
        print_json({"result": result})


def _spoken(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
