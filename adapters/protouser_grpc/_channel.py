"""The channel that generated stubs are given: each of their calls is measured.

A stub asks its channel for one object per method and calls it, as ``grpc.Channel`` defines. These
objects do the same through our client, and also take ``name=``, ``check=``, ``context=`` and
``catch_response=``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn

import grpc

from protouser import CallOptions, ConfigurationError
from protouser_grpc._method import Method
from protouser_grpc._names import suggest
from protouser_grpc._options import Terms
from protouser_grpc._outcome import Metadata, Status

if TYPE_CHECKING:
    from protouser_grpc._client import GrpcClient

__all__ = ["FinishedCall", "StubChannel", "caller"]

#: What a call takes beside grpc's own; ``ends`` is for ``with_call``.
_OPTIONS: Final = frozenset({*CallOptions.__annotations__, "ends"})
_KEYWORDS: Final = sorted({*CallOptions.__annotations__, "timeout", "metadata", "wait_for_ready"})


class FinishedCall:
    """What ``with_call`` returns beside the answer: how the call ended."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def code(self) -> grpc.StatusCode:
        """The status code."""
        return self._status.code

    def details(self) -> str:
        """What the server said about it."""
        return self._status.details

    def initial_metadata(self) -> Metadata:
        """The headers of the answer."""
        return self._status.initial

    def trailing_metadata(self) -> Metadata:
        """The trailers of the answer."""
        return self._status.trailing


class _Callable:
    """One method, to be called through a client as grpc's own objects are."""

    def __init__(self, client: GrpcClient, method: Method) -> None:
        self._client = client
        self._method = method

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
        **options: Any,
    ) -> Any:
        if credentials is not None or compression is not None:
            _refuse_options()
        if options and not options.keys() <= _OPTIONS:
            keyword = min(options.keys() - _OPTIONS)
            hint = suggest(keyword, _KEYWORDS)
            raise ConfigurationError(f"{self._method.row} takes no keyword {keyword!r}{hint}")
        terms = self._client.terms(timeout, metadata, wait_for_ready)
        return self._make(request, terms, **options)

    def future(self, *_args: Any, **_options: Any) -> NoReturn:
        """Not there: a user waits for each of his calls, or makes them in greenlets."""
        raise ConfigurationError(
            f"{self._method.row}: there are no futures here; call it in a greenlet of the user,"
            " self.spawn(...)"
        )

    def _make(self, request: Any, terms: Terms, **options: Any) -> Any:
        raise NotImplementedError


class _WithCall(_Callable):
    def with_call(
        self, request: Any, timeout: float | None = None, **options: Any
    ) -> tuple[Any, FinishedCall]:
        """The answer, and how the call ended."""
        ends: list[Status] = []
        answer = self(request, timeout, ends=ends, **options)
        return answer, FinishedCall(ends[-1])


class _UnaryUnary(_WithCall):
    def _make(self, request: Any, terms: Terms, **options: Any) -> Any:
        return self._client.unary(self._method, request, terms, **options)


class _StreamUnary(_WithCall):
    def _make(self, request: Any, terms: Terms, **options: Any) -> Any:
        return self._client.collect(self._method, request, terms, **options)


class _Streaming(_Callable):
    def _make(
        self, request: Any, terms: Terms, *, catch_response: bool = False, **options: Any
    ) -> Any:
        if catch_response:
            raise ConfigurationError(
                f"{self._method.row} answers with a stream, which is a with block without"
                " catch_response: with ... as stream: stream.call.failure('why')"
            )
        return self._client.begin(self._method, request, terms, **options)


_CALLABLES: dict[str, type[_Callable]] = {
    "unary_unary": _UnaryUnary,
    "unary_stream": _Streaming,
    "stream_unary": _StreamUnary,
    "stream_stream": _Streaming,
}


def caller(client: GrpcClient, method: Method) -> Callable[..., Any]:
    """A callable of the method's kind, as a stub has it."""
    return _CALLABLES[method.kind](client, method)


class StubChannel(grpc.Channel):
    """What a generated stub takes for its channel; its calls are those of a ``GrpcClient``."""

    def __init__(self, client: GrpcClient) -> None:
        self._client = client

    def unary_unary(self, method: str, *codec: Any, **options: Any) -> Any:
        return self._callable("unary_unary", method, *codec, **options)

    def unary_stream(self, method: str, *codec: Any, **options: Any) -> Any:
        return self._callable("unary_stream", method, *codec, **options)

    def stream_unary(self, method: str, *codec: Any, **options: Any) -> Any:
        return self._callable("stream_unary", method, *codec, **options)

    def stream_stream(self, method: str, *codec: Any, **options: Any) -> Any:
        return self._callable("stream_stream", method, *codec, **options)

    def subscribe(self, callback: Callable[..., Any], try_to_connect: bool | None = False) -> None:
        """Not there: connecting is a call of its own."""
        raise ConfigurationError('a channel of protouser tells no states; see the row "connect"')

    def unsubscribe(self, callback: Callable[..., Any]) -> None:
        """Nobody is subscribed."""

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def __enter__(self) -> StubChannel:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _callable(
        self,
        kind: str,
        path: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return caller(self._client, Method(path, kind, request_serializer, response_deserializer))


def _refuse_options() -> NoReturn:
    raise ConfigurationError(
        "credentials= and compression= are not supported on a call; pass metadata=... instead of"
        " the first, and channel_options={'grpc.default_compression_algorithm': 2} for gzip"
    )
