"""A web page and, on a port of its own, a line echo; says at the end how much it answered.

Run it:

    python examples/hybrid/backend.py --port 7104 --echo-port 7105
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"hello\n")
        count("pages")

    def log_message(self, *_args: Any) -> None:
        """Keep quiet; a load test would fill the terminal."""


class Echo(StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            for line in self.rfile:
                self.wfile.write(line)
                count("lines")
        except ConnectionError:
            pass


class EchoServer(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


answered = {"pages": 0, "lines": 0}
counting = threading.Lock()


def count(what: str) -> None:
    with counting:
        answered[what] += 1


def serve(port: int, echo_port: int) -> None:
    with (
        ThreadingHTTPServer(("127.0.0.1", port), Page) as pages,
        EchoServer(("127.0.0.1", echo_port), Echo) as echo,
    ):
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        addresses = f"http://127.0.0.1:{pages.server_port} tcp://127.0.0.1:{echo.server_address[1]}"
        try:
            print(f"listening on {addresses}", flush=True)
            pages.serve_forever()
        except (KeyboardInterrupt, SystemExit):
            echo.shutdown()
    print("answered {pages} pages and {lines} lines".format(**answered), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A web page and a line echo.")
    parser.add_argument("--port", type=int, default=7104, help="of the page; 0 takes a free one")
    parser.add_argument("--echo-port", type=int, default=7105, help="0 takes a free one")
    options = parser.parse_args()
    serve(options.port, options.echo_port)
