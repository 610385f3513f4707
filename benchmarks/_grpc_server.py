"""An HTTP/2 server that echoes every gRPC message, with so little work that clients are the limit.

Whatever method is called, each message comes back at once, and the end of the requests is answered
with status OK; so it serves unary calls and streams alike. It reads no headers, and it speaks as
much HTTP/2 (RFC 9113) as gRPC's own clients need. It prints its URL and ends with its input.
"""

import asyncio
import struct
import sys

DATA, HEADERS, RST_STREAM, SETTINGS, PING = 0, 1, 3, 4, 6
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
WINDOW = (1 << 31) - 1


def literal(name, value):
    """A header as HPACK writes it without any table (RFC 7541, 6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def frame(kind, flags, stream, payload=b""):
    """One frame."""
    head = struct.pack(">HBBBL", len(payload) >> 8, len(payload) & 255, kind, flags, stream)
    return head + payload


ANSWER = b"\x88" + literal(b"content-type", b"application/grpc")
TRAILERS = literal(b"grpc-status", b"0")
PREFACE = frame(SETTINGS, 0, 0, struct.pack(">HLHL", 3, 100_000, 4, WINDOW)) + frame(
    8, 0, 0, struct.pack(">L", WINDOW - 65535)
)


class Echo(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport):
        self.transport = transport
        self.rest = b""
        self.skip = 24  # the client's preface
        self.received = 0
        transport.write(PREFACE)

    def data_received(self, data):
        data = self.rest + data
        at, out = self.skip, []
        self.skip = 0
        while len(data) - at >= 9:
            high, low, kind, flags, stream = struct.unpack_from(">HBBBL", data, at)
            end = at + 9 + (high << 8 | low)
            if end > len(data):
                break
            self.answer(kind, flags, stream, data[at + 9 : end], out)
            at = end
        self.rest = data[at:]
        if self.received > 1 << 28:
            out.append(frame(8, 0, 0, struct.pack(">L", self.received)))
            self.received = 0
        if out:
            self.transport.write(b"".join(out))

    def answer(self, kind, flags, stream, payload, out):
        """What a frame is answered with."""
        if kind == HEADERS:
            out.append(frame(HEADERS, END_HEADERS, stream, ANSWER))
        elif kind == DATA:
            self.received += len(payload)
            assert not flags & PADDED
            if payload:
                out.append(frame(DATA, 0, stream, payload))
        elif kind == SETTINGS and not flags & ACK:
            out.append(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            out.append(frame(PING, ACK, 0, payload))
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            out.append(frame(HEADERS, END_HEADERS | END_STREAM, stream, TRAILERS))


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    print(f"grpc://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
