"""memcached over TCP and over UDP: the text protocol, and requests told apart by their numbers.

Over TCP a reply is one line, or for ``get`` values with blocks of data, up to ``END``. Over UDP
each datagram begins with eight bytes: the number of the request, which comes back in the reply,
then the datagram's own place, how many there are, and two bytes of nothing.

It needs memcached (Debian: memcached). Run it:

    memcached -l 127.0.0.1 -p 7122 -U 7122 -u nobody -m 64
    locust -f examples/memcached/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

import itertools
import struct

from protouser import ProtocolUser, equals
from protouser_socket import framing_function

HEAD = struct.Struct(">HHHH")
VALUE = "grüße".encode()


def find_end(buffer: bytearray) -> int | None:
    """How long the first reply is: a line, or values up to the line ``END``."""
    place = 0
    while (end := buffer.find(b"\r\n", place)) >= 0:
        words = bytes(buffer[place:end]).split()
        place = end + 2
        if not words or words[0] != b"VALUE":
            return place
        place += int(words[3]) + 2  # the block may hold anything, so it is counted, not searched
    return None


class Cache(ProtocolUser):
    host = "tcp://127.0.0.1:7122"
    framing = framing_function(find_end)
    timeout = 2.0
    wait_time = constant(0.05)

    def connect(self) -> None:
        self.stream = self.open(self.host)
        self.datagrams = self.open(self.host.replace("tcp://", "udp://"))

    def on_start(self) -> None:
        self.numbers = itertools.cycle(range(1 << 16))
        self.key = b"user-%d" % id(self)

    @task(3)
    def set_and_get(self) -> None:
        command = b"set %s 0 60 %d\r\n%s\r\n" % (self.key, len(VALUE), VALUE)
        self.stream.request(command, name="set", check=equals(b"STORED\r\n"))
        self.stream.request(
            b"get %s\r\n" % self.key, name="get", check=lambda reply: VALUE in reply
        )

    @task(1)
    def miss(self) -> None:
        self.stream.request(
            b"get nothing\r\n", name="miss", check=lambda reply: reply == b"END\r\n"
        )

    @task(3)
    def get_by_datagram(self) -> None:
        number = next(self.numbers)
        self.datagrams.request(
            HEAD.pack(number, 0, 1, 0) + b"get nothing\r\n",
            correlate=lambda datagram: HEAD.unpack_from(datagram)[0],
            check=lambda reply: reply[HEAD.size :] == b"END\r\n",
            name="miss by datagram",
        )
