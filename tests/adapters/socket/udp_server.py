"""A UDP server for tests, scripted by what it is sent; and ``DatagramServer``, which runs it.

A datagram is answered with itself, except that:

    sleep 0.2   is answered after 0.2 s
    fail        is answered with ``error``
    empty       is answered with an empty datagram
    port        is answered with the port of the sender
    push 0.2    is answered, and followed by ``pushed`` 0.2 s later
    tell 3      is answered by three datagrams, ``0`` to ``2``
    twice       is answered by two
    quiet       is not answered

The process listens on the port that it is given, or a free one, and prints its port, and a number
for every line on its standard input: ``received`` or ``peers`` so far. It ends with its input.
"""

import asyncio
import socket
import subprocess
import sys


class Server:
    def __init__(self, host, port):
        self.received = 0
        self.addresses = set()
        # not asyncio's own transport, which in some versions sends no empty datagram
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # as much as is allowed: bursts of a crowd are not to be lost
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_000_000)
        self.socket.setblocking(False)
        self.socket.bind((host, port))
        self.port = self.socket.getsockname()[1]
        self.answer = self.socket.sendto

    @property
    def peers(self):
        return len(self.addresses)

    def read(self):
        try:
            data, address = self.socket.recvfrom(65_535)
        except OSError:  # nothing there, or an answer was refused
            return
        self.received += 1
        self.addresses.add(address)
        word, _, rest = data.partition(b" ")
        react = getattr(self, f"on_{word.decode()}", None) if word.isalpha() else None
        if react is None:
            self.answer(data, address)
        else:
            react(data, rest, address)

    def later(self, seconds, data, address):
        asyncio.get_running_loop().call_later(float(seconds), self.answer, data, address)

    def on_sleep(self, data, rest, address):
        self.later(rest, data, address)

    def on_push(self, data, rest, address):
        self.answer(data, address)
        self.later(rest, b"pushed", address)

    def on_tell(self, data, rest, address):
        for number in range(int(rest)):
            self.answer(b"%d" % number, address)

    def on_twice(self, data, rest, address):
        self.answer(data, address)
        self.answer(data, address)

    def on_fail(self, data, rest, address):
        self.answer(b"error", address)

    def on_empty(self, data, rest, address):
        self.answer(b"", address)

    def on_port(self, data, rest, address):
        self.answer(b"%d" % address[1], address)

    def on_quiet(self, data, rest, address):
        pass


class DatagramServer:
    """The server in a process of its own, as a context manager."""

    def __init__(self, port=0, host="127.0.0.1"):
        self.port = port
        self.host = host

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, self.host, str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_error):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)

    @property
    def url(self):
        return f"udp://{self.host}:{self.port}"

    def received(self):
        return self._ask("received")

    def peers(self):
        return self._ask("peers")

    def _ask(self, question):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


async def run(host, port):
    server = Server(host, port)
    loop = asyncio.get_running_loop()
    loop.add_reader(server.socket, server.read)
    print(server.port, flush=True)
    questions = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(questions)
    await loop.connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await questions.readline():
        print(getattr(server, line.decode().strip()), flush=True)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
