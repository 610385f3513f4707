"""A broker that does what a script says; run as a process of its own, standard library alone.

It answers each line on its standard input with a line of JSON: what it has seen so far. It ends
when that is closed. The argument is a script in JSON; see ``SCRIPT`` for what it may hold.
"""

import asyncio
import json
import struct
import sys

SCRIPT = {
    "speaks": [4, 5],  # protocol levels; others get CONNACK 1, as a broker of 3.1.1 says it
    "connack_after": 0.0,  # seconds; None is never
    "connack_code": 0,
    "answers_with": None,  # hex bytes instead of CONNACK
    "closes": False,  # at CONNECT, without a word
    "closes_after_connack": False,
    "receive_maximum": None,
    "maximum_packet_size": None,
    "server_keepalive": None,
    "acks": True,
    "ack_after": 0.0,
    "ack_code": 0,
    "drops_every": None,  # closes the connection at every n-th publish, unanswered
    "ignores_every": None,  # never acknowledges every n-th publish
    "suback": True,
    "pingresp": True,
    "says_goodbye_at": None,  # DISCONNECT with 0x8B instead of the n-th acknowledgement
    "cert_file": None,
}
CONNECT, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE, PING, DISCONNECT = (
    1, 3, 4, 5, 6, 7, 8, 10, 12, 14,
)  # fmt: skip


class Broker:
    def __init__(self, script):
        self.__dict__.update(SCRIPT)
        self.__dict__.update(script)
        self.seen = {
            "accepted": 0,
            "connected": 0,
            "open": 0,
            "publishes": 0,
            "most_in_flight": 0,
            "disconnects": 0,
            "subscribes": [],
            "pings": 0,
        }

    async def serve(self, reader, writer):
        self.seen["accepted"] += 1
        self.seen["open"] += 1
        try:
            await Connection(self, reader, writer).run()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.seen["open"] -= 1
            writer.close()


class Connection:
    def __init__(self, broker, reader, writer):
        self.broker, self.reader, self.writer = broker, reader, writer
        self.seen = broker.seen
        self.version = 4
        self.in_flight = 0

    async def run(self):
        while True:
            (head,) = await self.reader.readexactly(1)
            body = await self.reader.readexactly(await self.length())
            if await self.handle(head >> 4, head & 15, body):
                return

    async def length(self):
        total, shift = 0, 0
        while True:
            (byte,) = await self.reader.readexactly(1)
            total |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return total

    def send(self, head, body=b""):
        length, digits = len(body), b""
        while True:
            length, digit = divmod(length, 128)
            digits += bytes([digit | (128 if length else 0)])
            if not length:
                break
        if not self.writer.is_closing():
            self.writer.write(bytes([head]) + digits + body)

    async def handle(self, kind, flags, body):
        """Do what a packet asks for; true when the connection is to end."""
        if kind == CONNECT:
            return await self.connect(body)
        if kind == PUBLISH:
            return self.publish(flags, body)
        if kind == DISCONNECT:
            self.seen["disconnects"] += 1
            return True
        if kind == PUBREL:
            self.acknowledge(PUBCOMP, body[:2])
        elif kind == SUBSCRIBE:
            self.subscribe(body)
        elif kind == UNSUBSCRIBE:
            self.send(0xB0, body[:2] + (b"\0\0" if self.version == 5 else b""))
        elif kind == PING:
            self.ping()
        return False

    def ping(self):
        self.seen["pings"] += 1
        if self.broker.pingresp:
            self.send(0xD0)

    async def connect(self, body):
        broker = self.broker
        self.version = body[6]
        if broker.closes:
            return True
        if broker.answers_with:
            self.writer.write(bytes.fromhex(broker.answers_with))
            return False
        if broker.connack_after is None:
            return False
        await asyncio.sleep(broker.connack_after)
        if self.version not in broker.speaks:
            self.send(0x20, b"\0\1")
            return True
        code = broker.connack_code
        self.send(
            0x20, bytes([0, code]) + (self.connack_properties() if self.version == 5 else b"")
        )
        self.seen["connected"] += not code
        return bool(code) or broker.closes_after_connack

    def connack_properties(self):
        found = b""
        if self.broker.receive_maximum:
            found += b"\x21" + struct.pack("!H", self.broker.receive_maximum)
        if self.broker.maximum_packet_size:
            found += b"\x27" + struct.pack("!I", self.broker.maximum_packet_size)
        if self.broker.server_keepalive:
            found += b"\x13" + struct.pack("!H", self.broker.server_keepalive)
        return bytes([len(found)]) + found

    def publish(self, flags, body):
        broker, seen, qos = self.broker, self.seen, (flags >> 1) & 3
        (length,) = struct.unpack("!H", body[:2])
        topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
        mid, rest = (rest[:2], rest[2:]) if qos else (b"", rest)
        seen["publishes"] += 1
        if topic == "raw":
            self.writer.write(rest[1 + rest[0] :] if self.version == 5 else rest)
        if topic == "close" or self.is_turn(broker.drops_every):
            return True
        if broker.says_goodbye_at == seen["publishes"]:
            self.send(0xE0, b"\x8b\0")
            return True
        if qos and broker.acks and not self.is_turn(broker.ignores_every):
            return self.take(topic, qos, mid)
        return False

    def is_turn(self, every):
        return every and self.seen["publishes"] % every == 0

    def take(self, topic, qos, mid):
        """Acknowledge a message, unless there are more in flight than were allowed."""
        broker, seen = self.broker, self.seen
        self.in_flight += 1
        seen["most_in_flight"] = max(seen["most_in_flight"], self.in_flight)
        if broker.receive_maximum and self.in_flight > broker.receive_maximum:
            self.send(0xE0, b"\x93\0")
            return True
        delay, code = broker.ack_after, broker.ack_code
        if topic.startswith("sleep/"):
            delay, code = float(topic.split("/")[1]), 0x10
        if topic.startswith("refused"):
            code = 0x87
        self.later(delay, self.acknowledge, PUBACK if qos == 1 else PUBREC, mid, code)
        return False

    def acknowledge(self, kind, mid, code=0):
        if kind != PUBREC or code >= 0x80:
            self.in_flight -= 1
        self.send(kind << 4, mid + (bytes([code, 0]) if code and self.version == 5 else b""))

    def subscribe(self, body):
        mid, rest = body[:2], body[2:]
        if self.version == 5:
            rest = rest[1 + rest[0] :]
        (length,) = struct.unpack("!H", rest[:2])
        pattern, options = rest[2 : 2 + length].decode(), rest[2 + length]
        self.seen["subscribes"].append(pattern)
        if not self.broker.suback:
            return
        code = options & 3
        if pattern.startswith("refused"):
            code = 0x87 if self.version == 5 else 0x80
        delay = float(pattern.split("/")[1]) if pattern.startswith("sleep/") else 0
        self.later(
            delay, self.send, 0x90, mid + (b"\0" if self.version == 5 else b"") + bytes([code])
        )

    def later(self, delay, function, *args):
        if delay:
            asyncio.get_running_loop().call_later(delay, function, *args)
        else:
            function(*args)


async def main(script):
    broker = Broker(script)
    context = None
    if broker.cert_file:
        import ssl

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(broker.cert_file)
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0, ssl=context, backlog=1024)
    say(server.sockets[0].getsockname()[1])
    loop = asyncio.get_running_loop()
    questions = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    while await questions.readline():
        say(broker.seen)


def say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
