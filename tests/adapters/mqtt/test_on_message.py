"""Methods marked with ``@on_message``: called beside the tasks, in order, and counted."""

from __future__ import annotations

from locust import constant, task
from locust.env import Environment
from locust.exception import StopUser

import gevent
import pytest

from protouser import ConfigurationError, after_call, before_call, now
from protouser.testing import load
from protouser_mqtt import MqttClient, MqttUser, on_message

from .conftest import SOON, until


def publisher(url):
    return MqttClient(url, timeout=SOON).open()


def person(url, **body):
    """A class of users who only listen, unless the body says more."""

    @task
    def idle(self):
        gevent.sleep(0.05)

    body = {"host": url, "wait_time": constant(0), "timeout": SOON, "idle": idle, **body}
    return type("Person", (MqttUser,), body)


def run_while(user_class, work, users=1, seconds=SOON):
    """Run users until ``work()`` returns; the results."""
    running = gevent.spawn(load, user_class, users=users, seconds=seconds)
    try:
        work()
    finally:
        user_class.over = True
        results = running.get(timeout=SOON * 2)
    return results


@task
def until_over(self):
    gevent.sleep(0.02)
    if getattr(type(self), "over", False):
        raise StopUser


def test_commands_are_obeyed_between_and_during_tasks(mosquitto):
    """The example of the design: a command comes, its answer is published."""
    ready, acks = [], []

    def obey(self, message):
        self.client.publish(f"open/ack/{id(self)}", message.payload, name="ack/{id}")

    User = person(
        mosquitto.url,
        on_start=lambda self: ready.append(self),
        obey=on_message("open/cmd/+")(obey),
        idle=until_over,
    )

    def command():
        until(lambda: len(ready) == 3, "the users")
        with publisher(mosquitto.url) as client:
            client.subscribe("open/ack/+")
            for number in range(5):
                client.publish("open/cmd/x", str(number), 1)
            acks.extend(client.receive() for _ in range(15))

    results = run_while(User, command, users=3)
    by_user = {}
    for message in acks:
        by_user.setdefault(message.topic, []).append(int(message.payload))
    assert list(by_user.values()) == [[0, 1, 2, 3, 4]] * 3, "in order, once, for each user"
    assert results["mqtt", "message open/cmd/+"].one_way == 15
    assert results["mqtt", "ack/{id}"].one_way == 15
    assert results["mqtt", "subscribe open/cmd/+"].successes == 3
    assert results.errors == []
    times = {r.response_time for r in results.reports if r.name == "message open/cmd/+"}
    assert times == {None}


def test_a_method_that_blocks_holds_up_no_other(mosquitto):
    got, ready = [], []

    def slow(self, message):
        gevent.sleep(30)

    def quick(self, message):
        got.append((message.payload, now() - message.at))

    User = person(
        mosquitto.url,
        on_start=lambda self: ready.append(self),
        slow=on_message("open/slow")(slow),
        quick=on_message("open/quick")(quick),
        idle=until_over,
    )

    def talk():
        until(lambda: ready, "the user")
        with publisher(mosquitto.url) as client:
            client.publish("open/slow", b"x", 1)
            for _ in range(3):
                client.publish("open/quick", b"y", 1)
            until(lambda: len(got) == 3, "the messages")

    results = run_while(User, talk)
    assert results["mqtt", "message open/slow"].one_way == 1
    assert results.errors == []


def test_what_a_method_raises_is_reported_and_the_next_message_is_handled(mosquitto):
    got, ready = [], []

    def fragile(self, message):
        got.append(message.payload)
        if message.payload == b"bad":
            raise RuntimeError("no such command")

    User = person(
        mosquitto.url,
        on_start=lambda self: ready.append(self),
        fragile=on_message("open/fragile")(fragile),
        idle=until_over,
    )

    def talk():
        until(lambda: ready, "the user")
        with publisher(mosquitto.url) as client:
            for payload in (b"good", b"bad", b"bad", b"good"):
                client.publish("open/fragile", payload, 1)
            until(lambda: len(got) == 4, "the messages")

    results = run_while(User, talk)
    assert got == [b"good", b"bad", b"bad", b"good"]
    assert [str(error) for error in results.errors] == ["no such command"] * 2
    assert results["mqtt", "message open/fragile"].one_way == 4


def test_a_deadline_that_leaves_a_method_ends_nothing_but_that_message(mosquitto, capsys):
    got, ready = [], []

    def hurried(self, message):
        got.append(message.payload)
        if message.payload == b"slow":
            with gevent.Timeout(0.01):
                gevent.sleep(SOON)

    User = person(
        mosquitto.url,
        on_start=lambda self: ready.append(self),
        hurried=on_message("open/hurried")(hurried),
        idle=until_over,
    )

    def talk():
        until(lambda: ready, "the user")
        with publisher(mosquitto.url) as client:
            for payload in (b"slow", b"slow", b"good"):
                client.publish("open/hurried", payload, 1)
                gevent.sleep(0.03)
            until(lambda: len(got) == 3, "the messages")

    run_while(User, talk)
    assert got == [b"slow", b"slow", b"good"]


def test_a_user_who_only_listens_comes_back_by_himself(own_mosquitto):
    got, ready = [], []

    def listen(self, message):
        got.append(self)

    User = person(
        own_mosquitto.url,
        on_start=lambda self: ready.append(self),
        listen=on_message("open/news")(listen),
        idle=until_over,
        connect_backoff=0.1,
    )

    def restart():
        until(lambda: len(ready) == 4, "the users")
        own_mosquitto.stop()
        gevent.sleep(0.5)
        own_mosquitto.start()
        with publisher(own_mosquitto.url) as client:

            def heard():
                client.publish("open/news", b"back", 1)
                gevent.sleep(0.1)
                return len(set(got)) == 4

            until(heard, "the news")
            until(lambda: own_mosquitto.connections() == 5, "all five")

    results = run_while(User, restart, users=4, seconds=3 * SOON)
    connects = results["mqtt", "connect"]
    assert connects.successes == 8
    assert connects.failures <= 40, "they do not spin"
    assert connects.counter("connections lost") == connects.counter("reconnects") == 4
    assert results["mqtt", "subscribe open/news"].successes == 8
    assert results.errors == []


def test_a_listener_who_closes_while_he_is_to_come_back_stays_away(scripted):
    broker = scripted()
    User = person(
        broker.url,
        connect_backoff=0.2,
        listen=on_message("open/all")(lambda *_: None),
        idle=until_over,
    )
    user = User(Environment())
    client = user.open(broker.url)
    broker.process.kill()
    until(lambda: client._backoff.failed, "an attempt that fails")
    client.close()
    returning = client._returning
    returning.join(SOON)
    assert returning.ready()
    assert not client._wanted
    user._close()


def test_messages_that_no_method_takes_are_received(mosquitto):
    got, received = [], []

    @task
    def talk(self):
        self.client.subscribe("open/mix/#")
        self.client.publish("open/mix/handled", b"1", 1)
        self.client.publish("open/mix/other", b"2", 1)
        received.append(self.client.receive().topic)
        until(lambda: got, "the message")
        raise StopUser

    def take(self, message):
        got.append(message.topic)

    User = person(mosquitto.url, take=on_message("open/mix/handled")(take), idle=talk)
    results = load(User, users=1, seconds=SOON)
    assert (set(got), received) == ({"open/mix/handled"}, ["open/mix/other"])
    assert results.errors == []


def test_hooks_apply_to_messages(mosquitto):
    got, ready, vetoed = [], [], []

    def take(self, message):
        got.append(message.payload)

    def veto(self, call):
        if call.request is None:
            vetoed.append(call.name)
            call.skip("not today")

    User = person(
        mosquitto.url,
        on_start=lambda self: ready.append(self),
        take=on_message("open/vetoed")(take),
        veto=before_call("message *")(veto),
        idle=until_over,
    )

    def talk():
        until(lambda: ready, "the user")
        with publisher(mosquitto.url) as client:
            client.publish("open/vetoed", b"x", 1)
            until(lambda: vetoed, "the message")

    results = run_while(User, talk)
    assert got == []
    assert results["mqtt", "message open/vetoed"].skipped == 1


def test_messages_beyond_the_limit_are_dropped_and_counted(scripted, monkeypatch):
    monkeypatch.setattr("protouser._message_handlers._MOST_WAITING", 3)
    packet = bytes.fromhex("3004 0001 61 41") * 9 + bytes.fromhex("3004 0001 62 41") * 5

    def slow(self, message):
        gevent.sleep(30)

    @task
    def talk(self):
        self.client.publish("raw", packet)
        self.client.publish("t/1", b"x", 1)
        raise StopUser

    User = person(scripted().url, slow=on_message("a")(slow), idle=talk, buffer=2)
    results = load(User, users=1, seconds=SOON)
    # one is being handled, three wait
    assert results["mqtt", "message a"].counter("dropped") in (5, 6)
    assert results["mqtt", "receive"].counter("dropped") == 3


def test_a_filter_that_is_none_ends_the_user_with_the_reason(scripted, caplog):
    text = "'a/#/b' is no topic filter: '#' has to come last"
    User = person(scripted().url, take=on_message("a/#/b")(lambda self, message: None))
    load(User, users=1, seconds=SOON, until=lambda: text in caplog.text)
    assert text in caplog.text


def test_a_subscription_that_is_refused_fails_the_attempt_to_connect(scripted):
    broker = scripted()
    User = person(broker.url, take=on_message("refused/x")(lambda self, message: None))
    results = load(User, users=2, seconds=SOON)
    assert results["mqtt", "connect"].successes == 2
    assert results["mqtt", "subscribe refused/x"].failures == 2
    assert results["mqtt", "connect"].failures == 0
    until(lambda: broker.seen("open") == 0, "the end of the connections")


class Base(MqttUser):
    abstract = True

    @on_message("a")
    @on_message("b")
    def first(self, message):
        pass

    @on_message("c")
    def second(self, message):
        pass


class Derived(Base):
    host = "mqtt://localhost"

    @on_message("d")
    def second(self, message):
        pass


class Deaf(Derived):
    first = None

    @before_call("publish *")
    def before(self, call):
        pass

    @after_call
    def after(self, call):
        pass


def handlers(user_class):
    user = user_class(Environment())
    found = user._session.hooks_of(user_class).listeners("message", user, "mqtt")
    assert all(method.__self__ is user for _, method in found)
    return [(pattern, method.__name__) for pattern, method in found]


def test_marks_are_inherited_overridden_and_combined():
    assert handlers(Derived) == [("a", "first"), ("b", "first"), ("d", "second")]
    assert handlers(Deaf) == [("d", "second")]
    assert not MqttClient("mqtt://localhost")._handlers


def test_a_class_with_messages_only_pays_for_no_hooks():
    assert Derived(Environment())._hooks is None
    assert Deaf(Environment())._hooks is not None


def test_a_mark_with_a_pattern_of_another_kind_is_refused():
    with pytest.raises(ConfigurationError, match=r'a topic filter, as in @on_message\("cmd/\+"\)'):
        on_message(7)


def test_two_clients_of_one_broker_handle_each_message_once(mosquitto, own_mosquitto):
    got, ready = [], []

    def open_three(self):
        self.client, self.second = self.open(mosquitto.url), self.open(mosquitto.url)
        self.elsewhere = self.open(own_mosquitto.url)
        self.second.subscribe("open/twice/#")
        ready.append(self)

    User = person(
        mosquitto.url,
        connect=open_three,
        take=on_message("open/twice/+")(lambda self, message: got.append(message.payload)),
        idle=until_over,
    )

    def talk():
        (user,) = until(lambda: ready, "the user")
        with publisher(mosquitto.url) as here, publisher(own_mosquitto.url) as there:
            here.publish("open/twice/a", b"here", 1)
            there.publish("open/twice/a", b"there", 1)
            assert user.second.receive().payload == b"here", "subscribed to by a call of its own"
            until(lambda: len(got) == 2, "both")
            user.client.close()
            user.third = user.open(mosquitto.url)
            here.publish("open/twice/a", b"again", 1)
            until(lambda: len(got) == 3, "what comes after the first was closed")
            assert user.second.receive().payload == b"again"

    results = run_while(User, talk)
    assert sorted(got) == [b"again", b"here", b"there"]
    assert results["mqtt", "message open/twice/+"].one_way == 3
    assert results["mqtt", "subscribe open/twice/+"].successes == 3


def test_messages_that_no_function_got_to_before_the_end_are_counted(scripted):
    packet = bytes.fromhex("3004 0001 61 41") * 9 + bytes.fromhex("3004 0001 62 41") * 5

    def slow(self, message):
        gevent.sleep(30)

    @task
    def talk(self):
        self.client.publish("raw", packet)
        until(lambda: len(self.client.inbox) == 5, "all")
        raise StopUser

    User = person(scripted().url, slow=on_message("a")(slow), idle=talk)
    results = load(User, users=1, seconds=SOON)
    handled = results["mqtt", "message a"]
    assert (handled.one_way, handled.counter("unread")) == (1, 8)
    assert results["mqtt", "receive"].counter("unread") == 5
