"""The contract of adapters, kept by the MQTT client: both versions, plain and encrypted."""

import pytest
import trustme

from protouser.testing import AdapterContract

from .conftest import Scripted


@pytest.fixture(scope="module")
def broker():
    with Scripted() as broker:
        yield broker


@pytest.fixture(scope="module")
def tls_broker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    with Scripted(cert_file=str(folder / "server.pem")) as broker:
        broker.ca_file = str(folder / "ca.pem")
        yield broker


class Publishing(AdapterContract):
    """An exchange is a message and its acknowledgement; only MQTT 5 can refuse one."""

    def succeed(self, client, **options):
        return client.publish("t/1", b"21.5", 1, **options)

    def fail(self, client):
        return client.publish("refused/1", b"21.5", 1)

    def dawdle(self, client, seconds, **options):
        return client.publish(f"sleep/{seconds}", b"21.5", 1, name="sleep", **options)

    def one_way(self, client):
        client.publish("t/1", b"21.5")


class TestMqtt5Contract(Publishing):
    scheme = "mqtt"
    options = {"version": 5}

    @pytest.fixture
    def url(self, broker):
        return broker.url


class TestMqttContract(AdapterContract):
    """MQTT 3.1.1: an exchange is a subscription, which can be refused."""

    scheme = "mqtt"

    @pytest.fixture
    def url(self, broker):
        return broker.url

    def succeed(self, client, **options):
        return client.subscribe("t/1", 1, **options)

    def fail(self, client):
        return client.subscribe("refused/1", 1)

    def dawdle(self, client, seconds, **options):
        return client.subscribe(f"sleep/{seconds}", 2, name="sleep", **options)

    def one_way(self, client):
        client.publish("t/1", b"21.5")


class TestMqttsContract(Publishing):
    """MQTT 3.1.1, QoS 2."""

    scheme = "mqtts"
    unsupported = {"replies": "every PUBCOMP of MQTT 3.1.1 is like every other"}

    @pytest.fixture
    def url(self, tls_broker):
        self.options = {"ca_file": tls_broker.ca_file}
        return tls_broker.url

    def succeed(self, client, **options):
        return client.publish("t/1", b"21.5", 2, **options)

    def fail(self, client):
        return client.subscribe("refused/1", 1)

    def dawdle(self, client, seconds, **options):
        return client.publish(f"sleep/{seconds}", b"21.5", 2, name="sleep", **options)
