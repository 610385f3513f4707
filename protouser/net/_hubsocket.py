"""A connected stream socket whose bytes come by callback, in gevent's hub.

A read watcher stays armed; its callback does one raw ``recv``, reads the clock and hands both to
the receiver, which may switch straight into a waiting greenlet. No reader greenlet, no ``recv``
that fails with EAGAIN, no watcher started and stopped per wait: that is half of the CPU of a small
request. Writing tries the socket at once; only a remainder waits for a write watcher.

Code that runs by a switch out of a callback is the user's: it may send, or close this very
socket. So the state here is complete before anything is switched to, and looked at again after.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

import gevent
from gevent import get_hub
from gevent.hub import Hub
from greenlet import getcurrent

from protouser._call import now
from protouser._errors import CallTimeout, ConfigurationError, ConnectionLost, ProtouserError
from protouser._waiting import Waiter
from protouser.net._dial import RawSocket

__all__ = ["HubSocket", "Receiver"]

logger = logging.getLogger(__name__)

#: At most so much is read, decoded and delivered before other sockets have their turn. Below the
#: 128 KiB from which malloc maps fresh pages: mapping them for each recv costs 20 us a message.
CHUNK = 65_536

_READ, _WRITE = 1, 2


class Receiver(Protocol):
    """What a ``HubSocket`` calls, in the hub. Neither method may block."""

    def on_data(self, data: bytes, at: float) -> None:
        """Bytes arrived at ``at``, a ``now()`` value. What is raised here ends the connection."""

    def on_close(self, error: BaseException | None) -> None:
        """The connection is over; called exactly once. None is an orderly end by the peer."""


class HubSocket:
    """Owns a connected, non-blocking raw socket, from construction until ``close``.

    Args:
        sock: a connected raw socket, such as ``dial`` returns.
        receiver: where bytes and the end of the connection go.
        peer: how messages name the server.
    """

    #: An unsent message can be taken back as long as none of its bytes has left.
    _revocable = True

    def __init__(self, sock: RawSocket, receiver: Receiver, *, peer: str) -> None:
        self.peer = peer
        self.closed = False
        self._sock = sock
        self._hub = get_hub()
        self._recv = sock.recv
        self._try_send: Callable[[Any], int] = sock.send
        self._on_data = receiver.on_data
        self._on_close = receiver.on_close
        self._error: BaseException | None = None
        self._unsent: deque[_Unsent] = deque()
        self._paused = False
        self._says_no_more = False
        self._writer: Any = None
        self._reader: Any = self._hub.loop.io(sock.fileno(), _READ)
        self._reader.start(self._readable)

    def send(self, data: bytes, timeout: float | None = None) -> None:
        """Send all of ``data``; messages of several greenlets leave whole, in the order of calls.

        Waits only while the peer does not read. Called in the hub it never waits.

        Raises:
            ConnectionLost: the connection is closed, or was lost meanwhile; another
                ``ProtouserError`` where that is what it ended with.
            CallTimeout: the peer did not take it within ``timeout`` seconds. What had left in part
                leaves the connection out of step, so it is closed then.
        """
        if self.closed:
            raise self._is_closed()
        sent = 0
        if not self._unsent:
            try:
                sent = self._try_send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                self._lose(error)
                raise self._is_closed() from error
            if sent == len(data):
                return
        self._send_later(data, sent, timeout)

    def shutdown_send(self) -> None:
        """Tell the peer that nothing more will come, once what was sent has left; and read on.

        A second time it does nothing, also where the peer has closed upon the first.

        Raises:
            ConnectionLost: the connection is closed, or was lost by this.
        """
        if self._says_no_more:
            return
        if self.closed:
            raise self._is_closed()
        self._says_no_more = True
        if not self._unsent:
            self._half_close()
        if self.closed:
            raise self._is_closed()

    def pause(self) -> None:
        """Stop reading, which the peer feels as back-pressure once the buffers are full."""
        if not self.closed and not self._paused:
            self._paused = True
            self._reader.stop()

    def resume(self) -> None:
        """Read on after ``pause``."""
        if not self.closed and self._paused:
            self._paused = False
            self._reader.start(self._readable)

    def close(self, error: ProtouserError | None = None) -> None:
        """Close now; who waits is woken with ``error``. Safe to call twice and from callbacks."""
        if not self.closed:
            self._say_goodbye()
            self._shut(error or ConnectionLost(f"the connection to {self.peer} was closed here"))

    def fileno(self) -> int:
        """The file descriptor, -1 when closed."""
        return self._sock.fileno()

    def _half_close(self) -> None:
        self._try_send = refuse_to_send
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            # "not connected" says that it is over; why, the socket knows
            reason = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or error.errno
            self._lose(OSError(reason, ""))

    def _say_goodbye(self) -> None:
        """For a layer that ends with a message of its own."""

    def _readable(self) -> None:
        try:
            data = self._recv(CHUNK)
            at = now()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        if not data:
            self._shut(None)
            return
        try:
            self._on_data(data, at)
        except Exception as error:  # noqa: BLE001  whatever a codec raises ends the connection
            self._shut(error)

    def _send_later(self, data: bytes, sent: int, timeout: float | None) -> None:
        if self._says_no_more:
            refuse_to_send(data)
        waits = getcurrent() is not self._hub
        unsent = _Unsent(self._hub, memoryview(data)[sent:], sent > 0 or not self._revocable)
        self._unsent.append(unsent)
        self._start_writer()
        if not waits:
            return
        limit = gevent.Timeout.start_new(timeout)
        try:
            unsent.wait()
        except BaseException as error:
            self._take_back(unsent)
            if error is limit:
                text = f"not sent within {timeout:g} s: {self.peer} does not read"
                raise CallTimeout(text) from None
            raise
        finally:
            limit.close()
        if unsent.rest:
            raise self._is_closed()

    def _take_back(self, unsent: _Unsent) -> None:
        if self.closed or unsent.done:
            return
        if unsent.begun:
            self._shut(ConnectionLost(f"a message to {self.peer} was sent in part only"))
        else:
            self._unsent.remove(unsent)

    def _start_writer(self) -> None:
        if self._writer is None:
            self._writer = self._hub.loop.io(self._sock.fileno(), _WRITE)
        if not self._writer.active:
            self._writer.start(self._writable)

    def _writable(self) -> None:
        while self._unsent:
            unsent = self._unsent[0]
            try:
                sent = self._try_send(unsent.rest)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._lose(error)
                return
            unsent.begun = True
            unsent.rest = unsent.rest[sent:]
            if unsent.rest:
                return
            self._unsent.popleft()
            unsent.wake()
            if self.closed:
                return
        self._writer.stop()
        if self._says_no_more:
            self._half_close()

    def _lose(self, error: OSError) -> None:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        self._shut(ConnectionLost(f"the connection to {self.peer} was lost: {reason}"))

    def _shut(self, error: BaseException | None) -> None:
        """The one end of every connection: watchers first, then the descriptor, then who waits."""
        if self.closed:
            return
        self.closed = True
        self._error = error or ConnectionLost(f"{self.peer} closed the connection")
        self._reader.close()
        if self._writer is not None:
            self._writer.close()
        self._sock.close()
        try:
            self._on_close(error)
        except Exception:
            logger.exception("the receiver of %s failed at the end of its connection", self.peer)
        while self._unsent:
            self._unsent.popleft().wake()

    def _is_closed(self) -> ProtouserError:
        # made anew each time: an exception that is raised again drags its old tracebacks along
        if isinstance(self._error, ProtouserError):
            return type(self._error)(*self._error.args)
        return ConnectionLost(f"the connection to {self.peer} ended: {self._error}")


def refuse_to_send(data: Any) -> NoReturn:
    """In the place of the socket's ``send`` after ``shutdown_send``, where it costs nobody else."""
    raise ConfigurationError(
        "nothing can be sent after shutdown_send(); close the client, and the next call connects"
    )


class _Unsent(Waiter):
    """A message that the socket did not take at once, and the greenlet that sends it."""

    def __init__(self, hub: Hub, rest: memoryview, begun: bool) -> None:
        super().__init__(hub)
        self.rest = rest
        self.begun = begun
