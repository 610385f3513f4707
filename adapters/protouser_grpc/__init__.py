"""gRPC: generated stubs, calls by reflection and streams."""

from locust import User as _User  # noqa: F401  first: it patches the standard library for gevent

import os as _os

# Without it a channel that was open at a fork makes every later call of the child hang.
_os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")

from protouser_grpc._channel import StubChannel
from protouser_grpc._client import GrpcClient
from protouser_grpc._matchers import message_type
from protouser_grpc._outcome import GrpcError, GrpcTimeout
from protouser_grpc._stream import GrpcStream
from protouser_grpc._user import GrpcUser

__all__ = [
    "GrpcClient",
    "GrpcError",
    "GrpcStream",
    "GrpcTimeout",
    "GrpcUser",
    "StubChannel",
    "message_type",
]
