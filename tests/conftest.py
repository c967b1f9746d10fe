"""What holds for every test: one event loop, no way out of this machine, reproducible properties.

Here: only what every test needs. Not here: fixtures of one area; they live in the conftest of its folder.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from tests.cluster import tally as cluster_tally
from tests.crash.tally import pytest_terminal_summary  # noqa: F401 - a controller of xdist loads no nested conftest
from tests.postgres.fixtures import (  # noqa: F401 - databases, for every folder that asks for one
    empty_postgres_dsn,
    postgres_dsn,
    private_postgres,
    shared_postgres,
)

# Duration is watched by the time-out of the whole test: a busy machine must not fail a property.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("local", _PATIENT, print_blob=True)
# The same examples on every run, so that a red build is red again on the desk.
settings.register_profile("ci", _PATIENT, derandomize=True, database=None)
settings.register_profile("soak", _PATIENT, max_examples=5_000, stateful_step_count=100, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "local"))

# What a developer's shell says about a real Toolgate must not reach a test, nor the processes that it starts.
for _name in [name for name in os.environ if name.startswith("TOOLGATE_")]:
    del os.environ[_name]


class LeftTheMachineError(Exception):
    """A test tried to reach beyond loopback; use a fake resolver, a fake connector or a local server."""


_LOOPBACK_NAMES: Final = {"", "localhost", "ip6-localhost"}


def _is_loopback(host: object) -> bool:
    if host is None:
        return True
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if name in _LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _hold_on_this_machine(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in {"socket.connect", "socket.sendto", "socket.sendmsg"} and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if not _is_loopback(host):
        message = f"a test may not reach {host!r}: only loopback is allowed"
        raise LeftTheMachineError(message)


# An audit hook sees every socket of the process, whichever library opened it; it cannot be removed, nor need it be.
sys.addaudithook(_hold_on_this_machine)


def pytest_configure(config: pytest.Config) -> None:
    """Its folder's conftest says it for runs of the folder; a controller of xdist loads none of those."""
    config.pluginmanager.register(cluster_tally)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Coroutine tests run on asyncio, the loop that the gateway itself runs on."""
    return "asyncio"
