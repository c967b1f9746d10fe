"""``python -m tests.browser.provide``: see to it that there is a Chromium, quietly and quickly where there is one.

Looked for in this order: one of the machine, Playwright's own, Debian's package (as root), Playwright's download.
Where none of them works this fails and says what to do; no test is ever skipped for want of a browser.
Not here: how a test uses it; see ``conftest``.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

HOW: Final = """no Chromium was found, and none could be installed.
  Debian:          apt-get install chromium
  anywhere else:   .venv/bin/python -m playwright install --with-deps chromium"""

ARGUMENTS: Final = (
    # A container's /dev/shm may hold 64 MB, and a page that outgrows it crashes.
    "--disable-dev-shm-usage",
    # Nothing of the browser's own reaches out: what is not loopback has no address.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--disable-background-networking",
    # The same picture on every machine.
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
)


_ASK: Final = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""


class NoBrowserError(Exception):
    """There is no Chromium on this machine."""


def arguments() -> list[str]:
    """What Chromium is started with. Its sandbox needs a user who is not root."""
    return [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def browser() -> str:
    """The program to start. Raises ``NoBrowserError``."""
    found = _of_the_machine() or _of_playwright()
    if found is None:
        raise NoBrowserError(HOW)
    return found


def _of_the_machine() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _of_playwright() -> str | None:
    # Asked in a process of its own: Playwright's synchronous half leaves a loop behind in the thread that asks.
    command = [sys.executable, "-c", _ASK]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    path = asked.stdout.strip()
    return path if path and Path(path).exists() else None


def _is_debian() -> bool:
    try:
        return platform.freedesktop_os_release().get("ID") == "debian"
    except OSError:
        return False


def install() -> None:
    """Debian's package where we may, else Playwright's own. What they say is shown only if it failed."""
    if os.geteuid() == 0 and _is_debian() and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _run(["apt-get", "-qq", "update"], quiet)
        _run(
            ["apt-get", "-qq", "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
            quiet,
        )
        if _of_the_machine() is not None:
            return
    _run([sys.executable, "-m", "playwright", "install", "chromium"], dict(os.environ))


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}\n")


def starts(program: str) -> str | None:
    """None where ``program`` shows a page; else what it said."""
    command = [program, "--headless", *arguments(), "--dump-dom", "data:text/html,<p>it works</p>"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return (
        None
        if "it works" in done.stdout
        else done.stderr.strip()[-2000:] or f"it exited with {done.returncode}"
    )


def main() -> int:
    try:
        browser()
    except NoBrowserError:
        print("Installing Chromium for the console's tests")  # noqa: T201 - the one line of a set-up that takes a minute
        install()
    else:
        return 0
    try:
        program = browser()
    except NoBrowserError as missing:
        sys.stderr.write(f"error: {missing}\n")
        return 1
    if (said := starts(program)) is not None:
        sys.stderr.write(f"error: {program} does not start: {said}\n{HOW}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
