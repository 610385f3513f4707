"""A dictionary server for the demonstration: a word on a line, an answer on a line, and the end.

Run by the servers' process; it imports the standard library alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

__all__ = ["serve"]

_MEANINGS = {
    "latency": "the time from asking to being answered",
    "percentile": "the value that this share of all values does not exceed",
    "widget": "whatever is being made",
}


async def serve() -> AsyncIterator[dict[str, str]]:
    """Answer on a free port until the generator goes on."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield {"dictionary": f"{host}:{port}"}
    server.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        word = (await reader.readline()).decode().strip()
        await asyncio.sleep(random.uniform(0.002, 0.02))
        writer.write(f"{word} means {_MEANINGS.get(word, 'nothing that I know')}\n".encode())
        await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
