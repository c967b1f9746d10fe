"""Opening through the guard, on real directories: no link, device or swap leads out."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolgate.adapters.guards import ConfinedDirectory, PathRefused
from toolgate.domain.argument_types import ConfinedPath
from toolgate.domain.errors import ConfigurationError, UsageError

pytestmark = pytest.mark.req("M2.12")

SECRET = "outside: not for the model"


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A root with one file in it, beside a secret that is outside."""
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "sub" / "page.md").write_text("inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.md").write_text(SECRET)
    return tmp_path


@pytest.fixture
def root(world: Path) -> Path:
    return world / "root"


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def open_handles() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def refusal_of(root: Path, path: str) -> str:
    with ConfinedDirectory(root) as directory, pytest.raises(PathRefused) as refused:
        directory.read_text(path)
    assert str(root) not in str(refused.value)
    return refused.value.error_code


def test_a_file_below_the_root_is_read(root: Path) -> None:
    with ConfinedDirectory(root) as directory:
        assert directory.read_text("sub/page.md") == "inside"
        assert directory.read_bytes("sub/page.md") == b"inside"


def test_a_root_that_is_itself_reached_through_a_link_is_the_authors_choice(world: Path, root: Path) -> None:
    (world / "alias").symlink_to(root)
    with ConfinedDirectory(world / "alias") as directory:
        assert directory.read_text("sub/page.md") == "inside"


@pytest.mark.parametrize(
    "target", ["../outside/secret.md", "{world}/outside/secret.md", "sub/page.md", "nowhere"]
)
def test_a_link_in_the_place_of_the_file_is_refused_wherever_it_leads(
    world: Path, root: Path, target: str
) -> None:
    (root / "link.md").symlink_to(target.format(world=world))
    assert refusal_of(root, "link.md") == "path_link"


@pytest.mark.parametrize("target", ["../outside", "{world}/outside", "sub", "."])
def test_a_link_in_the_place_of_a_directory_is_refused_wherever_it_leads(
    world: Path, root: Path, target: str
) -> None:
    (root / "dir").symlink_to(target.format(world=world))
    for path in ("dir/secret.md", "dir/page.md", "dir/sub/page.md"):
        assert refusal_of(root, path) in {"path_link", "path_not_a_file"}


@pytest.mark.req("M2.11")
@pytest.mark.parametrize(
    "path", ["../outside/secret.md", "sub/../../outside/secret.md", "/etc/passwd", "sub/%2e%2e", "a\0b"]
)
def test_a_path_is_judged_again_before_anything_is_opened(root: Path, path: str) -> None:
    assert refusal_of(root, path).startswith("path_")


def test_a_fifo_is_refused_without_waiting_for_its_writer(root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert refusal_of(root, "pipe") == "path_not_a_file"


def test_a_directory_and_a_socket_are_no_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        assert refusal_of(root, "sock") == "path_not_a_file"
    assert refusal_of(root, "sub") == "path_not_a_file"


def test_a_device_is_no_file() -> None:
    with ConfinedDirectory("/dev") as devices, pytest.raises(PathRefused) as refused:
        devices.read_up_to("zero", 10)
    assert refused.value.error_code == "path_not_a_file"


def test_a_file_is_no_directory(root: Path) -> None:
    assert refusal_of(root, "sub/page.md/x") == "path_not_a_file"


@pytest.mark.parametrize("path", ["nothing.md", "no/such/dir.md"])
def test_what_is_not_there_is_said_plainly(root: Path, path: str) -> None:
    assert refusal_of(root, path) == "path_not_found"


def test_a_directory_swapped_for_a_link_after_opening_leads_nowhere(world: Path, root: Path) -> None:
    with ConfinedDirectory(root) as directory:
        root.rename(world / "moved")
        root.symlink_to(world / "outside")
        assert directory.read_text("sub/page.md") == "inside"
        with pytest.raises(PathRefused):
            directory.read_text("secret.md")


def test_a_file_swapped_for_a_link_between_the_look_and_the_opening_is_refused(
    world: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = root / "sub" / "page.md"
    real_open = os.open

    def swap_then_open(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "page.md":
            page.unlink()
            page.symlink_to(world / "outside" / "secret.md")
        return real_open(path, flags, mode, dir_fd=dir_fd)

    with ConfinedDirectory(root) as directory:
        monkeypatch.setattr(os, "open", swap_then_open)
        with pytest.raises(PathRefused) as refused:
            directory.read_text("sub/page.md")
    assert refused.value.error_code == "path_link"


def test_a_file_swapped_for_a_fifo_between_the_look_and_the_opening_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = root / "sub" / "page.md"
    real_open = os.open

    def swap_then_open(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "page.md":
            page.unlink()
            os.mkfifo(page)
        return real_open(path, flags, mode, dir_fd=dir_fd)

    with ConfinedDirectory(root) as directory:
        monkeypatch.setattr(os, "open", swap_then_open)
        with pytest.raises(PathRefused) as refused:
            directory.read_text("sub/page.md")
    assert refused.value.error_code == "path_not_a_file"


@pytest.mark.req("M6.7")
@pytest.mark.parametrize(("limit", "cut"), [(0, True), (5, True), (6, False), (7, False)])
def test_a_read_is_bounded_and_says_when_it_was_cut(root: Path, limit: int, cut: bool) -> None:
    with ConfinedDirectory(root) as directory:
        body = directory.read_up_to("sub/page.md", limit)
    assert (body.content, body.cut) == (b"inside"[:limit], cut)


@pytest.mark.req("M6.7")
def test_a_file_beyond_the_bound_is_refused_whole(root: Path) -> None:
    (root / "large.bin").write_bytes(b"x" * 200_001)
    with ConfinedDirectory(root, max_bytes=200_000) as directory:
        with pytest.raises(PathRefused) as refused:
            directory.read_bytes("large.bin")
        assert len(directory.read_up_to("large.bin", 150_000).content) == 150_000
    assert refused.value.error_code == "path_too_large"


def test_the_declared_suffixes_hold_at_the_guard_too(root: Path) -> None:
    with ConfinedDirectory(root, ConfinedPath(suffixes={".txt"})) as directory, pytest.raises(PathRefused):
        directory.read_text("sub/page.md")


# --- Writing -------------------------------------------------------------------------------------------------------


def test_a_new_file_is_created_whole_and_leaves_nothing_beside_it(root: Path) -> None:
    with ConfinedDirectory(root) as directory:
        directory.create("sub/new.md", b"new")
    assert (root / "sub" / "new.md").read_bytes() == b"new"
    assert names_in(root / "sub") == ["new.md", "page.md"]


def test_creating_never_overwrites(root: Path) -> None:
    (root / "dangling").symlink_to("../outside/created.md")
    with ConfinedDirectory(root) as directory:
        for path in ("sub/page.md", "sub", "dangling"):
            with pytest.raises(PathRefused) as refused:
                directory.create(path, b"over")
            assert refused.value.error_code == "path_exists"
    assert (root / "sub" / "page.md").read_text() == "inside"
    assert not (root.parent / "outside" / "created.md").exists()
    assert names_in(root) == ["dangling", "sub"]


def test_replacing_puts_a_whole_file_in_place_of_a_plain_one_or_of_nothing(root: Path) -> None:
    with ConfinedDirectory(root) as directory:
        directory.replace("sub/page.md", b"other")
        directory.replace("sub/fresh.md", b"fresh")
    assert (root / "sub" / "page.md").read_bytes() == b"other"
    assert names_in(root / "sub") == ["fresh.md", "page.md"]


def test_replacing_refuses_links_directories_and_pipes(world: Path, root: Path) -> None:
    (root / "link.md").symlink_to("../outside/secret.md")
    os.mkfifo(root / "pipe")
    with ConfinedDirectory(root) as directory:
        for path in ("link.md", "sub", "pipe"):
            with pytest.raises(PathRefused):
                directory.replace(path, b"over")
    assert (world / "outside" / "secret.md").read_text() == SECRET


def test_nothing_is_written_through_a_linked_directory(world: Path, root: Path) -> None:
    (root / "dir").symlink_to("../outside")
    with ConfinedDirectory(root) as directory:
        for write in (directory.create, directory.replace):
            with pytest.raises(PathRefused):
                write("dir/secret.md", b"over")
    assert names_in(world / "outside") == ["secret.md"]
    assert (world / "outside" / "secret.md").read_text() == SECRET


@pytest.mark.req("M6.7")
def test_a_write_beyond_the_bound_is_refused_before_it_begins(root: Path) -> None:
    with ConfinedDirectory(root, max_bytes=3) as directory, pytest.raises(PathRefused):
        directory.create("sub/big.md", b"1234")
    assert names_in(root / "sub") == ["page.md"]


# --- Life and platform ---------------------------------------------------------------------------------------------


def test_a_closed_directory_says_so_and_closing_twice_is_harmless(root: Path) -> None:
    directory = ConfinedDirectory(root)
    directory.close()
    directory.close()
    with pytest.raises(UsageError, match="closed"):
        directory.read_text("sub/page.md")


def test_no_handle_is_left_open_by_reads_and_refusals(root: Path) -> None:
    with ConfinedDirectory(root) as directory:
        before = open_handles()
        directory.read_text("sub/page.md")
        for path in ("sub/none.md", "none/none.md", "sub", "../x", "sub/page.md/x"):
            with pytest.raises(PathRefused):
                directory.read_text(path)
        assert open_handles() == before


@pytest.mark.parametrize(
    "options", [{"root": "missing"}, {"root": "sub/page.md"}, {"root": ".", "max_bytes": 0}]
)
def test_a_root_or_bound_that_cannot_work_is_a_configuration_error(
    root: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(ConfigurationError):
        ConfinedDirectory(**options)


def test_a_platform_without_directory_handles_is_refused_in_words(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "supports_dir_fd", set())
    with pytest.raises(ConfigurationError, match="POSIX"):
        ConfinedDirectory(root)


# --- Random trees --------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c"])
INSIDE = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TARGETS = st.one_of(
    INSIDE, st.sampled_from(["..", "../..", "../outside", "../outside/secret", "/", ".", "{world}/outside"])
)
NODES = st.dictionaries(INSIDE, st.one_of(st.just("file"), st.just("dir"), TARGETS), max_size=8)


def _plant(world: Path, nodes: dict[str, str]) -> None:
    for path, kind in nodes.items():
        place = world / "root" / path
        if os.path.realpath(place.parent) != str(place.parent.absolute()):
            continue  # a planted link is on the way: nothing is ever written through one, least of all outside
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if kind == "file":
                place.write_text("inside")
            elif kind == "dir":
                place.mkdir()
            else:
                place.symlink_to(kind.format(world=world))
        except OSError:
            continue  # an earlier node is in the way: the tree is as random as before


@given(
    NODES,
    st.one_of(INSIDE, st.lists(st.sampled_from(["a", "b", "..", "secret", "."]), max_size=4).map("/".join)),
)
def test_whatever_links_a_tree_holds_only_what_is_inside_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, nodes: dict[str, str], path: str
) -> None:
    world = tmp_path_factory.mktemp("world")
    (world / "root").mkdir()
    (world / "outside").mkdir()
    for name in ("secret", "a", "b", "c"):
        (world / "outside" / name).write_text(SECRET)
    _plant(world, nodes)
    with ConfinedDirectory(world / "root") as directory:
        try:
            content = directory.read_text(path)
        except PathRefused:
            return
    opened = world / "root" / path
    assert content == "inside"
    assert opened.resolve(strict=True) == opened.absolute()
