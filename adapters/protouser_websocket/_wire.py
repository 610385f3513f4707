"""A cooperative socket whose reads are buffered and whose writes are whole.

A frame is read in two to four pieces; from here they cost one ``recv``. And frames of several
greenlets must not mix, though a peer that does not read makes a sender wait in the middle of one.
"""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import gevent
from gevent.lock import Semaphore

from protouser import CallTimeout, ConnectionLost, now

__all__ = ["EndOfStream", "Wire", "within"]

#: Below the 128 KiB from which malloc maps fresh pages for every recv.
_CHUNK = 65_536


class EndOfStream(Exception):
    """The peer will send no more."""


class Wire:
    """Owns a connected cooperative socket without a time limit, until ``close``.

    Args:
        sock: the socket.
        peer: how messages name the server.

    Attributes:
        at: the ``now()`` at which the last bytes arrived.
        closed: it was closed on this side.
    """

    def __init__(self, sock: socket.socket, peer: str) -> None:
        self.peer = peer
        self.at = 0.0
        self.closed = False
        self._sock = sock
        self._tls = isinstance(sock, ssl.SSLSocket)
        # gevent's sockets take a time limit for one call, which those of Python do not
        send: Any = sock.send
        self._try_send = partial(send, timeout=0.0) if not self._tls else _nothing_sent
        self._data = b""
        self._place = 0
        self._turn = Semaphore()
        self._loop: Any = gevent.get_hub().loop
        self._iteration = -1
        self._reason = ""

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes; waits for them.

        Raises:
            EndOfStream: the peer will send no more.
            OSError: the connection was lost, or closed on this side.
        """
        place = self._place
        end = place + size
        if end <= len(self._data):
            self._place = end
            return self._data[place:end]
        return self._read_on(size)

    def read_some(self) -> bytes:
        """What is there, or else the next that arrives; at least one byte."""
        if self._place == len(self._data):
            return self._receive()
        data = self._data[self._place :]
        self._place = len(self._data)
        return data

    def unread(self, data: bytes) -> None:
        """Give back what was read too far, to be read next."""
        self._data, self._place = data + self._data[self._place :], 0

    def send(self, data: bytes, timeout: float | None = None) -> None:
        """Send all of ``data``, after what other greenlets are sending.

        Raises:
            ConnectionLost: the connection is closed, or was lost meanwhile.
            CallTimeout: the peer did not take it within ``timeout`` seconds. What had left in part
                leaves the connection out of step, so it is closed then.
        """
        sent = 0
        if not self.closed and not self._turn.locked():
            try:
                sent = self._try_send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                raise self.lost(error) from error
            if sent == len(data):
                return
        self._send_slowly(data, sent, timeout)

    def send_last(self, data: bytes) -> None:
        """Send, if that needs no waiting; nothing may be read or sent afterwards."""
        if not self.closed and not self._turn.locked():
            self._sock.settimeout(0.0)
            with suppress(OSError):
                self._sock.send(data)

    def close(self, reason: str = "was closed here") -> None:
        """Close the socket; who waits on it gets an ``OSError``. Safe to call twice."""
        if not self.closed:
            self.closed = True
            self._reason = reason
            self._sock.close()

    def lost(self, error: OSError) -> ConnectionLost:
        """What this error of the socket means to a caller."""
        if self.closed:
            return ConnectionLost(f"the connection to {self.peer} {self._reason}")
        if isinstance(error, ssl.SSLError):
            reason = (error.reason or "TLS error").replace("_", " ").lower()
        else:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
        return ConnectionLost(f"the connection to {self.peer} was lost: {reason}")

    def _read_on(self, size: int) -> bytes:
        pieces = [self._data[self._place :]]
        missing = size - len(pieces[0])
        while True:
            piece = self._receive()
            if len(piece) >= missing:
                break
            pieces.append(piece)
            missing -= len(piece)
        pieces.append(piece[:missing])
        self._data, self._place = piece, missing
        return b"".join(pieces)

    def _receive(self) -> bytes:
        data = self._sock.recv(_CHUNK)
        self.at = now()
        if not data:
            raise EndOfStream
        if self._loop.iteration == self._iteration:
            gevent.sleep(0)  # nothing was waited for since the last time: others have their turn
        self._iteration = self._loop.iteration
        return data

    def _send_slowly(self, data: bytes, sent: int, timeout: float | None) -> None:
        unsent = _Unsent(memoryview(data)[sent:], sent > 0)
        limit = gevent.Timeout.start_new(timeout)
        try:
            with self._turn:
                self._send_rest(unsent)
        except ConnectionLost:
            raise
        except OSError as error:
            raise self.lost(error) from error
        except BaseException as error:
            if unsent.begun:
                self.close("was closed: a message was sent in part only")
            if error is not limit:
                raise
            text = f"not sent within {timeout:g} s: {self.peer} does not read"
            raise CallTimeout(text) from None
        finally:
            limit.close()

    def _send_rest(self, unsent: _Unsent) -> None:
        while unsent.rest:
            if self.closed:
                raise self.lost(OSError())
            unsent.begun = unsent.begun or self._tls  # its records have numbers: no way back
            unsent.rest = unsent.rest[self._sock.send(unsent.rest) :]
            unsent.begun = True


@dataclass(slots=True)
class _Unsent:
    """What is left of a message, and whether a part of it has left."""

    rest: memoryview
    begun: bool


def within(seconds: float) -> gevent.Timeout:
    """A block that is left without a word when the time is over."""
    return gevent.Timeout(seconds, False)  # type: ignore[arg-type]


def _nothing_sent(_data: bytes) -> int:
    """A TLS record cannot be tried: it is sent, or it is waited for."""
    return 0
