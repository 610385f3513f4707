"""Redis for protouser: each command over one connection is a measured call."""

from __future__ import annotations

import socket
from typing import Any

from protouser import (
    Call,
    CallTimeout,
    ConnectFailed,
    ConnectionLost,
    MalformedMessage,
    ProtocolClient,
    ProtocolUser,
    Request,
)

__all__ = ["RedisClient", "RedisError", "RedisUser"]

Word = str | bytes | int | float


class RedisError(Exception):
    """The server refused a command."""


class RedisClient(ProtocolClient):
    """A connection to ``redis://[user:password@]host[:port]``, for one command at a time.

    A connection that a call was cut short on is closed, because the reply would be taken for that
    of the next command; the next command connects anew.
    """

    protocol = "redis"
    default_port = 6379
    contract = 1

    def connect(self) -> None:
        address = (self.url.host, self.url.port)
        try:
            self._socket = socket.create_connection(address, self.timeout)
        except OSError as error:
            reason = error.strerror or error
            raise ConnectFailed(f"cannot connect to {self.url}: {reason}") from error
        self.resources.callback(self._socket.close)
        self._replies = self.resources.enter_context(self._socket.makefile("rb"))
        if self.url.password is not None:
            self._exchange(
                ("AUTH", self.url.username or "default", self.url.password), self.timeout
            )

    def command(
        self, *words: Word, name: str | None = None, timeout: float | None = None, **options: Any
    ) -> Any:
        """Send a command and return its reply; ``options`` are those of ``perform``.

        The row is the first word, or ``name``.

        Raises:
            RedisError: the server refused it.
            CallTimeout: no reply within ``timeout`` seconds (the client's where None).
            ConnectionLost: the connection ended first.
        """
        if self._socket.fileno() < 0:
            self.reopen()
        row = name or str(words[0]).upper()
        request = Request(words, self.timeout if timeout is None else timeout)
        return self.perform(row, self._command, request=request, **options)

    def _command(self, call: Call) -> Any:
        return self._exchange(call.request.payload, call.request.timeout)

    def _exchange(self, words: tuple[Word, ...], seconds: float | None) -> Any:
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(_encode(words))
            reply = self._read_reply()
        except TimeoutError as error:
            self.close()
            raise CallTimeout(f"no reply within {seconds} s") from error
        except BaseException:
            self.close()
            raise
        if isinstance(reply, RedisError):
            raise reply
        return reply

    def _read_reply(self) -> Any:
        line = self._read(self._replies.readline())
        kind, text = line[:1], line[1:-2]
        if kind == b"+":
            return text
        if kind == b"-":
            return RedisError(text.decode())
        if kind == b":":
            return int(text)
        if text == b"-1":
            return None
        if kind == b"$":
            return self._read(self._replies.read(int(text) + 2))[:-2]
        if kind == b"*":
            return [self._read_reply() for _ in range(int(text))]
        raise MalformedMessage(f"a reply begins with {kind!r}; is {self.url} a Redis server?")

    def _read(self, data: bytes) -> bytes:
        if not data.endswith(b"\r\n"):
            raise ConnectionLost(f"{self.url} closed the connection")
        return data


class RedisUser(ProtocolUser):
    """A user of a Redis server; ``client`` is the ``RedisClient`` of ``host``."""

    abstract = True
    client_class = RedisClient
    client: RedisClient


def _encode(words: tuple[Word, ...]) -> bytes:
    items = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(items) + b"".join(b"$%d\r\n%s\r\n" % (len(i), i) for i in items)
