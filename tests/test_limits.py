"""More users than a process may have connections: said before the start, or made to fit."""

from __future__ import annotations

from locust import HttpUser, User

import pytest

from protouser import ProtocolClient, ProtocolUser
from protouser._limits import (
    Limits,
    descriptors_of,
    shortage_of_descriptors,
    shortage_of_ports,
)
from protouser.testing import ScriptedServer


class Client(ProtocolClient):
    protocol = "one"


class Connecting(ProtocolUser):
    abstract = True
    client_class = Client
    host = "one://h:1"


class Own(Connecting):
    abstract = True

    def connect(self):
        pass


class Computing(ProtocolUser):
    abstract = True


LIMITS = Limits(open_now=20, soft=256, hard=1024, ports=1000)


@pytest.mark.parametrize(
    ("user_class", "count"), [(Connecting, 1), (Computing, 0), (Own, 0), (HttpUser, 1), (User, 0)]
)
def test_what_a_user_takes(user_class, count):
    assert descriptors_of(user_class) == count


@pytest.mark.parametrize(
    ("classes", "users", "processes", "fits"),
    [
        ([Connecting], 904, 1, True),
        ([Connecting], 905, 1, False),
        ([Connecting], 1808, 2, True),
        ([Connecting], 1810, 2, False),
        ([Connecting, Computing], 1808, 1, True),
        ([Computing], 100_000, 1, True),
    ],
)
def test_users_times_descriptors_against_the_limit_of_a_process(classes, users, processes, fits):
    assert (shortage_of_descriptors(classes, users, processes, LIMITS) is None) is fits


def test_a_shortage_names_the_numbers_and_the_command():
    text = shortage_of_descriptors([Connecting], 2000, 1, LIMITS)
    assert text.startswith("2,000 users in one process need about 2,120 open files, and 1,024 are")
    assert "sudo prlimit --pid $$ --nofile=4096:4096" in text


@pytest.mark.parametrize(("users", "host", "fits"), [(1000, None, True), (1001, None, False)])
def test_connections_to_one_address_against_its_local_ports(users, host, fits):
    text = shortage_of_ports([Connecting], users, host, LIMITS)
    assert (text is None) is fits
    assert fits or "net.ipv4.ip_local_port_range" in text


def test_where_the_system_does_not_say_nothing_is_refused():
    nothing = Limits(open_now=0)
    assert shortage_of_descriptors([Connecting], 10**6, 1, nothing) is None
    assert shortage_of_ports([Connecting], 10**6, None, nothing) is None


LOCUSTFILE = """
import resource
from locust import constant, task
from protouser_socket import TcpUser

resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))

class Echo(TcpUser):
    host = "{url}"
    wait_time = constant(0.2)

    @task
    def echo(self):
        self.client.request(b"hello")
"""


END_WHEN_ALL_ARE_THERE = """
import gevent
from locust import events

connected = []

@events.init.add_listener
def count_connections(environment, **_):
    @environment.events.request.add_listener
    def count(name, **_):
        connected.append(name)
        if connected.count("connect") == 150:
            gevent.spawn(environment.runner.quit)
"""


def test_too_many_users_are_refused_before_the_start(run_locust):
    file = LOCUSTFILE.format(soft=100, hard=256, url="tcp://127.0.0.1:1")
    run = run_locust(file, "-u", "500", "-t", "5s")
    assert run.exit_code == 1
    assert "protouser: 500 users in one process need about 6" in run.stderr
    assert "and 256 are allowed; allow more with: sudo prlimit" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_low_soft_limit_is_raised_while_users_start(run_locust):
    with ScriptedServer("echo") as server:
        file = LOCUSTFILE.format(soft=64, hard=1024, url=server.url) + END_WHEN_ALL_ARE_THERE
        run = run_locust(file, "-u", "150", "-r", "150", "-t", "100s")
    assert run.exit_code == 0
    assert run.row("tcp", "connect")["num_requests"] == 150
    assert run.row("tcp", "connect")["num_failures"] == 0
