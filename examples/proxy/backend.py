"""A proxy on port 8888, and what can be reached through it: a web page and a line echo.

It says at the end how much each of the three has done. A tool such as Fiddler, Charles or mitmproxy
would stand in the place of this proxy.

Run it:

    python examples/proxy/backend.py --port 7113 --echo-port 7114 --proxy-port 8888
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from asyncio import StreamReader, StreamWriter
from collections import Counter
from contextlib import closing
from urllib.parse import urlsplit

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"

done: Counter[str] = Counter()


async def page(reader: StreamReader, writer: StreamWriter) -> None:
    with closing(writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            done["pages"] += 1
            writer.write(PAGE)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass


async def echo(reader: StreamReader, writer: StreamWriter) -> None:
    with closing(writer):
        try:
            async for line in reader:
                done["lines"] += 1
                writer.write(line)
                await writer.drain()
        except ConnectionError:
            pass


async def proxy(reader: StreamReader, writer: StreamWriter) -> None:
    """Pass on one request for a page, or every byte of a tunnel."""
    with closing(writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _version = head.partition(b"\r\n")[0].decode().split()
            place = urlsplit(f"//{target}" if method == "CONNECT" else target)
            server_reader, server = await asyncio.open_connection(place.hostname, place.port or 80)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            return
        with closing(server):
            if method == "CONNECT":
                done["tunnels"] += 1
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                done["requests"] += 1
                server.write(head.replace(target.encode(), (place.path or "/").encode(), 1))
            await asyncio.wait(
                [
                    asyncio.create_task(copy(reader, server)),
                    asyncio.create_task(copy(server_reader, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )


async def copy(reader: StreamReader, writer: StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass


async def serve(port: int, echo_port: int, proxy_port: int) -> None:
    told = []
    for scheme, talk, wanted in (
        ("http", page, port),
        ("tcp", echo, echo_port),
        ("proxy", proxy, proxy_port),
    ):
        server = await asyncio.start_server(talk, "127.0.0.1", wanted)
        told.append(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"listening on {' '.join(told)}", flush=True)
    await stopped.wait()
    print(
        f"answered {done['pages']} pages and {done['lines']} lines;"
        f" the proxy passed on {done['requests']} requests and made {done['tunnels']} tunnels",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A proxy, and a page and an echo behind it.")
    parser.add_argument("--port", type=int, default=7113, help="of the page; 0 takes a free one")
    parser.add_argument("--echo-port", type=int, default=7114, help="0 takes a free one")
    parser.add_argument("--proxy-port", type=int, default=8888, help="0 takes a free one")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.echo_port, options.proxy_port))
