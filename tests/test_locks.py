"""The locks: what a fresh machine installs is exactly what was tested, from wherever it gets its packages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.req("M14.10")

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;]+)( ; .+)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def entries(lock: Path) -> list[list[str]]:
    """Each locked package as its lines: the pin first, then its hashes."""
    text = lock.read_text("utf-8").replace("\\\n", "\n")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    packages: list[list[str]] = []
    for line in lines:
        if line.startswith("--hash"):
            packages[-1].append(line)
        else:
            packages.append([line])
    return packages


def pins(lock: Path) -> dict[str, set[str]]:
    """The locked versions of each package; several where they depend on the platform."""
    found: dict[str, set[str]] = {}
    for first, *_ in entries(lock):
        pin = PINNED.fullmatch(first)
        assert pin is not None, first
        found.setdefault(canonicalize_name(pin["name"]), set()).add(pin["version"])
    return found


def wanted(lock: Path) -> list[Requirement]:
    """What pyproject.toml asks of this lock."""
    extras: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
    # A machine set up from the locks can serve, too: `make demo` opens a console.
    core: list[str] = PROJECT["project"]["dependencies"] + extras["server"]
    groups: dict[str, list[str]] = PROJECT["dependency-groups"]
    asked = {
        "runtime": core,
        "build": groups["build"],
        "dev": core + groups["dev"],
        "bench": core + groups["bench"],
    }
    return [Requirement(line) for line in asked[lock.stem]]


def test_there_is_a_lock_for_each_layer() -> None:
    assert [lock.stem for lock in LOCKS] == ["bench", "build", "dev", "runtime"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_line_is_a_pin_with_hashes(lock: Path) -> None:
    for pin, *hashes in entries(lock):
        assert PINNED.fullmatch(pin), pin
        assert hashes, pin
        assert all(HASH.fullmatch(line) for line in hashes), pin


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_nothing_names_an_index_a_host_or_a_path(lock: Path) -> None:
    for line in lock.read_text("utf-8").splitlines():
        assert "://" not in line
        assert "/" not in line
        assert not line.startswith("-")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_what_the_project_asks_for_within_its_range(lock: Path) -> None:
    locked = pins(lock)

    for requirement in wanted(lock):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement} is not in {lock.name}: run make lock"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_the_layers_agree_on_every_version_they_share() -> None:
    seen: dict[str, tuple[str, set[str]]] = {}
    for lock in LOCKS:
        for name, versions in pins(lock).items():
            first, agreed = seen.setdefault(name, (lock.name, versions))
            assert versions == agreed, f"{name}: {first} and {lock.name} differ"


def test_every_extra_is_part_of_all() -> None:
    extras: dict[str, list[str]] = dict(PROJECT["project"]["optional-dependencies"])

    (everything,) = (Requirement(line) for line in extras.pop("all"))

    assert everything.name == PROJECT["project"]["name"]
    assert everything.extras == extras.keys()
