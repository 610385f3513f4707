"""The opening handshake on a wire, within a time limit."""

from __future__ import annotations

from collections.abc import Callable

import gevent

from protouser import ConnectFailed, ConnectionLost
from protouser.net import Deadline
from protouser_websocket._opening import Answer, Opening, not_http, parse_answer
from protouser_websocket._wire import EndOfStream, Wire, within

__all__ = ["upgrade"]

_LONGEST_HEAD = 65_536
_LONGEST_BODY = 500
#: The reason for a refusal stands in its body, which is no reason to wait for one that hangs.
_PATIENCE_WITH_BODY = 0.5


def upgrade(
    wire: Wire, opening: Opening, deadline: Deadline, answered: Callable[[float], object]
) -> tuple[Answer, str | None]:
    """Ask for WebSocket; the answer, and the subprotocol that was agreed upon.

    What the server sent after its answer stays in the wire. ``answered`` is told the ``now()`` at
    which that was there.

    Raises:
        ConnectFailed: it did not switch, or not by the deadline.
    """
    key = opening.new_key()
    limit = gevent.Timeout.start_new(deadline.left())
    try:
        wire.send(opening.request(key))
        head = _read_head(wire)
        answered(wire.at)
        answer = parse_answer(head, wire.peer)
        if answer.status != 101:
            raise opening.refusal(answer, _read_body(wire, answer))
        return answer, opening.check(answer, key)
    except gevent.Timeout as expired:
        if expired is not limit:
            raise
        raise ConnectFailed(
            f"{wire.peer} did not answer the WebSocket upgrade within {deadline}"
        ) from None
    except EndOfStream:
        raise ConnectFailed(
            f"{wire.peer} closed the connection instead of answering the WebSocket upgrade"
        ) from None
    except ConnectFailed:
        raise
    except OSError as error:
        lost = error if isinstance(error, ConnectionLost) else wire.lost(error)
        raise ConnectFailed(f"no WebSocket upgrade: {lost}") from error
    finally:
        limit.close()


def _read_head(wire: Wire) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > _LONGEST_HEAD:
            raise ConnectFailed(f"{wire.peer} answered the upgrade with endless headers")
        data += wire.read_some()
        if not b"HTTP/1.".startswith(data[:7]) and not data.startswith(b"HTTP/1."):
            raise not_http(data, wire.peer)
    head, _, rest = data.partition(b"\r\n\r\n")
    wire.unread(rest)
    return head


def _read_body(wire: Wire, answer: Answer) -> bytes:
    length = answer.headers.get("content-length", "")
    wanted = min(int(length), _LONGEST_BODY) if length.isdecimal() else _LONGEST_BODY
    data = b""
    with within(_PATIENCE_WITH_BODY):
        try:
            while len(data) < wanted:
                data += wire.read_some()
        except (EndOfStream, OSError):
            pass
    return data[:wanted]
