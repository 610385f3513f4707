"""``protouser agent``: the figures of the machine under test, for whoever drives the load.

It answers in the text format of Prometheus, so that any other tool can ask it as well. It listens
on the loopback unless told otherwise, and elsewhere only with a token.
"""

from __future__ import annotations

import argparse
import hmac
import os
import signal
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import gevent
import psutil
from gevent.event import Event

__all__ = ["add_arguments", "run"]

_PORT: Final = 9646
_TOKEN: Final = "PROTOUSER_AGENT_TOKEN"
_LOOPBACK: Final = ("127.", "localhost", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=_PORT, help="0 takes a free one (%(default)s)")
    parser.add_argument(
        "--token",
        default=os.environ.get(_TOKEN, ""),
        help=f"who asks has to know it; better given as {_TOKEN}, where nobody lists it",
    )
    parser.add_argument(
        "--process", metavar="PID|NAME", help="also the figures of one process of this machine"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted or told to end."""
    if not options.host.startswith(_LOOPBACK) and not options.token:
        return _refuse(f"on {options.host} everybody could ask; give it a token in {_TOKEN}")
    try:
        import prometheus_client  # noqa: F401  before anybody asks
    except ModuleNotFoundError:
        return _refuse('it needs prometheus-client; pip install "protouser[monitor]"')
    try:
        process = _find(options.process) if options.process else None
    except LookupError as error:
        return _refuse(str(error))
    try:
        server = ThreadingHTTPServer((options.host, options.port), _handler(options.token, process))
    except OSError as error:
        return _refuse(f"cannot listen on {options.host}:{options.port}: {error.strerror}")
    with server:
        host, port = server.server_address[:2]
        told = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            gevent.signal_handler(number, told.set)
        sys.stdout.write(f"listening on http://{host!s}:{port}/metrics\n")
        sys.stdout.flush()
        _serve_until(told, server)
    return 0


def _serve_until(told: Event, server: ThreadingHTTPServer) -> None:
    serving = gevent.spawn(server.serve_forever, poll_interval=0.1)
    told.wait()
    server.shutdown()
    serving.join()


def _refuse(text: str) -> int:
    sys.stderr.write(f"protouser agent: {text}\n")
    return 2


def _find(wanted: str) -> psutil.Process:
    """The process of a number, or the oldest of a name."""
    try:
        if wanted.isdecimal():
            return psutil.Process(int(wanted))
    except psutil.NoSuchProcess:
        raise LookupError(f"there is no process {wanted}") from None
    found = [each for each in psutil.process_iter(["name"]) if each.info["name"] == wanted]
    if not found:
        raise LookupError(f"there is no process named {wanted!r}")
    return min(found, key=lambda process: process.create_time())


def _handler(token: str, process: psutil.Process | None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers with the figures of the moment."""

        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                self.send_error(401, "a token is needed")
            elif self.path != "/metrics":
                self.send_error(404, "ask for /metrics")
            else:
                self._answer(_text(process))

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Questions come every second; nobody wants to read of each."""

    return Handler


def _text(process: psutil.Process | None) -> bytes:
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Figures(process))
    return generate_latest(registry)


class _Figures:
    """What prometheus-client asks for the figures: a collector."""

    def __init__(self, process: psutil.Process | None) -> None:
        self._process = process

    def describe(self) -> list[Any]:
        """Nothing: that way registering asks for no figures."""
        return []

    def collect(self) -> Iterator[Any]:
        """The families of this moment."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, text, value, counts in (*_machine(), *_of_process(self._process)):
            kind = CounterMetricFamily if counts else GaugeMetricFamily
            yield kind(name, text, value=value)


_Figure = tuple[str, str, float, bool]


def _machine() -> Iterator[_Figure]:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # guest time is part of user time already
    busy = sum(times) - idle - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    yield "machine_cpu_busy_seconds", "Processor time in use, all processors together", busy, True
    yield "machine_cpus", "Processors", float(psutil.cpu_count() or 1), False
    memory = psutil.virtual_memory()
    yield "machine_memory_available_bytes", "Memory that can be had", memory.available, False
    yield "machine_memory_used_ratio", "Share of the memory in use", memory.percent / 100, False
    disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
    if disk is not None:
        yield "machine_disk_read_bytes", "Read from disks", disk.read_bytes, True
        yield "machine_disk_written_bytes", "Written to disks", disk.write_bytes, True
    if network is not None:
        yield "machine_network_received_bytes", "Received", network.bytes_recv, True
        yield "machine_network_sent_bytes", "Sent", network.bytes_sent, True


def _of_process(process: psutil.Process | None) -> Iterator[_Figure]:
    if process is None:
        return
    try:
        with process.oneshot():
            times = process.cpu_times()
            memory, threads = process.memory_info().rss, process.num_threads()
    except psutil.Error:
        return  # it has ended: its figures end too
    yield "process_cpu_seconds", "Processor time of the process", times.user + times.system, True
    yield "process_resident_memory_bytes", "Memory of the process", memory, False
    yield "process_threads", "Threads of the process", threads, False
