"""Answers every line after a delay from a known distribution, and logs how long it really took.

``delaying_server.py KIND`` prints its port; when its standard input is closed it writes the
nanoseconds from reading each line to writing its answer, as JSON, and ends.
"""

import json
import random
import selectors
import socket
import sys
import threading
import time

KINDS = {
    "none": lambda: 0.0,
    "constant": lambda: 0.005,
    "bimodal": lambda: 0.002 if random.random() < 0.9 else 0.1,
    "long tail": lambda: min(0.001 * random.paretovariate(1.5), 0.5),
}


def serve(connection, delay, took):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := connection.recv(1000):
        began = time.perf_counter_ns()
        time.sleep(delay())
        connection.sendall(data)
        took.append(time.perf_counter_ns() - began)


def main(kind):
    took = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    print(listener.getsockname()[1], flush=True)

    def accept():
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while True:
                selector.select()
                connection, _ = listener.accept()
                threading.Thread(
                    target=serve, args=(connection, KINDS[kind], took), daemon=True
                ).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
