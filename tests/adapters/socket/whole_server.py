"""A server that answers when it has read all: the length of what came, its agreed ALPN, and it.

``python whole_server.py [certificate]`` prints its port. What begins with "slowly" is answered in
two pieces, 1 s apart.
"""

import socket
import ssl
import sys
import threading
import time


def serve(connection):
    with connection:
        received = bytearray()
        while data := connection.recv(65_536):
            received += data
        alpn = connection.selected_alpn_protocol() if hasattr(connection, "context") else None
        connection.sendall(f"{len(received)} {alpn} ".encode())
        if received.startswith(b"slowly"):
            time.sleep(1)
        connection.sendall(received)
        if hasattr(connection, "context"):
            connection.unwrap()


def main(certificate=None):
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.set_alpn_protocols(["echo/2", "echo/1"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            threading.Thread(target=serve, args=[connection], daemon=True).start()


main(*sys.argv[1:])
