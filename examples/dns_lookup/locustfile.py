"""DNS over UDP: many questions at once from one socket, told apart by their ids.

A DNS message begins with an id of two bytes, and the answer brings it back. So a user may ask for
several names at a time; each has its own latency, and an answer that comes too late is nobody's.

It needs dnsmasq (Debian: dnsmasq-base). Run it:

    dnsmasq --no-daemon --conf-file=/dev/null --no-hosts --no-resolv --user=nobody --bind-interfaces --listen-address=127.0.0.1 --port=7123 --host-record=shop.test,192.0.2.1 --host-record=till.test,192.0.2.2
    locust -f examples/dns_lookup/locustfile.py --headless -u 3 -r 3 -t 10s
"""  # noqa: E501  a command is one line

from __future__ import annotations

from locust import constant, task

import itertools
import socket
import struct

import gevent

from protouser_socket import UdpUser

HEAD = struct.Struct(">6H")
RECURSION_DESIRED = 0x0100
TYPE_A, CLASS_IN = 1, 1
NO_SUCH_NAME, REFUSED = 3, 5
ADDRESSES = {"shop.test": "192.0.2.1", "till.test": "192.0.2.2"}


def question(number: int, name: str) -> bytes:
    """The question for the IPv4 address of ``name`` (RFC 1035, section 4)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    head = HEAD.pack(number, RECURSION_DESIRED, 1, 0, 0, 0)
    return head + labels + b"\0" + struct.pack(">HH", TYPE_A, CLASS_IN)


def address_in(answer: bytes) -> str:
    """The address of an answer with one record, whose data are its last four bytes."""
    count = HEAD.unpack_from(answer)[3]
    assert count == 1, f"{count} records, code {code_of(answer)}"
    return socket.inet_ntoa(answer[-4:])


def id_of(message: bytes) -> bytes:
    """The same in a question and in its answer."""
    return message[:2]


def code_of(answer: bytes) -> int:
    """0 where all is well."""
    return HEAD.unpack_from(answer)[1] & 0x000F


class Resolver(UdpUser):
    host = "udp://127.0.0.1:7123"
    timeout = 2.0
    wait_time = constant(0.05)

    def on_start(self) -> None:
        self.ids = itertools.cycle(range(1 << 16))

    def ask(self, name: str, row: str, check) -> None:
        asked = question(next(self.ids), name)
        self.client.request(asked, name=row, correlate=id_of, check=check)

    @task(3)
    def two_at_once(self) -> None:
        asked = [
            self.spawn(self.ask, name, "A", lambda answer, ip=ip: address_in(answer) == ip)
            for name, ip in ADDRESSES.items()
        ]
        gevent.joinall(asked)

    @task(1)
    def unknown(self) -> None:
        self.ask("no.test", "A unknown", lambda answer: code_of(answer) in (NO_SUCH_NAME, REFUSED))
