"""The engine on grpc.aio: calls run in one native thread and come back to the hub in batches.

Times are taken in the loop's thread, so that a busy hub does not make a server look slow. Objects
of grpc.aio are held in that thread only: each of them keeps grpc's poller alive, and ends it where
it is collected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
from gevent.lock import BoundedSemaphore

from protouser import ConnectFailed, now
from protouser.native import Handover, forget_in_child
from protouser_grpc._engines._aio_stream import AioStream
from protouser_grpc._engines._aio_unary import DirectUnaryCall, UnaryCall
from protouser_grpc._engines._direct import direct_channel
from protouser_grpc._engines._interface import Reply
from protouser_grpc._engines._library import aio
from protouser_grpc._engines._loop import LoopThread
from protouser_grpc._engines._poller import check_private_names
from protouser_grpc._engines._status import CLOSED
from protouser_grpc._options import ChannelOptions, Terms
from protouser_grpc._outcome import connect_failure

__all__ = ["AioChannel", "AioEngine"]

_PROBE = "/protouser/Why"
_PROBE_WITHIN = 1.0

_parents: list[LoopThread] = []  # threads of the parent process: never touched, never collected


class AioEngine:
    """Opens channels of grpc.aio; its thread runs as long as there is one."""

    name = "aio"

    def __init__(self) -> None:
        self._thread: LoopThread | None = None
        self._latest: LoopThread | None = None
        self._channels = 0
        self._starting = BoundedSemaphore()
        forget_in_child(self)

    @property
    def survives_fork(self) -> bool:
        return self._latest is None or self._latest.ended

    def open(self, options: ChannelOptions) -> AioChannel:
        while self._thread is None:  # the last channel may be closed while others wait here
            self._start()
        self._channels += 1
        return AioChannel(self._thread, options, self._closed)

    def forget(self) -> None:
        """Start anew in a child process."""
        if self._thread is not None:
            _parents.append(self._thread)
        self._thread = None
        self._channels = 0
        self._starting = BoundedSemaphore()

    def _start(self) -> None:
        check_private_names()
        with self._starting:
            if self._thread is None:
                thread = LoopThread()
                thread.wait_until_started()
                self._thread = self._latest = thread

    def _closed(self, thread: LoopThread) -> None:
        if thread is not self._thread:
            return  # it was opened in the parent process
        self._channels -= 1
        if not self._channels:
            self._thread = None
            thread.stop()


class AioChannel:
    """A channel of grpc.aio, for greenlets.

    Attributes:
        lower: its lower layer, for unary calls; None where it cannot be used. In the loop's thread.
        running: the calls on that layer. In the loop's thread.
    """

    def __init__(
        self, thread: LoopThread, options: ChannelOptions, on_close: Callable[[LoopThread], None]
    ) -> None:
        self._thread = thread
        self._options = options
        self._on_close = on_close
        self._channel: Any = None
        self._state = grpc.ChannelConnectivity.IDLE
        self._watched = False
        self.lower: Any = None
        self.running: set[DirectUnaryCall] = set()
        self._methods: dict[str, Any] = {}
        thread.post(self._open)

    def connect(self, timeout: float | None) -> float:
        attempt = _Attempt(self._thread, self._options)
        self._thread.post(attempt.start, self, timeout)
        try:
            outcome = attempt.take()
        except BaseException:
            self._thread.post(attempt.cancel)
            raise
        if isinstance(outcome, BaseException):
            raise outcome
        at: float = outcome
        return at

    def state(self) -> grpc.ChannelConnectivity:
        return self._state

    def unary(self, path: str, request: bytes, terms: Terms, headers: bool = False) -> Reply:
        kind = UnaryCall if self.lower is None else DirectUnaryCall
        call = kind(self, path, request, terms, headers)
        self._thread.post(call.start)
        try:
            reply = call.take()
        except BaseException:
            self._thread.post(call.cancel)
            raise
        if isinstance(reply, Reply):
            return reply
        raise reply

    def stream(self, path: str, terms: Terms) -> AioStream:
        stream = AioStream(self._thread, terms.timeout)
        self._thread.post(self._begin, stream, path, terms)
        return stream

    def close(self) -> None:
        self._thread.post(self._shut)
        self._on_close(self._thread)

    def method(self, kind: str, path: str) -> Any:
        """A multi-callable of grpc.aio for bytes; None when closed. In the loop's thread."""
        method = self._methods.get(path)
        if method is None and self._channel is not None:
            method = self._methods[path] = getattr(self._channel, kind)(path)
        return method

    def ready(self) -> None:
        """A connect has succeeded: from now on the state is watched. In the loop's thread."""
        self._state = grpc.ChannelConnectivity.READY
        if not self._watched:
            self._watched = True
            self._thread.run(self._watch(self._channel))

    async def _watch(self, channel: Any) -> None:
        """Keep the state at hand: asking for it costs half as much as a call."""
        while self._channel is channel:
            with suppress(aio.UsageError):  # it is closed
                await channel.wait_for_state_change(self._state)
            self._state = channel.get_state()

    def _open(self) -> None:
        options, credentials = self._options, self._options.credentials()
        if credentials is None:
            channel = aio.insecure_channel(options.target, options.arguments)
        else:
            channel = aio.secure_channel(options.target, credentials, options.arguments)
        self._channel = channel
        self.lower = direct_channel(channel)

    def _begin(self, stream: AioStream, path: str, terms: Terms) -> None:
        method = self.method("stream_stream", path)
        if method is None:
            stream.refuse(CLOSED)
        else:
            stream.begin(
                method(
                    timeout=terms.timeout,
                    metadata=terms.metadata,
                    wait_for_ready=terms.wait_for_ready,
                )
            )

    def _shut(self) -> None:
        channel, self._channel = self._channel, None
        self._methods.clear()
        self.lower = None
        for call in list(self.running):
            call.cancel()
        if channel is not None:
            self._thread.run(channel.close())


class _Attempt(Handover):
    """Waits for a channel to become ready; gives the time, or an error."""

    __slots__ = ("_options", "_task", "_thread")

    def __init__(self, thread: LoopThread, options: ChannelOptions) -> None:
        super().__init__()
        self._thread = thread
        self._options = options
        self._task: asyncio.Task[Any] | None = None

    def start(self, channel: AioChannel, timeout: float | None) -> None:
        self._task = self._thread.run(self._run(channel, timeout))

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, channel: AioChannel, timeout: float | None) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._ready(channel)
        except TimeoutError:
            self.give(ConnectFailed(f"no connection to {self._options.url} within {timeout:g} s"))
        except Exception as error:  # noqa: BLE001  the greenlet that waits is to have it
            self.give(error.with_traceback(None))
        else:
            at = now()
            channel.ready()
            self.give(at)

    async def _ready(self, owner: AioChannel) -> None:
        url = self._options.url
        while (channel := owner._channel) is not None:
            state = channel.get_state(try_to_connect=True)
            if state is grpc.ChannelConnectivity.READY:
                return
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                raise connect_failure(url, await self._reason(channel), self._options.proxy)
            await channel.wait_for_state_change(state)
        raise ConnectFailed(f"cannot connect to {url}: the client was closed meanwhile")

    async def _reason(self, channel: Any) -> str:
        """A channel does not say why it failed, but a call on it is refused with the reason."""
        try:
            await channel.unary_unary(_PROBE)(b"", timeout=_PROBE_WITHIN)
        except aio.AioRpcError as error:
            return error.details() or ""
        return ""
