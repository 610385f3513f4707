"""Schemas of this process: one per server or file, fetched once however many users want it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any, ClassVar

from gevent.lock import BoundedSemaphore

from protouser import ConfigurationError
from protouser_grpc._messages import to_message
from protouser_grpc._method import Method
from protouser_grpc._options import ChannelOptions
from protouser_grpc._schema import Schema

__all__ = ["Schemas", "as_method"]


class Schemas:
    """Where clients get their schema from."""

    _of_file: ClassVar[dict[str, Schema]] = {}
    _of_server: ClassVar[dict[ChannelOptions, Schema | ConfigurationError]] = {}
    _fetching: ClassVar[defaultdict[ChannelOptions, BoundedSemaphore]] = defaultdict(
        BoundedSemaphore
    )

    @classmethod
    def given(cls, option: Any) -> Schema | None:
        """The schema that a user named: a ``Schema``, or a file's path.

        Raises:
            ConfigurationError: the file is of no use.
        """
        if option is None or isinstance(option, Schema):
            return option
        path = os.fspath(option)
        if path not in cls._of_file:
            cls._of_file[path] = Schema.load(path)
        return cls._of_file[path]

    @classmethod
    def fetched(
        cls,
        server: ChannelOptions,
        exchange: Callable[[str, list[bytes]], list[bytes]],
        timeout: float | None,
        source: str,
    ) -> Schema:
        """The schema of a server; one greenlet fetches it, the others wait.

        Raises:
            ConfigurationError: it has no reflection; it is not asked again.
            GrpcError: it did not answer.
        """
        with cls._fetching[server]:
            found = cls._of_server.get(server)
            if found is None:
                try:
                    found = Schema.fetch(exchange, timeout, source)
                except ConfigurationError as error:
                    found = error
                cls._of_server[server] = found
        if isinstance(found, Schema):
            return found
        raise found.with_traceback(None)


def as_method(schema: Schema, name: str) -> Method:
    """The method of a schema, which takes dicts as well as messages.

    Raises:
        ConfigurationError: there is none of this name.
    """
    info = schema.method(name)

    def serialize(value: Any) -> bytes:
        return to_message(info.request_class, value).SerializeToString()

    return Method(info.path, info.kind, serialize, info.response_class.FromString)
