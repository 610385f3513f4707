"""A box office: answers each line with the next ticket, and says at the end how many it sold.

Run it:

    python examples/event_hook/backend.py --port 7102
"""

from __future__ import annotations

import argparse
import asyncio
import signal


async def serve(port: int) -> None:
    sold = 0

    async def sell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sold
        try:
            async for _request in reader:
                sold += 1
                writer.write(b"ticket %d\n" % sold)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(sell, "127.0.0.1", port)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"listening on tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    server.close()
    print(f"sold {sold} tickets", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A box office.")
    parser.add_argument("--port", type=int, default=7102, help="0 takes a free one")
    asyncio.run(serve(parser.parse_args().port))
