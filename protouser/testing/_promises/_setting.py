"""What an author says about an adapter, and the setting in which its promises are tried."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import wraps
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, cast

import gevent
import pytest

from protouser._client import ProtocolClient
from protouser._registry import client_class_for
from protouser.testing._promises._places import Line, Place, Silence
from protouser.testing._promises._stage import Stage, attempt, person

__all__ = [
    "CAPABILITIES",
    "PATIENCE",
    "STALL",
    "Setting",
    "needs",
    "registered_class",
    "takes_options",
    "tried_again_slowly",
]

_SCALE = float(os.environ.get("PROTOUSER_CONTRACT_SCALE", "1"))

#: Seconds; every other time in the contract is a multiple of it.
STALL = 0.2 * _SCALE

#: How many times as long everything takes where a promise is tried once more.
_SLOWER = 4

#: Whatever takes longer than this waits for ever.
PATIENCE = 300 * STALL

#: What an adapter may declare as unsupported, and what it is then excused from.
CAPABILITIES: Mapping[str, str] = MappingProxyType(
    {
        "fail": "the backend can refuse an exchange",
        "dawdle": "the backend can be made to answer late",
        "replies": "the replies of two exchanges can be told apart",
        "refusal": "a client notices at once that nobody is there",
        "silence": "a client needs an answer to go on",
        "loss": "a client notices that its connection has ended",
    }
)

Promise = TypeVar("Promise", bound=Callable[..., None])


def takes_options(verb: Callable[..., Any]) -> bool:
    """Whether an author's verb has ``**options`` to pass on to the client's method."""
    kinds = [parameter.kind for parameter in inspect.signature(verb).parameters.values()]
    return inspect.Parameter.VAR_KEYWORD in kinds


def needs(*capabilities: str) -> Callable[[Promise], Promise]:
    """Excuse a promise from adapters that declare one of the capabilities as unsupported."""

    def mark(promise: Promise) -> Promise:
        vars(promise)["needs"] = capabilities
        return promise

    return mark


def tried_again_slowly(promise: Promise) -> Promise:
    """Try a promise about time once more where it was broken, with longer times.

    A machine that is busy delays a call by as much, however long the call; a client that waits in
    the wrong place or for too long does so at any length.
    """

    @wraps(promise)
    def tried(self: Setting, **fixtures: Any) -> None:
        try:
            promise(self, **fixtures)
        except (Exception, pytest.fail.Exception):
            if not self._patience.pending:  # it waited for ever, and would again
                raise
        else:
            return
        self._stall = _SLOWER * STALL
        promise(self, **fixtures)

    return cast(Promise, tried)


def registered_class(scheme: str) -> type[ProtocolClient]:
    """The class that is registered for a scheme; what is wrong with that is an AssertionError."""
    assert scheme, 'say which URL scheme is tested: scheme = "redis"'
    kind: type[ProtocolClient]
    kind, error = attempt(client_class_for, f"{scheme}://localhost")
    assert error is None, (
        f"{error}. An adapter is registered in its pyproject.toml, and found once that is"
        f' installed: [project.entry-points."protouser.adapters"]'
        f' {scheme} = "package:ClientClass"'
    )
    assert kind.protocol, (
        f'{kind.__name__} has no label for Locust\'s "Type" column: set protocol on the class'
    )
    assert scheme in kind.accepted_schemes(), (
        f"{kind.__name__} is registered for {scheme!r} and accepts"
        f" {', '.join(kind.accepted_schemes())}; make its schemes name what is registered"
    )
    return kind


class Setting:
    """The words of an author, and fixtures."""

    #: The URL scheme that the adapter is registered for.
    scheme: ClassVar[str] = ""

    #: What the backend or the protocol cannot do, with the reason.
    unsupported: ClassVar[Mapping[str, str]] = MappingProxyType({})

    #: What every client is opened with; a fixture may set it on ``self``.
    options: Mapping[str, Any] = MappingProxyType({})

    #: Seconds that a backend takes here for an answer that is late.
    _stall: float = STALL

    #: Ends what waits for ever.
    _patience: gevent.Timeout

    @pytest.fixture
    def url(self) -> Iterator[str]:
        """Yield the URL of a running backend."""
        raise NotImplementedError("override the fixture url(self): start a backend, yield its URL")

    def succeed(self, client: Any) -> Any:
        """Make one exchange that the backend answers, always alike, and return the reply."""
        raise NotImplementedError("write succeed(self, client): one exchange that is answered")

    def fail(self, client: Any) -> Any:
        """Make one exchange that the backend refuses, always alike."""
        raise NotImplementedError(
            "write fail(self, client): one exchange that the backend refuses; or, if there is no"
            " such thing, declare unsupported = {'fail': 'the reason'}"
        )

    def dawdle(self, client: Any, seconds: float) -> Any:
        """Make one exchange that the backend answers after so long, unlike that of ``succeed``."""
        raise NotImplementedError(
            "write dawdle(self, client, seconds): one exchange that is answered after so long; or,"
            " if the backend cannot be made to wait, declare unsupported = {'dawdle': 'the reason'}"
        )

    def one_way(self, client: Any) -> Any:
        """Send one message that has no answer; only for adapters that do such a thing."""
        pytest.skip("no one_way(self, client): the adapter sends nothing one-way")

    @pytest.fixture
    def client_class(self) -> type[ProtocolClient]:
        """The class that is registered for the scheme."""
        try:
            return registered_class(self.scheme)
        except AssertionError:  # which fails the promise about the entry point
            pytest.skip("no such adapter; the promise about its entry point says why")

    @pytest.fixture
    def stage(self, client_class: type[ProtocolClient], url: str) -> Iterator[Stage]:
        """A user of the backend."""
        with Stage(person(url, self.options)) as stage:
            yield stage

    @pytest.fixture
    def nobody(self, url: str) -> Iterator[Place]:
        """Where nobody listens."""
        with Place(url) as place:
            yield place

    @pytest.fixture
    def silence(self, url: str) -> Iterator[Silence]:
        """Where nobody answers."""
        with Silence(url) as silence:
            yield silence

    @pytest.fixture
    def line(self, url: str) -> Iterator[Line]:
        """A line to the backend that can be cut."""
        with Line(url) as line:
            yield line

    @pytest.fixture(autouse=True)
    def _excused(self, request: pytest.FixtureRequest) -> None:
        """A promise that is declared as unsupported must be broken: a false excuse is an error."""
        for capability, reason in self.unsupported.items():
            if capability not in CAPABILITIES or not reason:
                pytest.fail(_bad_declaration(capability))
            if capability in getattr(request.function, "needs", ()):
                text = f"unsupported: {CAPABILITIES[capability]} ({reason})"
                request.applymarker(pytest.mark.xfail(reason=text, strict=True))

    @pytest.fixture(autouse=True)
    def _bounded(self, _excused: None) -> Iterator[None]:
        """Nothing waits for ever, unless it blocks the event loop."""
        reason = pytest.fail.Exception(
            f"not over after {PATIENCE:g} s: something waits for ever; give every wait a time limit"
            " (self.timeout), and wait for nothing while closing"
        )
        with gevent.Timeout(PATIENCE, reason) as self._patience:
            yield


def _bad_declaration(capability: str) -> str:
    if capability in CAPABILITIES:
        return f"unsupported[{capability!r}] gives no reason; say why it cannot be done"
    near = get_close_matches(capability, CAPABILITIES, 1)
    known = "; ".join(f"{name!r}: {meaning}" for name, meaning in CAPABILITIES.items())
    hint = f"did you mean {near[0]!r}?" if near else f"there are {known}"
    return f"unsupported names {capability!r}, which is no capability; {hint}"
