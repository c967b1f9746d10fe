"""A checkup of everything that a configuration names, whether or not it works. It changes nothing.

Each part is looked at by itself, so that what is broken hides nothing else but what depends on it. No finding holds a
secret: an address is shown without its password, a key file by its name. Not here: what is open in the ledger
(``operations.examine``), and the judgements (``domain.checkup``).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from toolgate.adapters.clock import SystemClock
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.sqlite.vitals import FileVitals, file_vitals, try_to_write
from toolgate.bootstrap.stores import is_postgres, keys_file, open_ledger, sqlite_file
from toolgate.domain import checkup
from toolgate.domain.checkup import Finding, State, fail, ok, warn
from toolgate.domain.errors import GateFault, ToolgateError
from toolgate.operations.examine import examine

if TYPE_CHECKING:
    from pathlib import Path

    from toolgate.config import Settings
    from toolgate.ports import Store

_MIGRATE: Final = "toolgate migrate (a gateway does the same when it starts)"


async def examine_all(settings: Settings, *, live: bool = False) -> AsyncIterator[Finding]:
    """Every finding, in the order in which they are looked for. ``live``: connect to the upstreams too."""
    yield ok("configuration", ", ".join(file.name for file in settings.files))
    yield _tools(settings)
    for finding in await _upstreams(settings, live=live):
        yield finding
    store = settings.store
    if store is None or store == "memory":
        yield warn(
            "store",
            "in memory: everything is forgotten when the process ends",
            "write store = 'sqlite:///toolgate.db', or an address of Postgres",
        )
        return
    found, ring = _keys(keys_file(store, settings.keys))
    yield found
    looked = _postgres(settings, store, ring) if is_postgres(store) else _sqlite(settings, store, ring)
    async for finding in looked:
        yield finding


def _tools(settings: Settings) -> Finding:
    try:
        tools = settings.tools()
        settings.deps()
        settings.callers()
        settings.may_decide()
    except ToolgateError as fault:
        return _broken("tools", fault)
    except Exception as fault:  # noqa: BLE001 - importing an author's module may raise anything; its text is not shown
        return fail(
            "tools", f"a module raises {type(fault).__name__} when it is imported", "import it, and look"
        )
    return ok("tools", f"{len(tools)} in the code")


async def _upstreams(settings: Settings, *, live: bool) -> Sequence[Finding]:
    if not settings.upstreams:
        return []
    from toolgate.bootstrap.upstreams import lock_path, look, plan_upstreams, read_lock  # noqa: PLC0415 - an extra
    from toolgate.domain.upstream.lock import differences  # noqa: PLC0415 - likewise

    try:
        lock = read_lock(lock_path(settings))
        plan = plan_upstreams(settings, lock)
    except ToolgateError as fault:
        return [_broken("upstreams", fault)]
    findings = []
    for upstream in settings.upstreams:
        area = f"upstream {upstream.name}"
        left = [each.tool for each in plan.left if each.upstream == upstream.name and not each.off]
        behind = sum(len(berth.placed) for berth in plan.berths if berth.name == upstream.name)
        if left:
            mend = f"look at them, then pin them: toolgate upstreams pin {upstream.name}"
            findings.append(warn(area, f"not behind the gate: {', '.join(sorted(left))}", mend))
            continue
        if not live:
            findings.append(
                ok(area, f"{behind} tools pinned; --live looks whether they still are what was pinned")
            )
            continue
        seen = await look(upstream, SystemClock())
        names = {
            placed.tool for berth in plan.berths if berth.name == upstream.name for placed in berth.placed
        }
        pinned = {tool: held for tool, held in lock.tools(upstream.name).items() if tool in names}
        changed = differences(
            pinned, {tool: made for tool, made in seen.definitions.items() if tool in names}
        )
        if seen.down is not None:
            findings.append(
                warn(area, f"unavailable: {seen.down}", "see why it does not answer; its tools wait for it")
            )
        elif changed:
            words = f"set aside until somebody looks: {', '.join(each.tool for each in changed)}"
            mend = f"toolgate upstreams diff {upstream.name}, then toolgate upstreams pin {upstream.name}"
            findings.append(warn(area, words, mend))
        else:
            findings.append(ok(area, f"ready, {behind} tools as they were pinned"))
    return findings


def _keys(path: Path) -> tuple[Finding, Keyring | None]:
    """The key file: there, sound, its owner's alone. What is wrong with it is told with what mends it."""
    if not path.exists():
        mend = "put the right key file there; for a store that is new, toolgate migrate makes both"
        return fail("keys", f"{path.name} is not there", mend), None
    try:
        ring = Keyring.open(path)
    except ToolgateError as fault:
        return fail(
            "keys", str(fault), "keep the file, and restore it from its backup if it is damaged"
        ), None
    return ok("keys", f"{path.name}, its owner's alone"), ring


def _broken(
    area: str, fault: ToolgateError, mend: str = "see the disk, its rights, and who holds it"
) -> Finding:
    """What is the operator's to mend says so itself; what failed of itself needs a hint."""
    return (
        fail(area, str(fault), mend)
        if isinstance(fault, GateFault)
        else Finding(area, State.FAIL, str(fault))
    )


def _fits(ring: Keyring | None, of: str | None) -> Sequence[Finding]:
    if ring is None or of is None or ring.ring_id == of:
        return []
    return [fail("keys", "they belong to another database than this one", "put the right key file in place")]


def _schema(applied: Sequence[str], known: Sequence[str]) -> Finding:
    if newer := [name for name in applied if name not in known]:
        words = f"it has {newer[-1]}, which this version does not know"
        return fail("schema", words, "install the version of toolgate that made it, or a newer one")
    if missing := [name for name in known if name not in applied]:
        return warn("schema", f"it waits for {', '.join(missing)}", _MIGRATE)
    return ok("schema", f"at {known[-1]}")


def _served(*, served: bool) -> Finding:
    if served:
        return ok("gateway", "one keeps house")
    mend = "nothing recovers, expires or is picked up until one runs: toolgate serve, or toolgate worker"
    return warn("gateway", "none keeps house on this store now", mend)


# --- SQLite -----------------------------------------------------------------------------------------------------


async def _sqlite(settings: Settings, store: str, ring: Keyring | None) -> AsyncIterator[Finding]:
    path = sqlite_file(store)
    if not path.exists():
        yield fail("store", f"there is no database at {path}", "toolgate migrate makes it, with its keys")
        return
    ledger = open_ledger(store, ring or Keyring.ephemeral(), boot_id="doctor", reading=True)
    try:
        await ledger.open()
    except ToolgateError as fault:
        yield _broken("store", fault)
        return
    try:
        found = file_vitals(path)
        size = f"{path.name}, {checkup.size_words(found.size)}"
        room = f", of which {checkup.size_words(found.reusable)} are free again" if found.reusable else ""
        yield ok("store", size + room)
        for finding in _of_file(path, found, ring):
            yield finding
        yield _served(served=await ledger.is_served())
        if found.applied == found.known:
            for finding in await examine(ledger, settings.retention):
                yield finding
    except ToolgateError as fault:
        yield _broken("store", fault)
    finally:
        await ledger.close()


def _of_file(path: Path, found: FileVitals, ring: Keyring | None) -> Sequence[Finding]:
    try:
        try_to_write(path)
        writable = ok("writing", "a transaction can be written")
    except ToolgateError as fault:
        mend = "see who holds it, its rights, and the disk; until then nothing runs"
        writable = fail("writing", str(fault), mend)
    behind = 0 if found.newest is None else found.newest - time.time_ns() // 1000
    return [
        writable,
        _schema(found.applied, found.known),
        *_fits(ring, found.ring),
        checkup.judge_high_water(behind),
        checkup.judge_disk(found.disk_free, where=f"beside {path.name}"),
        checkup.judge_wal(found.wal),
    ]


# --- Postgres ---------------------------------------------------------------------------------------------------


async def _postgres(settings: Settings, store: str, ring: Keyring | None) -> AsyncIterator[Finding]:
    try:
        ledger = open_ledger(store, ring or Keyring.ephemeral(), boot_id="doctor", reading=True)
        await ledger.open()
    except ToolgateError as fault:
        yield _broken("store", fault, "see whether the server runs and can be reached")
        return
    try:
        up_to_date, findings = await _of_server(ledger, ring)
        for finding in findings:
            yield finding
        yield _served(served=await ledger.is_served())
        if up_to_date:
            for finding in await examine(ledger, settings.retention):
                yield finding
    except ToolgateError as fault:
        yield _broken("store", fault, "see whether the server runs and can be reached")
    finally:
        await ledger.close()


async def _of_server(ledger: Store, ring: Keyring | None) -> tuple[bool, Sequence[Finding]]:
    """Whether its schema is this version's, and what there is to say of the server."""
    from toolgate.adapters.stores.postgres import vitals  # noqa: PLC0415 - an extra
    from toolgate.adapters.stores.postgres.store import PostgresStore  # noqa: PLC0415 - likewise

    assert isinstance(ledger, PostgresStore)
    found = await vitals.server_vitals(ledger)
    try:
        await vitals.try_to_write(ledger)
        writable = ok("writing", "a transaction can be written")
    except ToolgateError as fault:
        writable = fail("writing", str(fault), "see the server's log, its disk, and the rights of this user")
    durable = ok("durability", "the server keeps what it says it wrote")
    if not found.durable:
        durable = fail(
            "durability",
            "fsync or full_page_writes is off: a crash of its machine loses effects that were committed",
            "switch both on in postgresql.conf",
        )
    return found.applied == found.known, [
        ok("store", f"{ledger.link.address.shown}, {checkup.size_words(found.size)}"),
        writable,
        durable,
        _schema(found.applied, found.known),
        *_fits(ring, found.ring),
        checkup.judge_offset(ledger.offset),
        checkup.judge_connections(found.used, found.most),
    ]
