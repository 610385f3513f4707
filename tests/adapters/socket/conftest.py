"""What the tests of both clients share, and a UDP server in a process of its own."""

from __future__ import annotations

from locust.env import Environment

import gc
import os
import runpy
from pathlib import Path

import gevent
import pytest
from gevent import get_hub
from greenlet import greenlet

from protouser import attach, now
from protouser.testing import capture
from protouser_socket import UdpClient
from tests.ports import free_port

SOON = 30.0  # only a hang takes longer


def holdings():
    gevent.sleep(0)
    gc.collect()
    greenlets = sum(isinstance(it, greenlet) and not it.dead for it in gc.get_objects())
    return len(os.listdir("/proc/self/fd")), get_hub().loop.activecnt, greenlets


@pytest.fixture
def nothing_held(environment):
    """Afterwards descriptors, watchers and greenlets are no more than before."""
    attach(environment)
    gevent.socket.getaddrinfo("localhost", 1)  # the resolver's threads are kept, and no leftovers
    before = holdings()
    yield
    _until(lambda: all(left <= had for left, had in zip(holdings(), before, strict=True)))


@pytest.fixture(scope="session")
def datagram_server():
    """The class of servers: ``datagram_server(port=0, host="127.0.0.1")``, a context manager."""
    return runpy.run_path(str(Path(__file__).with_name("udp_server.py")))["DatagramServer"]


@pytest.fixture(scope="module")
def udp_server(datagram_server):
    with datagram_server() as server:
        yield server


@pytest.fixture
def environment():
    return Environment()


@pytest.fixture
def reports(environment):
    with capture(environment) as reports:
        yield reports


@pytest.fixture
def udp_client_of(environment, reports):
    """Opens clients, and closes them afterwards."""
    clients = []

    def opened(url, **options):
        options.setdefault("timeout", SOON)
        client = UdpClient(url, session=attach(environment), **options)
        clients.append(client)
        return client.open()

    yield opened
    for client in clients:
        client.close()


@pytest.fixture
def until():
    """Wait, with an end, until a condition holds."""
    return _until


def _until(condition):
    deadline = now() + SOON
    while not condition():
        assert now() < deadline, "the condition never came true"
        gevent.sleep(0.005)


@pytest.fixture
def free_udp_port():
    return free_port()
