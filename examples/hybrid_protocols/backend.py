"""A game's servers in one process: log in over TCP, move over UDP, chat over WebSocket.

The UDP server has the number of the TCP port, and the chat the one after it. The last line says how
much each of them answered.

Run it:

    python examples/hybrid_protocols/backend.py --port 7111
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections import Counter
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

answered = Counter(logins=0, moves=0, words=0)


async def lobby(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async for line in reader:
            answered["logins"] += 1
            writer.write(b"welcome " + line)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


class Field(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        answered["moves"] += 1
        self.transport.sendto(b"moved " + data, addr)


async def chat(connection: ServerConnection) -> None:
    async for word in connection:
        answered["words"] += 1
        await connection.send(word)


async def play(port: int) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    field, _ = await loop.create_datagram_endpoint(Field, local_addr=("127.0.0.1", port))
    async with (
        await asyncio.start_server(lobby, "127.0.0.1", port) as lobbies,
        serve(chat, "127.0.0.1", port and port + 1, compression=None) as chats,
    ):
        places = {
            "tcp": lobbies.sockets[0].getsockname(),
            "udp": field.get_extra_info("sockname"),
            "ws": next(iter(chats.sockets)).getsockname(),
        }
        urls = [f"{scheme}://127.0.0.1:{place[1]}" for scheme, place in places.items()]
        print("listening on", *urls, flush=True)
        await stopped.wait()
    field.close()
    print("answered {logins} logins, {moves} moves and {words} words".format(**answered))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The servers of a game.")
    parser.add_argument("--port", type=int, default=7111, help="0 takes free ones")
    asyncio.run(play(parser.parse_args().port))
