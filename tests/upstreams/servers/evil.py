"""An MCP server over stdio that misbehaves as it is told: ``python evil.py [ERA] [AT_START]``.

ERA is ``legacy`` (default), ``modern`` or ``mute-probe`` (legacy, and it never answers what it does not know).
AT_START is what it does before anything else: ``die``, ``stack`` (dies, and prints a stack), ``hang``, ``stubborn``
(ignores SIGTERM and the end of its input), ``grandchild`` (starts a process that outlives it), ``deaf`` (reads nothing
after the handshake).
Otherwise the name of the tool that is called says what happens. Nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ERA = sys.argv[1] if len(sys.argv) > 1 else "legacy"
AT_START = sys.argv[2] if len(sys.argv) > 2 else ""
MANY = 1 << 30
SLEEPER = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(3600)"]

listed = ["ok", "dup"]
heard: list[str] = []


def write(message: Any) -> None:
    sys.stdout.write((message if isinstance(message, str) else json.dumps(message)) + "\n")
    sys.stdout.flush()


def result(id: Any, value: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "result": value}


def said(id: Any, text: str) -> dict[str, Any]:
    return result(id, {"content": [{"type": "text", "text": text}], "isError": False})


def error(id: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}


def notice(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def tool(name: str) -> dict[str, Any]:
    return {"name": name, "description": name, "inputSchema": {"type": "object"}}


def handshake(message: dict[str, Any]) -> bool:
    """Whether it was part of one."""
    id, method = message.get("id"), message["method"]
    if method == "server/discover":
        if ERA == "modern":
            info = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": True}}}
            write(result(id, {"resultType": "complete", **info}))
        elif ERA == "legacy":
            write(error(id, -32601, "Method not found"))
        return True
    if method == "initialize":
        answer = {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "evil", "version": "6"},
        }
        write(result(id, answer))
        return True
    return bool(method == "notifications/initialized")


def act(name: str, id: Any, arguments: dict[str, Any]) -> None:  # noqa: C901, PLR0912, PLR0915 - one way to misbehave each
    ok = said(id, "ok")
    match name:
        case "ok":
            write(said(id, str(arguments.get("text", "ok"))))
        case "tell-password":
            write(
                result(id, {"content": [{"type": "text", "text": os.environ["PASSWORD"]}], "isError": True})
            )
        case "tell-password-as-error":
            write(error(id, -32000, "no entry for " + os.environ["PASSWORD"]))
        case "pid":
            write(said(id, str(os.getpid())))
        case "hang":
            pass
        case "exit":
            sys.stderr.write("out of luck, api_key=sk-live-abcdefghijklmnop1234\n")
            sys.stderr.flush()
            os._exit(3)
        case "answer-and-exit":
            write(ok)
            os._exit(0)
        case "dup":
            write(ok)
            write(ok)
        case "contradict":
            both = json.dumps(ok) + "\n" + json.dumps(said(id, "something else"))
            write(both)
        case "garbage":
            write("Listening on port 3000 {{{")
            write(ok)
        case "garbage-and-exit":
            write(f'{{"jsonrpc": "2.0", "id": {id}, "result": {{"content": [')
            os._exit(1)
        case "wrong-id":
            write(said(id + 1000, "for nobody"))
            write(said(str(id), "for nobody"))
            write({"jsonrpc": "2.0", "id": id, "result": {}, "error": {}})
            write(ok)
        case "no-result":
            write(result(id, {"content": "not a list"}))
        case "one-endless-line":
            while True:
                os.write(1, b"x" * 65536)
        case "many-lines":
            while True:
                os.write(1, b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}\n' * 500)
        case "stderr-flood":
            while True:
                os.write(2, b"trouble " * 8192)
        case "grow":
            hoard = []
            while True:
                hoard.append(bytearray(1 << 20))
        case "close-output":
            os.close(1)
        case "ask":
            write({"jsonrpc": "2.0", "id": "q1", "method": "sampling/createMessage", "params": {}})
            write({"jsonrpc": "2.0", "id": "q2", "method": "roots/list", "params": {}})
            write({"jsonrpc": "2.0", "id": 3, "method": "elicitation/create", "params": {}})
            write({"jsonrpc": "2.0", "id": 4, "method": "ping"})
            answers = [json.loads(sys.stdin.readline()) for _ in range(4)]
            write(result(id, {"content": [], "structuredContent": answers}))
        case "change":
            listed.append(f"new{len(listed)}")
            write(notice("notifications/tools/list_changed"))
            write(ok)
        case "heard":
            write(result(id, {"content": [], "structuredContent": list(heard)}))
        case "env":
            write(result(id, {"content": [], "structuredContent": dict(os.environ)}))
        case "where":
            write(said(id, str(Path.cwd())))
        case "grandchild":
            child = subprocess.Popen(SLEEPER)  # it holds our pipes, too
            write(said(id, str(child.pid)))
        case "input":
            write(result(id, {"resultType": "input_required", "inputRequests": {}}))
        case _:
            write(error(id, -32602, f"Unknown tool: {name}"))


def serve() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        heard.append(message.get("method", "answer"))
        if "method" not in message or handshake(message):
            continue
        if AT_START == "deaf":
            time.sleep(3600)
        id, method, params = message.get("id"), message["method"], message.get("params", {})
        if method == "tools/list":
            write(result(id, {"tools": [tool(name) for name in listed]}))
        elif method == "tools/call":
            act(params["name"], id, params.get("arguments", {}))
        elif id is not None:
            write(error(id, -32601, "Method not found"))


def start() -> None:
    match AT_START:
        case "die":
            sys.stderr.write("no configuration found\n")
            sys.stderr.flush()
            os._exit(2)
        case "stack":  # as Node does it: what matters stands above the stack
            sys.stderr.write("  throw err;\n\nError: Cannot find module '/srv/index.js'\n")
            sys.stderr.write("".join(f"    at function_{number} (loader:{number})\n" for number in range(9)))
            sys.stderr.write("  code: 'MODULE_NOT_FOUND',\n}\n\nNode.js v22.0.0\n")
            sys.stderr.flush()
            os._exit(1)
        case "tell-password":
            sys.stderr.write(f"could not log in as {os.environ['PASSWORD']}\n")
            sys.stderr.flush()
            os._exit(1)
        case "hang":
            time.sleep(3600)
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case _:
            pass


start()
serve()
while AT_START == "stubborn":
    time.sleep(3600)
