"""A greeter with all four kinds of calls; it says at the end how many it answered.

Run it:

    python examples/grpc_greeter/backend.py --port 50051
"""

from __future__ import annotations

import argparse
import asyncio
import signal

import grpc

messages, services = grpc.protos_and_services("greeter.proto")  # compiles it; see locustfile.py


class Greeter(services.GreeterServicer):
    def __init__(self) -> None:
        self.answered = 0

    async def SayHello(self, request, context):
        if dict(context.invocation_metadata()).get("token") != "secret":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        if not request.name:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a name is missing")
        self.answered += 1
        return messages.HelloReply(message=f"Hello, {request.name}")

    async def SayHelloOften(self, request, context):
        for _ in range(request.times):
            yield messages.HelloReply(message=f"Hello, {request.name}")
        self.answered += 1

    async def SayHelloToAll(self, requests, context):
        names = [request.name async for request in requests]
        self.answered += 1
        return messages.HelloReply(message=f"Hello, {' and '.join(names)}")

    async def SayHelloToEach(self, requests, context):
        async for request in requests:
            yield messages.HelloReply(message=f"Hello, {request.name}")
        self.answered += 1


async def serve(port: int) -> None:
    greeter = Greeter()
    server = grpc.aio.server()
    services.add_GreeterServicer_to_server(greeter, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"listening on grpc://127.0.0.1:{port}", flush=True)
    await stopped.wait()
    await server.stop(None)
    print(f"answered {greeter.answered} calls", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A greeter that speaks gRPC.")
    parser.add_argument("--port", type=int, default=50051, help="0 takes a free one")
    asyncio.run(serve(parser.parse_args().port))
