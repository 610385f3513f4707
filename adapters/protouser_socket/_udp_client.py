"""The UDP client: datagrams to one server, and what comes back from it.

A datagram may be lost, and nobody says so: a request without a reply is a failure when its time is
over, a one-way message is counted when it was sent. What UDP does say is that nobody has the port
("connection refused"), mostly too late for the datagram that it is about: the call that waits then
fails, or else the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from protouser import MessageClient, ProtocolClient, ProtocolUser, Url
from protouser.net import SocketOptions, open_datagram
from protouser_socket._address import complete
from protouser_socket._udp import Conversation

__all__ = ["UdpClient", "UdpUser"]


class UdpClient(MessageClient[Conversation]):
    """A socket for datagrams to and from ``udp://host:port``.

    Each message is one datagram, which may be empty. A request is answered by the next datagram
    that comes after it was sent, or the next that its ``match`` takes; without ``match`` there can
    be one at a time. After one that failed the client has another local port, so that a late reply
    reaches nobody; that is no row. The row "connect" is the look-up of the name and the making of
    the socket, for which nothing is sent.

    With ``correlate`` any number of requests may be under way, and the client keeps its port when
    one fails. Counters are then "lost" (no reply within the timeout), "late replies", "duplicate
    replies" and "reordered", and "jitter" is a series.

    Options: ``timeout``, and ``connect_timeout`` for the look-up, in seconds; ``correlate``;
    ``broadcast``, so that the host may be a broadcast address; ``local_address``, ``send_buffer``,
    ``receive_buffer`` and ``dns_ttl`` of ``SocketOptions``.
    """

    protocol = "udp"
    schemes = ("udp",)
    option_names = MessageClient.common_options | SocketOptions.DATAGRAM_NAMES

    def disconnected(self, error: BaseException) -> None:
        """Datagrams have no connection that could end."""

    @classmethod
    def parse_url(cls, url: str | Url) -> Url:
        return complete(super().parse_url(url))

    def __init__(self, url: str | Url, **options: Any) -> None:
        super().__init__(url, **options)
        self._socket_options = SocketOptions.of(self.options)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        SocketOptions.of(options)

    def connect(self) -> None:
        assert self.connecting is not None
        assert self.url.port is not None
        conversation = Conversation(str(self.url))
        conversation.socket = open_datagram(
            conversation,
            self.url.host,
            self.url.port,
            timeout=self.connect_timeout,
            peer=str(self.url),
            mark=self.connecting.mark,
            options=self._socket_options,
        )
        self.resources.callback(conversation.close)
        self.connection = conversation


class UdpUser(ProtocolUser):
    """A user of a server that speaks datagrams.

    Attributes:
        client: the ``UdpClient`` of ``host``.
    """

    abstract = True
    client_class: ClassVar[type[ProtocolClient] | None] = UdpClient
    client: UdpClient
