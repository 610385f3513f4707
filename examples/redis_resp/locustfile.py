"""Redis by its own protocol, RESP 2: a codec of the tester's around a TCP client, and no library.

``find_end`` says where a reply ends, which is all that a stream needs; ``decode`` makes Python
objects of it. An error of the server is a value like others here: a check fails the call.

It needs Redis (Debian: redis-server). Run it:

    redis-server --bind 127.0.0.1 --port 7121 --save "" --appendonly no
    locust -f examples/redis_resp/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

from typing import Any
from uuid import uuid4

from protouser import MalformedMessage
from protouser_socket import TcpUser, codec, framing_function

END = b"\r\n"


class RedisError(str):
    """What the server says where it refuses a command."""


def encode(words: tuple[str | bytes | int, ...]) -> bytes:
    """A command: an array of strings."""
    items = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(items) + b"".join(b"$%d\r\n%s\r\n" % (len(i), i) for i in items)


def find_end(buffer: bytes | bytearray, start: int = 0) -> int | None:
    """Where the reply at ``start`` ends; None while that is not known."""
    line_end = buffer.find(END, start)
    if line_end < 0:
        return None
    kind, end = buffer[start : start + 1], line_end + len(END)
    if kind not in b"+-:$*":
        raise MalformedMessage(f"a reply begins with {bytes(kind)!r}; is it a Redis server?")
    if kind in b"+-:":
        return end
    length = int(buffer[start + 1 : line_end])
    if kind == b"$":
        return end if length < 0 else end + length + len(END)
    for _ in range(length):
        if end >= len(buffer) or (item_end := find_end(buffer, end)) is None:
            return None
        end = item_end
    return end


def decode(reply: bytes) -> Any:
    """A whole reply as bytes, int, None, list or ``RedisError``."""
    value, _ = _decode(reply, 0)
    return value


def _decode(reply: bytes, start: int) -> tuple[Any, int]:
    line_end = reply.index(END, start)
    kind, text, end = reply[start : start + 1], reply[start + 1 : line_end], line_end + len(END)
    if kind == b"+":
        return text, end
    if kind == b"-":
        return RedisError(text.decode()), end
    number = int(text)
    if kind == b":":
        return number, end
    if number < 0:
        return None, end
    if kind == b"$":
        return reply[end : end + number], end + number + len(END)
    items = []
    for _ in range(number):
        item, end = _decode(reply, end)
        items.append(item)
    return items, end


class Shopper(TcpUser):
    host = "tcp://127.0.0.1:7121"
    framing = codec(framing_function(find_end), encode=encode, decode=decode)
    timeout = 2.0
    wait_time = constant(0.05)

    def command(self, *words: str | bytes | int, check: Any = None) -> Any:
        """A command and its reply; the row is the command's name."""
        return self.client.request(words, name=str(words[0]), check=check or is_no_error)

    def on_start(self) -> None:
        self.cart = f"cart:{uuid4()}"  # others would put things into one that is everybody's
        self.command("SET", self.cart, b"empty")

    @task(4)
    def look(self) -> None:
        self.command("SET", self.cart, b"two\r\nlines")
        self.command("GET", self.cart, check=lambda value: value == b"two\r\nlines")
        self.command("INCR", "visits", check=lambda number: number > 0)

    @task(2)
    def search(self) -> None:
        self.command("MGET", self.cart, "nothing", check=lambda values: values[1] is None)

    @task(1)
    def err(self) -> None:
        self.command("LPUSH", self.cart, "x", check=lambda reply: "WRONGTYPE" in str(reply))


def is_no_error(reply: Any) -> bool:
    """The check of every command that has none of its own."""
    assert not isinstance(reply, RedisError), reply
    return True
