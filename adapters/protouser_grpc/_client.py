"""The gRPC client: calls of all four kinds, measured, over one channel.

grpc connects again by itself, inside whatever call comes next; that would be counted as the
server's time. So a call looks at the channel first: if its connection is gone, it is made again,
as a row "connect" of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from weakref import WeakSet

import grpc
from gevent.lock import BoundedSemaphore

from protouser import (
    Call,
    ConfigurationError,
    ConnectFailed,
    Correlate,
    MessageHandlers,
    MessageOptions,
    ProtocolClient,
    ProtouserError,
    Url,
)
from protouser.native import get_ident
from protouser.net import Proxy
from protouser_grpc._calls import ask, collect
from protouser_grpc._channel import StubChannel, caller
from protouser_grpc._choices import check_url, chosen_connection, chosen_engine
from protouser_grpc._ending import Ending
from protouser_grpc._engines import EngineChannel, EngineStream, Lease, lease
from protouser_grpc._method import Method
from protouser_grpc._onlookers import show_messages
from protouser_grpc._options import Terms, as_metadata, channel_options
from protouser_grpc._outcome import Status
from protouser_grpc._request import GrpcRequest
from protouser_grpc._schema import Schema
from protouser_grpc._schemas import Schemas, as_method
from protouser_grpc._stream import GrpcStream

__all__ = ["GrpcClient"]

_READY = grpc.ChannelConnectivity.READY
_BROKEN = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN)


class GrpcClient(ProtocolClient):
    """A channel to a ``grpc://host:port`` or, with TLS, ``grpcs://host:port``.

    Options: ``timeout`` in seconds, the deadline of every call, streams as well; ``metadata``
    (dict or pairs) for every call; ``wait_for_ready``; ``connection``: "per_user" (the default) or
    "shared" by all clients of this process with the same options; ``engine``: "auto", "aio" or
    "gevent"; ``schema``: a descriptor set or .proto file for ``call``, instead of the server's
    reflection; ``correlate``, ``unmatched`` and ``buffer`` for the messages of ``stream``;
    ``channel_options``: grpc's channel arguments; ``proxy`` and ``no_proxy``; for TLS
    ``ca_file``, ``cert``, ``key`` and ``server_name``. A server may allow no more than some 100
    calls at a time on a connection; on a shared one further calls wait in the client, and that is
    counted. gRPC knows no SOCKS: such a proxy is reached by way of one in this process, which
    copies every byte and costs CPU time.

    Processes: a client that was open, or just closed, when the process was forked (``--processes``)
    is refused in the child; open it in a user. A program that is started with ``subprocess`` while
    calls run, on either engine, is forked in the middle of grpc-core, whose handlers of forks may
    crash it before it begins (return code -6 or -11) or hang; ``GRPC_ENABLE_FORK_SUPPORT=0`` in
    the environment of Locust keeps them out.

    Attributes:
        channel: what generated stubs take: ``GreeterStub(client.channel)``.
    """

    protocol = "grpc"
    schemes = ("grpc", "grpcs")
    descriptors = 0  # users may share a connection
    option_names = Proxy.NAMES | frozenset(
        {
            "metadata",
            "wait_for_ready",
            "connection",
            "engine",
            "schema",
            "channel_options",
            "verify",
            "ca_file",
            "cert",
            "key",
            "server_name",
        }
        | MessageOptions.NAMES
    )

    def __init__(self, url: str | Url, **options: Any) -> None:
        super().__init__(url, **options)
        check_url(self.url)
        given = self.options
        self._engine, self._connection = chosen_engine(given), chosen_connection(given)
        self._channel_options = channel_options(self.url, given, self.proxy)
        self._terms = Terms(
            self.timeout, as_metadata(given.get("metadata")), given.get("wait_for_ready")
        )
        self._schema: Schema | None = Schemas.given(given.get("schema"))
        self._messages = MessageOptions.of(self, given)
        self.handlers = MessageHandlers(self)
        self._callers: dict[str, Any] = {}
        self._lease: Lease | None = None
        self._opening = BoundedSemaphore()
        self._ending = Ending(self)
        self._streams: WeakSet[Any] = WeakSet()
        self.channel = StubChannel(self)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        chosen_engine(options)
        chosen_connection(options)
        as_metadata(options.get("metadata"))
        MessageOptions.check(options)

    def connect(self) -> None:
        holding = lease(self._engine, self._connection, self._channel_options)
        self.resources.callback(self._release, holding)
        call = self.connecting
        assert call is not None
        call.start()  # that an engine starts is no time of the server's
        try:
            call.stop(holding.channel.connect(self.timeout))
        except ConnectFailed as error:
            holding.retire()
            raise holding.explained(error) from None
        self._lease = holding
        self._ending.watch(holding.channel)

    def call(
        self,
        method: str,
        request: Any = None,
        *,
        name: str | None = None,
        timeout: float | None = None,
        metadata: Any = None,
        wait_for_ready: bool | None = None,
        check: Any = None,
        context: dict[str, Any] | None = None,
        catch_response: bool = False,
    ) -> Any:
        """Call "pkg.Service/Method" as the server describes it by reflection.

        Args:
            method: its full name, which is also the row's.
            request: a dict, a message, or an iterable of them where the method takes a stream.
            name: another name for the row.
            timeout: the deadline in seconds; the client's where None.
            metadata: a dict or pairs, besides the client's.
            wait_for_ready: wait for a connection instead of failing without one.
            check: a predicate of the answer; of the number of messages where they are a stream.
            context: for the event.
            catch_response: return the finished call, for a ``with`` block that decides; a stream of
                answers is such a block by itself.

        Returns:
            The answer; a ``GrpcStream`` to iterate over where the method answers with a stream.

        Raises:
            GrpcError: the call ended with another status than OK.
            ConfigurationError: no such method, or the request does not fit it.
        """
        found = self._callers.get(method)
        if found is None:
            found = caller(self, self._method(method, name))
            self._callers[method] = found
        options: dict[str, Any] = {
            "name": name,
            "timeout": timeout,
            "metadata": metadata,
            "wait_for_ready": wait_for_ready,
            "check": check,
            "context": context,
        }
        if catch_response:
            options["catch_response"] = True
        return found({} if request is None else request, **options)

    def stream(
        self,
        method: str,
        *,
        name: str | None = None,
        timeout: float | None = None,
        metadata: Any = None,
        wait_for_ready: bool | None = None,
        check: Any = None,
        context: dict[str, Any] | None = None,
        correlate: Any = None,
    ) -> GrpcStream:
        """Open a streaming call of "pkg.Service/Method", for a ``with`` block.

        Leaving the block before the server has ended the call cancels it there, as a success up to
        that point; after ``done_writing()`` the block waits for the end instead. ``.call`` of the
        stream is the measured call, to decide about in the block. ``correlate`` is how its
        ``request`` tells replies apart, the client's where None.

        Raises:
            ConfigurationError: no such method, or it streams nothing.
        """
        found = self._method(method, name)
        if found.kind == "unary_unary":
            raise ConfigurationError(f"{found.row} streams nothing; use call({found.row!r}, ...)")
        terms = self.terms(timeout, metadata, wait_for_ready)
        stream = self.begin(found, None, terms, name=name, check=check, context=context)
        self._messages.apply(self, stream.source.inbox.stream.inbox)
        by_id = Correlate.of(correlate)
        stream.correlate = self._messages.correlate if correlate is None else by_id
        return stream

    def terms(
        self, timeout: float | None = None, metadata: Any = None, wait_for_ready: Any = None
    ) -> Terms:
        """The terms of a call: what it was given, and the client's own where it was not."""
        own = self._terms
        if timeout is metadata is wait_for_ready is None:
            return own
        if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
            raise ConfigurationError(f"timeout={timeout!r} is no number of seconds above 0")
        return Terms(
            own.timeout if timeout is None else timeout,
            own.metadata + as_metadata(metadata) if metadata else own.metadata,
            own.wait_for_ready if wait_for_ready is None else wait_for_ready,
        )

    def unary(
        self,
        method: Method,
        request: Any,
        terms: Terms,
        ends: list[Status] | None = None,
        **options: Any,
    ) -> Any:
        """Make a unary call; ``ends`` gets its status, ``options`` are those of ``perform``."""
        self._be_connected(terms)
        work = partial(self._exchange, method, ends)
        return self.perform(method.row, work, request=GrpcRequest(request, terms), **options)

    def collect(
        self,
        method: Method,
        requests: Any,
        terms: Terms,
        ends: list[Status] | None = None,
        **options: Any,
    ) -> Any:
        """Make a call that streams requests and has one answer."""
        self._be_connected(terms)
        work = partial(self._collect, method, ends)
        return self.perform(method.row, work, request=GrpcRequest(requests, terms), **options)

    def begin(
        self,
        method: Method,
        request: Any,
        terms: Terms,
        *,
        name: str | None = None,
        check: Any = None,
        context: dict[str, Any] | None = None,
    ) -> GrpcStream:
        """Begin a call whose answers are a stream; where there is a ``request`` it is sent."""
        self._be_connected(terms)
        self._check_thread()
        row = name or method.row
        asked = GrpcRequest(request, terms)
        call = self.measure(row, request=asked, check=check, context=context).begin()
        try:
            terms = asked.terms()
            opened = self._open_stream(method, terms)
        except BaseException as error:
            call.end(error)
            raise
        stream = GrpcStream(self, call, method, opened, terms.timeout)
        if self.handlers:
            show_messages(self, method, stream)
        if asked.payload is not None:
            stream.start(asked.payload)
        return stream

    def _exchange(self, method: Method, ends: list[Status] | None, call: Call) -> Any:
        terms = call.request.terms()
        data = method.encode(call.request.payload)
        call.request_length = len(data)
        reply = self._channel().unary(method.path, data, terms, ends is not None)
        call.stop(reply.at)
        if reply.status.code is not grpc.StatusCode.OK:
            if reply.status.code is grpc.StatusCode.UNAVAILABLE:
                self._ending.refused()
            raise reply.status.error(terms.timeout)
        if ends is not None:
            ends.append(reply.status)
        call.response_length = len(reply.data)
        return method.decode(reply.data)

    def _collect(self, method: Method, ends: list[Status] | None, call: Call) -> Any:
        terms = call.request.terms()
        data, status = collect(self._open_stream(method, terms), method, terms, call)
        if ends is not None:
            ends.append(status)
        call.response_length = len(data)
        return method.decode(data)

    def _open_stream(self, method: Method, terms: Terms) -> EngineStream:
        stream = self._channel().stream(method.path, terms)
        stream.inbox.on_end = self._ending.stream_ended
        self._streams.add(stream)
        return stream

    def _channel(self) -> EngineChannel:
        if self._lease is None:
            raise ConnectFailed(f"there is no connection to {self.url}: the client was closed")
        return self._lease.channel

    def _be_connected(self, terms: Terms) -> None:
        """Connect anew where the connection is gone, unless the call is to wait for it itself."""
        holding = self._lease
        if holding is not None and holding.inherited:
            self._lease = holding = None
        if holding is not None and self._serves(holding, terms):
            return
        self._check_thread()
        with self._opening:
            if self._lease is holding:  # or else another greenlet did just that
                self._renew(holding)

    def _serves(self, holding: Lease, terms: Terms) -> bool:
        """True when a call can be made on this connection as it is."""
        ending = self._ending
        if ending.uncertain:
            ending.settle()
        if holding.channel.state() is _READY:
            ending.told = False
            return True
        self._check_thread()
        ending.tell()
        return bool(terms.wait_for_ready)

    def _renew(self, holding: Lease | None) -> None:
        if holding is None:
            self.reopen()
        elif (state := holding.channel.state()) in _BROKEN:
            holding.retire()
            self.reopen()
        elif state is not _READY:
            with self.measure("connect") as call:
                call.stop(holding.channel.connect(self.timeout))

    def _check_thread(self) -> None:
        if get_ident() != self.session.thread:
            self.perform("", _nothing)  # says what is wrong

    def _release(self, holding: Lease) -> None:
        self._lease = None
        self._ending.watch(None)
        if not holding.inherited:
            for stream in list(self._streams):
                stream.cancel()
            holding.release()

    def _method(self, method: str, name: str | None) -> Method:
        """The method of this name; that there is none is a failed call."""
        self._check_thread()
        try:
            return as_method(self._schema or self._fetch_schema(), method)
        except ProtouserError as error:
            self.perform(name or str(method), partial(_fail, error))
            raise

    def _fetch_schema(self) -> Schema:
        self._be_connected(self._terms)
        exchange = partial(ask, self._channel(), self._terms)
        self._schema = Schemas.fetched(self._channel_options, exchange, self.timeout, str(self.url))
        return self._schema


def _nothing(_call: Call) -> None:
    """Never called."""


def _fail(error: Exception, _call: Call) -> None:
    raise error
