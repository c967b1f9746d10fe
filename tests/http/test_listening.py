"""The socket that the server listens on: nobody's answer waits for an acknowledgement that the client delays."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from toolgate.bootstrap.server import bound
from toolgate.config import load_settings
from toolgate.config.server import Address

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.req("M5.13")


async def test_what_is_written_in_two_pieces_is_sent_at_once(tmp_path: Path) -> None:
    (tmp_path / "toolgate.toml").write_text('tools = ["toolgate.examples.support_desk:tools"]\n')
    delays: asyncio.Queue[int] = asyncio.Queue()

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted: socket.socket = writer.get_extra_info("socket")
        delays.put_nowait(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with bound(load_settings(tmp_path / "toolgate.toml"), Address("127.0.0.1", 0)) as listening:
        async with await asyncio.start_server(connected, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            nagle_is_off = await delays.get()
            writer.close()

    assert nagle_is_off
