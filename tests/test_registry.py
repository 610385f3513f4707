"""Adapters found by URL scheme: lazily, by name, and a broken one harms nobody."""

import sys
from importlib.metadata import EntryPoint

import pytest

import protouser
from protouser import ConfigurationError, ProtocolClient, _registry, adapters, open_client


class Distribution:
    version = "1.2"

    def __init__(self, name, *extras):
        self.name = name
        self.extras = extras
        self.metadata = self

    def get_all(self, field):
        assert field == "Provides-Extra"
        return list(self.extras) or None


def entry(scheme, value, distribution):
    made = EntryPoint(scheme, value, _registry.GROUP)
    vars(made)["dist"] = distribution
    return made


@pytest.fixture
def register(monkeypatch):
    found = []
    monkeypatch.setattr(_registry, "entry_points", lambda group: list(found))
    _registry.forget()
    yield lambda *arguments: found.append(entry(*arguments))
    _registry.forget()


class Widgets(ProtocolClient):
    protocol = "widgets"


class FromTheFuture(ProtocolClient):
    protocol = "future"
    contract = 99


OURS = Distribution("protouser", "grpc")
THEIRS = Distribution("protouser-widgets")


def reason(url):
    with pytest.raises(ConfigurationError) as caught:
        open_client(url)
    return str(caught.value)


def test_an_unknown_scheme_suggests_the_nearest(register):
    register("mqtt", "nowhere:Client", OURS)
    assert reason("mqqt://host") == "no adapter for 'mqqt'; did you mean 'mqtt'?"
    assert reason("xyz://host") == "no adapter for 'xyz'; there are mqtt"


def test_two_owners_of_one_scheme_are_named(register):
    register("widgets", f"{__name__}:Widgets", THEIRS)
    register("widgets", "other:Widgets", Distribution("widgets-too"))
    expected = "the scheme 'widgets' is registered by protouser-widgets and widgets-too"
    assert reason("widgets://host").startswith(expected)


def test_a_missing_library_gives_the_pip_line(register, tmp_path, monkeypatch):
    (tmp_path / "protouser_grpc.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "protouser_grpc", raising=False)
    register("grpc", "protouser_grpc:GrpcClient", OURS)
    assert reason("grpc://host") == (
        "the adapter 'grpc' imports 'no_such_library', which is not installed;"
        " try: pip install 'protouser[grpc]'"
    )


def test_a_missing_module_of_the_adapter_itself_is_its_own_fault(register):
    register("widgets", "no_such_adapter:Client", THEIRS)
    assert "is broken: its module 'no_such_adapter' does not exist" in reason("widgets://host")


def test_a_broken_adapter_is_shown_and_harms_no_other(register, tmp_path, monkeypatch):
    (tmp_path / "protouser_broken.py").write_text("raise RuntimeError('half written')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "healthy_widgets", sys.modules[__name__])
    register("broken", "protouser_broken:Client", Distribution("protouser-broken"))
    register("widgets", "healthy_widgets:Widgets", THEIRS)
    register("wrong", "math:pi", THEIRS)
    register("future", "healthy_widgets:FromTheFuture", THEIRS)
    problems = {each.scheme: each.problem for each in adapters()}
    assert "RuntimeError: half written" in problems["broken"]
    assert "protouser-broken" in problems["broken"]
    assert problems["widgets"] == ""
    assert problems["wrong"] == "the adapter 'wrong' names math:pi, which is no ProtocolClient"
    assert "contract 99" in problems["future"]
    assert open_client("widgets://host").url.host == "host"


def test_listing_the_registered_schemes_imports_nothing(register):
    register("widgets", "never_imported_widgets:Client", THEIRS)
    assert reason("wigdets://host").endswith("did you mean 'widgets'?")
    assert "never_imported_widgets" not in sys.modules


def test_our_own_schemes_are_registered():
    schemes = {each.scheme: each.problem for each in adapters()}
    ours = ["grpc", "grpcs", "mqtt", "mqtts", "tcp", "tls", "udp", "unix", "ws", "wss"]
    assert dict.fromkeys(ours, "").items() <= schemes.items()
    assert "adapters" in protouser.__all__
