"""Servers behind the proxies: echoes over TCP, TLS, WebSocket and gRPC, and a web page.

It prints its ports as JSON and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import websockets

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request)


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def greet(reader, writer):
    """Speaks first, as servers of mail do."""
    writer.write(b"welcome\n")
    await echo(reader, writer)


async def page(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(PAGE)
    await writer.drain()
    writer.close()


async def talk(socket):
    async for message in socket:
        await socket.send(message)


async def main(cert):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert)
    with open(cert, "rb") as file:
        pem = file.read()
    calls = grpc.server(ThreadPoolExecutor(8), handlers=[Echo()])
    credentials = grpc.ssl_server_credentials([(pem, pem)])
    ports = {
        "grpc": calls.add_insecure_port("127.0.0.1:0"),
        "grpcs": calls.add_secure_port("127.0.0.1:0", credentials),
    }
    calls.start()
    for name, serve, tls in (
        ("tcp", echo, None),
        ("tls", echo, context),
        ("first", greet, None),
        ("http", page, None),
        ("https", page, context),
    ):
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        ports[name] = server.sockets[0].getsockname()[1]
    for name, tls in (("ws", None), ("wss", context)):
        server = await websockets.serve(talk, "127.0.0.1", 0, ssl=tls)
        ports[name] = next(iter(server.sockets)).getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    calls.stop(None)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
