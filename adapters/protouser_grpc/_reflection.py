"""What a server tells about itself by reflection: all its files in a few round trips.

Everything is asked for at once and before the load: a descriptor pool that asked the server when it
misses a name would do so from inside a C callback, where no greenlet may switch. See
``grpc/reflection/v1/reflection.proto``; the messages of v1 and v1alpha are the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest as Request
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionResponse as Response

from protouser import CallTimeout, ConfigurationError, MalformedMessage, now

__all__ = ["Exchange", "Reflected", "ask_server"]

Exchange = Callable[[str, list[bytes]], list[bytes]]
VERSIONS = ("v1", "v1alpha")  # most servers have the second, newer ones only the first


@dataclass(slots=True)
class Reflected:
    """What a server told.

    Attributes:
        services: the names of its services, in its order.
        files: serialized ``FileDescriptorProto``, by file name.
        refused: why the server has no file for a service, or not the file, by that name.
    """

    services: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def ask_server(exchange: Exchange, timeout: float | None, source: str) -> Reflected:
    """Everything that the server has.

    Args:
        exchange: runs one stream ``(path, serialized requests)``; returns the serialized responses
            in order. What it raises is passed on, unless its ``code()`` is UNIMPLEMENTED.
        timeout: no further round trip begins after so many seconds.
        source: the server, for messages.

    Raises:
        ConfigurationError: the server has no reflection, or refuses to list its services.
        CallTimeout: it took longer than ``timeout``.
        MalformedMessage: the answers are not those of a reflection service.
    """
    until = None if timeout is None else now() + timeout
    dialogue, listed = _begin(exchange, source)
    if listed.HasField("error_response"):
        error = listed.error_response
        reason = error.error_message or f"error {error.error_code}"
        raise ConfigurationError(f"{source} refuses to list its services: {reason}")
    told = Reflected([service.name for service in listed.list_services_response.service])
    wanted = [Request(file_containing_symbol=name) for name in told.services]
    while wanted:
        if until is not None and now() > until:
            raise CallTimeout(f"the reflection of {source} took longer than its timeout")
        for request, response in zip(wanted, dialogue.ask(wanted), strict=True):
            _take(told, request, response)
        wanted = [Request(file_by_filename=name) for name in _missing(told)]
    return told


@dataclass(slots=True)
class _Dialogue:
    """Questions to the version of the service that the server has."""

    exchange: Exchange
    path: str
    source: str

    def ask(self, requests: Iterable[Request]) -> list[Response]:
        serialized = [request.SerializeToString() for request in requests]
        answers = self.exchange(self.path, serialized)
        if len(answers) != len(serialized):
            raise MalformedMessage(
                f"the reflection of {self.source} ended before it had answered all questions"
            )
        try:
            return [Response.FromString(answer) for answer in answers]
        except DecodeError as error:
            raise MalformedMessage(
                f"{self.source} did not answer as a reflection service does"
            ) from error


def _begin(exchange: Exchange, source: str) -> tuple[_Dialogue, Response]:
    for version in VERSIONS:
        path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        dialogue = _Dialogue(exchange, path, source)
        try:
            return dialogue, dialogue.ask([Request(list_services="")])[0]
        except Exception as error:
            if not _is_unimplemented(error):
                raise
    raise ConfigurationError(
        f"{source} has no server reflection; switch it on there, or set stub_class to generated"
        " stubs, or schema to a descriptor set or a .proto file"
    )


def _is_unimplemented(error: Exception) -> bool:
    code = getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", None) == "UNIMPLEMENTED"


def _take(told: Reflected, request: Request, response: Response) -> None:
    name = request.file_containing_symbol or request.file_by_filename
    if response.HasField("error_response"):
        told.refused[name] = response.error_response.error_message or "no reason given"
        return
    for serialized in response.file_descriptor_response.file_descriptor_proto:
        file = FileDescriptorProto.FromString(serialized)
        told.files.setdefault(file.name, serialized)
    if request.file_by_filename and name not in told.files:
        told.refused[name] = "the server sent another file instead"


def _missing(told: Reflected) -> list[str]:
    """The imports that the server was not asked for yet."""
    imported = {
        name
        for serialized in told.files.values()
        for name in FileDescriptorProto.FromString(serialized).dependency
    }
    return sorted(imported - told.files.keys() - told.refused.keys())
