"""The servers of the docs' examples: each answers what its page says; run as a process of its own.

Prints one line of JSON with their URLs, and ends with its standard input.
"""

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path

import grpc
from grpc_reflection.v1alpha import reflection
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosed

ROOT = Path(__file__).parent.parent
sys.path[:0] = [
    str(ROOT / "examples" / "grpc_greeter"),
    str(ROOT / "examples" / "grpc_reflection"),
    str(Path(__file__).parent),
]
greeter, greeters = grpc.protos_and_services("greeter.proto")
_chat, chats = grpc.protos_and_services("chat.proto")
shop, shops = grpc.protos_and_services("doc_shop.proto")


async def on_lines(reader, writer):
    """Answers each line, but what begins with "first" or "second": these, when all was read."""
    kept = 0
    with suppress(ConnectionError):
        while line := (await reader.readline()).strip():
            if line.startswith((b"first", b"second")):
                kept += 1
            else:
                writer.write(answer(line) + b"\n")
        if kept:
            writer.write(b"%d lines\n" % kept)
            await writer.drain()
    writer.close()


def answer(line):
    """A total, the id of a JSON object, or ok."""
    if line.startswith(b"{"):
        asked = json.loads(line)
        return json.dumps({"id": asked["id"], "signed": "key" in asked}).encode()
    return {b"total": b"42", b"order": b'{"status": "ok"}'}.get(line, b"ok")


def on_prefix(width):
    """Answers each message that has its length before it."""

    async def serve(reader, writer):
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                length = int.from_bytes(await reader.readexactly(width), "big")
                await reader.readexactly(length)
                writer.write((2).to_bytes(width, "big") + b"ok")
        writer.close()

    return serve


class OnUdp(asyncio.DatagramProtocol):
    """Answers questions with their first two bytes and a temperature."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        if data.endswith(b"?"):
            self.transport.sendto(data[:2] + b"21.5", address)


async def on_websocket(connection):
    """Pushes what its page waits for."""
    pushes = {
        '{"type": "subscribe"}': ["price"],
        '{"type": "order"}': ["news", "ack", "filled"],
    }
    with suppress(ConnectionClosed):
        async for message in connection:
            if message == "ping":
                await connection.send("pong")
            for kind in pushes.get(message, ()):
                await connection.send(json.dumps({"type": kind}))


class Greeter(greeters.GreeterServicer):
    async def SayHello(self, request, context):
        return greeter.HelloReply(message=f"Hello, {request.name}")


class Chat(chats.ChatServicer):
    async def Talk(self, requests, context):
        async for line in requests:
            yield line


class Orders(shops.OrdersServicer):
    async def Login(self, request, context):
        return shop.Answer(body='{"token": "t"}')

    async def Get(self, request, context):
        sent = dict(context.invocation_metadata())
        return shop.Order(items=[shop.Item(price=9.5)], sent_by=sent.get("authorization", ""))


def listen_for_grpc(server):
    greeters.add_GreeterServicer_to_server(Greeter(), server)
    chats.add_ChatServicer_to_server(Chat(), server)
    shops.add_OrdersServicer_to_server(Orders(), server)
    names = ["helloworld.Greeter", "chat.Chat", "shop.Orders", reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)
    return server.add_insecure_port("127.0.0.1:0")


async def listen_for_tcp(serve):
    return (await asyncio.start_server(serve, "127.0.0.1", 0)).sockets[0].getsockname()[1]


async def main():
    loop = asyncio.get_running_loop()
    udp, _ = await loop.create_datagram_endpoint(OnUdp, ("127.0.0.1", 0))
    websocket = await serve_websocket(on_websocket, "127.0.0.1", 0)
    server = grpc.aio.server()
    ports = {
        "lines": ("tcp", await listen_for_tcp(on_lines)),
        "prefix2": ("tcp", await listen_for_tcp(on_prefix(2))),
        "prefix4": ("tcp", await listen_for_tcp(on_prefix(4))),
        "udp": ("udp", udp.get_extra_info("sockname")[1]),
        "ws": ("ws", websocket.sockets[0].getsockname()[1]),
        "grpc": ("grpc", listen_for_grpc(server)),
    }
    await server.start()
    urls = {name: f"{scheme}://127.0.0.1:{port}" for name, (scheme, port) in ports.items()}
    print(json.dumps(urls), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main())
