"""A datagram server: answers each with itself, keeps silent on readings, counts both.

A reading is a datagram that begins with a dash. ``--lose 10`` leaves every tenth question without
an answer, as a busy network does.

Run it:

    python examples/udp_echo/backend.py --port 7107
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Any


class Echo(asyncio.DatagramProtocol):
    def __init__(self, lose: int) -> None:
        self.lose = lose
        self.questions = self.readings = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if data.startswith(b"-"):
            self.readings += 1
            return
        self.questions += 1
        if not self.lose or self.questions % self.lose:
            self.transport.sendto(data, addr)


async def serve(port: int, lose: int) -> None:
    loop = asyncio.get_running_loop()
    transport, echo = await loop.create_datagram_endpoint(
        lambda: Echo(lose), local_addr=("127.0.0.1", port)
    )
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    port = transport.get_extra_info("sockname")[1]
    print(f"listening on udp://127.0.0.1:{port}", flush=True)
    await stopped.wait()
    transport.close()
    print(f"answered {echo.questions} questions and {echo.readings} readings", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A datagram server that echoes.")
    parser.add_argument("--port", type=int, default=7107, help="0 takes a free one")
    parser.add_argument("--lose", type=int, default=0, help="answer all but every so-manieth")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.lose))
