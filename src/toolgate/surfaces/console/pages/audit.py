"""The pages about the audit trail: reading it backwards, verifying it, taking it away.

Not here: what a reader may see (``operations.read_trail``), and how a verification runs (``verification``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from starlette.responses import HTMLResponse, StreamingResponse

from toolgate.domain.duration import MICRO
from toolgate.domain.principal import Declined
from toolgate.operations.export_trail import begin_export, end_export, next_piece
from toolgate.operations.list_calls import ledger_time
from toolgate.operations.read_trail import TrailFilter, read_trail, trail_heads
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.pages.search import RANGE_CHOICES, Typed, UnfitSearchError
from toolgate.surfaces.console.pages.verification import Verification
from toolgate.surfaces.console.render import fragment, page
from toolgate.surfaces.console.session import Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.responses import Response

    from toolgate.domain.audit import Head
    from toolgate.operations.export_trail import TrailExport
    from toolgate.surfaces.console.session import Visit

_PAGE: Final = 50
_SHOWN_HEADS: Final = 4
_LATEST: Final = 253_402_300_800_000_000
"""The year 10000 (µs), which no calendar here knows."""
_SHOWN_PROBLEMS: Final = 20
TRANSITIONS: Final = (
    "refused",
    "held",
    "approval_approved",
    "approval_denied",
    "approval_edited",
    "approval_revealed",
    "approval_expired",
    "approval_cancelled",
    "requirement_raised",
    "intended",
    "settled",
    "replayed",
    "lapsed",
    "resolved",
    "late_evidence",
    "incident",
)
"""What the form offers; any other can be typed."""


class AuditPages:
    """The pages of one console, which remember its last verification."""

    def __init__(self) -> None:
        self._verification = Verification()
        self._exporting = False

    async def trail(self, visit: Visit) -> Response:
        """Events, newest first."""
        typed = Typed(visit.query, await visit.operate(ledger_time))
        problem, wanted, before = None, TrailFilter(), None
        try:
            wanted, before = _wanted(typed), typed.number()
        except UnfitSearchError as unfit:
            problem = str(unfit)
        found = await visit.operate(read_trail, by=visit.principal, before=before, limit=_PAGE, wanted=wanted)
        if isinstance(found, Declined):
            return visit.declined(found)
        heads = await visit.operate(trail_heads, by=visit.principal)
        rows, following = ((), None) if problem else (found.rows, found.next)
        return page(
            visit,
            "audit.html",
            title="Audit",
            status=400 if problem else 200,
            problem=problem,
            rows=[told(seq, line) for seq, line in rows],
            wanted=_shown(typed),
            older=None if following is None else _at(typed, following),
            newest=None if before is None else _at(typed, None),
            further_back=before is not None,
            transitions=TRANSITIONS,
            ranges=RANGE_CHOICES,
            heads=newest_heads(heads) if not isinstance(heads, Declined) else (),
            chains=len(heads) if not isinstance(heads, Declined) else 0,
            records=sum(seq for seq, _ in heads.values()) if not isinstance(heads, Declined) else 0,
            **self._status(),
        )

    async def status(self, visit: Visit) -> Response:
        """How the verification stands, for a page that waits for it."""
        refused = await visit.operate(trail_heads, by=visit.principal)
        if isinstance(refused, Declined):
            return visit.declined(refused)
        html = fragment("verification.html", paths=paths, **self._status())
        return HTMLResponse(html, headers={"Cache-Control": "no-store"})

    async def verify(self, visit: Visit) -> Response:
        """Begin to verify everything."""
        refused = await self._verification.start(visit.office, visit.principal)
        return visit.go(paths.AUDIT) if refused is None else visit.declined(refused)

    def _status(self) -> dict[str, Any]:
        last = self._verification.last
        return {
            "verification": self._verification,
            "verified": last,
            "problems": () if last is None or last.report is None else last.report.problems[:_SHOWN_PROBLEMS],
        }

    async def export(self, visit: Visit) -> Response:
        """The trail as a file, while it is read."""
        # Reading changes nothing, so no token guards it; but another site shall not make us read all of it.
        if visit.request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            return visit.declined(Declined("forbidden", "another site asked for this"), back=paths.AUDIT)
        if self._exporting:
            busy = Declined("conflict", "an export is under way; ask again when it has ended")
            return visit.declined(busy, back=paths.AUDIT)
        begun = await visit.operate(begin_export, by=visit.principal)
        if isinstance(begun, Declined):
            return visit.declined(begun)
        now = await visit.operate(ledger_time)
        name = datetime.fromtimestamp(now // MICRO, UTC).strftime("toolgate-trail-%Y-%m-%dT%H-%M-%SZ.jsonl")
        return StreamingResponse(
            self._pieces(visit, begun),
            media_type="application/x-ndjson",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
        )

    async def _pieces(self, visit: Visit, export: TrailExport) -> AsyncIterator[bytes]:
        # Whoever is cut off gets a file without its last line, which is how a reader sees that it was cut.
        self._exporting = True
        try:
            while not visit.office.closing.begun and (piece := await visit.operate(next_piece, export)):
                yield piece
        finally:
            self._exporting = False
            await visit.operate(end_export, export)


def _wanted(typed: Typed) -> TrailFilter:
    return TrailFilter(
        call_id=typed.text("call"),
        tool=typed.text("tool"),
        caller=typed.text("caller"),
        actor=typed.text("actor"),
        transition=typed.text("transition"),
        since=typed.since(),
        until=typed.moment("to"),
    )


def _shown(typed: Typed) -> dict[str, Any]:
    names = ("call", "tool", "caller", "actor", "transition", "range", "from", "to")
    shown: dict[str, Any] = {name: typed.query.get(name, "").strip() for name in names}
    return shown | {"any": any(shown.values()), "rare": any(shown[name] for name in ("actor", "from", "to"))}


def _at(typed: Typed, before: int | None) -> str:
    kept = {name: value for name, value in typed.query.items() if name != "before"}
    return paths.with_query(paths.AUDIT, **kept, before="" if before is None else before)


def newest_heads(heads: Mapping[str, Head]) -> tuple[str, ...]:
    """The newest chains' heads as ``toolgate audit verify --head`` takes them."""
    # An id ends in the time of its making, so that the newest chains are those that say most.
    newest = sorted(heads, key=lambda chain: chain.rpartition("_")[2], reverse=True)[:_SHOWN_HEADS]
    return tuple(f"{chain}={heads[chain][0]}:{heads[chain][1].hex()}" for chain in newest)


class Told(NamedTuple):
    """One event as a row. ``line`` is all of it."""

    seq: int
    line: Mapping[str, Any]
    at: int | None
    what: str
    who: str
    agent: str
    tool: str
    status: str
    call_id: str
    approval_id: str


def told(seq: int, line: Mapping[str, Any]) -> Told:
    """An event in words short enough for a row. A record may be damaged, so nothing of it is taken for granted."""

    def text(name: str) -> str:
        value = line.get(name)
        return value if isinstance(value, str) else ""

    at = line.get("time")
    return Told(
        seq=seq,
        line=line,
        at=at if isinstance(at, int) and 0 <= at < _LATEST else None,
        what=(text("transition") or text("event") or "unreadable").replace("_", " "),
        who=text("actor") or text("user_id"),
        agent=text("agent"),
        tool=text("tool"),
        status=text("status"),
        call_id=text("call_id"),
        approval_id=text("approval_id"),
    )


def pages() -> tuple[Page, ...]:
    """The pages of one console."""
    mine = AuditPages()
    return (
        Page("GET", "/audit", mine.trail),
        Page("GET", "/audit/verification", mine.status),
        Page("GET", "/audit/export", mine.export),
        Page("POST", "/audit/verify", mine.verify),
    )
