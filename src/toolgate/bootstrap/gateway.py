"""What a program holds: it opens the store, runs the loops and hands calls to the pipeline; it decides nothing."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Self, TypeVar

from toolgate.adapters.clock import SystemClock
from toolgate.adapters.ids import UlidIds
from toolgate.adapters.loops import Lane, Lanes
from toolgate.adapters.meter import ProcessMeter
from toolgate.adapters.reservations import ProcessReservations, SharedReservations
from toolgate.adapters.runners.process import ProcessRunner
from toolgate.adapters.runners.python import PythonRunner, Threads
from toolgate.adapters.stores.answers import Answers
from toolgate.bootstrap.house import House
from toolgate.bootstrap.identity import open_issuer
from toolgate.bootstrap.job_tools import JobTools, granted_a_job
from toolgate.bootstrap.jobs import engine_of, job_tools_among
from toolgate.bootstrap.news import News
from toolgate.bootstrap.sinks import sinks_of
from toolgate.bootstrap.stores import open_store, warn_of_memory
from toolgate.bootstrap.telemetry import Wanted, collector_of, telemetry_of
from toolgate.bootstrap.tools import upstreams_of
from toolgate.config import load_settings
from toolgate.config.jobs import JobSettings
from toolgate.domain.answers import no_answers
from toolgate.domain.call import ReceivedCall, Workflow
from toolgate.domain.caller import Caller
from toolgate.domain.duration import Duration, seconds
from toolgate.domain.errors import ContractError, GateFault, NotBuiltYet, StoreUnavailable, UsageError
from toolgate.domain.jobs import priority_problem
from toolgate.domain.limits import Limits
from toolgate.domain.names import MAX_RATIONALE, MAX_USER_INPUT, label, name_problem, words
from toolgate.domain.outcome import Outcome, PendingApproval, Started
from toolgate.domain.principal import Declined, Principal, in_person
from toolgate.domain.retention import NOTHING_SAID, Retention
from toolgate.gateway.flight import Flight
from toolgate.gateway.world import World, register
from toolgate.operations import recover
from toolgate.operations.decide_approval import decide_approval
from toolgate.operations.get_call import get_call
from toolgate.operations.handle_call import board, call_off, launch, rescue, turn_away
from toolgate.operations.observe import observe, observe_process
from toolgate.operations.run_job import run_job
from toolgate.ports import Housed, SharesLimits, TellsOfItself
from toolgate.surfaces.python import Calls, Flow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from toolgate.domain.answers import Answer
    from toolgate.domain.contract import Contract
    from toolgate.domain.metrics import Reading
    from toolgate.domain.progress import Progress
    from toolgate.domain.questions import Kind
    from toolgate.domain.rows import ApprovalRow
    from toolgate.domain.tool import Tool
    from toolgate.ports import (
        Callers,
        Clock,
        Decider,
        Deps,
        Ids,
        Issuer,
        JobEngine,
        Keys,
        Reservations,
        Runner,
        SignIn,
        Sink,
        Steps,
        Store,
        Telemetry,
        Upstreams,
    )

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")
P = ParamSpec("P")
_log = logging.getLogger("toolgate")
HOUSEKEEPING_INTERVAL = 1.0
OVERDUE_BY = 0.05
READINGS_WITHIN = 2.0
"""Seconds that an export of numbers waits for the store."""
NEAR_TOOLS = 30.0
"""Seconds that an edit may take to be validated and authorised by the tool's own code."""
LONGEST_DELAY = 366 * 86_400.0
"""Seconds. A moment that no calendar holds could be shown to nobody, in no list that it stands in."""
IN_PROCESS = "python"
"""The surface of an application that holds the gateway. Its loop may block at any moment; a server's does not."""
WAIT_INTERVAL = 0.02
"""Seconds between two looks of somebody who waits for a held call, however much happens."""
LONGEST_WAIT = 0.5
"""Seconds between two looks where no word comes of anything that happened."""


class Gateway(Calls):
    """The gate. Open it with ``async with`` (or ``with``, for programs without an event loop).

    Args:
        tools: made by ``@tool``.
        store: ``"sqlite:///path/to.db"`` (kept, with its keys beside it in ``path/to.db.keys``), or nothing for
            a store in memory; ``"postgresql://user@host/database"`` is shared by any number of gateways (extra
            ``postgres``). A ready ``Store`` is taken as it is, for tests.
        deps: an async context manager ``(caller) -> dependencies``, entered once a call after the role check.
        callers: ``async (id, tenant) -> Caller | None``, the current rights of who asked for a held call.
        may_decide: ``(person, facts) -> bool | Denied``, sync: the application's own rule on who may agree to what,
            beside the required roles. It may only take away; what it raises denies.
        limits: what the gateway allows in all.
        sinks: who hears of what waits for people; ``[[approvals.notify]]`` of ``toolgate.toml`` makes them.
        issuer: whose signed tokens are believed over HTTP; ``[auth.oidc]`` of ``toolgate.toml`` makes one.
        sign_in: where browsers sign in; the same object, where the configuration makes it.
        agents: who answers for each agent, and so may not approve what it asks for.
        upstreams: MCP servers behind this gate; ``[upstreams.NAME]`` of ``toolgate.toml`` makes them. It opens and
            closes with the gateway.
        session: how long a console's sign-in lasts; ``session_idle`` how long without a request.
        lease: seconds beyond the deadline for which an intent is believed to be running.
        housekeeping: seconds between rounds of recovery and pick-up; ``None`` leaves them to ``sweep``.
        retention: how long things are kept; ``[retention]`` of ``toolgate.toml`` makes it. What is not said is kept.
        jobs: how this process takes part in running jobs, where a tool is one: ``JobSettings``, or an engine as it is,
            for tests. False neither runs nor hands over any: what it queues, other processes find in the ledger.
        telemetry: ``"global"`` traces calls and exports numbers by the providers that the application gave to
            OpenTelemetry (extra ``otel``); ``[telemetry]`` of ``toolgate.toml`` names a collector instead.
        keys: ``"file:PATH"``, the file of the keys; made with the database where it is missing. All gateways on one
            database have the same. Without it: beside a SQLite file, else where ``TOOLGATE_KEYS_FILE`` says, else
            ``toolgate.keys``.

    Raises:
        ContractError: for a tool that nothing can grant, or two of one name.
        ConfigurationError: for a store that cannot be read, or keys that are missing.
        NotBuiltYet: for ``policies=``.
    """

    def __init__(
        self,
        tools: Iterable[Tool[Any, Any]],
        *,
        store: str | Store | None = None,
        deps: Deps | None = None,
        callers: Callers | None = None,
        may_decide: Decider | None = None,
        policies: str | Path | None = None,
        limits: Limits | None = None,
        sinks: Iterable[Sink] = (),
        issuer: Issuer | None = None,
        sign_in: SignIn | None = None,
        agents: Mapping[str, str] | None = None,
        upstreams: Upstreams | None = None,
        session: Duration = "8h",
        session_idle: Duration = "30m",
        lease: Duration = 10.0,
        housekeeping: Duration | None = HOUSEKEEPING_INTERVAL,
        retention: Retention = NOTHING_SAID,
        jobs: JobEngine | JobSettings | Literal[False] | None = None,
        telemetry: Telemetry | Wanted | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        keys: Keys | str | None = None,
    ) -> None:
        if policies is not None:
            raise NotBuiltYet("policies=: declarative policies are not built yet; use roles= and authorize=")
        self._ids = ids or UlidIds()
        self._boot = self._ids.new("boot")
        chosen_store, chosen_keys, self._clock = open_store(store, keys, boot_id=self._boot, clock=clock)
        chosen = limits or Limits()
        offered = [*tools, *(upstreams.tools if upstreams else ())]
        warn_of_memory(chosen_store, offered)
        self._job_tools = JobTools(granted_a_job(offered)) if job_tools_among(offered) else None
        if self._job_tools is not None:
            offered += self._job_tools.tools
        registry = register(offered, chosen_keys, chosen)
        sync_tools = frozenset(
            name
            for name, entry in registry.items()
            if not entry.tool.is_async and entry.contract.isolation != "process"
        )
        self._threads = Threads()
        self._processes = ProcessRunner(
            deps,
            tools=[entry.tool for entry in registry.values()],
            limit=chosen.processes,
            result_size=chosen.result_size,
        )
        meter, chosen_telemetry = ProcessMeter(), telemetry_of(telemetry)
        if isinstance(chosen_store, TellsOfItself):
            chosen_store.notes = meter
        runner: Runner = PythonRunner(self._threads, self._processes)
        self._world = World(
            registry=registry,
            store=chosen_store,
            keys=chosen_keys,
            clock=self._clock,
            ids=self._ids,
            runner=runner if chosen_telemetry is None else chosen_telemetry.around(runner),
            reservations=_shared(
                ProcessReservations(
                    chosen,
                    monotonic=self._clock.monotonic,
                    sync_tools=sync_tools,
                    isolated_tools=frozenset(
                        name for name, entry in registry.items() if entry.contract.isolation == "process"
                    ),
                ),
                chosen_store,
                {name: entry.contract for name, entry in registry.items()},
            ),
            limits=chosen,
            owner=self._boot,
            deps=deps,
            callers=callers,
            may_decide=may_decide,
            sinks={sink.name: sink for sink in sinks},
            issuer=issuer,
            sign_in=sign_in,
            agents=dict(agents or {}),
            upstreams=upstreams,
            session_life=seconds(session, of="session"),
            session_idle=seconds(session_idle, of="session_idle"),
            lease_margin=seconds(lease, of="lease"),
            retention=retention,
            meter=meter,
            telemetry=chosen_telemetry,
        )
        self._job_settings = jobs if isinstance(jobs, JobSettings) else JobSettings()
        self._world.job_lease = self._job_settings.lease
        if self._job_tools is not None:
            self._world.jobs = engine_of(jobs, chosen_store, boot_id=self._boot, clock=self._clock)
            self._job_tools.world = self._world
        self._interval = None if housekeeping is None else seconds(housekeeping, of="housekeeping")
        self._sign: Housed | None = None
        if self._interval is not None and isinstance(chosen_store, Housed):
            self._sign = chosen_store
        self._answers = Answers()
        self._news: News | None = None
        self._deaf: list[Callable[[], None]] = []
        self._lanes: Lanes | None = None
        self._house = House(self._world)

    @classmethod
    def from_config(
        cls,
        *files: str | Path,
        housekeeping: Duration | None = HOUSEKEEPING_INTERVAL,
        run_jobs: bool | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
    ) -> Self:
        """The gateway that ``toolgate.toml`` describes. Several files are read in order; see ``toolgate.config``.

        ``run_jobs`` has the last word on whether this process runs jobs. One that keeps no house runs none.

        Raises:
            ConfigurationError: naming file, line, key and what would be right.
            NotBuiltYet: for a key that is designed and not built.
            ContractError: as the class itself.
        """
        settings = load_settings(*files)
        issuer = open_issuer(settings, clock or SystemClock())
        return cls(
            settings.tools(),
            store=settings.store,
            keys=None if settings.keys is None else f"file:{settings.keys}",
            deps=settings.deps(),
            callers=settings.callers(),
            may_decide=settings.may_decide(),
            limits=settings.limits,
            sinks=sinks_of(settings, ready=housekeeping is not None),
            issuer=issuer,
            sign_in=issuer if issuer is not None and issuer.signs_in else None,
            agents=settings.agents,
            # A command that keeps no house starts no server that it does not call.
            upstreams=upstreams_of(settings, clock, lazily=housekeeping is None),
            session=settings.auth.session,
            session_idle=settings.auth.idle,
            housekeeping=housekeeping,
            jobs=_jobs_of(settings.jobs, run_jobs) if housekeeping is not None else False,
            retention=settings.retention,
            # A command that is over in a moment has nothing to tell a collector.
            telemetry=None if housekeeping is None else collector_of(settings.telemetry),
            clock=clock,
            ids=ids,
        )

    # ------------------------------------------------------------- opening and closing

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._close)

    def __enter__(self) -> Self:
        _no_running_loop("use `async with Gateway(...)` inside a running event loop")
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def _open(self) -> None:
        if self._lanes is not None:
            raise UsageError("the gateway is open already")
        world = self._world
        lanes = Lanes(
            deliver=lambda flight: launch(world, flight),
            overdue=self._overdue,
            give_up=lambda flight: rescue(world, flight),
            turn_away=lambda flight: turn_away(world, flight),
            limit=world.limits.tool_loops,
        )
        try:
            lanes.service.start(world.store.open()).result()
            world.opened_at = lanes.service.start(world.store.now()).result()
            if self._sign is not None:
                lanes.service.start(self._sign.announce()).result()
        except BaseException:
            lanes.stop(wait=1.0)
            raise
        self._lanes = lanes
        if world.telemetry is not None and world.meter is not None:
            world.telemetry.open(lambda: self._readings(lanes), world.meter)
        if world.upstreams is not None:
            world.upstreams.open()
        self._news = News(lanes.service.loop)
        self._deaf.append(world.store.watch(self._news.wake))
        self._open_jobs(lanes)
        if self._interval is not None:
            self._house.keep(lanes, every=self._interval)
            self._deaf.append(world.store.watch(self._house.hear, elsewhere=True))

    def _open_jobs(self, lanes: Lanes) -> None:
        """Let the engine bring jobs; the first round of housekeeping tells it of those that it does not know."""
        world = self._world
        if world.jobs is None:
            return

        async def run(job_id: str, steps: Steps) -> float | None:
            return await run_job(world, job_id, steps, lanes.submit)

        try:
            lanes.service.start(world.jobs.open(run if self._job_settings.run else None)).result()
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        lanes = self._lanes
        if lanes is None:
            return
        while self._deaf:
            self._deaf.pop()()
        self._house.leave()
        self._lanes = None
        try:
            self._leave_jobs(lanes)
            self._settle_what_flies()
            # What outlived its answer is cancelled while the store still takes its last word.
            lanes.stop_tools(wait=1.0)
            if self._world.upstreams is not None:
                self._world.upstreams.close()
            self._write_unsettled(lanes)
            if self._world.telemetry is not None:
                # The last numbers are still read from the store.
                self._world.telemetry.close()
            if self._sign is not None:
                lanes.service.start(self._sign.withdraw()).result()
            lanes.service.start(self._world.store.close()).result()
        finally:
            lanes.stop(wait=1.0)
            self._threads.close()
            self._processes.close()

    def _leave_jobs(self, lanes: Lanes) -> None:
        """Take up no more jobs; what still runs after a while is cut off, and given to others where that is allowed."""
        if self._world.jobs is None:
            return
        try:
            lanes.service.start(self._world.jobs.close(drain=self._job_settings.drain)).result()
        except GateFault as fault:
            _log.warning("the job engine did not close in order: %s", type(fault).__name__)

    def _readings(self, lanes: Lanes) -> Sequence[Reading]:
        """Every number of now, for an exporter's thread; without the ledger's where that does not answer soon."""
        asked = lanes.service.start(observe(self._world))
        try:
            return asked.result(READINGS_WITHIN)
        except (StoreUnavailable, TimeoutError):
            asked.cancel()
            return observe_process(self._world)

    def _write_unsettled(self, lanes: Lanes) -> None:
        fault = lanes.service.start(recover.write_unsettled(self._world)).result()
        if fault is not None:
            _log.warning("what was not recorded stays in doubt: %s", type(fault).__name__)

    def _settle_what_flies(self) -> None:
        """Wait for calls on their way, up to their deadlines: a call that was dispatched has an outcome to record."""
        while flights := [
            flight
            for flight in list(self._world.flights.values())
            # A job has hours, and was told to end before.
            if not flight.answered and flight.job is None
        ]:
            if all(
                flight.deadline + self._world.settle_grace < self._clock.monotonic() for flight in flights
            ):
                return
            time.sleep(0.01)

    def _overdue(self, lane: Lane) -> list[Flight]:
        late = self._clock.monotonic() - OVERDUE_BY
        return [
            flight
            for flight in list(self._world.flights.values())
            if flight.lane is lane and flight.deadline < late
        ]

    # ------------------------------------------------------------------------- calling

    def workflow(
        self,
        id: str | None = None,
        *,
        caller: Caller,
        agent: str | None = None,
        model: str | None = None,
        user_input: str | None = None,
    ) -> Flow:
        """A piece of work.

        Without an id it gets a fresh one, good for reads and first trials: a key that names ``{workflow_id}``
        demands one that the application chose, the same on every retry.
        """
        return Flow(self, self.make_workflow(id, agent=agent, model=model, user_input=user_input), caller)

    def make_workflow(
        self,
        id: str | None,
        *,
        agent: str | None = None,
        model: str | None = None,
        user_input: str | None = None,
    ) -> Workflow:
        """A piece of work as every surface names it.

        Raises:
            UsageError: for a name that is empty, too long or not printable.
        """
        for of, value in (("a workflow id", id), ("the agent", agent), ("the model", model)):
            if value is not None and (problem := name_problem(value, of=of)):
                raise UsageError(problem)
        return Workflow(
            id=id or self._ids.new("flow"),
            explicit=id is not None,
            agent=agent,
            model=model,
            user_input=None if user_input is None else words(user_input, limit=MAX_USER_INPUT),
        )

    async def request(
        self,
        tool: str,
        arguments: Any,
        *,
        caller: Caller,
        workflow: Workflow,
        request_id: str | None = None,
        rationale: str | None = None,
        trace: str | None = None,
        surface: str = IN_PROCESS,
        actor: Principal | None = None,
        progress: Progress | None = None,
        answers: Mapping[str, Answer] | None = None,
        can_ask: frozenset[Kind] = frozenset(),
        on_received: Callable[[str], object] | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
    ) -> Outcome[Any]:
        """What every surface calls: hand a request to the pipeline and wait for its outcome.

        If the waiting task is cancelled the call goes on and settles, unless ``cancel`` is told so; asking again
        finds it. ``request_id``, ``trace`` and ``rationale`` are made printable and cut (256, 256 and 8192
        characters). ``actor`` is who showed a credential, where a surface checked one: its agent is that of the
        workflow, and whoever answers for that agent may not approve the call.

        ``progress(done, total, note)`` hears how far the tool says it has come: in any thread, never after the
        answer, and of a call that is held nothing. It must not block. ``on_received`` is told the call's id, the one
        for ``cancel``, before anything else happens; what it raises is raised, and nothing was begun.

        ``answers`` are to what the tool asks (``NeedsInput``), by its keys, at most 64: untrusted, judged when it asks.
        ``can_ask`` is what the client can show; the tool is told, and nothing else hangs on it.

        ``priority`` and ``delay`` are for a tool that runs as a job, and the application's alone: no surface takes them
        from a request.

        Raises:
            UsageError: if the gateway is not open, the caller is not a ``Caller``, or not that of ``actor``, or
                for answers that are none, or a priority or delay of a tool that is no job.
        """
        lanes = self._running()
        waiting = self._when(tool, priority, delay)
        if answers is not None and (why := no_answers(answers)) is not None:
            raise UsageError(why)
        if not isinstance(caller, Caller):
            raise UsageError(f"caller= is a Caller that the application made, not {type(caller).__name__}")
        if actor is not None and (actor.caller, actor.agent) != (caller, workflow.agent):
            raise UsageError("actor= acts for another caller, or as another agent, than the call says")
        owners = (self._world.agents.get(workflow.agent or ""), actor.owner if actor else None)
        received = ReceivedCall(
            call_id=self._ids.new("call"),
            tool=tool,
            arguments=arguments,
            caller=caller,
            workflow=workflow,
            received_at=self._clock.now(),
            surface=surface,
            request_id=None if request_id is None else label(request_id),
            trace=None if trace is None else label(trace),
            rationale=None if rationale is None else words(rationale, limit=MAX_RATIONALE),
            barred=tuple(sorted({owner for owner in owners if owner is not None})),
            priority=priority,
            delay=waiting,
        )
        future, mailbox = self._answers.future()
        flight = board(
            self._world,
            received,
            lambda outcome: mailbox.post((future, outcome)),
            context=contextvars.copy_context(),
            listener=progress,
            answers=answers,
            can_ask=can_ask,
        )
        if on_received is not None:
            try:
                on_received(received.call_id)
            except BaseException:
                del self._world.flights[received.call_id]
                raise
        if surface == IN_PROCESS:
            lanes.submit(flight)
        else:
            lanes.submit_with_turn(flight)
        outcome: Outcome[Any] = await future
        return outcome

    def _when(self, tool: str, priority: int | None, delay: Duration | None) -> float:
        """Seconds that a job waits before it may run. Raises ``UsageError`` for what is no job's."""
        if priority is None and delay is None:
            return 0.0
        registered = self._world.registry.get(tool)
        if registered is not None and registered.contract.job is None:
            raise UsageError(f"priority= and delay= are for tools that run as jobs; {tool} is none")
        if priority is not None and (why := priority_problem(priority)) is not None:
            raise UsageError(f"priority= {why}")
        try:
            # Nothing to wait for is the one length of time that no other setting takes.
            waiting = 0.0 if delay is None or delay == 0 else seconds(delay, of="delay")
        except ContractError as unfit:
            raise UsageError(str(unfit)) from None
        if waiting > LONGEST_DELAY:
            raise UsageError("delay: a job waits a year (366 days) at most")
        return waiting

    def cancel(self, call_id: str) -> None:
        """Nobody waits for this call any more. From any thread; returns at once.

        A call that was not dispatched yet, and a read, is given up and answers ``cancelled``. An effect that was
        dispatched runs on and settles, and so does a held call that people agreed to: its approval is withdrawn
        instead. An id that is not on its way does nothing, nor does saying it twice.
        """
        flight, lanes = self._world.flights.get(call_id), self._lanes
        if flight is not None and lanes is not None:
            lanes.service.call(lambda: call_off(self._world, flight))

    async def get_call(self, call_id: str, *, caller: Caller) -> Outcome[Any]:
        """What became of a call of this caller."""
        lanes = self._running()
        return await asyncio.wrap_future(lanes.service.start(get_call(self._world, call_id, caller=caller)))

    async def operate(
        self, operation: Callable[Concatenate[World, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation on this gateway's world, in its service loop, and wait for what it answers."""
        work = _awaited(operation(self._world, *args, **kwargs))
        return await asyncio.wrap_future(self._running().service.start(work))

    async def look(
        self, operation: Callable[Concatenate[World, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As ``operate``, in the calling loop: for what looks up single rows by their keys and does nothing else.

        Stores do that in place (``Store.find``, ``Store.token``), in any thread, and it costs less than a hop.
        """
        self._running()
        return await operation(self._world, *args, **kwargs)

    async def operate_near_tools(
        self,
        operation: Callable[Concatenate[World, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T | Declined:
        """As ``operate``, in a loop of tools: for what asks the predicates and enters the ``deps`` of one.

        Declined where every such loop is blocked, or the operation takes longer than ``NEAR_TOOLS`` seconds.
        """
        lane = self._running().tool_lane
        if lane is None:
            return Declined(
                "conflict", "every loop for tools is blocked by a tool that does not give way; try again"
            )
        work = _awaited(operation(self._world, *args, **kwargs))
        try:
            async with asyncio.timeout(NEAR_TOOLS):
                return await asyncio.wrap_future(lane.start(work))
        except TimeoutError:
            # What was given up may have been written all the same.
            return Declined(
                "conflict",
                f"the tool's own checks took longer than {NEAR_TOOLS:g} s; look whether it changed, then try again",
            )

    async def approve(self, approval_id: str, *, by: Caller, reason: str) -> ApprovalRow | str:
        """Vote for a held call, as ``by``. The approval as it is now, or why the vote was not taken.

        It only records; whoever owns the tool runs the call, once enough people agreed.
        """
        return await self._decide(approval_id, "approve", by, reason)

    async def deny(self, approval_id: str, *, by: Caller, reason: str) -> ApprovalRow | str:
        """Refuse a held call, for good. The approval as it is now, or why the refusal was not taken."""
        return await self._decide(approval_id, "deny", by, reason)

    async def _decide(
        self, approval_id: str, decision: Literal["approve", "deny"], by: Caller, reason: str
    ) -> ApprovalRow | str:
        decided = await self.operate(
            decide_approval, approval_id, decision, by=in_person(by), reason=reason, digest=None
        )
        self.wake()
        return decided.reason if isinstance(decided, Declined) else decided.row

    async def wait_for(self, outcome: Outcome[R], *, caller: Caller, timeout: Duration = "10m") -> Outcome[R]:
        """See ``Flow.wait``."""
        if not isinstance(outcome, PendingApproval | Started):
            return outcome
        lanes = self._running()
        until = self._clock.monotonic() + seconds(timeout, of="timeout")
        work = self._wait(outcome, caller, until)
        return await asyncio.wrap_future(lanes.service.start(work))

    async def _wait(self, outcome: Outcome[Any], caller: Caller, until: float) -> Outcome[Any]:
        news, patience = self._news, WAIT_INTERVAL
        while True:
            mark = 0 if news is None else news.mark
            now: Outcome[Any] = await get_call(self._world, outcome.call_id, caller=caller)
            waits = isinstance(now, PendingApproval | Started)
            running = not waits and getattr(now, "retry_after", None) is not None
            if not (running or waits) or self._clock.monotonic() >= until:
                return now
            # Real time, whatever the clock says: the answer may come from another process, and a clock that stands
            # still in a test must not keep it from being seen.
            await asyncio.sleep(WAIT_INTERVAL)
            if news is not None and not await news.wait(mark, within=patience):
                patience = min(2 * patience, LONGEST_WAIT)

    def run_sync(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` to its end from a program without an event loop.

        Raises:
            UsageError: inside a running loop.
        """
        try:
            _no_running_loop("await call(...) inside a running event loop; call_sync would block it")
        except UsageError:
            work.close()
            raise
        return self._running().service.start(work).result()

    def tools(self, caller: Caller) -> list[Tool[Any, Any]]:
        """The tools that ``caller`` may ask for, by name. A tool that nobody granted is not listed."""
        entries = sorted(self._world.registry.items())
        return [entry.tool for _, entry in entries if entry.visible_to(caller)]

    @property
    def world(self) -> World:
        """The pipeline's own view, for operations, surfaces and the CLI."""
        return self._world

    @property
    def store(self) -> Store:
        """The ledger."""
        return self._world.store

    # -------------------------------------------------------------------- housekeeping

    async def sweep(self) -> None:
        """One round of housekeeping, now: recovery, expiry, pick-up of approved calls, leases."""
        lanes = self._running()
        await asyncio.to_thread(self._house.round, lanes)

    def wake(self) -> None:
        """Something was decided: do not wait for the next round."""
        self._house.wake()

    def watch(self, wake: Callable[[], object], *, elsewhere: bool = False) -> Callable[[], None]:
        """Call ``wake`` when the ledger grew; see ``Store.watch``."""
        return self._world.store.watch(wake, elsewhere=elsewhere)

    def _running(self) -> Lanes:
        if self._lanes is None:
            raise UsageError("the gateway is not open; write `async with Gateway(...) as gateway:`")
        return self._lanes


def _jobs_of(settings: JobSettings, run: bool | None) -> JobSettings:  # noqa: FBT001 - one signature
    return settings if run is None else replace(settings, run=run)


def _shared(own: ProcessReservations, store: Store, known: Mapping[str, Contract]) -> Reservations:
    """With what the replicas on this store count together, where it shares that."""
    return SharedReservations(own, store.limits, known) if isinstance(store, SharesLimits) else own


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def _no_running_loop(message: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(message)
