"""The contract of every adapter in ``broken_adapters``, for a run of pytest of its own."""

import broken_adapters
import pytest

from protouser.testing import AdapterContract, ScriptedServer


@pytest.fixture(scope="module")
def server():
    with ScriptedServer() as server:
        yield server


class LineContract(AdapterContract):
    @pytest.fixture
    def url(self, server):
        return f"{self.scheme}://{server.host}:{server.port}"

    def succeed(self, client, **options):
        return client.command("hello", **options)

    def fail(self, client):
        return client.command("fail")

    def dawdle(self, client, seconds, **options):
        return client.command(f"sleep {seconds}", **options)

    def one_way(self, client):
        return client.tell("quiet")


def contract_of(name):
    return type(f"Test{name}", (LineContract,), {"scheme": name.lower()})


for name in [*broken_adapters.names(), "OpensOnImport"]:
    globals()[f"Test{name}"] = contract_of(name)


class TestExcusedForAReason(LineContract):
    scheme = "healthy"
    unsupported = {
        "dawdle": "the backend answers at once",
        "fail": "the backend refuses nothing",
        "replies": "all answers are alike",
    }
    fail = AdapterContract.fail
    dawdle = AdapterContract.dawdle


class TestExcusedForNoReason(LineContract):
    scheme = "healthy"
    unsupported = {"fail": "it is said to refuse nothing"}


class TestExcusedFromWhatIsNoCapability(LineContract):
    scheme = "healthy"
    unsupported = {"dawdel": "the backend answers at once"}


class TestWithoutVerbs(AdapterContract):
    scheme = "healthy"
    url = LineContract.url


class TestAllAnswersAlike(LineContract):
    scheme = "healthy"

    def succeed(self, client):
        return len(super().succeed(client)) > 0

    def dawdle(self, client, seconds):
        return len(super().dawdle(client, seconds)) > 0
