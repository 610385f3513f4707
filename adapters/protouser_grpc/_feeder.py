"""Requests from an iterable into a stream, while answers are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import gevent

from protouser import ConfigurationError, ProtouserError
from protouser_grpc._engines import EngineStream

__all__ = ["Feeder"]


class Feeder:
    """Sends what an iterable yields, and then that this was all.

    A list or tuple is sent by the caller. Anything else may wait for something, so it is read in
    a greenlet of its own, which ends with the call.

    Attributes:
        error: what the iterable raised; the call was cancelled for it.
    """

    def __init__(
        self,
        stream: EngineStream,
        encode: Callable[[Any], bytes],
        requests: Any,
        timeout: float | None,
    ) -> None:
        self.error: BaseException | None = None
        self._stream = stream
        self._encode = encode
        self._timeout = timeout
        self._greenlet: gevent.Greenlet[..., None] | None = None
        _check(requests)
        if isinstance(requests, list | tuple):
            self._send_all(requests)
        else:
            self._greenlet = gevent.spawn(self._feed, requests)

    def stop(self) -> None:
        """Read no further; never waits."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def _feed(self, requests: Iterable[Any]) -> None:
        try:
            self._send_all(requests)
        except gevent.GreenletExit:
            return
        except BaseException as error:  # noqa: BLE001  it is raised where the answers are read
            self.error = error
            self._stream.cancel()

    def _send_all(self, requests: Iterable[Any]) -> None:
        stream = self._stream
        for request in requests:
            data = self._encode(request)
            try:
                stream.send(data, self._timeout)
            except ProtouserError:
                if stream.status is None:
                    raise
                return  # the server wants no more; its status says why
        stream.done_writing()


def _check(requests: Any) -> None:
    if isinstance(requests, dict | str | bytes) or not hasattr(requests, "__iter__"):
        raise ConfigurationError(
            "this method takes a stream of requests: pass an iterable of messages,"
            f" not {type(requests).__name__}"
        )
