"""Answers each call after a delay from a distribution that the call names, and logs what it took.

``delaying_server.py tcp|websocket|mqtt|grpc`` prints its port and another one for lines over TCP,
whose log is apart. A call says "DISTRIBUTION/ID". When its standard input is closed the server
writes both logs as a list in JSON, and ends: by id, the nanoseconds from having read a request to
being about to answer it. It takes one request at a time from a connection.
"""

import asyncio
import json
import random
import sys
import time

DELAYS = {
    "none": lambda: 0.0,
    "constant": lambda: 0.0001,
    "bimodal": lambda: 0.002 if random.random() < 0.9 else 0.1,
    "long tail": lambda: min(0.0001 * random.paretovariate(0.7), 2.0),
}
SPUN = 0.0001  # what the event loop's timer, of whole milliseconds, is too coarse for

to_be_stopped = []


async def answer(took, call, send):
    began = time.perf_counter_ns()
    kind, _, number = call.partition("/")
    delay = DELAYS[kind]()
    if delay > SPUN:
        await asyncio.sleep(delay)
    else:
        while time.perf_counter_ns() - began < delay * 1e9:
            pass
    took[number] = time.perf_counter_ns() - began  # after it, the client may be quicker than we
    return await send()


async def tcp(took):
    async def serve(reader, writer):
        async def send():
            writer.write(line)

        while line := await reader.readline():
            await answer(took, line.decode().strip(), send)
        writer.close()

    return await listening(serve)


async def websocket(took):
    from websockets.asyncio.server import serve as serve_websocket

    async def serve(connection):
        async for call in connection:
            await answer(took, call, lambda call=call: connection.send(call))

    server = await serve_websocket(serve, "127.0.0.1", 0, compression=None)
    return server.sockets[0].getsockname()[1]


async def mqtt(took):
    """As much of a broker of MQTT 3.1.1 as a client that publishes with QoS 1 needs."""

    async def serve(reader, writer):
        async def acknowledge():
            writer.write(b"\x40\x02" + mid)

        while head := await reader.read(1):
            (length,) = await reader.readexactly(1)  # nothing here is longer than 127 bytes
            body = await reader.readexactly(length)
            if head[0] >> 4 == 1:
                writer.write(b"\x20\x02\0\0")
            elif head[0] >> 4 == 3:
                end = 2 + int.from_bytes(body[:2], "big")
                topic, mid = body[2:end].decode(), body[end : end + 2]
                await answer(took, topic, acknowledge)
        writer.close()

    return await listening(serve)


async def grpc(took):
    import grpc

    async def reply(request, _context):
        async def echo():
            return request  # gRPC writes it when this returns

        return await answer(took, request.decode(), echo)

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler = grpc.unary_unary_rpc_method_handler(reply)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("delays.Server", {"Answer": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    to_be_stopped.append(server)
    return port


async def listening(serve):
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=200)
    return server.sockets[0].getsockname()[1]


async def main(protocol):
    logs = {}, {}
    serve = {"tcp": tcp, "websocket": websocket, "mqtt": mqtt, "grpc": grpc}[protocol]
    print(await serve(logs[0]), await tcp(logs[1]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(json.dumps(logs), flush=True)
    for server in to_be_stopped:
        await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
