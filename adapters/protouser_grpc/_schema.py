"""What a server understands: its services, their methods, and a class for every message.

The files come from the server's reflection, from a descriptor set or from a .proto file. Each
schema has a descriptor pool of its own, so that two servers may define the same name differently.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from protouser import ConfigurationError
from protouser_grpc._names import suggest
from protouser_grpc._reflection import Exchange, ask_server

__all__ = ["Kind", "MethodInfo", "Schema"]

Kind = Literal["unary_unary", "unary_stream", "stream_unary", "stream_stream"]
WELL_KNOWN = re.compile(r"google/protobuf/(\w+)\.proto")


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """How a method is called.

    Attributes:
        path: "/pkg.Service/Method".
        kind: which sides stream.
        request_class: of what is sent.
        response_class: of what comes back.
    """

    path: str
    kind: Kind
    request_class: type[Message]
    response_class: type[Message]


class Schema:
    """The services of a server, and their methods by name.

    Made by ``fetch``, ``from_descriptor_set``, ``from_proto`` or ``load``.
    """

    def __init__(
        self,
        files: Iterable[bytes],
        source: str,
        services: Iterable[str] | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> None:
        """Build it.

        Args:
            files: serialized ``FileDescriptorProto`` messages in any order, doubles allowed.
            source: what they come from, for messages.
            services: the names of the services; those of all files without it.
            refused: why a service or an import is not among them, by its name.
        """
        self.source = source
        self._refused = dict(refused or {})
        self._methods: dict[str, MethodInfo] = {}
        parsed = _by_name(files)
        self._pool = DescriptorPool()
        for name in _in_order(parsed):
            self._add(name, parsed.get(name))
        self.services = tuple(_services_in(parsed.values()) if services is None else services)

    @classmethod
    def fetch(
        cls, exchange: Exchange, timeout: float | None = None, source: str = "the server"
    ) -> Schema:
        """Ask a server's reflection for all that it has, version 1 first, then v1alpha.

        Args:
            exchange: runs one bidirectional stream: called with the method's path and the
                serialized requests, it returns the serialized responses in order. Its exceptions
                tell the status by ``code()``, as those of grpc.
            timeout: seconds, of all round trips together.
            source: the server's name in messages.

        Raises:
            ConfigurationError: reflection is off.
        """
        told = ask_server(exchange, timeout, source)
        return cls(told.files.values(), source, told.services, told.refused)

    @classmethod
    def from_descriptor_set(cls, given: str | PathLike[str] | bytes) -> Schema:
        """Read what ``protoc --include_imports --descriptor_set_out=FILE`` wrote.

        Raises:
            ConfigurationError: it cannot be read, is none, or lacks an import.
        """
        source = "the descriptor set" if isinstance(given, bytes) else f"descriptor set {given}"
        try:
            content = given if isinstance(given, bytes) else Path(given).read_bytes()
            files = [*FileDescriptorSet.FromString(content).file]
        except OSError as error:
            raise ConfigurationError(f"{given!s}: {error.strerror}") from error
        except DecodeError:
            files = []
        if not files:
            raise ConfigurationError(
                f"{source} holds no descriptors; make one with"
                " protoc --include_imports --descriptor_set_out=FILE PROTO"
            )
        schema = cls([file.SerializeToString() for file in files], source)
        for name, reason in schema._refused.items():
            raise ConfigurationError(
                f"{source}: {name}: {reason}; was it made with --include_imports?"
            )
        return schema

    @classmethod
    def from_proto(
        cls, path: str | PathLike[str], include: str | PathLike[str] | Sequence[str] = ()
    ) -> Schema:
        """Compile a .proto file; needs the package grpcio-tools.

        Args:
            path: the file.
            include: folders in which imports are looked up; the file's own and those above it
                without it.

        Raises:
            ConfigurationError: it does not compile, or grpcio-tools is not installed.
        """
        file = Path(path)
        folders = [include] if isinstance(include, str | PathLike) else list(include)
        if not file.is_file():
            raise ConfigurationError(f"{file}: No such file or directory")
        if importlib.util.find_spec("grpc_tools") is None:
            raise ConfigurationError(
                f"{file} needs a compiler; try: pip install grpcio-tools, or make a descriptor set"
                " of it with protoc --include_imports --descriptor_set_out=FILE"
            )
        schema = cls.from_descriptor_set(_compile(file, folders or file.absolute().parents))
        schema.source = str(file)
        return schema

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Schema:
        """Read a file: one that ends in ".proto" is compiled, any other is a descriptor set."""
        if Path(path).suffix == ".proto":
            return cls.from_proto(path)
        return cls.from_descriptor_set(path)

    def method(self, name: str) -> MethodInfo:
        """The method "pkg.Service/Method"; "/pkg.Service/Method" and "pkg.Service.Method" are too.

        Raises:
            ConfigurationError: there is none; the message names the nearest.
        """
        known = self._methods.get(name)
        if known is None:
            known = self._methods[name] = _info(self._find(name))
        return known

    def _add(self, name: str, file: FileDescriptorProto | None) -> None:
        """Add a file to the pool, after its imports.

        An import that is nowhere to be had is replaced by an empty file: mostly it defines options
        that nothing needs here. A file that does need it cannot be added then, and says so.
        """
        serialized = _well_known(name) if file is None else file.SerializeToString()
        if serialized is None:
            self._refused.setdefault(name, "it is imported and not there")
            serialized = FileDescriptorProto(name=name).SerializeToString()
        try:
            self._pool.AddSerializedFile(serialized)
        except TypeError as error:
            reason = str(error).removeprefix("Couldn't build proto file into descriptor pool: ")
            self._refused[name] = f"unusable: {reason}" + "".join(
                f"; its import {one}: {self._refused[one]}"
                for one in (file.dependency if file else ())
                if one in self._refused
            )
            for service in _services_in([file] if file else []):
                self._refused[service] = f"{name} is {self._refused[name]}"

    def _find(self, name: str) -> MethodDescriptor:
        path = name.removeprefix("/")
        service_name, slash, method_name = path.partition("/")
        if not slash:
            service_name, _, method_name = path.rpartition(".")
        if not service_name or not method_name:
            raise ConfigurationError(f"a method is written 'package.Service/Method', not {name!r}")
        service = self._service(service_name)
        found = service.methods_by_name.get(method_name)
        if found is None:
            hint = suggest(method_name, service.methods_by_name)
            raise ConfigurationError(f"service {service_name} has no method {method_name!r}{hint}")
        return found

    def _service(self, name: str) -> ServiceDescriptor:
        try:
            return self._pool.FindServiceByName(name)
        except (KeyError, TypeError):  # TypeError is the pure-Python pool's
            pass
        if name in self.services:
            reason = self._refused.get(name, "its definition is not there")
            raise ConfigurationError(f"{self.source} does not describe service {name}: {reason}")
        offered = [one for one in self.services if not one.startswith("grpc.reflection.")]
        raise ConfigurationError(f"{self.source} has no service {name!r}{suggest(name, offered)}")


def _by_name(files: Iterable[bytes]) -> dict[str, FileDescriptorProto]:
    parsed: dict[str, FileDescriptorProto] = {}
    for serialized in files:
        file = FileDescriptorProto.FromString(serialized)
        parsed.setdefault(file.name, file)
    return parsed


def _in_order(files: Mapping[str, FileDescriptorProto]) -> list[str]:
    """The names of the files and of all that they import, each after its own imports."""
    ordered: dict[str, None] = {}
    visited: set[str] = set()
    waiting = [(name, False) for name in files]
    while waiting:
        name, imported = waiting.pop()
        if imported:
            ordered[name] = None
        elif name not in visited:
            visited.add(name)
            waiting.append((name, True))
            waiting += [(needed, False) for needed in _imports(name, files)]
    return list(ordered)


def _imports(name: str, files: Mapping[str, FileDescriptorProto]) -> Sequence[str]:
    file = files.get(name)
    if file is not None:
        return file.dependency
    serialized = _well_known(name)
    return FileDescriptorProto.FromString(serialized).dependency if serialized else ()


def _well_known(name: str) -> bytes | None:
    """A file of protobuf itself, which servers may leave out."""
    match = WELL_KNOWN.fullmatch(name)
    if match is None:
        return None
    try:
        module: Any = importlib.import_module(f"google.protobuf.{match[1]}_pb2")
    except ModuleNotFoundError:
        return None
    serialized: bytes = module.DESCRIPTOR.serialized_pb
    return serialized


def _services_in(files: Iterable[FileDescriptorProto]) -> Iterator[str]:
    for file in files:
        for service in file.service:
            yield f"{file.package}.{service.name}".removeprefix(".")


def _info(method: MethodDescriptor) -> MethodInfo:
    kinds: dict[tuple[bool, bool], Kind] = {
        (False, False): "unary_unary",
        (False, True): "unary_stream",
        (True, False): "stream_unary",
        (True, True): "stream_stream",
    }
    return MethodInfo(
        f"/{method.containing_service.full_name}/{method.name}",
        kinds[method.client_streaming, method.server_streaming],
        GetMessageClass(method.input_type),
        GetMessageClass(method.output_type),
    )


def _compile(file: Path, folders: Iterable[str | PathLike[str]]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        options = [f"-I{Path(one).absolute()}" for one in folders]
        options += ["--include_imports", f"--descriptor_set_out={out}", str(file.absolute())]
        command = [sys.executable, "-m", "grpc_tools.protoc", *options]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if run.returncode:
            raise ConfigurationError(f"{file} does not compile: {run.stderr.strip()}")
        return out.read_bytes()
