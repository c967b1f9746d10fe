"""The trail from the command line: flat lines, search, verification, and an export that a stranger can verify."""

from __future__ import annotations

import base64
import json
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import MAYA, Shop, run
from toolgate import Caller

LINE_FIELDS = {
    "event",
    "request_id",
    "user_id",
    "agent",
    "model",
    "tool",
    "arguments",
    "decision",
    "status",
    "duration_ms",
}


async def a_day(shop: Shop) -> None:
    """A read, a refund with a sensitive value, a hold and a refusal."""
    async with shop.gateway() as gateway:
        flow = gateway.workflow("case-1", caller=MAYA, agent="assistant", model="m-1")
        await flow.call("read_order", {"order_id": 1}, request_id="req-1")
        await flow.call(
            "refund", {"order_id": 2, "amount_cents": 100, "card_hint": "4242"}, request_id="req-2"
        )
        await flow.call(
            "refund", {"order_id": 3, "amount_cents": 9000, "card_hint": "1111"}, request_id="req-3"
        )
        await gateway.call("read_order", {"order_id": 1}, caller=Caller("u-felix", tenant="acme"))


# --- tail -----------------------------------------------------------------------------------------------------


@pytest.mark.req("M11.11")
async def test_the_tail_prints_one_flat_object_a_line(shop: Shop) -> None:
    await a_day(shop)

    lines = (await shop("audit", "tail", "--json")).lines
    (read,) = [line for line in lines if line.get("request_id") == "req-1"]
    (held,) = [line for line in lines if line.get("request_id") == "req-3"]

    assert set(read) >= LINE_FIELDS
    assert all(not isinstance(value, dict) for name, value in read.items() if name != "arguments")
    assert (read["event"], read["user_id"], read["agent"], read["model"]) == (
        "llm_tool_call",
        "u-maya",
        "assistant",
        "m-1",
    )
    assert (held["decision"], held["approval_status"], held["status"]) == (
        "hold",
        "pending",
        "pending_approval",
    )
    assert "1111" not in json.dumps(lines)


@pytest.mark.req("M11.11", "M14.11")
async def test_the_tail_is_as_long_as_asked_and_fits_80_columns(shop: Shop) -> None:
    await a_day(shop)

    everything = (await shop("audit", "tail", "--json")).lines
    last = (await shop("audit", "tail", "-n", "2", "--json")).lines
    table = await shop("audit", "tail")

    assert last == everything[-2:]
    assert max(len(line) for line in table.out.splitlines()) <= 80
    assert all(line["call_id"] in table.out for line in everything if "call_id" in line)


@pytest.mark.req("M11.11")
async def test_looking_leaves_no_trace_in_the_trail(shop: Shop) -> None:
    await a_day(shop)
    before = (await shop("audit", "tail", "--json")).out

    for words in (
        ("audit", "verify"),
        ("audit", "search"),
        ("calls", "list"),
        ("approvals", "list"),
        ("tokens", "list"),
    ):
        assert (await shop(*words)).code == 0, words

    assert (await shop("audit", "tail", "--json")).out == before


# --- search ---------------------------------------------------------------------------------------------------


@pytest.mark.req("M11.12")
async def test_the_trail_is_searched_by_who_what_and_how_it_ended(shop: Shop) -> None:
    await a_day(shop)

    async def found(*words: str) -> list[str]:
        ran = await shop("audit", "search", "--json", *words)
        assert ran.code == (0 if ran.out else 1)
        return [line.get("request_id", line["event"]) for line in ran.lines]

    assert await found("--caller", "u-felix") == ["llm_tool_call"]
    assert await found("--tool", "refund") == ["req-2", "req-2", "req-3"]
    assert await found("--decision", "hold") == ["req-3"]
    assert await found("--status", "refused", "--caller", "u-maya") == []
    assert await found("--tool", "refund", "--status", "succeeded") == ["req-2"]
    assert len(await found("--since", "1h", "--tool", "refund")) == 3
    call_id = (await shop("audit", "search", "--json", "--decision", "hold")).lines[0]["call_id"]
    assert await found("--call", call_id) == ["req-3"]


@pytest.mark.req("M11.12", "M11.4")
async def test_a_sensitive_value_is_found_without_being_stored(shop: Shop) -> None:
    await a_day(shop)

    by_value = await shop("audit", "search", "--json", "--value", "card_hint=4242")
    from_stdin = await shop("audit", "search", "--json", "--value", "card_hint=-", stdin="4242\n")
    plain = await shop("audit", "search", "--json", "--value", "amount_cents=9000")
    other = await shop("audit", "search", "--json", "--value", "card_hint=9999")
    misused = await shop("audit", "search", "--value", "4242")

    assert {line["request_id"] for line in by_value.lines} == {"req-2"}
    assert from_stdin.out == by_value.out
    assert {line["request_id"] for line in plain.lines} == {"req-3"}
    assert (other.code, other.out, misused.code) == (1, "", 2)
    assert all(b"4242" not in path.read_bytes() for path in shop.folder.iterdir())


# --- verify ---------------------------------------------------------------------------------------------------


@pytest.mark.req("M11.13", "X5.2")
async def test_a_whole_trail_verifies_and_its_heads_can_be_kept(shop: Shop) -> None:
    await a_day(shop)

    first = await shop("audit", "verify", "--json")
    ((chain, head),) = first.json["heads"].items()
    await shop.token("u-maya", "support")
    later = await shop("audit", "verify", "--head", f"{chain}={head}")

    assert (first.code, first.json["intact"]) == (0, True)
    assert later.code == 0
    assert "Intact" in later.out


def edit(path: Path) -> None:
    """Change one character of one record, as somebody with the file could."""
    with sqlite3.connect(path) as db:
        seq, record = db.execute(
            "SELECT seq, record FROM audit WHERE CAST(record AS TEXT) LIKE '%req-2%' LIMIT 1"
        ).fetchone()
        db.execute(
            "UPDATE audit SET record = ? WHERE seq = ?", (bytes(record).replace(b"req-2", b"req-9"), seq)
        )
    db.close()


def cut(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)")
    db.close()


@pytest.mark.req("M11.13", "X5.2")
@pytest.mark.parametrize(("spoil", "kind"), [(edit, "edited"), (cut, "truncated")])
async def test_a_broken_trail_says_which_record_and_how(
    shop: Shop, spoil: Callable[[Path], None], kind: str
) -> None:
    await a_day(shop)
    spoil(shop.database)

    ran = await shop("audit", "verify", "--json")
    for_people = await shop("audit", "verify")

    assert ran.code == for_people.code == 1
    (problem,) = ran.json["problems"]
    assert problem["kind"] == kind
    assert problem["seq"] > 1
    assert f"record {problem['seq']}" in for_people.out
    assert kind in for_people.out


@pytest.mark.req("X5.2")
async def test_a_head_that_was_kept_elsewhere_shows_a_trail_written_anew(shop: Shop) -> None:
    await a_day(shop)
    ((chain, head),) = (await shop("audit", "verify", "--json")).json["heads"].items()
    seq, _, link = head.partition(":")

    forged = await shop("audit", "verify", "--head", f"{chain}={seq}:{'0' * len(link)}")
    gone = await shop("audit", "verify", "--head", f"boot_removed=3:{link}")
    senseless = await shop("audit", "verify", "--head", "what")

    assert (forged.code, gone.code, senseless.code) == (1, 1, 2)
    assert "written anew" in forged.out.replace("\n", " ")
    assert "missing_chain" in gone.out


# --- export ---------------------------------------------------------------------------------------------------


async def exported(shop: Shop, tmp_path: Path) -> Path:
    await a_day(shop)
    await shop.token("u-maya", "support")
    file = tmp_path / "elsewhere" / "trail.jsonl"
    file.parent.mkdir()
    ran = await shop("audit", "export", "--out", str(file))
    assert ran.code == 0, ran.err
    return file


@pytest.mark.req("M11.13", "X5.9")
async def test_an_export_verifies_without_store_keys_or_configuration(shop: Shop, tmp_path: Path) -> None:
    file = await exported(shop, tmp_path)
    for path in shop.folder.iterdir():
        if path.is_file():
            path.unlink()

    ran = run("audit", "verify", "--file", str(file), "--json")
    lines = [json.loads(line) for line in file.read_text().splitlines()]

    assert ran.code == 0, ran.err
    assert ran.json["records"] == len(lines) - 1
    assert all({"chain_id", "seq", "record", "leaf", "link"} <= set(line) for line in lines[:-1])
    assert len(lines[-1]["heads"]) == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.req("M11.13")
async def test_an_export_without_a_file_goes_to_standard_output(shop: Shop, tmp_path: Path) -> None:
    file = await exported(shop, tmp_path)

    again = await shop("audit", "export")
    occupied = await shop("audit", "export", "--out", str(file))

    assert again.out == file.read_text()
    assert occupied.code == 2


def edited(lines: list[str]) -> list[str]:
    return [line.replace("req-2", "req-9", 1) if '"req-2"' in line else line for line in lines]


def dropped(lines: list[str]) -> list[str]:
    return lines[:2] + lines[3:]


def swapped(lines: list[str]) -> list[str]:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def without_last_record(lines: list[str]) -> list[str]:
    return [*lines[:-2], lines[-1]]


def doubled(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[1], *lines[2:]]


@pytest.mark.req("X5.9", "X5.2")
@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (edited, "edited"),
        (dropped, "dropped"),
        (swapped, "reordered"),
        (without_last_record, "truncated"),
        (doubled, "duplicated"),
    ],
)
async def test_a_spoiled_export_says_what_was_done_to_it(
    shop: Shop, tmp_path: Path, spoil: Callable[[list[str]], list[str]], kind: str
) -> None:
    file = await exported(shop, tmp_path)
    file.write_text("\n".join(spoil(file.read_text().splitlines())) + "\n")

    ran = run("audit", "verify", "--file", str(file), "--json")

    assert ran.code == 1
    assert kind in {problem["kind"] for problem in ran.json["problems"]}


@pytest.mark.req("X5.9")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.rsplit("\n", 2)[0],
        lambda _: "",
        lambda text: text.replace('"seq"', '"sea"', 1),
        lambda text: "{" + text,
        lambda text: text.replace('"record": {', '"record": {"event": "twice", ', 1),
    ],
    ids=["cut", "empty", "renamed", "no-json", "a-key-twice"],
)
async def test_a_file_that_is_no_whole_export_is_a_no_in_words(
    shop: Shop, tmp_path: Path, spoil: Callable[[str], str]
) -> None:
    file = await exported(shop, tmp_path)
    file.write_text(spoil(file.read_text()))

    ran = run("audit", "verify", "--file", str(file))

    assert ran.code == 1
    assert str(file) in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.req("X5.9")
async def test_a_record_without_canonical_form_is_exported_byte_for_byte(shop: Shop, tmp_path: Path) -> None:
    await a_day(shop)
    with sqlite3.connect(shop.database) as db:
        db.execute("UPDATE audit SET record = ? WHERE seq = 2", (b'{"b": 1, "a": 1}',))
    db.close()

    ran = await shop("audit", "export")
    line = json.loads(ran.out.splitlines()[1])

    assert base64.b64decode(line["record_base64"]) == b'{"b": 1, "a": 1}'
