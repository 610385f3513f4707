"""A datagram-echo server for the demonstration; what begins with a dash is not answered.

Run by the servers' process; it imports the standard library alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

__all__ = ["serve"]


async def serve() -> AsyncIterator[dict[str, str]]:
    """Echo on a free port until the generator goes on."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_Echo, local_addr=("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")
    yield {"echo": f"udp://{host}:{port}"}
    transport.close()


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not data.startswith(b"-"):
            self.transport.sendto(data, addr)
