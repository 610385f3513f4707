"""A line server: answers each line with itself, and says at the end how many it answered.

Run it:

    python examples/pytest_functional/backend.py --port 7106
"""

from __future__ import annotations

import argparse
import asyncio
import signal


async def serve(port: int) -> None:
    answered = 0

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        try:
            async for line in reader:
                answered += 1
                writer.write(line)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", port)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"listening on tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    server.close()
    print(f"answered {answered} lines", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A line server that echoes.")
    parser.add_argument("--port", type=int, default=7106, help="0 takes a free one")
    asyncio.run(serve(parser.parse_args().port))
