"""A WebSocket server for the tests, by `websockets`; run in a process of its own.

Prints one line of JSON with its addresses; ends with its standard input. What a path does:

    /                 answers "sleep S" after S seconds, "fail" with "error", "quiet" not at all,
                      and everything else with itself
    /push             sends "push 1" to "push 3" at once, and after each message "push", then itself
    /ping             pings all the time, each time when it has got the pong
    /close?code=&reason=  closes after the first message
    /bye?code=        sends "one", "two" and closes
    /headers          sends the request's path and headers as JSON
    /refuse?status=   answers with that status and "token missing"
    /stats            plain HTTP: counters as JSON
"""

import asyncio
import json
import resource
import ssl
import sys
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

stats = {"accepted": 0, "open": 0, "received": 0, "pongs": 0, "closed": []}


def query(connection):
    parts = urlsplit(connection.request.path)
    return parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}


def process_request(connection, request):
    parts = urlsplit(request.path)
    if parts.path == "/stats":
        return connection.respond(200, json.dumps(stats))
    if parts.path == "/refuse":
        status = int(parse_qs(parts.query)["status"][0])
        response = connection.respond(status, "token missing\n")
        if status == 302:
            response.headers["Location"] = "http://elsewhere/?token=secret"
        return response
    return None


async def answer(connection, message):
    if isinstance(message, str) and message.startswith("sleep "):
        with suppress(TimeoutError):  # nobody waits any longer once the connection is closed
            await asyncio.wait_for(connection.wait_closed(), float(message.split()[1]))
    if message == "fail":
        message = "error"
    if message != "quiet":
        await connection.send(message)


async def pushes(connection, _):
    for number in (1, 2, 3):
        await connection.send(f"push {number}")
    async for message in connection:
        stats["received"] += 1
        await connection.send("push")
        await answer(connection, message)


async def ping(connection, options):
    async def without_end():
        while True:
            await (await connection.ping())
            stats["pongs"] += 1

    pinging = asyncio.create_task(without_end())
    try:
        await talk(connection, options)
    finally:
        pinging.cancel()


async def close(connection, options):
    async for _ in connection:
        await connection.close(int(options["code"]), options.get("reason", ""))


async def bye(connection, options):
    await connection.send("one")
    await connection.send("two")
    await connection.close(int(options["code"]))


async def headers(connection, _):
    request = connection.request
    told = {"path": request.path, "headers": list(request.headers.raw_items())}
    await connection.send(json.dumps(told))
    await connection.wait_closed()


async def talk(connection, _):
    async for message in connection:
        stats["received"] += 1
        await answer(connection, message)


PATHS = {"/push": pushes, "/ping": ping, "/close": close, "/bye": bye, "/headers": headers}


async def handle(connection):
    path, options = query(connection)
    stats["accepted"] += 1
    stats["open"] += 1
    try:
        await PATHS.get(path, talk)(connection, options)
    except ConnectionClosed:
        pass
    finally:
        stats["open"] -= 1
        stats["closed"].append(connection.close_code)


def choose(_connection, offered):
    return next((name for name in offered if name in ("chat", "superchat")), None)


async def main(cert):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    options = {
        "process_request": process_request,
        "select_subprotocol": choose,
        "compression": None,
        "max_size": None,
        "ping_interval": None,
        "close_timeout": 20,
    }
    servers = {"ws": await serve(handle, "127.0.0.1", 0, **options)}
    if cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert)
        servers["wss"] = await serve(handle, "127.0.0.1", 0, ssl=context, **options)
    ports = {name: server.sockets[0].getsockname()[1] for name, server in servers.items()}
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for server in servers.values():
        server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
