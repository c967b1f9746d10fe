"""The seams: what the gate needs of the world, as Protocols. Adapters fill them; ``bootstrap`` ties them.

Each port is as small as its use. Not here: any implementation, not even a default.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from contextvars import Context as TaskContext

    from toolgate.domain.audit import StoredRecord
    from toolgate.domain.call import ClearedCall, ReceivedCall
    from toolgate.domain.caller import Caller, Denied
    from toolgate.domain.commands import Answer, Command
    from toolgate.domain.context import Context
    from toolgate.domain.contract import Contract
    from toolgate.domain.limits import Rate
    from toolgate.domain.metrics import Metric, Reading
    from toolgate.domain.notice import Wanted
    from toolgate.domain.principal import Declined, Principal
    from toolgate.domain.retention import Prune, Pruned, TrailCut
    from toolgate.domain.rows import (
        ApprovalRow,
        CallRow,
        DeliveryRow,
        Found,
        GrantRow,
        JobRow,
        NoticeRow,
        RevisionRow,
        SealedRow,
        Subject,
        TokenRow,
    )
    from toolgate.domain.tool import Tool


class Timer(Protocol):
    """A scheduled callback."""

    def cancel(self) -> None:
        """Forget it, if it has not run."""


class Clock(Protocol):
    """Time. ``now`` is for people and rows, ``monotonic`` for deadlines; they are never compared."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds, never going back."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Run ``callback`` in the running event loop after ``delay`` seconds."""

    async def sleep(self, delay: float) -> None:
        """Wait ``delay`` seconds."""


class Ids(Protocol):
    """Names for new things."""

    def new(self, prefix: str) -> str:
        """A fresh id such as ``call_01J…``; later ones sort after earlier ones of this process."""


class Keys(Protocol):
    """Secrets at rest. No method ever returns a key."""

    def encrypt(self, plaintext: bytes, *, tenant: str, call_id: str, kind: str) -> bytes:
        """Sealed bytes that open only with the same tenant, call and kind."""

    def decrypt(self, sealed: bytes, *, tenant: str, call_id: str, kind: str) -> bytes:
        """What was sealed. Raises a ``GateFault`` if anything differs."""

    def claim_mac(self, data: bytes) -> bytes:
        """32 bytes that stand for an idempotency key; never rotated."""

    def redaction_mac(self, data: bytes) -> str:
        """A short text that stands for a sensitive value, equal for equal values."""

    def token_hash(self, token: str) -> str:
        """What is kept of a credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls to list; ``None`` means any. ``before`` is a call id: the cursor of the next page.

    ``since`` and ``until`` are microseconds since the epoch: from the one on, before the other.
    """

    tenant: str | None = None
    tool: str | None = None
    caller_id: str | None = None
    agent: str | None = None
    status: str | None = None
    error_type: str | None = None
    workflow_id: str | None = None
    unresolved: bool = False
    since: int | None = None
    until: int | None = None
    before: str | None = None
    limit: int = 50


class CallPage(NamedTuple):
    """Calls, newest first. ``next`` is the cursor from which to go on; None at the end.

    A page may hold fewer calls than asked for and still have a ``next``: a store looks at a bounded number of
    calls a page, so that a rare combination of filters cannot hold it up.
    """

    rows: Sequence[CallRow]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFilter:
    """Which approvals to list; ``None`` means any. Open ones come oldest first, all of them newest first.

    ``after`` is the id of the last approval of the page before; ``lapsed_at`` (µs) leaves those whose time is out by
    then.
    """

    open_only: bool = True
    tenant: str | None = None
    tool: str | None = None
    caller_id: str | None = None
    state: str | None = None
    lapsed_at: int | None = None
    after: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list; ``None`` means any. ``before`` is a job id: the cursor of the next page.

    ``state`` is one of ``jobs.told_state``. ``since`` and ``until`` are microseconds since the epoch, of the job's
    creation: from the one on, before the other.
    """

    tenant: str | None = None
    tool: str | None = None
    caller_id: str | None = None
    agent: str | None = None
    state: str | None = None
    since: int | None = None
    until: int | None = None
    before: str | None = None
    limit: int = 50


class JobPage(NamedTuple):
    """Jobs with their calls, by their ids from the newest on. ``next`` is the cursor from which to go on.

    A page may hold fewer jobs than asked for and still have a ``next``, as one of calls may.
    """

    rows: Sequence[tuple[JobRow, CallRow]]
    next: str | None = None


class Change(NamedTuple):
    """One event of the trail as a reader of the newest ones sees it. ``seq`` counts all chains of the store."""

    seq: int
    call_id: str | None
    record: bytes


class Store(Protocol):
    """The ledger. Every command is atomic with its audit events, and durable when its answer arrives.

    Each method raises ``StoreUnavailable`` if nothing was written or can be read, and ``execute`` raises
    ``StoreInDoubt`` if a commit was sent and cannot be confirmed.
    """

    async def open(self) -> None:
        """Create or migrate the schema, open this boot's chain."""

    async def close(self) -> None:
        """Write what waits, then let go of the files."""

    async def execute(self, command: Command) -> Answer:
        """Decide and write one command; see ``domain.ledger.decide``."""

    async def find(self, subject: Subject) -> Found:
        """The rows around a key, call or approval, as last committed: a hint, never a decision."""

    async def sealed(self, call_id: str, kind: str) -> SealedRow | None:
        """Encrypted bytes of a call."""

    async def calls(self, wanted: CallFilter) -> CallPage:
        """Calls, newest first."""

    async def job(self, job_id: str) -> JobRow | None:
        """The job of this id, as last committed: a point look-up, as ``find``."""

    async def jobs(self, wanted: JobFilter) -> JobPage:
        """Jobs, newest first."""

    async def approvals(self, wanted: ApprovalFilter) -> Sequence[ApprovalRow]:
        """Approvals, oldest first where only open ones are asked for, else newest first."""

    async def revisions(self, approval_id: str) -> Sequence[RevisionRow]:
        """What edits of an approval replaced, oldest first."""

    async def grants(
        self,
        *,
        tenant: str,
        tool: str | None = None,
        active_at: int | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> Sequence[GrantRow]:
        """Grants, newest first; ``active_at`` (µs) only those that could be used then."""

    async def lapsed(self, limit: int = 100) -> Sequence[CallRow]:
        """Intents whose lease ran out."""

    async def unknown(self, limit: int = 100) -> Sequence[CallRow]:
        """Effects in doubt."""

    async def dispatchable(self, limit: int = 100, after: str | None = None) -> Sequence[ApprovalRow]:
        """Approvals that are approved and not consumed, in the order of their ids, those behind ``after``."""

    async def lapsed_grants(self, limit: int = 100) -> Sequence[GrantRow]:
        """Grants whose time ran out and that nobody has ended, the first to run out first."""

    async def unplanned(self, limit: int = 100) -> Sequence[NoticeRow]:
        """Notices that nobody has planned deliveries of, oldest first."""

    async def deliveries(
        self,
        *,
        state: str,
        due: int | None = None,
        tenant: str | None = None,
        sink: str | None = None,
        limit: int = 100,
    ) -> Sequence[tuple[DeliveryRow, NoticeRow]]:
        """Deliveries in ``state`` with what they carry; ``due`` (µs) only those whose time came.

        Pending ones come those due first, those that ended newest first.
        """

    async def changes(self, after: int | None, limit: int = 500) -> Sequence[Change]:
        """What the trail says behind ``after``, in order; None: only the newest one, to begin from."""

    async def newest_changes(self, *, before: int | None = None, limit: int = 50) -> Sequence[Change]:
        """The trail backwards, from before ``before`` (a ``seq``) on."""

    async def token(self, token_hash: str) -> TokenRow | None:
        """The token of this hash."""

    async def tokens(
        self, *, tenant: str | None = None, live_at: int | None = None, limit: int = 1000
    ) -> Sequence[TokenRow]:
        """Tokens, newest first; with ``live_at`` (µs) what came by itself only where it had not ended by then."""

    def records(
        self, *, call_id: str | None = None, newest: int | None = None
    ) -> AsyncIterator[StoredRecord]:
        """The trail in the order it was written; ``newest`` only the last so many."""

    async def heads(self) -> dict[str, tuple[int, bytes]]:
        """Where each chain ends, as its writer last committed it: chain → (sequence number, link hash)."""

    async def now(self) -> int:
        """The store's time (µs): never before anything it has recorded."""

    def watch(self, wake: Callable[[], object], *, elsewhere: bool = False) -> Callable[[], None]:
        """Call ``wake`` when something was committed, in any thread, until the result is called.

        It says no more than that there may be something to see, may come late or for nothing, and may be lost: whoever
        waits looks slowly besides. ``elsewhere``: only for what other processes committed; a store that hears of none
        never calls it then.
        """

    async def prune(self, batch: Prune, *, dry: bool = False) -> Pruned:
        """Remove one bounded batch, durably; ``dry`` only says what would go. It waits for nobody's rows."""

    async def oldest(self, before: int, *, limit: int = 10_000) -> TrailCut | None:
        """At most ``limit`` of the oldest records, all from before ``before`` (µs), or a partition; None for none."""

    async def turn(self, name: str, *, every: float) -> bool:
        """Whether the work of this name is the caller's to do now: once each ``every`` seconds over all processes."""

    async def turn_taken(self, name: str) -> int | None:
        """When the last turn of this name was taken (µs); None if none ever was."""


@runtime_checkable
class Housed(Protocol):
    """A store that more than one process may have open. Whether a gateway keeps house on it can be told."""

    async def announce(self) -> None:
        """Hold up the sign of a gateway that keeps house here, until ``withdraw`` or the end of the process.

        Raises:
            ConfigurationError: if it cannot be made; without it people would be told that nobody runs.
        """

    async def withdraw(self) -> None:
        """Take one's own sign down; without one, nothing."""

    async def is_served(self) -> bool:
        """Whether any process holds up the sign now."""


class SharedLimits(Protocol):
    """What replicas on one database count together. Any thread."""

    def spend(self, key: tuple[str, ...], rate: Rate) -> Awaitable[float]:
        """As ``Reservations.spend``, over all replicas."""

    def tell(self, tool: str, wait: float | None) -> None:
        """The breaker of ``tool`` opened here for ``wait`` seconds, or closed (None). The others hear of it."""

    def follow(self, heard: Callable[[str, float | None], object]) -> None:
        """Call ``heard(tool, wait)`` whenever another replica told so, until the store is closed."""


@runtime_checkable
class SharesLimits(Protocol):
    """A store whose processes count together."""

    @property
    def limits(self) -> SharedLimits:
        """What they count."""


class NotBegun(Exception):
    """A runner could not begin an attempt: for certain nothing of the tool ran."""


class Runner(Protocol):
    """Runs one attempt of a cleared call, and nothing else. A one-method seam."""

    async def run(self, call: ClearedCall, context: Context) -> Any:
        """The tool's own return value. Raises whatever the tool raised, or ``NotBegun``."""


class Reservations(Protocol):
    """Rates, slots and breakers. Slots are per process; rates and breakers too, but where a store shares them."""

    def spend(self, key: tuple[str, ...], rate: Rate) -> float | Awaitable[float]:
        """Take one from ``rate`` for ``key``: 0 if there was one, else the seconds until there is.

        Known at once where a process counts for itself. Where it has to be asked for, ``StoreUnavailable`` is raised
        if nobody answers, and nothing is allowed.
        """

    def take_slot(self, contract: Contract) -> Callable[[], None] | None:
        """A running slot of the tool and of the gateway, or None when full. Call the result to give it back."""

    def pass_breaker(self, contract: Contract) -> Callable[[], None] | float:
        """Passage through the tool's breaker, or the seconds until a call may try.

        Call the passage when the call is over: a trial that never reached the tool is then free for the next one.
        """

    def note(self, contract: Contract, *, healthy: bool) -> None:
        """Tell the tool's breaker how a run ended."""


Deps = Callable[["Caller"], "AbstractAsyncContextManager[Any]"]
"""Entered once a call, after the role check; built anew when a held call runs."""

Decider = Callable[["Caller", Mapping[str, Any]], "bool | Denied"]
"""``(person, facts)`` → whether this person may agree to this. A decision alone: sync, and run in a thread."""

Callers = Callable[[str, str], Awaitable["Caller | None"]]
"""``(id, tenant)`` → the caller's current rights, or None for somebody who may do nothing any more."""


class Issuer(Protocol):
    """Somebody else whose signed tokens the gate believes."""

    async def principal(self, bearer: str) -> Principal | Declined:
        """Whom a signed access token stands for; a refusal says why for the log, never for whoever showed it.

        A ``conflict`` is no word about the token: the issuer cannot be asked now.
        """


class SignIn(Protocol):
    """The browser sign-in of an issuer: an authorization code with PKCE (RFC 7636)."""

    @property
    def name(self) -> str:
        """What people know the issuer as: its host."""

    async def begin(self, *, redirect_uri: str, state: str, nonce: str, code_verifier: str) -> str | Declined:
        """The address at the issuer that the browser is sent to."""

    async def finish(
        self, answer: Mapping[str, str], *, redirect_uri: str, nonce: str, code_verifier: str
    ) -> Principal | Declined:
        """Who signed in, from the parameters that the browser came back with; their ``state`` was checked before."""


class Sent(NamedTuple):
    """The receiver took a notice."""


class Failed(NamedTuple):
    """It did not. ``reason`` is for operators: few words, no secret, nothing of what was answered.

    ``retry_after``: seconds that the receiver wished to be left alone. ``final``: it wants none, ever.
    """

    reason: str
    retry_after: float | None = None
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamState:
    """How an upstream stands.

    Attributes:
        status: ``ready``, ``connecting`` or ``unavailable``.
        reason: why it is unavailable, without anything secret; None where it is not.
        since: since when (µs since the epoch).
        server: how it names itself and which protocol it speaks, once that is known.
        tools: names of its tools behind the gate; ``set_aside`` are those that may not run, each with the reason.
    """

    name: str
    status: Literal["ready", "connecting", "unavailable"]
    reason: str | None = None
    since: int = 0
    server: str | None = None
    tools: tuple[str, ...] = ()
    set_aside: Mapping[str, str] = field(default_factory=dict)


class Upstreams(Protocol):
    """The MCP servers behind the gate. Which tools there are does not depend on whether one can be reached."""

    @property
    def tools(self) -> Sequence[Tool[Any, Any]]:
        """Their reviewed tools, as contracts."""

    def open(self) -> None:
        """Begin to connect, and return at once."""

    def close(self) -> None:
        """End every connection and process. Blocks until that is done, some seconds at most."""

    def set_aside(self, tool: str) -> str | None:
        """Why this tool may not run now: it is not the one that was reviewed. None for every other."""

    def states(self) -> Sequence[UpstreamState]:
        """How each of them stands, by name."""


class Steps(Protocol):
    """The named steps of one run of a job. A step that ended is never worked again, whoever runs the job next."""

    async def run(self, name: str, work: Callable[[], Awaitable[bytes]]) -> bytes:
        """What an earlier run recorded under ``name``, else what ``work`` gives, recorded before it is returned.

        ``work`` is awaited in the loop of whoever calls this. It runs at least once: a process that dies between
        the work and its record leaves no record. What it raises is raised here, and nothing is recorded. The bytes
        are kept as they are: whoever calls seals them first. A step of the same name within one run is numbered
        (``fetch``, ``fetch#2``); otherwise the order of steps is free, and a later run may have others.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A job as an engine sees it: where it waits, and never what it does.

    Attributes:
        tool: with ``tenant`` the queue that it waits in; limits hold for that queue over all processes.
        priority: 0 (first) to 2 147 483 647. Equal ones run in the order of their start, to the millisecond.
        delay: seconds, before which it does not run; about a second late at most when the engine is idle.
        concurrency: how many of the queue run at once, None for no limit.
        rate: how many of the queue begin in a time, None for no limit.
    """

    job_id: str
    tool: str
    tenant: str
    priority: int = 0
    delay: float = 0.0
    concurrency: int | None = None
    rate: Rate | None = None


RunJob = Callable[[str, Steps], Awaitable[float | None]]
"""``(job id, steps)`` runs the job. None: it is over. Seconds: not now, ask again after so long."""


class JobEngine(Protocol):
    """Brings job ids back until they are over: queues, retries after a crash, recorded steps.

    It never decides whether a job may run or has run: the ledger does, and is the fence between two processes that
    both hold the same id. Every method but ``open`` raises ``StoreUnavailable`` if what it keeps cannot be reached.
    """

    async def open(self, run: RunJob | None) -> None:
        """Get ready, and run jobs by ``run`` in the loop that this is awaited in; None starts jobs and runs none.

        Raises:
            ConfigurationError: what it keeps cannot be kept where it was told to.
        """

    async def start(self, job: Queued) -> None:
        """Put a job into its queue, durably. Again for the same job: nothing.

        Raises:
            GateFault: the id is known for another tool or tenant.
        """

    async def cancel(self, job_id: str) -> None:
        """Forget a job that is not running; one that runs, or is unknown, is left as it is."""

    async def known(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Which of these it holds and will still run; the others need a ``start``."""

    async def take_over(self) -> int:
        """Put the jobs of processes that died back into their queues, and tell how many. One process at a time."""

    async def over(self, *, after: str = "", limit: int = 1000) -> Sequence[str]:
        """Jobs that are over and of which it still keeps something, in the order of their ids, behind ``after``."""

    async def forget(self, job_ids: Sequence[str]) -> None:
        """Remove what is kept of jobs that are over, with their steps; one that is not over stays."""

    async def close(self, *, drain: float) -> None:
        """Take up no more jobs, wait up to ``drain`` seconds for those that run, then leave the rest to others."""


class StoreNotes(Protocol):
    """What a store tells of its own work, from the thread that does it. Each must return at once."""

    def group(self, size: int, seconds: float) -> None:
        """So many commands were committed together; it took so long from the begin until they were durable."""

    def reconnected(self) -> None:
        """A lost connection was made again."""

    def in_doubt(self) -> None:
        """A commit's answer was lost, and nobody can tell whether it happened."""


@runtime_checkable
class TellsOfItself(Protocol):
    """A store that says how its work goes. One that does not is a store all the same."""

    notes: StoreNotes | None


class Meter(StoreNotes, Protocol):
    """Counts what this process does, by the definitions of ``domain.metrics``. From any thread; never raises.

    Attributes:
        forward: hears of each value of a histogram as it comes, where it is exported one by one.
    """

    forward: Callable[[Metric, tuple[str, ...], float], object] | None

    def add(self, metric: Metric, labels: tuple[str, ...] = (), by: float = 1.0) -> None:
        """Count ``by`` more. ``labels`` stand in the order of the definition."""

    def record(self, metric: Metric, value: float, labels: tuple[str, ...] = ()) -> None:
        """Note one value of a histogram."""

    def readings(self) -> Sequence[Reading]:
        """Everything that was counted so far."""


class CallSpan(Protocol):
    """One run of the pipeline, as a trace shows it. Nothing of arguments, results or words of people goes in.

    Attributes:
        trace: the span as a W3C ``traceparent``, for the trail and for downstream.
        context: what the run's task runs in: spans that a tool makes become children of this one.
    """

    trace: str
    context: TaskContext

    def step(self, name: str | None) -> None:
        """What was done since the step before, or since the beginning, was ``name``; None: what shows itself."""

    def end(self, *, status: str, effect: str, error_type: str | None, attempts: int) -> None:
        """It was answered. Once; a second word is not heard."""


class Telemetry(Protocol):
    """Traces calls. Every method returns at once and raises nothing: no call fails because it is being watched."""

    def begin(self, received: ReceivedCall, context: TaskContext | None, *, resumes: bool) -> CallSpan | None:
        """A call is about to run. None where it is not to be traced.

        ``context`` is the asker's, where it asked in this process. ``resumes``: it runs because somebody agreed, or as
        a job: a trace of its own, linked to the one that the request left.
        """

    def around(self, runner: Runner) -> Runner:
        """``runner`` with a span around each attempt."""

    def open(self, readings: Callable[[], Sequence[Reading]], meter: Meter) -> None:
        """Begin. ``readings`` gives all numbers of now and may wait for the store; it may be called in any thread."""

    def make_global(self) -> None:
        """Let tools' own spans and numbers go the same way: for a process that is no application's."""

    def close(self) -> None:
        """Send what is left, some seconds at most."""


class Notifier(Protocol):
    """One receiver of notices. A one-method seam; the caller keeps the time and tries again."""

    async def send(self, notice: NoticeRow, *, now: int) -> Sent | Failed:
        """One attempt, at ``now`` (µs). An error that is no answer may be raised; it counts as a failed attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """Where notices go: a name that rows refer to, which ones are wanted, and who sends them."""

    name: str
    wanted: Wanted
    notifier: Notifier
