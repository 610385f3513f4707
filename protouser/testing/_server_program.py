"""The program of a ``ScriptedServer``'s process.

It needs the standard library alone, so it starts quickly and cannot share a bug with the client. It
listens on a free port of the loopback, answers questions on its standard input with one number a
line, and ends when that is closed, which is also when its parent dies.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from typing import Any, ClassVar

__all__ = ["BEHAVIOURS"]

BEHAVIOURS = ("echo", "slow", "late", "silent", "unread", "close", "garbage", "half")

_GARBAGE = b"\xff\xfe\xfd\xfc" * 1024
_GREATEST_MESSAGE = 64 * 1024 * 1024
#: Seconds, or messages; a slip of the tester's must not keep the server busy for ever.
_GREATEST_NUMBER = 1_000_000
#: Words that are commands only with a number after them; alone they are messages like any other.
_NUMBERED: dict[bytes, Callable[[bytes], float]] = {b"sleep": float, b"push": float, b"tell": int}


class Server:
    """The process's side: accepts, counts, and runs the script for each connection."""

    def __init__(self, script: dict[str, Any]) -> None:
        self.script = script
        self.counts = {"received": 0, "connections": 0, "accepted": 0}

    async def run(self) -> None:
        server = await self._listen()
        address = server.sockets[0].getsockname()
        self._say(address[1] if isinstance(address, tuple) else 0)
        await self._answer_questions()

    async def _listen(self) -> asyncio.Server:
        context = None
        if self.script["cert_file"]:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.script["cert_file"], self.script["key_file"])
        if self.script["path"]:
            return await asyncio.start_unix_server(
                self._serve, self.script["path"], limit=_GREATEST_MESSAGE
            )
        return await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=context, limit=_GREATEST_MESSAGE, backlog=1024
        )

    async def _answer_questions(self) -> None:
        questions = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(questions)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while line := await questions.readline():
            self._say(self.counts[line.decode().strip()])

    def _say(self, number: int) -> None:
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts["accepted"] += 1
        self.counts["connections"] += 1
        try:
            await Conversation(self, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self.counts["connections"] -= 1
            writer.close()


class Conversation:
    """One connection and its script."""

    def __init__(
        self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server = server
        self.script = server.script
        self.prefix: int = server.script["prefix"]
        self.reader = reader
        self.writer = writer
        self.first = True

    async def run(self) -> None:
        behaviour = self.script["behaviour"]
        if behaviour == "close":
            return
        if behaviour == "unread":
            self.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(3600)
        while not self.reader.at_eof():
            message = await self._read()
            if message is None:
                return
            self.server.counts["received"] += 1
            if not await self._react(behaviour, message):
                return

    async def _read(self) -> bytes | None:
        """The next whole message; None at the end, also in the middle of one."""
        if self.prefix:
            length = int.from_bytes(await self.reader.readexactly(self.prefix), "big")
            return await self.reader.readexactly(length)
        line = await self.reader.readline()
        return line[:-1] if line.endswith(b"\n") else None

    async def _react(self, behaviour: str, message: bytes) -> bool:
        """Answer one message; False when the connection is to be closed."""
        if behaviour == "silent":
            return True
        if behaviour in ("half", "garbage"):
            return await self._command(behaviour.encode(), [], message)
        if behaviour == "slow" or (behaviour == "late" and self.first):
            await asyncio.sleep(self.script["delay"])
        self.first = False
        word, *words = message.split(b" ")
        return await self._command(word, words, message)

    async def _command(self, word: bytes, words: list[bytes], message: bytes) -> bool:
        command = self._COMMANDS.get(word)
        if command is None or (word in _NUMBERED and not _is_number(word, words)):
            self.writer.write(self._framed(message))
            await self.writer.drain()
            return True
        return bool(await command(self, words))

    async def _sleep(self, words: list[bytes]) -> bool:
        await asyncio.sleep(float(words[0]))
        self.writer.write(self._framed(b"sleep " + words[0]))
        return True

    async def _push(self, words: list[bytes]) -> bool:
        self.writer.write(self._framed(b"push " + words[0]))
        loop = asyncio.get_running_loop()
        loop.call_later(float(words[0]), self.writer.write, self._framed(b"pushed"))
        return True

    async def _tell(self, words: list[bytes]) -> bool:
        for number in range(int(words[0])):
            self.writer.write(self._framed(b"%d" % number))
        await self.writer.drain()
        return True

    async def _fail(self, words: list[bytes]) -> bool:
        self.writer.write(self._framed(b"error"))
        return True

    async def _quiet(self, words: list[bytes]) -> bool:
        return True

    async def _close(self, words: list[bytes]) -> bool:
        return False

    async def _half(self, words: list[bytes]) -> bool:
        self.writer.write(self._framed(b"half a message")[:-3])
        return False

    async def _garbage(self, words: list[bytes]) -> bool:
        self.writer.write(_GARBAGE)
        return True

    async def _drop(self, words: list[bytes]) -> bool:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        return False

    def _framed(self, message: bytes) -> bytes:
        if self.prefix:
            return len(message).to_bytes(self.prefix, "big") + message
        return message + b"\n"

    _COMMANDS: ClassVar[dict[bytes, Callable[[Conversation, list[bytes]], Any]]] = {
        b"sleep": _sleep,
        b"push": _push,
        b"tell": _tell,
        b"fail": _fail,
        b"quiet": _quiet,
        b"close": _close,
        b"half": _half,
        b"garbage": _garbage,
        b"drop": _drop,
    }


def _is_number(word: bytes, words: list[bytes]) -> bool:
    """True when a word is followed by the number that it needs."""
    try:
        return bool(words) and 0 <= _NUMBERED[word](words[0]) <= _GREATEST_NUMBER
    except ValueError:
        return False


if __name__ == "__main__":
    asyncio.run(Server(json.loads(sys.argv[1])).run())
