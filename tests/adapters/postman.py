"""A server that speaks TCP, UDP, WebSocket, gRPC and MQTT, and says what it is told to.

A message is a JSON list of ``[seconds, text]``: each text is sent back after so many seconds, in
whatever order that gives. ``"close"`` ends the connection. ``"id"`` beside it in an object, as in
``{"id": 7, "say": [...]}``, is for the client alone. Over MQTT what is published to ``ask/x`` is
answered on ``answer/x``.

Prints one line of JSON with its ports, and ends with its standard input. Its argument is the port
of a broker, or 0.
"""

import asyncio
import json
import sys
from contextlib import suppress

import grpc
import paho.mqtt.client as paho
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosed


def obey(message, say, close):
    loop = asyncio.get_running_loop()
    told = json.loads(message)
    for seconds, text in told["say"] if isinstance(told, dict) else told:
        if text == "close":
            loop.call_later(seconds, close)
        else:
            loop.call_later(seconds, say, text)


async def on_tcp(reader, writer):
    with suppress(ConnectionError):
        while line := await reader.readline():
            obey(line, lambda text: writer.write(text.encode() + b"\n"), writer.close)
    writer.close()


class OnUdp(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        obey(data, lambda text: self.transport.sendto(text.encode(), address), lambda: None)


async def on_websocket(connection):
    tasks = set()

    def start(work):
        tasks.add(asyncio.ensure_future(work))

    with suppress(ConnectionClosed):
        async for message in connection:
            obey(
                message,
                lambda text: start(connection.send(text)),
                lambda: start(connection.close()),
            )
    await asyncio.gather(*tasks, return_exceptions=True)


def text_of(data):
    """The field ``string text = 1`` of a message, and nothing else."""
    place = 1
    while data[place] & 128:
        place += 1
    return data[place + 1 :].decode()


def with_text(text):
    data, length, head = text.encode(), len(text.encode()), b"\x0a"
    while length > 127:
        head += bytes([length & 127 | 128])
        length >>= 7
    return head + bytes([length]) + data


async def on_stream(requests, context):
    said = asyncio.Queue()

    async def read():
        async for data in requests:
            obey(text_of(data), said.put_nowait, lambda: said.put_nowait(None))

    reading = asyncio.ensure_future(read())
    try:
        while (text := await said.get()) is not None:
            yield with_text(text)
    finally:
        reading.cancel()


class OnMqtt:
    def __init__(self, port, loop):
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.on_message = lambda *got: loop.call_soon_threadsafe(self.answer, got[2])
        self.subscribed = asyncio.Event()
        self.client.on_subscribe = lambda *_: loop.call_soon_threadsafe(self.subscribed.set)
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("ask/#")
        self.client.loop_start()

    def answer(self, message):
        to = message.topic.replace("ask", "answer", 1)
        obey(message.payload, lambda text: self.client.publish(to, text), lambda: None)


async def main():
    loop = asyncio.get_running_loop()
    tcp = await asyncio.start_server(on_tcp, "127.0.0.1", 0)
    udp, _ = await loop.create_datagram_endpoint(OnUdp, ("127.0.0.1", 0))
    websocket = await serve_websocket(on_websocket, "127.0.0.1", 0)
    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(on_stream)
    talk = grpc.method_handlers_generic_handler("post.Post", {"Talk": handler})
    server.add_generic_rpc_handlers((talk,))
    ports = {
        "tcp": tcp.sockets[0].getsockname()[1],
        "udp": udp.get_extra_info("sockname")[1],
        "ws": websocket.sockets[0].getsockname()[1],
        "grpc": server.add_insecure_port("127.0.0.1:0"),
    }
    await server.start()
    if int(sys.argv[1]):
        broker = OnMqtt(int(sys.argv[1]), loop)
        await broker.subscribed.wait()
    print(json.dumps(ports), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main())
