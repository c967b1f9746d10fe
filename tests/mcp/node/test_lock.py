"""The lock of what comes from npm: exactly what was tested, from wherever a machine gets its packages."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.mcp.node.provide import HERE, provided

pytestmark = pytest.mark.req("M14.10")

LOCK: dict[str, Any] = json.loads((HERE / "package-lock.json").read_text("utf-8"))
PACKAGES: dict[str, dict[str, Any]] = {place: entry for place, entry in LOCK["packages"].items() if place}


def test_every_package_asked_for_is_named_by_one_version() -> None:
    asked: dict[str, str] = json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]

    assert all(re.fullmatch(r"\d+\.\d+\.\d+(-[a-z]+\.\d+)?", version) for version in asked.values()), asked
    assert {name: PACKAGES[f"node_modules/{name}"]["version"] for name in asked} == asked


def test_every_package_is_locked_by_its_digest() -> None:
    assert [place for place, entry in PACKAGES.items() if not entry["integrity"].startswith("sha512-")] == []


def test_nothing_names_where_a_package_comes_from_or_runs_a_script() -> None:
    assert [
        place for place, entry in PACKAGES.items() if entry.keys() & {"resolved", "hasInstallScript"}
    ] == []


def test_what_is_installed_is_what_is_locked() -> None:
    assert provided(), "run: make setup"
