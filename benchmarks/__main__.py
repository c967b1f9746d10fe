"""``python -m benchmarks [--quick] [--only SECTION] [--json FILE]``: measure, show ratios, compare with the targets.

Sections: ``calls`` (side by side at 1, 16 and 128 waiting callers), ``tools`` (1, 100, 1 000 registered),
``history`` (1 000 and 1 000 000 rows), ``memory`` (a million calls), ``office`` (every page and endpoint on a million
calls and ten thousand open approvals, and fifty watchers), ``mcp`` (an MCP server beside ungoverned ones), ``proxy``
(an upstream through the gate, through another proxy, and asked itself), ``jobs`` (empty jobs beside DBOS itself, on
SQLite and Postgres), ``postgres`` (one, two and three gateways beside pgbench writing the same rows), ``past`` (a
ledger on Postgres with ten million events behind it). Nothing is asserted: a missed target is shown as missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import report, sections


def main() -> int:
    options = _options()
    console = Console()
    status = console.status("measuring")

    def note(what: str) -> None:
        if console.is_terminal:
            status.update(what)

    console.print(f"Python {platform.python_version()}, {platform.machine()}, SQLite in {options.folder}")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, status:
        for name, section in sections.ALL.items():
            if options.only in {None, name}:
                found[name] = asyncio.run(section(Path(folder), quick=options.quick, note=note))
                report.show(console, name, found[name])
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2, default=report.plain) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer calls: for a first look, not for quoting")
    parser.add_argument("--only", choices=list(sections.ALL), help="one section")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument(
        "--folder", default=".", help="where the databases go: the disk that is measured (default: here)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
