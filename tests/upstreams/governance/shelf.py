"""A small MCP server over stdio whose tools stand in a JSON file, so that a test can change them.

`python shelf.py FOLDER`: `FOLDER/tools.json` holds the definitions, read anew for each list and each call; a call that
finds them changed since the last list says so first (`notifications/tools/list_changed`). `FOLDER/calls.jsonl` gets a
line for each call that ran. What a tool answers stands in `FOLDER/answers.json` by its name; without one it is a text.
`FOLDER/down` makes it end at once. Standard library only, MCP 2025-06-18.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])


def tools() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "tools.json").read_text())
    return found


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def called(params: dict[str, Any]) -> dict[str, Any]:
    with (FOLDER / "calls.jsonl").open("a") as log:
        log.write(json.dumps(params) + "\n")
    answers = FOLDER / "answers.json"
    known: dict[str, Any] = json.loads(answers.read_text()) if answers.exists() else {}
    default = {"content": [{"type": "text", "text": f"{params['name']} ran"}]}
    answer: dict[str, Any] = known.get(params["name"], default)
    return answer


def main() -> None:
    if (FOLDER / "down").exists():
        sys.exit("the shelf is closed")
    listed = json.dumps(tools())
    for line in sys.stdin:
        message = json.loads(line)
        method, id = message.get("method"), message.get("id")
        if id is None:
            continue
        if method == "initialize":
            say(
                {
                    "id": id,
                    "result": {
                        "protocolVersion": "2025-06-18",
                        "capabilities": {"tools": {"listChanged": True}},
                        "serverInfo": {"name": "shelf", "version": "1"},
                    },
                }
            )
        elif method == "tools/list":
            listed = json.dumps(tools())
            say({"id": id, "result": {"tools": json.loads(listed)}})
        elif method == "tools/call":
            if json.dumps(tools()) != listed:
                say({"method": "notifications/tools/list_changed"})
            if "error" in (answer := called(message["params"])):
                say({"id": id, "error": answer["error"]})
            else:
                say({"id": id, "result": answer})
        else:
            say({"id": id, "error": {"code": -32601, "message": "no such method"}})


if __name__ == "__main__":
    main()
