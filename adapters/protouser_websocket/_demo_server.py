"""A WebSocket server for the demonstration: it echoes, and it counts aloud at /ticks.

Run by the servers' process; it imports neither protouser nor Locust.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as listen
from websockets.exceptions import ConnectionClosed

__all__ = ["serve"]

_TICK = 0.1


async def serve() -> AsyncIterator[dict[str, str]]:
    """Listen on a free port until the generator goes on."""
    async with listen(_talk, "127.0.0.1", 0, compression=None) as server:
        host, port = next(iter(server.sockets)).getsockname()[:2]
        yield {"echo": f"ws://{host}:{port}/", "ticks": f"ws://{host}:{port}/ticks"}


async def _talk(connection: ServerConnection) -> None:
    request = connection.request
    try:
        if request is not None and request.path == "/ticks":
            await _count_aloud(connection)
        async for message in connection:
            await connection.send(message)
    except ConnectionClosed:
        pass


async def _count_aloud(connection: ServerConnection) -> None:
    number = 0
    while True:
        number += 1
        await connection.send(f"tick {number}")
        await asyncio.sleep(_TICK)
