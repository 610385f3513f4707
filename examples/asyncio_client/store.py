"""An asyncio library as there are many: a client of a key-value server that speaks lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class StoreClient:
    """One connection; one command at a time, as the server answers in order."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def put(self, key: str, value: str) -> None:
        await self._command(f"put {key} {value}")

    async def get(self, key: str) -> str:
        return await self._command(f"get {key}")

    async def scan(self) -> AsyncIterator[str]:
        """Every key, as the server sends them; an empty line ends them."""
        self._writer.write(b"scan\n")
        while key := await self._line():
            yield key

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def _command(self, text: str) -> str:
        self._writer.write(text.encode() + b"\n")
        return await self._line()

    async def _line(self) -> str:
        line = await self._reader.readline()
        if not line:
            raise ConnectionError("the store closed the connection")
        return line.decode().removesuffix("\n")
