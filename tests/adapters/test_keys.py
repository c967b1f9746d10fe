"""The key file and what its keys do: for its owner alone, never half written, and never shown."""

from __future__ import annotations

import copy
import json
import os
import pickle
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from toolgate.adapters.keys import SEAL_OVERHEAD, KeyFileUnfit, Keyring, UnknownKey, VaultSealBroken

RING = Keyring.ephemeral()
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
BINDINGS = st.fixed_dictionaries({"tenant": NAMES, "call_id": NAMES, "kind": NAMES})
HERE = {"tenant": "acme", "call_id": "call_1", "kind": "arguments"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "toolgate.db.keys"


def raw_keys(path: Path) -> list[str]:
    content = json.loads(path.read_text())
    return [*content["encryption"].values(), content["claim"], content["token"], content["redaction"]["key"]]


def names_beside(path: Path) -> list[str]:
    return [each.name for each in path.parent.iterdir()]


# --- sealing --------------------------------------------------------------------------------------------------


@pytest.mark.req("M11.7")
@given(st.binary(max_size=200), BINDINGS)
def test_what_was_sealed_opens_for_the_same_tenant_call_and_kind(
    plaintext: bytes, binding: dict[str, str]
) -> None:
    sealed = RING.encrypt(plaintext, **binding)

    assert RING.decrypt(sealed, **binding) == plaintext
    assert len(sealed) == len(plaintext) + SEAL_OVERHEAD
    # The header is public and the same for all: a plaintext that spells its words is hidden all the same.
    ciphertext_and_tag = sealed[-(len(plaintext) + 16) :]
    assert len(plaintext) < 4 or plaintext not in ciphertext_and_tag


@pytest.mark.req("M11.7")
@given(BINDINGS, BINDINGS)
def test_a_seal_opens_for_nobody_else(sealed_as: dict[str, str], opened_as: dict[str, str]) -> None:
    assume(sealed_as != opened_as)
    sealed = RING.encrypt(b"plaintext", **sealed_as)

    with pytest.raises(VaultSealBroken, match="another tenant or call"):
        RING.decrypt(sealed, **opened_as)


@pytest.mark.req("M11.7")
@given(st.lists(st.text("ab|\x00", max_size=3), min_size=3, max_size=3), st.integers(1, 8))
def test_moving_a_letter_from_one_name_to_the_next_opens_nothing(parts: list[str], cut: int) -> None:
    joined = "".join(parts)
    tenant, rest = joined[:cut], joined[cut:]
    assume([tenant, rest, ""] != parts)
    sealed = RING.encrypt(b"plaintext", tenant=parts[0], call_id=parts[1], kind=parts[2])

    with pytest.raises(VaultSealBroken):
        RING.decrypt(sealed, tenant=tenant, call_id=rest, kind="")


@pytest.mark.req("M11.7")
@given(st.data())
def test_any_changed_cut_or_lengthened_envelope_is_a_broken_seal(data: st.DataObject) -> None:
    sealed = bytearray(RING.encrypt(b"plaintext", **HERE))
    at = data.draw(st.integers(0, len(sealed) - 1))
    how = data.draw(st.sampled_from(["flip", "cut", "more"]))
    if how == "flip":
        sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "cut":
        del sealed[at:]
    else:
        sealed.insert(at, 0)

    with pytest.raises((VaultSealBroken, UnknownKey)):
        RING.decrypt(bytes(sealed), **HERE)


@pytest.mark.req("M11.7")
def test_the_same_plaintext_never_looks_the_same_twice() -> None:
    assert len({RING.encrypt(b"plaintext", **HERE) for _ in range(100)}) == 100


@pytest.mark.req("M11.7")
def test_a_fault_says_which_call_and_nothing_of_the_content() -> None:
    sealed = RING.encrypt(b"the secret content", **HERE)

    with pytest.raises(VaultSealBroken, match="the sealed result of call call_1 was changed") as fault:
        RING.decrypt(sealed, tenant="acme", call_id="call_1", kind="result")
    assert "secret content" not in repr(fault.value)
    with pytest.raises(UnknownKey, match="is not in the key file") as unknown:
        Keyring.ephemeral().decrypt(sealed, **HERE)
    assert RING.active_key_id in str(unknown.value)


# --- rotation -------------------------------------------------------------------------------------------------


@pytest.mark.req("M11.8")
def test_what_an_older_key_sealed_stays_readable_after_rotations_and_restarts(path: Path) -> None:
    ring = Keyring.create(path)
    sealed = []
    for number in range(4):
        sealed.append(ring.encrypt(b"%d" % number, **HERE))
        before = ring.active_key_id
        assert ring.rotate() == ring.active_key_id != before

    again = Keyring.open(path)

    assert [again.decrypt(each, **HERE) for each in sealed] == [b"0", b"1", b"2", b"3"]
    assert again.active_key_id == ring.active_key_id
    assert len({each[:12] for each in sealed}) == 4, "each was sealed with another key"


@pytest.mark.req("M11.8")
def test_the_other_keys_outlive_a_rotation(path: Path) -> None:
    ring = Keyring.create(path)

    def digests(of: Keyring) -> tuple[object, ...]:
        return of.claim_mac(b"m"), of.redaction_mac(b"m"), of.token_hash("t"), of.ring_id

    before = digests(ring)
    ring.rotate()

    assert digests(ring) == digests(Keyring.open(path)) == before


@pytest.mark.req("M11.8")
def test_a_process_that_did_not_rotate_reads_what_the_other_one_sealed(path: Path) -> None:
    one = Keyring.create(path)
    other = Keyring.open(path)
    one.rotate()

    assert other.decrypt(one.encrypt(b"new", **HERE), **HERE) == b"new"


@pytest.mark.req("M11.8")
def test_two_processes_that_rotate_lose_no_key_of_each_other(path: Path) -> None:
    one = Keyring.create(path)
    other = Keyring.open(path)
    sealed = []
    for ring in (one, other, one, other):
        ring.rotate()
        sealed.append(ring.encrypt(b"x", **HERE))

    assert [Keyring.open(path).decrypt(each, **HERE) for each in sealed] == [b"x"] * 4


@pytest.mark.req("M11.8")
def test_a_rotation_under_way_or_interrupted_is_not_run_over(path: Path) -> None:
    ring = Keyring.create(path)
    path.with_name(path.name + ".new").write_text("")
    before = path.read_bytes()

    with pytest.raises(KeyFileUnfit, match=r"another rotation .* remove .*\.new"):
        ring.rotate()
    assert path.read_bytes() == before


@pytest.mark.req("M11.8")
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_rotation_that_fails_changes_nothing_and_leaves_nothing_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    ring = Keyring.create(path)
    active, before = ring.active_key_id, path.read_bytes()
    break_disk(monkeypatch, step)

    with pytest.raises(KeyFileUnfit, match="could not be replaced: No space left on device"):
        ring.rotate()

    assert ring.active_key_id == active
    assert path.read_bytes() == before
    assert names_beside(path) == [path.name]


def break_disk(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if step == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        monkeypatch.setattr(os, "fdopen" if step == "write" else step, full)


@pytest.mark.req("M11.8")
def test_a_thread_that_seals_during_a_rotation_seals_something_readable(path: Path) -> None:
    ring = Keyring.create(path)

    def seal(number: int) -> bytes:
        if number % 10 == 0:
            ring.rotate()
        return ring.encrypt(b"x", **HERE)

    with ThreadPoolExecutor(4) as pool:
        sealed = list(pool.map(seal, range(200)))

    assert {Keyring.open(path).decrypt(each, **HERE) for each in sealed} == {b"x"}


# --- the file -------------------------------------------------------------------------------------------------


@pytest.mark.req("M11.9")
def test_a_new_file_is_its_owners_alone_whatever_the_umask(path: Path) -> None:
    old = os.umask(0o377)
    try:
        ring = Keyring.create(path)
        ring.rotate()
    finally:
        os.umask(old)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names_beside(path) == [path.name]


@pytest.mark.req("M11.9")
def test_an_existing_file_is_never_written_over(path: Path) -> None:
    Keyring.create(path)
    before = path.read_bytes()

    with pytest.raises(KeyFileUnfit, match="is there already; open it, or move it away"):
        Keyring.create(path)
    assert path.read_bytes() == before
    assert names_beside(path) == [path.name]


@pytest.mark.req("M11.9")
def test_of_many_that_create_the_file_at_once_one_succeeds_and_all_read_the_same(path: Path) -> None:
    def start(_: int) -> tuple[bool, str]:
        try:
            return True, Keyring.create(path).ring_id
        except KeyFileUnfit:
            return False, Keyring.open(path).ring_id

    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(start, range(8)))

    assert [won for won, _ in started].count(True) == 1
    assert len({ring_id for _, ring_id in started}) == 1


@pytest.mark.req("M11.9")
@pytest.mark.parametrize("step", ["write", "fsync", "link"])
def test_a_file_that_cannot_be_written_is_not_half_there(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    break_disk(monkeypatch, step)

    with pytest.raises(KeyFileUnfit, match="could not be written: No space left on device; check the folder"):
        Keyring.create(path)
    assert names_beside(path) == []


@pytest.mark.req("M11.9")
def test_a_missing_file_says_what_it_means(path: Path) -> None:
    with pytest.raises(KeyFileUnfit, match="is missing; restore it from a backup"):
        Keyring.open(path)


@pytest.mark.req("M11.9")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o611])
def test_a_file_that_others_can_reach_is_refused_with_the_command_that_mends_it(
    path: Path, mode: int
) -> None:
    Keyring.create(path)
    path.chmod(mode)

    with pytest.raises(KeyFileUnfit, match=r"can be reached by others .* run: chmod 600 "):
        Keyring.open(path)


@pytest.mark.req("M11.9")
def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Keyring.create(path)
    us = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: us + 1)

    with pytest.raises(KeyFileUnfit, match=f"belongs to another user .* chown it to uid {us + 1}"):
        Keyring.open(path)


@pytest.mark.req("M11.9")
def test_a_link_is_followed_neither_to_read_nor_to_write(path: Path) -> None:
    real = path.with_name("real")
    Keyring.create(real)
    path.symlink_to(real)

    with pytest.raises(KeyFileUnfit, match=r"is a symbolic link; name the file itself"):
        Keyring.open(path)
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))
    with pytest.raises(KeyFileUnfit, match="is there already"):
        Keyring.create(path)
    assert not path.with_name("nowhere").exists()


@pytest.mark.req("M11.9")
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_and_never_waited_for(path: Path, make: Callable[[Path], None]) -> None:
    make(path)

    with pytest.raises(KeyFileUnfit, match="is no regular file"):
        Keyring.open(path)


def spoiled(content: dict[str, Any], how: str) -> Any:
    changes: dict[str, dict[str, Any]] = {
        "format": {"format": 2},
        "active": {"active": "0" * 16},
        "short key": {"claim": "AAAA"},
        "no key": {"token": None},
        "odd id": {"encryption": {**content["encryption"], "../../x": content["claim"]}},
        "list": {"encryption": []},
    }
    changed = {**content, **changes.get(how, {})}
    return [changed] if how == "not an object" else changed


@pytest.mark.req("M11.9")
@pytest.mark.parametrize(
    "how", ["format", "active", "short key", "no key", "odd id", "list", "not an object", "cut", "empty"]
)
def test_a_damaged_file_is_refused_and_nothing_of_it_is_shown(path: Path, how: str) -> None:
    Keyring.create(path)
    keys = raw_keys(path)
    text = json.dumps(spoiled(json.loads(path.read_text()), how))
    path.write_text({"cut": text[:-20], "empty": ""}.get(how, text))

    with pytest.raises(KeyFileUnfit, match="is damaged or of another version") as fault:
        Keyring.open(path)

    assert not any(key in str(fault.value) for key in keys)
    assert fault.value.__context__ is None, "an error of the parser would carry the content"


@pytest.mark.req("M11.9")
def test_the_file_of_another_database_is_not_taken_for_ones_own(path: Path) -> None:
    ring = Keyring.create(path)
    path.unlink()
    stranger = Keyring.create(path)

    with pytest.raises(
        KeyFileUnfit, match=f"keys of another database; put back the file with ring {ring.ring_id}"
    ):
        ring.rotate()
    with pytest.raises(KeyFileUnfit, match="keys of another database"):
        ring.decrypt(stranger.encrypt(b"x", **HERE), **HERE)


# --- digests and discretion -----------------------------------------------------------------------------------


@pytest.mark.req("M9.8")
def test_digests_are_keyed_stable_and_apart_from_each_other(path: Path) -> None:
    ring = Keyring.create(path)
    again, other = Keyring.open(path), Keyring.ephemeral()

    assert ring.claim_mac(b"m") == again.claim_mac(b"m") != other.claim_mac(b"m")
    assert len(ring.claim_mac(b"m")) == 32
    assert ring.redaction_mac(b"m") == again.redaction_mac(b"m") != other.redaction_mac(b"m")
    assert ring.token_hash("m") == again.token_hash("m") != other.token_hash("m")
    assert len({ring.claim_mac(b"m").hex(), ring.token_hash("m")}) == 2


@pytest.mark.req("M11.4")
def test_a_redaction_digest_says_with_which_key_it_was_made() -> None:
    word, key_id, digest = RING.redaction_mac(b"m").split(":")

    assert word == "hmac"
    assert (len(key_id), len(digest)) == (8, 16)


@pytest.mark.req("M11.6")
def test_a_keyring_neither_shows_its_keys_nor_lets_itself_be_copied(path: Path) -> None:
    ring = Keyring.create(path)

    shown = repr(ring) + str(ring) + repr(ring._keys)

    assert ring.ring_id in shown
    assert not any(key in shown for key in raw_keys(path))
    assert not any(repr(key)[2:-1] in shown for key in ring._keys.encryption.values())
    for carry_off in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            carry_off(ring)
