"""A connected datagram socket whose messages come by callback, in gevent's hub.

As in ``HubSocket`` a read watcher stays armed, and its callback does one raw ``recv`` and reads the
clock beside it. Connected means that the kernel drops what other senders send, and passes on what
the network says of a datagram: "connection refused" is the answer of a machine on which nobody has
that port (RFC 1122, section 4.1.3.3). Such an error is about a datagram and does not end the
socket; it reaches whoever reads or sends next.

A socket for broadcasts is not connected: whoever answers is heard, and refusals are not.

A datagram leaves whole or not at all, so there is nothing unsent to keep: a sender that the network
is too slow for waits until the socket can be written, and tries again.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import gevent
from gevent import get_hub
from gevent.monkey import get_original
from greenlet import getcurrent

from protouser._call import now
from protouser._errors import CallTimeout, ConfigurationError, ConnectFailed, ConnectionLost
from protouser._waiting import Waiter
from protouser.net._deadline import Deadline, Mark, ignore
from protouser.net._dial import DEFAULTS, RawSocket
from protouser.net._options import SocketOptions
from protouser.net._resolve import resolve

__all__ = ["DatagramReceiver", "DatagramSocket", "open_datagram"]

#: No datagram is longer (RFC 768: a length of 16 bits), so none can be cut off.
_LARGEST = 65_535

#: So many that were there already are read in one go; others come one by one.
_BURST = 1_000

_READ, _WRITE = 1, 2

#: Asking the system whether there is something costs a third of a ``recv`` in vain.
_new_poll: Callable[[], Any] = get_original("select", "poll")

_REMEDIES = {
    errno.ECONNREFUSED: "is the server running there?",
    errno.ENETUNREACH: "check the address and the route to it",
    errno.EHOSTUNREACH: "check the address and the route to it",
    errno.EACCES: "where it is a broadcast address, say broadcast=True",
    errno.EPERM: "does a firewall of this machine forbid it?",
    errno.ENOBUFS: "this machine sends more than its network takes; send less",
    errno.EMFILE: "raise the limit of open files with ulimit -n",
    errno.EAGAIN: "this machine has no free local port for it; use fewer sockets",
    errno.EADDRNOTAVAIL: "this machine has no free local port for it; use fewer sockets",
}
_TOO_LARGE = (
    "the payload does not fit into a datagram, which holds at most 65,507 bytes over IPv4 and"
    " 65,527 over IPv6; send less at a time"
)


class DatagramReceiver(Protocol):
    """What a ``DatagramSocket`` calls, mostly in the hub. Neither method may block or raise."""

    def on_datagram(self, data: bytes, at: float) -> None:
        """A datagram arrived at ``at``, a ``now()`` value; it may be empty."""

    def on_refusal(self, error: ConnectFailed) -> None:
        """The network says that an earlier datagram, or this one, does not reach the server."""


class DatagramSocket:
    """Owns a connected raw socket, from construction until ``close``.

    Args:
        family: of the address.
        address: as ``getaddrinfo`` names it.
        receiver: where datagrams and refusals go.
        peer: how messages name the server.
        options: how the socket is set up.

    Attributes:
        closed: nothing can be sent, and nothing is read any more.

    Raises:
        ConnectFailed: there is no way to that address from here.
    """

    def __init__(
        self,
        family: int,
        address: Any,
        receiver: DatagramReceiver,
        *,
        peer: str,
        options: SocketOptions = DEFAULTS,
    ) -> None:
        self.peer = peer
        self.closed = False
        self._place = family, address
        self._options = options
        self._receiver = receiver
        self._hub = get_hub()
        self._sock = _connected(family, address, peer, options)
        self._recv = self._sock.recv
        self._try_send: Callable[[bytes], int] = self._sock.send
        if options.broadcast:
            self._try_send = partial(_send_to, self._sock.sendto, address)
        self._on_datagram = receiver.on_datagram
        self._blocked: list[Waiter] = []
        self._writer: Any = None
        poll = _new_poll()
        poll.register(self._sock.fileno(), select.POLLIN)
        self._waiting = poll.poll
        self._reader: Any = self._hub.loop.io(self._sock.fileno(), _READ)
        self._reader.start(self._readable)

    def send(self, data: bytes, timeout: float | None = None) -> None:
        """Send a datagram, whole. Waits only while this machine's network is busy.

        Raises:
            ConfigurationError: it is larger than a datagram can be.
            ConnectFailed: the network said that this one, or one before, does not reach the server;
                this one was not sent.
            ConnectionLost: the socket is closed.
            CallTimeout: it could not be sent within ``timeout`` seconds; in the hub, not at once.
        """
        if not self.closed:
            try:
                self._try_send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                raise self._refused(error) from error
            else:
                return
        if not self._sent(data):
            deadline = Deadline(timeout)
            while not self._sent(data):
                self._wait_writable(deadline)

    def drain(self) -> None:
        """Hand over now what has arrived already and waits for the hub to read it."""
        for _ in range(_BURST):
            if self.closed or not self._waiting(0):
                return
            self._readable()

    def renewed(self) -> DatagramSocket:
        """Another socket to the same address, with a local port of its own."""
        return DatagramSocket(*self._place, self._receiver, peer=self.peer, options=self._options)

    def retire(self) -> None:
        """Read and send no more, but keep the local port, so that nobody else gets what comes."""
        if self.closed:
            return
        self.closed = True
        self._reader.close()
        if self._writer is not None:
            self._writer.close()
        self._wake_blocked()

    def close(self) -> None:
        """Close now. Safe to call twice and from callbacks."""
        self.retire()
        self._sock.close()

    def fileno(self) -> int:
        """The file descriptor, -1 when closed."""
        return self._sock.fileno()

    def _readable(self) -> None:
        try:
            data = self._recv(_LARGEST)
            at = now()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._refused(error)
            return
        self._on_datagram(data, at)

    def _refused(self, error: OSError) -> Exception:
        if error.errno == errno.EMSGSIZE:
            return ConfigurationError(_TOO_LARGE)
        refusal = _unreachable(self.peer, error)
        self._receiver.on_refusal(refusal)
        return refusal

    def _sent(self, data: bytes) -> bool:
        """Send if that can be done at once."""
        if self.closed:
            raise ConnectionLost(f"the socket to {self.peer} was closed here")
        try:
            self._try_send(data)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self._refused(error) from error
        return True

    def _wait_writable(self, deadline: Deadline) -> None:
        if getcurrent() is self._hub:
            raise _not_sent("at once")
        waiter = Waiter(self._hub)
        limit = gevent.Timeout.start_new(deadline.left())
        self._blocked.append(waiter)
        self._start_writer()
        try:
            waiter.wait()
        except gevent.Timeout as expired:
            if expired is not limit:
                raise
            raise _not_sent(f"within {deadline}") from None
        finally:
            limit.close()
            if waiter in self._blocked:
                self._blocked.remove(waiter)

    def _start_writer(self) -> None:
        if self._writer is None:
            self._writer = self._hub.loop.io(self._sock.fileno(), _WRITE)
        if not self._writer.active:
            self._writer.start(self._wake_blocked)

    def _wake_blocked(self) -> None:
        if self._writer is not None and not self.closed:
            self._writer.stop()
        blocked, self._blocked = self._blocked, []
        for waiter in blocked:
            waiter.wake()


def open_datagram(
    receiver: DatagramReceiver,
    host: str,
    port: int,
    *,
    timeout: float | None,
    peer: str = "",
    mark: Mark = ignore,
    options: SocketOptions = DEFAULTS,
) -> DatagramSocket:
    """A socket for datagrams to ``host``, which is looked up within ``timeout`` seconds.

    Nothing is sent, so whether somebody listens there shows with the first datagram only. Of the
    addresses of a name those of IPv4 come first: unlike a connection, a datagram that nobody wants
    cannot be tried at the next one. Marks the phase ``dns`` where a look-up was waited for;
    ``peer`` is how messages name the server.

    Raises:
        ConnectFailed: the name was not resolved in time, or no address of it can be reached.
    """
    if not 0 < port < 65536:
        raise ConfigurationError(f"port {port} of {host!r} is not between 1 and 65535")
    peer = peer or f"udp://{host}:{port}"
    addresses = resolve(host, port, Deadline(timeout), peer, ttl=options.dns_ttl, mark=mark)
    return _first_usable(sorted(addresses, key=_is_ipv6), receiver, peer, options)


def _first_usable(
    addresses: Sequence[tuple[int, Any]],
    receiver: DatagramReceiver,
    peer: str,
    options: SocketOptions,
) -> DatagramSocket:
    *others, last = addresses
    for family, address in others:
        try:
            return DatagramSocket(family, address, receiver, peer=peer, options=options)
        except ConnectFailed:
            continue
    return DatagramSocket(*last, receiver, peer=peer, options=options)


def _is_ipv6(found: tuple[int, Any]) -> bool:
    return found[0] != socket.AF_INET


def _connected(family: int, address: Any, peer: str, options: SocketOptions) -> RawSocket:
    try:
        sock = RawSocket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise _unreachable(peer, error) from error
    try:
        sock.setblocking(False)
        options.prepare(sock, peer)
        if not options.broadcast:  # each who answers does so from an address of his own
            sock.connect(address)
    except ConnectFailed:
        sock.close()
        raise
    except OSError as error:
        sock.close()
        raise _unreachable(peer, error) from error
    return sock


def _send_to(send_to: Callable[[bytes, Any], int], address: Any, data: bytes) -> int:
    return send_to(data, address)


def _unreachable(peer: str, error: OSError) -> ConnectFailed:
    code = error.errno or 0
    reason = os.strerror(code).lower() if code else str(error)
    remedy = _REMEDIES.get(code, "")
    return ConnectFailed(f"cannot reach {peer}: {reason}{remedy and '; ' + remedy}")


def _not_sent(when: str) -> CallTimeout:
    return CallTimeout(f"not sent {when}: this machine's network takes no more")
