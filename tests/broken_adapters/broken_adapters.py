"""A healthy adapter, and many that are broken in one way each; all speak lines over TCP.

Each is registered for the scheme that is its class's name in small letters.
"""

import locust  # noqa: F401  first: it patches the standard library for gevent

import io
import os
import socket

import gevent
from gevent.lock import BoundedSemaphore
from gevent.monkey import get_original

from protouser import (
    ConnectFailed,
    ConnectionLost,
    ProtocolClient,
    ProtocolUser,
    now,
)

kept = []


class Refused(Exception):
    pass


class Healthy(ProtocolClient):
    protocol = "healthy"
    stream = None

    def __init_subclass__(cls):
        cls.protocol = cls.__name__.lower()

    def connect(self):
        self.connection = self.resources.enter_context(self.dial())
        self.stream = self.resources.enter_context(self.connection.makefile("rwb"))

    def dial(self):
        try:
            return socket.create_connection((self.url.host, self.url.port), self.timeout)
        except OSError as error:
            raise ConnectFailed(f"cannot connect to {self.url}: {error}") from error

    def command(self, line, name="command", timeout=None, **options):
        self.get_ready(timeout)
        return self.perform(name, self.exchange, request=line, **options)

    def tell(self, line):
        with self.measure("tell", one_way=True):
            self.send(line)

    def get_ready(self, timeout):
        if self.stream is None or self.stream.closed:
            self.reopen()
        self.connection.settimeout(timeout or self.timeout)

    def exchange(self, call):
        try:
            self.send(call.request)
            return self.receive()
        except BaseException:
            self.close()
            raise

    def send(self, line):
        self.stream.write(line.encode() + b"\n")
        self.stream.flush()

    def receive(self):
        reply = self.stream.readline()
        if not reply:
            raise ConnectionLost(f"{self.url} closed the connection")
        return self.judge(reply)

    def judge(self, reply):
        if reply == b"error\n":
            raise Refused("the server refused")
        return reply


def names():
    """The names of all adapters here."""
    return ["Healthy", *(kind.__name__ for kind in Healthy.__subclasses__())]


class HealthyUser(ProtocolUser):
    abstract = True
    client_class = Healthy


# How it is found and made.


class Outdated(Healthy):
    contract = 99


class ForAnotherScheme(Healthy):
    schemes = ("another",)


class NotRegistered(Healthy):
    pass


class RegisteredTwice(Healthy):
    pass


class Unlabelled(Healthy):
    schemes = ("unlabelled",)


Unlabelled.protocol = ""


class WithConcreteUser(Healthy):
    pass


class ConcreteUser(ProtocolUser):
    client_class = WithConcreteUser


class ConnectsWhenMade(Healthy):
    def __init__(self, url, **options):
        super().__init__(url, **options)
        self.dial().close()


# Connections.


class CountsConnectsItself(Healthy):
    def connect(self):
        with self.measure("connect"):
            super().connect()


class ReportsNoConnect(Healthy):
    def open(self):
        self.connect()
        return self


class SwallowsRefusal(Healthy):
    def connect(self):
        try:
            super().connect()
        except ConnectFailed:
            self.stream = io.BytesIO()


class NamesNobody(Healthy):
    def dial(self):
        try:
            return super().dial()
        except ConnectFailed:
            raise ConnectFailed("the connection was refused") from None


class KeepsRefusedSockets(Healthy):
    def dial(self):
        connection = socket.socket()
        kept.append(connection)
        connection.settimeout(self.timeout)
        try:
            connection.connect((self.url.host, self.url.port))
        except OSError as error:
            raise ConnectFailed(f"cannot connect to {self.url}: {error}") from error
        return kept.pop()


class NeverTimesOut(Healthy):
    def exchange(self, call):
        self.connection.settimeout(None)
        return super().exchange(call)


class IgnoresTheTimeoutOfACall(Healthy):
    def command(self, line, timeout=None, **options):
        return super().command(line, **options)


class ReadsTheEndAsAnAnswer(Healthy):
    def receive(self):
        return self.judge(self.stream.readline())


class WaitsThroughTheEnd(Healthy):
    def receive(self):
        reply = b""
        while not reply:
            gevent.sleep(0.001)
            reply = self.stream.readline()
        return self.judge(reply)


class SharesItsConnection(Healthy):
    shared = None

    def dial(self):
        kind = type(self)
        if kind.shared is None or kind.shared.fileno() < 0:
            kind.shared = super().dial()
        return kind.shared

    def connect(self):
        super().connect()
        self.resources.callback(self.shared.shutdown, socket.SHUT_RDWR)


class LeavesItsSocket(Healthy):
    def connect(self):
        super().connect()
        kept.append(self.resources.pop_all())

    def close(self):
        self.stream = None


class LeavesAGreenlet(Healthy):
    def connect(self):
        super().connect()
        kept.append(gevent.spawn(gevent.sleep, 3600))


class LeavesAThread(Healthy):
    def connect(self):
        super().connect()
        get_original("_thread", "start_new_thread")(get_original("time", "sleep"), (30,))


class StumblesWhileClosing(Healthy):
    def connect(self):
        super().connect()
        self.resources.callback(int, "no number")


class HangsWhileClosing(Healthy):
    close_timeout = 0.05

    def connect(self):
        super().connect()
        self.resources.callback(gevent.sleep, 3600)


class TellsThePassword(Healthy):
    def dial(self):
        try:
            return super().dial()
        except ConnectFailed:
            where = f"{self.url.username}:{self.url.password}@{self.url.host}:{self.url.port}"
            raise ConnectFailed(f"cannot connect to {where}") from None


# Calls.


class NeverReports(Healthy):
    def command(self, line, timeout=None, **options):
        self.get_ready(timeout)
        return self.exchange(self.measure("command", request=line))


class ReportsTwice(Healthy):
    def command(self, line, **options):
        with self.measure("command again"):
            return super().command(line, **options)


class MislabelsCalls(Healthy):
    def exchange(self, call):
        call.type = "tcp"
        return super().exchange(call)


class LooksTooLate(Healthy):
    def command(self, line, **options):
        return super().judge(super().command(line, **options))

    def judge(self, reply):
        return reply


class RaisesAnotherError(Healthy):
    def command(self, line, **options):
        try:
            return super().command(line, **options)
        except (ConnectionLost, Refused) as error:
            raise RuntimeError("it did not work") from error


class SwallowsErrors(Healthy):
    def exchange(self, call):
        try:
            return super().exchange(call)
        except Exception:
            return None


class TellsItsPort(Healthy):
    def dial(self):
        connection = super().dial()
        self.port = connection.getsockname()[1]
        return connection

    def judge(self, reply):
        if reply == b"error\n":
            raise Refused(f"the server refused what came from port {self.port}")
        return reply


class FiresEventsItself(Healthy):
    def command(self, line, timeout=None, **options):
        self.get_ready(timeout)
        began, failure = now(), None
        try:
            return self.exchange(self.measure("command", request=line))
        except Exception as error:
            failure = error
            raise
        finally:
            self.user.environment.events.request.fire(
                request_type=self.protocol,
                name="command",
                response_time=(now() - began) * 1000,
                response_length=0,
                response=None,
                context={},
                exception=failure,
            )


class DropsOptions(Healthy):
    def command(self, line, **options):
        return super().command(line)


class TimesWhatIsOneWay(Healthy):
    def tell(self, line):
        with self.measure("tell"):
            self.send(line)


# Waiting.


class TimesTheSendingOnly(Healthy):
    def command(self, line, name="command", timeout=None, **options):
        self.get_ready(timeout)
        self.perform(name, lambda call: self.send(line), **options)
        try:
            return self.receive()
        except BaseException:
            self.close()
            raise


class CountsThinking(Healthy):
    def exchange(self, call):
        call.start(now() - 60)
        return super().exchange(call)


class Blocks(Healthy):
    def dial(self):
        connection = super().dial()
        blocking = get_original("socket", "socket")(fileno=connection.detach())
        blocking.settimeout(self.timeout)
        return blocking


class StandsStillOnce(Healthy):
    """Not broken: in each test the machine stands still once, while its first answer is late."""

    seen = set()

    def exchange(self, call):
        test = os.environ["PYTEST_CURRENT_TEST"]
        if call.request.startswith("sleep") and test not in self.seen:
            self.seen.add(test)
            gevent.spawn(get_original("time", "sleep"), 1)
        return super().exchange(call)


class HasTenThreads(Healthy):
    threads = BoundedSemaphore(10)

    def exchange(self, call):
        with self.threads:
            return super().exchange(call)


class SurvivesKills(Healthy):
    def exchange(self, call):
        try:
            return super().exchange(call)
        except (gevent.GreenletExit, gevent.Timeout):
            return b""


class TakesLateAnswers(Healthy):
    def exchange(self, call):
        self.send(call.request)
        return self.receive()


class CannotComeBack(Healthy):
    def connect(self):
        if self.stream is not None:
            raise ConnectFailed(f"cannot connect to {self.url} again")
        super().connect()
