"""A key-value server that speaks lines, and says at the end how many commands it answered.

    put KEY VALUE   is answered by "ok"
    get KEY         by the value
    scan            by a line for each key, and an empty one

Run it:

    python examples/asyncio_client/backend.py --port 7103
"""

from __future__ import annotations

import argparse
import asyncio
import signal


async def serve(port: int) -> None:
    store: dict[str, str] = {}
    answered = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        try:
            async for line in reader:
                answered += 1
                writer.write(reply_to(line.decode().split(), store).encode())
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"listening on tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    server.close()
    print(f"answered {answered} commands", flush=True)


def reply_to(words: list[str], store: dict[str, str]) -> str:
    match words:
        case ["put", key, value]:
            store[key] = value
            return "ok\n"
        case ["get", key]:
            return f"{store.get(key, '')}\n"
        case ["scan"]:
            return "".join(f"{key}\n" for key in store) + "\n"
    return "what?\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A key-value server.")
    parser.add_argument("--port", type=int, default=7103, help="0 takes a free one")
    asyncio.run(serve(parser.parse_args().port))
