"""A chat that tells callers what it understands; it says at the end how many calls it answered.

Run it:

    python examples/grpc_reflection/backend.py --port 50052
"""

from __future__ import annotations

import argparse
import asyncio
import signal

import grpc
from grpc_reflection.v1alpha import reflection

messages, services = grpc.protos_and_services("chat.proto")  # needs grpcio-tools


class Chat(services.ChatServicer):
    def __init__(self) -> None:
        self.people = 0
        self.answered = 0

    async def Join(self, request, context):
        self.people += 1
        self.answered += 1
        return messages.Room(topic=f"Welcome, {request.person.nick}", people=self.people)

    async def Talk(self, requests, context):
        self.answered += 1
        async for line in requests:
            yield line


async def serve(port: int) -> None:
    chat = Chat()
    server = grpc.aio.server()
    services.add_ChatServicer_to_server(chat, server)
    reflection.enable_server_reflection(["chat.Chat", reflection.SERVICE_NAME], server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"listening on grpc://127.0.0.1:{port}", flush=True)
    await stopped.wait()
    await server.stop(None)
    print(f"answered {chat.answered} calls", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A chat that speaks gRPC, with reflection.")
    parser.add_argument("--port", type=int, default=50052, help="0 takes a free one")
    asyncio.run(serve(parser.parse_args().port))
