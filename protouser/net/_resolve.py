"""The addresses of a name: looked up once for all users of a process, and kept for a while.

Looking up blocks a native thread, of which gevent has ten; so of a thousand users that connect at
once one asks and all of them wait for it. What was found is kept for ``dns_ttl`` seconds, dropped
when none of it can be reached, and never kept where nothing was found. Among addresses of one
family the users take turns, as they would if each had asked a name server.
"""

from __future__ import annotations

import itertools
import socket
from _socket import getaddrinfo as _native_look_up
from collections.abc import Sequence
from typing import Any, NamedTuple

import gevent
import gevent.socket

from protouser._call import now
from protouser._errors import ConnectFailed
from protouser.net._deadline import Deadline, Mark

__all__ = ["Address", "forget", "resolve"]

Address = tuple[Any, ...] | str
Found = list[tuple[int, Address]]


class _Kept(NamedTuple):
    found: Found
    at: float
    turns: itertools.count[int]


class _LookUp:
    """A look-up under way, and how many wait for it."""

    def __init__(self, host: str, port: int) -> None:
        self.waiting = 0
        self._greenlet = gevent.spawn(self._run, host, port)
        self._outcome: list[Any] | Exception = []

    def wait(self, timeout: float | None) -> list[Any]:
        """What was found; TimeoutError where that takes too long, else what the resolver raises."""
        self.waiting += 1
        try:
            if not self._greenlet.ready():
                self._greenlet.join(timeout)
            if not self._greenlet.ready():
                raise TimeoutError
        finally:
            self.waiting -= 1
            if not self.waiting and not self._greenlet.ready():
                self._greenlet.kill(block=False)
        if isinstance(self._outcome, Exception):
            raise self._outcome.with_traceback(None)
        return self._outcome

    def _run(self, host: str, port: int) -> None:
        try:
            self._outcome = _look_up(host, port)
        except Exception as error:  # noqa: BLE001  it is raised in those who wait
            self._outcome = error


_kept: dict[tuple[str, int], _Kept] = {}
_under_way: dict[tuple[str, int], _LookUp] = {}


def resolve(
    host: str, port: int, deadline: Deadline, peer: str, *, ttl: float, mark: Mark
) -> Found:
    """The addresses of ``host``, the one to try first in front.

    Marks the phase ``dns`` where a look-up was waited for: not for what is kept, nor for a numeric
    address.

    Raises:
        ConnectFailed: nothing was found, or not by the deadline.
    """
    if numeric := _numeric(host, port):
        return _addresses(numeric)
    kept = _kept.get((host, port))
    if kept is None or now() - kept.at >= ttl:
        kept = _Kept(_addresses(_asked(host, port, deadline, peer, ttl)), now(), itertools.count())
        mark("dns")
        if ttl:
            kept = _keep((host, port), kept)
    return _in_turn(kept.found, next(kept.turns))


def forget(host: str, port: int) -> None:
    """None of the addresses could be reached: the next who connects asks again."""
    _kept.pop((host, port), None)


def _keep(name: tuple[str, int], new: _Kept) -> _Kept:
    """Those who waited for one look-up share what it found, and their turns with it."""
    old = _kept.get(name)
    if old is not None and old.found == new.found:
        new = _Kept(new.found, new.at, old.turns)
    _kept[name] = new
    return new


def _asked(host: str, port: int, deadline: Deadline, peer: str, ttl: float) -> list[Any]:
    name = host, port
    look_up = _under_way.get(name) if ttl else None
    if look_up is None:
        look_up = _LookUp(host, port)
        if ttl:
            _under_way[name] = look_up
    try:
        return look_up.wait(deadline.left())
    except TimeoutError:
        raise ConnectFailed(
            f"no connection to {peer} within {deadline}: the name was not resolved in time"
        ) from None
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
        raise ConnectFailed(
            f"cannot resolve host {host!r}: {_lower(reason)}; check the name"
        ) from error
    finally:
        if not look_up.waiting and _under_way.get(name) is look_up:
            del _under_way[name]


def _numeric(host: str, port: int) -> list[Any]:
    """A numeric address needs no resolver, hence no native thread of gevent's few."""
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        return _native_look_up(host, port, 0, socket.SOCK_STREAM, 0, numeric)
    except (socket.gaierror, UnicodeError):
        return []


def _look_up(host: str, port: int) -> list[Any]:
    return gevent.socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)


def _addresses(found: Sequence[Any]) -> Found:
    return [(family, address) for family, _, _, _, address in found]


def _in_turn(found: Found, turn: int) -> Found:
    """Rotated within each family; the order of the families is the system's (RFC 6724)."""
    rotated: Found = []
    for _, group in itertools.groupby(found, key=lambda address: address[0]):
        family = list(group)
        first = turn % len(family)
        rotated += family[first:] + family[:first]
    return rotated


def _lower(text: str | None) -> str:
    text = text or "unknown reason"
    return text[:1].lower() + text[1:]
