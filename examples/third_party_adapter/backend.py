"""A stand-in for Redis with the few commands that the tests need; says how many it answered.

Run it:

    python examples/third_party_adapter/backend.py --port 6379
"""

from __future__ import annotations

import argparse
import asyncio
import signal

OK = b"+OK\r\n"


async def serve(port: int) -> None:
    store: dict[bytes, bytes] = {}
    answered = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        try:
            while words := await read_command(reader):
                answered += 1
                writer.write(await reply_to(words, store))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"listening on redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    server.close()
    print(f"answered {answered} commands", flush=True)


async def read_command(reader: asyncio.StreamReader) -> list[bytes]:
    """The words of the next command; none at the end of the connection."""
    head = await reader.readline()
    words = []
    for _ in range(int(head[1:] or 0)):
        length = int((await reader.readline())[1:])
        words.append((await reader.readexactly(length + 2))[:-2])
    return words


async def reply_to(words: list[bytes], store: dict[bytes, bytes]) -> bytes:
    match [words[0].upper(), *words[1:]]:
        case [b"PING"]:
            return b"+PONG\r\n"
        case [b"AUTH", _, _]:
            return OK
        case [b"SET", key, value]:
            store[key] = value
            return OK
        case [b"GET", key]:
            return bulk(store.get(key))
        case [b"INCR", key]:
            store[key] = b"%d" % (int(store.get(key, 0)) + 1)
            return b":%s\r\n" % store[key]
        case [b"BLPOP", _, seconds]:
            await asyncio.sleep(float(seconds))
            return b"*-1\r\n"
        case [name, *_]:
            return b"-ERR wrong number of arguments for '%s' command\r\n" % name.lower()
    return b"-ERR empty command\r\n"


def bulk(value: bytes | None) -> bytes:
    return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A stand-in for Redis.")
    parser.add_argument("--port", type=int, default=6379, help="0 takes a free one")
    asyncio.run(serve(parser.parse_args().port))
