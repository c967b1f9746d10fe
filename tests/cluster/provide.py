"""``python -m tests.cluster.provide``: see to it that there is a proxy, quietly and quickly where there is one.

Where none can be installed this fails and says what to do; no test is ever skipped for want of it. Not here: how it is
configured (``examples/cluster/haproxy.cfg``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from examples.cluster.processes import NoProxyError, haproxy


def install() -> None:
    """Debian's package, where it is missing and we may.

    Raises:
        NoProxyError: where that did not help; it says what would.
    """
    try:
        haproxy()
    except NoProxyError:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "-y", "--no-install-recommends", "haproxy"]):
            command = ["apt-get", "-qq", *words]
            done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.stderr.write(f"{' '.join(command)}\n{done.stderr[-2000:]}\n")
        haproxy()


def main() -> int:
    try:
        install()
    except NoProxyError as missing:
        sys.stderr.write(f"error: {missing}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
