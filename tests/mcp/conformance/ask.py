"""What the suite starts as its client: passes the scenario on to the process that plays all clients, and waits.

``python -S ask.py SOCKET URL``. It begins and ends in some milliseconds, where each client by itself would first load
everything anew; the suite starts some forty at once. See ``client.Players``.
"""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as way:
    way.connect(sys.argv[1])
    asked = {
        "url": sys.argv[2],
        "scenario": os.environ.get("MCP_CONFORMANCE_SCENARIO", ""),
        "context": os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"),
    }
    way.sendall(json.dumps(asked).encode() + b"\n")
    with way.makefile("rb") as answers:
        answer = json.loads(answers.readline() or b'{"code": 1, "said": "nobody answered"}')
sys.stderr.write(answer["said"])
sys.exit(answer["code"])
