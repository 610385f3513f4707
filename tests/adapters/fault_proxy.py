"""A proxy that spoils what a server says: one port for each fault, in a process of its own.

    python fault_proxy.py UPSTREAM_PORT INTACT

The first INTACT pieces of each connection pass unharmed, such as an upgrade or a CONNACK; the fault
begins with the next one. It prints its ports by fault, and ends when its standard input does.
"""

import asyncio
import json
import socket
import struct
import sys

DELAY = 0.3
GARBAGE = b"\xff" * 64 + b"\n"


async def latency(data, writer):
    """What is said comes later."""
    await asyncio.sleep(DELAY)
    writer.write(data)


async def slices(data, writer):
    """It comes byte by byte, each in a packet of its own."""
    for place in range(len(data)):
        writer.write(data[place : place + 1])
        await writer.drain()
        await asyncio.sleep(0.001)


async def reset(data, writer):
    """The connection is reset instead."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def slow_close(data, writer):
    """All but the last byte comes, and after a while the end."""
    writer.write(data[:-1])
    await asyncio.sleep(DELAY)
    writer.close()


async def half_prefix(data, writer):
    """The first byte comes, such as half of a length, and the end."""
    writer.write(data[:1])
    writer.close()


async def silent(data, writer):
    """Nothing comes."""


async def garbage(data, writer):
    """Something else comes."""
    writer.write(GARBAGE)


FAULTS = [latency, slices, reset, slow_close, half_prefix, silent, garbage]


def serve(fault, upstream, intact):
    async def connected(reader, writer):
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", upstream)
        onward = asyncio.create_task(copy(reader, server_writer))
        try:
            pieces = 0
            while data := await server_reader.read(65536):
                if pieces < intact:
                    writer.write(data)
                else:
                    await fault(data, writer)
                pieces += 1
        except ConnectionError:
            pass
        finally:
            onward.cancel()
            writer.close()
            server_writer.close()

    return asyncio.start_server(connected, "127.0.0.1", 0)


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main(upstream, intact):
    servers = {fault.__name__: await serve(fault, upstream, intact) for fault in FAULTS}
    ports = {name: server.sockets[0].getsockname()[1] for name, server in servers.items()}
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
