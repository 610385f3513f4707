"""A line-echo server for the demonstration.

Run by the servers' process; it imports the standard library alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

__all__ = ["serve"]


async def serve() -> AsyncIterator[dict[str, str]]:
    """Echo on a free port until the generator goes on."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield {"echo": f"tcp://{host}:{port}"}
    server.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
