"""Engines, and the channels of this process.

A channel is made when a client connects, in the process that uses it; a shared one lives as long
as a client holds it, and is closed exactly once: grpc miscounts its channels otherwise.
"""

from __future__ import annotations

import logging
import os
from typing import Final

from gevent.lock import BoundedSemaphore

from protouser import ConfigurationError, ConnectFailed
from protouser.native import forget_in_child
from protouser.net import ProxyBridge
from protouser_grpc._engines._aio import AioEngine
from protouser_grpc._engines._gevent import GeventEngine
from protouser_grpc._engines._interface import (
    Engine,
    EngineChannel,
    EngineStream,
    EngineUnavailable,
    Reply,
)
from protouser_grpc._options import ChannelOptions, through

__all__ = ["ENGINES", "EngineChannel", "EngineStream", "Lease", "Reply", "lease"]

logger = logging.getLogger(__name__)

ENGINES: Final = ("auto", "aio", "gevent")


class Lease:
    """A client's hold of a channel.

    Attributes:
        channel: the channel.
        engine: the name of its engine.
        inherited: it was opened by the parent of this process, and is of no use here.
    """

    def __init__(self, holding: _Holding) -> None:
        self._holding: _Holding | None = holding
        self.channel = holding.channel
        self.engine = holding.engine
        self.inherited = False
        holding.leases += 1
        forget_in_child(self)

    def release(self) -> None:
        """Let go of the channel; who does it last closes it. Safe to call twice."""
        holding, self._holding = self._holding, None
        if holding is None or self.inherited:
            return
        holding.leases -= 1
        if not holding.leases:
            self._forget(holding)
            holding.close()

    def forget(self) -> None:
        """This is a child process: grpc's threads stayed behind, so nothing is closed either."""
        self.inherited = True

    def explained(self, error: ConnectFailed) -> ConnectFailed:
        """Why it was not connected: grpc does not know what happened beyond our own proxy."""
        bridge = None if self._holding is None else self._holding.bridge
        if bridge is None or bridge.failure is None:
            return error
        return ConnectFailed(str(bridge.failure))

    def retire(self) -> None:
        """Have others open a channel of their own: this one is in trouble."""
        if self._holding is not None:
            self._forget(self._holding)

    def _forget(self, holding: _Holding) -> None:
        for key, held in list(_shared.items()):
            if held is holding:
                del _shared[key]


class _Holding:
    """A channel and how many hold it."""

    def __init__(self, engine: Engine, options: ChannelOptions) -> None:
        self.bridge: ProxyBridge | None = None
        if options.proxy is not None and options.proxy.is_socks:
            self.bridge = ProxyBridge(options.proxy, options.url)
            options = through(self.bridge.proxy, options)
        self.engine = engine.name
        self.leases = 0
        try:
            self.channel: EngineChannel = engine.open(options)
        except BaseException:
            self._close_bridge()
            raise

    def close(self) -> None:
        self.channel.close()
        self._close_bridge()

    def _close_bridge(self) -> None:
        if self.bridge is not None:
            self.bridge.close()


_shared: dict[tuple[int, str, ChannelOptions], _Holding] = {}
_engines: dict[str, Engine] = {}
_opening = BoundedSemaphore()


class _Ancestry:
    """What this process has from the process that it was forked from.

    Attributes:
        spoilt: gRPC was in use there. Its threads are not here and its locks may be held by them,
            so that calls would wait for ever, whatever their deadline.
    """

    def __init__(self) -> None:
        self.spoilt = False
        forget_in_child(self)

    def forget(self) -> None:
        """This is a child process."""
        self.spoilt = self.spoilt or not all(one.survives_fork for one in _engines.values())


_ancestry = _Ancestry()
_unavailable: list[EngineUnavailable] = []


def lease(engine: str, connection: str, options: ChannelOptions) -> Lease:
    """A channel with these options: one of its own, or that of this process.

    Raises:
        ConfigurationError: the engine that was asked for cannot run here, or none can any more.
    """
    if _ancestry.spoilt:
        raise ConfigurationError(
            "gRPC was in use when this process was forked, as --processes does, and cannot be used"
            " in it; open clients in the users or at test_start, not while the locustfile is loaded"
        )
    if connection != "shared":
        return Lease(_hold(engine, options))
    key = (os.getpid(), engine, options)
    with _opening:  # starting an engine takes a moment, in which others come
        holding = _shared.get(key)
        if holding is None:
            holding = _shared[key] = _hold(engine, options)
        return Lease(holding)


def _hold(engine: str, options: ChannelOptions) -> _Holding:
    if engine == "gevent" or (engine == "auto" and _unavailable):
        return _Holding(_engine("gevent"), options)
    try:
        return _Holding(_engine("aio"), options)
    except EngineUnavailable as error:
        if engine == "aio":
            raise ConfigurationError(f"engine='aio' cannot run here: {error}") from error
        if not _unavailable:
            logger.warning(
                "gRPC runs on its slower engine 'gevent', as 'aio' cannot run here: %s", error
            )
        _unavailable.append(error)
        return _Holding(_engine("gevent"), options)


def _engine(name: str) -> Engine:
    engine = _engines.get(name)
    if engine is None:
        engine = _engines[name] = AioEngine() if name == "aio" else GeventEngine()
    return engine
