"""A door that each account may pass once: it reads the same file, and counts whom it let in.

Run it:

    python examples/csv_accounts/backend.py --port 7115
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import signal
from pathlib import Path

with Path(__file__).with_name("accounts.csv").open(newline="") as file:
    PASSWORDS = {row["user"]: row["password"] for row in csv.DictReader(file)}


async def serve(port: int) -> None:
    inside: set[str] = set()
    refused = 0

    async def login(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal refused
        try:
            async for request in reader:
                user, _, password = request.decode().rstrip("\n").partition(" ")
                if user not in inside and PASSWORDS.get(user) == password:
                    inside.add(user)
                    writer.write(b"welcome\n")
                else:
                    refused += 1
                    writer.write(b"refused\n")
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(login, "127.0.0.1", port)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"listening on tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    server.close()
    print(f"let in {len(inside)} accounts, turned away {refused} logins", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A door that each account may pass once.")
    parser.add_argument("--port", type=int, default=7115, help="0 takes a free one")
    asyncio.run(serve(parser.parse_args().port))
