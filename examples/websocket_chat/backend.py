"""A chat room: what anybody says goes to all who are there, and to its sender as well.

Run it:

    python examples/websocket_chat/backend.py --port 7110
"""

from __future__ import annotations

import argparse
import asyncio
import signal

from websockets.asyncio.server import ServerConnection, broadcast, serve


async def room(port: int) -> None:
    answered = 0
    present: set[ServerConnection] = set()

    async def talk(connection: ServerConnection) -> None:
        nonlocal answered
        present.add(connection)
        try:
            async for message in connection:
                answered += 1
                broadcast(present, message)
        finally:
            present.discard(connection)

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with serve(talk, "127.0.0.1", port, compression=None) as server:
        number = next(iter(server.sockets)).getsockname()[1]
        print(f"listening on ws://127.0.0.1:{number}", flush=True)
        await stopped.wait()
    print(f"answered {answered} messages", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A chat room.")
    parser.add_argument("--port", type=int, default=7110, help="0 takes a free one")
    asyncio.run(room(parser.parse_args().port))
