"""The engine on grpc's own gevent support: slower, and there where the other cannot start.

``init_gevent`` waits for every call in a thread of the hub's pool, ten of them by default; with
ten slow calls everything else in the process would stand still, look-ups of names included. So
the pool grows with the calls under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gevent
import grpc
from gevent.queue import SimpleQueue
from grpc.experimental.gevent import init_gevent

from protouser import ConnectFailed, now
from protouser_grpc._engines._gevent_stream import GeventStream
from protouser_grpc._engines._interface import Reply
from protouser_grpc._engines._library import sync
from protouser_grpc._engines._status import metadata_of
from protouser_grpc._options import ChannelOptions, Terms
from protouser_grpc._outcome import Status, connect_failure

__all__ = ["GeventChannel", "GeventEngine"]

_PROBE = "/protouser/Why"
_PROBE_WITHIN = 1.0
_SPARE_THREADS = 32
_MOST_THREADS = 2000


class GeventEngine:
    """Opens channels of grpc's sync API."""

    name = "gevent"

    def __init__(self) -> None:
        self._prepared = False

    @property
    def survives_fork(self) -> bool:
        return not self._prepared

    def open(self, options: ChannelOptions) -> GeventChannel:
        if not self._prepared:
            self._prepared = True
            init_gevent()
        return GeventChannel(options)


class _Waits:
    """Counts the calls that each hold a thread of the hub's pool."""

    number = 0


@contextmanager
def _holding_a_thread() -> Iterator[None]:
    _Waits.number += 1
    pool = gevent.get_hub().threadpool
    if _Waits.number + _SPARE_THREADS // 2 > pool.maxsize:
        pool.maxsize = min(_Waits.number + _SPARE_THREADS, _MOST_THREADS)
    try:
        yield
    finally:
        _Waits.number -= 1


class GeventChannel:
    """A channel of grpc's sync API, under gevent."""

    def __init__(self, options: ChannelOptions) -> None:
        self._url = options.url
        self._proxy = options.proxy
        self._methods: dict[str, Any] = {}
        self._connected = False
        with _holding_a_thread():  # each open channel does, for plugins of authentication
            credentials = options.credentials()
            if credentials is None:
                channel = sync.insecure_channel(options.target, options.arguments)
            else:
                channel = sync.secure_channel(options.target, credentials, options.arguments)
        self._channel = channel

    def connect(self, timeout: float | None) -> float:
        if self._connected and self.state() is grpc.ChannelConnectivity.READY:
            return now()
        states: SimpleQueue[grpc.ChannelConnectivity] = SimpleQueue()
        with _holding_a_thread(), gevent.Timeout(timeout, False):  # type: ignore[arg-type]
            self._channel.subscribe(states.put, try_to_connect=True)
            try:
                at = self._ready(states.get)
                self._connected = True
                return at
            finally:
                self._channel.unsubscribe(states.put)
        raise ConnectFailed(f"no connection to {self._url} within {timeout:g} s")

    def state(self) -> grpc.ChannelConnectivity:
        # the sync API tells the state to subscribers only, which cost a poll every 0.2 s
        check = getattr(getattr(self._channel, "_channel", None), "check_connectivity_state", None)
        number = None if check is None else check(False)
        for state in grpc.ChannelConnectivity:
            if state.value[0] == number:
                return state
        return grpc.ChannelConnectivity.READY

    def unary(self, path: str, request: bytes, terms: Terms, headers: bool = False) -> Reply:
        method = self._method("unary_unary", path)
        timeout, metadata, wait_for_ready = terms
        try:
            with _holding_a_thread():
                data, call = method.with_call(
                    request, timeout=timeout, metadata=metadata, wait_for_ready=wait_for_ready
                )
            at = now()
        except grpc.RpcError as error:
            at = now()
            return Reply(b"", at, status_of_call(error))
        return Reply(data, at, status_of_call(call) if headers else _OK)

    def stream(self, path: str, terms: Terms) -> GeventStream:
        method = self._method("stream_stream", path)
        return GeventStream(method, terms, status_of_call, _holding_a_thread)

    def close(self) -> None:
        self._channel.close()

    def _method(self, kind: str, path: str) -> Any:
        method = self._methods.get(path)
        if method is None:
            method = self._methods[path] = getattr(self._channel, kind)(path)
        return method

    def _ready(self, next_state: Callable[[], grpc.ChannelConnectivity]) -> float:
        while True:
            state = next_state()
            # who subscribes again soon is first told the state of the time before
            if state is grpc.ChannelConnectivity.READY and self.state() is state:
                return now()
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                raise connect_failure(self._url, self._reason(), self._proxy)
            if state is grpc.ChannelConnectivity.SHUTDOWN:
                raise ConnectFailed(f"cannot connect to {self._url}: the client was closed")

    def _reason(self) -> str:
        """A channel does not say why it failed, but a call on it is refused with the reason."""
        with suppress(grpc.RpcError):
            return self.unary(_PROBE, b"", Terms(_PROBE_WITHIN)).status.details
        return ""


def status_of_call(call: Any) -> Status:
    """The status of a finished call, or of the error that stands for it."""
    # a cancelled stream is asked in vain for its debug_error_string, for ever
    return Status(
        call.code(),
        call.details() or "",
        metadata_of(call.initial_metadata()),
        metadata_of(call.trailing_metadata()),
    )


_OK = Status(grpc.StatusCode.OK)
