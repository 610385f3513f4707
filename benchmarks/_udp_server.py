"""A UDP echo server for the benchmark; prints its URL, ends by a signal."""

import socket

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_000_000)
    server.bind(("127.0.0.1", 0))
    print(f"udp://127.0.0.1:{server.getsockname()[1]}", flush=True)
    while True:
        server.sendto(*server.recvfrom(65_535))
