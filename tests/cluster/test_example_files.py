"""The files of the example that no test starts: are they what they say, and do they name what is there?"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner

from examples.cluster.processes import HERE, haproxy
from tests.cluster.provide import install
from toolgate.cli.app import app
from toolgate.config import load_settings

pytestmark = pytest.mark.req("X3.65")

ROOT: Final = HERE.parents[1]
SERVICE_KEYS: Final[dict[str, type | tuple[type, ...]]] = {
    "build": dict,
    "command": list,
    "depends_on": (dict, list),
    "environment": dict,
    "healthcheck": dict,
    "image": str,
    "ports": list,
    "restart": str,
    "stop_grace_period": str,
    "volumes": list,
}
"""Of the Compose Specification, those that are used here, and what each takes."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Read as ``docker compose`` does: anchors and merges resolved."""
    found: dict[str, Any] = yaml.safe_load((HERE / "compose.yaml").read_text())
    return found


def test_the_proxy_takes_its_configuration() -> None:
    install()

    checked = subprocess.run(
        [haproxy(), "-c", "-f", str(HERE / "haproxy.cfg")], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr


def test_compose_has_three_gateways_two_workers_a_database_and_a_proxy(compose: dict[str, Any]) -> None:
    by_command: dict[str, int] = {}
    for service in compose["services"].values():
        word = service.get("command", ["-"])[0]
        by_command[word] = by_command.get(word, 0) + 1

    assert (by_command["serve"], by_command["worker"], by_command["migrate"]) == (3, 2, 1)
    assert {"postgres", "proxy"} <= compose["services"].keys()
    assert {key for key in compose if not key.startswith("x-")} == {"services", "volumes"}


def test_each_service_has_known_keys_of_the_right_kind_and_an_image_or_a_build(
    compose: dict[str, Any],
) -> None:
    for name, service in compose["services"].items():
        assert service.keys() <= SERVICE_KEYS.keys(), name
        for key, value in service.items():
            assert isinstance(value, SERVICE_KEYS[key]), f"{name}.{key}"
        assert ("image" in service) != ("build" in service), name


def test_what_a_service_depends_on_mounts_and_keeps_is_there(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", ())) <= compose["services"].keys(), name
        for mount in service.get("volumes", ()):
            source = mount.partition(":")[0]
            known = (HERE / source).exists() if source.startswith(".") else source in compose["volumes"]
            assert known, f"{name}: {mount}"
        for key, said in (service.get("build") or {}).items():
            place = HERE / said if key == "context" else ROOT / said
            assert place.exists(), f"{name}: {said}"


def test_the_commands_of_the_services_are_commands_of_the_program(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if "build" in service:
            words = [*service["command"], "--help"]
            assert CliRunner().invoke(app, words).exit_code == 0, name


def test_the_proxy_of_compose_asks_each_gateway_where_it_listens(compose: dict[str, Any]) -> None:
    gateways = [
        name for name, service in compose["services"].items() if service.get("command", [""])[0] == "serve"
    ]
    said = compose["services"]["proxy"]["environment"]

    assert {said[f"GATE_{number}"] for number in (1, 2, 3)} == {f"{name}:8080" for name in gateways}
    configured = (HERE / "haproxy.cfg").read_text()
    assert set(re.findall(r"presetenv (\w+)", configured)) == set(said)


def test_what_compose_changes_of_the_configuration_is_read_by_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOOLGATE_STORE", "postgresql://gate@127.0.0.1/toolgate")

    settings = load_settings(HERE / "toolgate.toml", HERE / "compose.toml")

    assert [tool.name for tool in settings.tools()] == [
        "post_entry",
        "pay_out",
        "write_off",
        "read_balance",
        "count_reminders",
        "close_month",
    ]
    networks = settings.server.trusted_proxies
    assert networks is not None
    said = tomllib.loads((HERE / "compose.toml").read_text())["server"]["trusted_proxies"]
    assert [str(network) for network in networks.value] == said


def test_what_the_image_copies_is_there() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (HERE / "Dockerfile").read_text(), re.MULTILINE)

    assert all((ROOT / name).exists() for line in copied for name in line.split())
    assert copied
