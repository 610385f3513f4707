"""The fastest echo that `websockets` has: nothing between its protocol and the socket."""

import asyncio

from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.protocol = transport, ServerProtocol(max_size=None)

    def connection_lost(self, error):
        del error

    def data_received(self, data):
        protocol = self.protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if hasattr(event, "path"):
                protocol.send_response(protocol.accept(event))
            elif event.opcode is Opcode.TEXT and protocol.state is State.OPEN:
                protocol.send_text(event.data)
        for piece in protocol.data_to_send():
            if piece:
                self.transport.write(piece)
            else:
                self.transport.close()


async def serve():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
